"""From tags to digests: what a release set is pinned to."""

from collections.abc import Sequence

from models.errors import ImageTooLarge, MalformedImage, UnsupportedImage
from models.images import PinnedPlatform, PinnedTag, PinnedTier
from models.policy import ImageLimits
from registry.manifests import (
    Descriptor,
    Manifest,
    loads,
    platform_of,
    require_attestation,
    require_image,
    require_within,
)
from registry.sources import Source


async def resolve_tier(
    source: Source, tier: str, repository: str, tags: Sequence[str], limits: ImageLimits | None = None
) -> PinnedTier:
    """Each tag (or `sha256:...`) to its digest and platforms. Errors: those of PUBLISHERS_ERRORS, ToolFailed."""
    limits = limits or ImageLimits()
    if len(tags) > limits.tags_per_tier:
        raise ImageTooLarge(f"The tier {tier} has {len(tags)} tags; at most {limits.tags_per_tier} are allowed.")
    pinned = [await _resolve(source, tag, limits) for tag in tags]
    return PinnedTier(tier=tier, repository=repository, tags=tuple(pinned))


async def _resolve(source: Source, tag: str, limits: ImageLimits) -> PinnedTag:
    manifest = await source.manifest(tag)
    if manifest.is_index:
        platforms = await _images(source, tag, manifest, limits)
    else:
        platforms = [await _image(source, manifest, limits)]
    return PinnedTag(tag=tag, digest=manifest.digest, media_type=manifest.media_type, platforms=tuple(platforms))


async def _images(source: Source, tag: str, index: Manifest, limits: ImageLimits) -> list[PinnedPlatform]:
    entries, attestations = index.images(), index.attestations()
    if not entries:
        raise UnsupportedImage(f"{tag} has no image for any platform.")
    for what, said in (("images", entries), ("attestations", attestations)):
        if len(said) > limits.platforms:
            raise ImageTooLarge(f"{tag} has {len(said)} {what}; at most {limits.platforms} are allowed.")
    images = []
    for entry in entries:
        image = await _image(source, await _named_by_index(source, tag, entry), limits)
        if entry.platform and not _agree(entry.platform, image.platform):
            raise MalformedImage(
                f"{tag}: the index calls {entry.digest} {entry.platform}, the image says {image.platform}."
            )
        images.append(image.model_copy(update={"platform": entry.platform or image.platform}))
    for entry in attestations:
        attestation = require_attestation(await _named_by_index(source, tag, entry))
        if sum(blob.size for blob in (attestation.config, *attestation.descriptors())) > limits.compressed_bytes:
            raise ImageTooLarge(f"{tag}: the attestation {entry.digest} is larger than an image may be.")
    names = [_plain(image.platform) for image in images]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UnsupportedImage(f"{tag} has several images for {', '.join(twice)}: one for each platform.")
    return images


async def _named_by_index(source: Source, tag: str, entry: Descriptor) -> Manifest:
    """Clients check size and type against the index: what we accept has to be what they will pull."""
    manifest = await source.manifest(entry.digest)
    if len(manifest.content) != entry.size:
        raise MalformedImage(f"{tag}: the index says another size of {entry.digest} than it has. Push it again.")
    if entry.media_type != manifest.media_type:
        raise MalformedImage(
            f"{tag}: the index calls {entry.digest} {entry.media_type[:120]!r}, but it is {manifest.media_type}."
        )
    return manifest


async def _image(source: Source, manifest: Manifest, limits: ImageLimits) -> PinnedPlatform:
    size = require_within(require_image(manifest), limits)
    config = manifest.config
    content = b"".join([chunk async for chunk in source.blob(config.digest, config.size)])
    said = loads(content, f"image's config {config.digest}")
    platform = platform_of(said)
    if not platform.startswith("linux/"):
        raise UnsupportedImage(f"The image is for {platform or 'no platform'}: the hub takes linux images.")
    return PinnedPlatform(platform=platform, digest=manifest.digest, size=size)


def _agree(index: str, image: str) -> bool:
    """`linux/arm64` and `linux/arm64/v8` are the same: tools differ in whether they say the variant."""
    return index.split("/")[:2] == image.split("/")[:2]


def _plain(platform: str) -> str:
    """The variant that goes without saying is not said."""
    return {"linux/arm64/v8": "linux/arm64", "linux/arm/v7": "linux/arm"}.get(platform, platform)
