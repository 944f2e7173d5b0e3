"""Publication: blobs, then manifests by digest, then tags - so that a tag never points at a half."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from models.errors import ToolFailed
from models.images import PinnedTag, PinnedTier
from registry.client import Blob, RegistryRepository
from registry.manifests import Manifest, parse_manifest, require_attestation, require_image
from registry.sources import Source

Progress = Callable[[int, int], None]


class Target(Protocol):
    """One repository that can be written: of a registry (client.HubRepository) or a folder (LayoutTarget)."""

    async def put_blob(self, digest: str, size: int, content: Blob, mount_from: str = "") -> bool:
        """Unless it is there; says whether bytes were sent."""

    async def put_manifest(self, reference: str, content: bytes, media_type: str) -> None:
        """Under a tag or its own digest."""

    async def digest_of_tag(self, reference: str) -> str:
        """Empty when there is no such tag or digest."""

    async def delete_manifest(self, digest: str) -> bool:
        """With its tags; says whether there was one."""


@dataclass(slots=True)
class CopyOutcome:
    """`images` and bytes that were `sent`, what was there already not counted.

    `manifests` are the bytes of all that was copied, by digest; `parts` names for each pinned tag's digest those that
    belong to it, in the order in which a registry takes them: the tag's own comes last.
    """

    images: int = 0
    sent: int = 0
    manifests: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)


async def copy_tier(source: Source, target: Target, tier: PinnedTier, progress: Progress | None = None) -> CopyOutcome:
    """Copy exactly the pinned digests, without their tags. Done again, it sends nothing and changes nothing.

    Errors: those of PUBLISHERS_ERRORS when the source no longer has what was approved; ToolFailed.
    """
    outcome = CopyOutcome()
    total = sum(image.size for tag in tier.tags for image in tag.platforms)
    for tag in tier.tags:
        top = await source.manifest(tag.digest)
        images = [await source.manifest(image.digest) for image in tag.platforms] if top.is_index else [top]
        for image in images:
            await _copy_image(source, target, require_image(image), outcome)
            if progress is not None:
                progress(outcome.sent, total)
        parts = [image.digest for image in images]
        if top.is_index:
            parts += await _copy_others(source, target, top, set(parts), outcome)
            await _put(target, top, outcome)
            parts.append(top.digest)
        outcome.parts[tag.digest] = tuple(parts)
    return outcome


async def tag_tier(target: Target, tier: PinnedTier, outcome: CopyOutcome) -> None:
    """Point the tags to what was copied. Errors: ToolFailed, also when somebody else has moved a tag meanwhile."""
    for tag in tier.tags:
        await _point(target, tag, outcome.manifests[tag.digest])


async def publish_tier(
    source: Source, target: Target, tier: PinnedTier, progress: Progress | None = None
) -> CopyOutcome:
    """Copy one tier and tag it. Errors: as copy_tier and tag_tier."""
    outcome = await copy_tier(source, target, tier, progress)
    await tag_tier(target, tier, outcome)
    return outcome


async def withdraw(target: Target, digests: Sequence[str]) -> int:
    """Take manifests, and with them their tags, out of the registry; says how many there were.

    Layers stay until the registry collects its garbage: without a manifest nobody can pull them as an image.
    """
    return sum([await target.delete_manifest(digest) for digest in dict.fromkeys(digests)])


async def restore(target: Target, tag: str, manifests: Sequence[bytes]) -> None:
    """Bring a withdrawn tag back from its kept manifests, the tag's own last, by the same digests.

    Errors: ToolFailed, also when the registry has collected the layers meanwhile.
    """
    for manifest in map(parse_manifest, manifests):
        if not await target.digest_of_tag(manifest.digest):
            await target.put_manifest(manifest.digest, manifest.content, manifest.media_type)
    top = parse_manifest(manifests[-1])
    await target.put_manifest(tag, top.content, top.media_type)


async def _point(target: Target, tag: PinnedTag, content: bytes) -> None:
    if await target.digest_of_tag(tag.tag) != tag.digest:
        await target.put_manifest(tag.tag, content, tag.media_type)
    if (found := await target.digest_of_tag(tag.tag)) != tag.digest:
        raise ToolFailed(f"{target}:{tag.tag} should point to {tag.digest}, but points to {found or 'nothing'}.")


async def _copy_image(source: Source, target: Target, image: Manifest, outcome: CopyOutcome) -> None:
    mount_from = ""
    if isinstance(source, RegistryRepository) and isinstance(target, RegistryRepository):
        mount_from = source.name if source.client.host == target.client.host else ""
    for blob in dict.fromkeys((*image.layers, image.config)):
        sent = await target.put_blob(blob.digest, blob.size, partial(source.blob, blob.digest, blob.size), mount_from)
        outcome.sent += blob.size if sent else 0
    await _put(target, image, outcome)


async def _copy_others(
    source: Source, target: Target, index: Manifest, copied: set[str], outcome: CopyOutcome
) -> list[str]:
    """Attestations that stand in the index: a registry takes an index only when it has all that it names."""
    others = []
    for digest in dict.fromkeys(entry.digest for entry in index.entries()):
        if digest in copied:
            continue
        other = require_attestation(await source.manifest(digest))
        for blob in dict.fromkeys((*other.descriptors(), other.config)):
            sent = await target.put_blob(blob.digest, blob.size, partial(source.blob, blob.digest, blob.size))
            outcome.sent += blob.size if sent else 0
        await _put(target, other, outcome)
        others.append(digest)
    return others


async def _put(target: Target, manifest: Manifest, outcome: CopyOutcome) -> None:
    if not await target.digest_of_tag(manifest.digest):
        await target.put_manifest(manifest.digest, manifest.content, manifest.media_type)
        outcome.images += not manifest.is_index
    outcome.manifests[manifest.digest] = manifest.content
