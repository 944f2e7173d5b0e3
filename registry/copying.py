"""Publication into a registry: blobs, then manifests by digest, then tags - so that a tag never points at a half."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from models.errors import ToolFailed
from models.images import PinnedTier
from registry.client import RegistryRepository
from registry.manifests import Manifest, parse_manifest, require_image
from registry.sources import Source

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class CopyOutcome:
    """`images` and bytes that were `sent`, what was there already not counted; every manifest by its digest."""

    images: int = 0
    sent: int = 0
    manifests: dict[str, bytes] = field(default_factory=dict)


async def publish_tier(
    source: Source, target: RegistryRepository, tier: PinnedTier, progress: Progress | None = None
) -> CopyOutcome:
    """Copy exactly the pinned digests and tag them. Done again, it sends nothing and changes nothing.

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
        if top.is_index:
            await _copy_others(source, target, top, {image.digest for image in images}, outcome)
            await _put(target, top, outcome)
    for tag in tier.tags:
        name = tag.tag
        if await target.digest_of_tag(name) != tag.digest:
            await target.put_manifest(name, outcome.manifests[tag.digest], tag.media_type)
        if (found := await target.digest_of_tag(name)) != tag.digest:
            raise ToolFailed(f"{target}:{name} should point to {tag.digest}, but points to {found or 'nothing'}.")
    return outcome


async def withdraw_tier(target: RegistryRepository, tier: PinnedTier) -> int:
    """Take the tier's manifests, and with them its tags, out of the registry; says how many there were.

    Layers stay until the registry collects its garbage: without a manifest nobody can pull them as an image.
    """
    digests = [digest for tag in tier.tags for digest in (tag.digest, *(image.digest for image in tag.platforms))]
    return sum([await target.delete_manifest(digest) for digest in dict.fromkeys(digests)])


async def restore_tier(target: RegistryRepository, tier: PinnedTier, manifests: Mapping[str, bytes]) -> None:
    """Bring a withdrawn tier back from its kept manifests, by the same digests. Errors: ToolFailed."""
    for tag in tier.tags:
        for image in tag.platforms:
            if image.digest != tag.digest:
                await target.put_manifest(
                    image.digest, manifests[image.digest], parse_manifest(manifests[image.digest]).media_type
                )
    for tag in tier.tags:
        await target.put_manifest(tag.tag, manifests[tag.digest], tag.media_type)


async def _copy_image(source: Source, target: RegistryRepository, image: Manifest, outcome: CopyOutcome) -> None:
    mount_from = ""
    if isinstance(source, RegistryRepository) and source.client.host == target.client.host:
        mount_from = source.name
    for blob in dict.fromkeys((*image.layers, image.config)):
        sent = await target.put_blob(blob.digest, blob.size, partial(source.blob, blob.digest, blob.size), mount_from)
        outcome.sent += blob.size if sent else 0
    await _put(target, image, outcome)


async def _copy_others(
    source: Source, target: RegistryRepository, index: Manifest, copied: set[str], outcome: CopyOutcome
) -> None:
    """Attestations that stand in the index: a registry takes an index only when it has all that it names."""
    for said in index.document["manifests"]:
        digest = str(said.get("digest"))
        if digest in copied:
            continue
        other = await source.manifest(digest)
        for blob in dict.fromkeys((*other.descriptors(), other.config)):
            sent = await target.put_blob(blob.digest, blob.size, partial(source.blob, blob.digest, blob.size))
            outcome.sent += blob.size if sent else 0
        await _put(target, other, outcome)


async def _put(target: RegistryRepository, manifest: Manifest, outcome: CopyOutcome) -> None:
    if not await target.digest_of_tag(manifest.digest):
        await target.put_manifest(manifest.digest, manifest.content, manifest.media_type)
        outcome.images += not manifest.is_index
    outcome.manifests[manifest.digest] = manifest.content
