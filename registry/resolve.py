"""From tags to digests: what a release set is pinned to."""

import json
from collections.abc import Sequence

from models.errors import ImageTooLarge, MalformedImage, UnsupportedImage
from models.images import PinnedPlatform, PinnedTag, PinnedTier
from models.policy import ImageLimits
from registry.manifests import Manifest, platform_of, require_image
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
    if not manifest.is_index:
        platforms = [await _image(source, manifest, limits)]
    else:
        images = manifest.images()
        if len(images) > limits.platforms:
            raise ImageTooLarge(f"{tag} has {len(images)} images; at most {limits.platforms} are allowed.")
        platforms = []
        for said in images:
            image = await _image(source, await source.manifest(said.digest), limits)
            if said.platform and not _agree(said.platform, image.platform):
                raise MalformedImage(
                    f"{tag}: the index calls {said.digest} {said.platform}, the image says {image.platform}."
                )
            platforms.append(image.model_copy(update={"platform": said.platform or image.platform}))
    if not platforms:
        raise UnsupportedImage(f"{tag} has no image for any platform.")
    names = [image.platform for image in platforms]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UnsupportedImage(f"{tag} has several images for {', '.join(twice)}: one for each platform.")
    return PinnedTag(tag=tag, digest=manifest.digest, media_type=manifest.media_type, platforms=tuple(platforms))


async def _image(source: Source, manifest: Manifest, limits: ImageLimits) -> PinnedPlatform:
    require_image(manifest)
    config, layers = manifest.config, manifest.layers
    if len(layers) > limits.layers:
        raise ImageTooLarge(f"The image has {len(layers)} layers; at most {limits.layers} are allowed.")
    size = sum(layer.size for layer in layers)
    if size > limits.compressed_bytes:
        raise ImageTooLarge(f"The image has {size:,} bytes; at most {limits.compressed_bytes:,} are allowed.")
    if config.size > limits.config_bytes:
        raise ImageTooLarge(f"The image's config has {config.size:,} bytes; at most {limits.config_bytes:,}.")
    content = b"".join([chunk async for chunk in source.blob(config.digest, config.size)])
    try:
        platform = platform_of(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise MalformedImage(f"The image's config {config.digest} is no JSON: {error}") from error
    if not platform.startswith("linux/"):
        raise UnsupportedImage(f"The image is for {platform or 'no platform'}: the hub takes linux images.")
    return PinnedPlatform(platform=platform, digest=manifest.digest, size=size)


def _agree(index: str, image: str) -> bool:
    """`linux/arm64` and `linux/arm64/v8` are the same: tools differ in whether they say the variant."""
    return index.split("/")[:2] == image.split("/")[:2]
