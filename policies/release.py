"""What the product page promises, held against the release set that was pinned."""

from collections.abc import Iterable
from typing import NamedTuple

from models.content import ContentManifest
from models.findings import Level
from models.images import PinnedTag, ReleaseSet
from policies.rules import Area, Evidence


class ReleaseContext(NamedTuple):
    manifest: ContentManifest
    release: ReleaseSet


RELEASE: Area[ReleaseContext] = Area("release", "Release set")


@RELEASE.rule(
    "platforms",
    Level.REQUIREMENT,
    "The page names a platform that a tier has no image for",
    why="Customers filter the catalog by platform, and would pull in vain.",
    remedy="Push an image for the platform, or take it off the page.",
)
def _platforms(context: ReleaseContext) -> Iterable[Evidence]:
    for tier in context.release.tiers:
        for tag in tier.tags:
            missing = [name for name in dict.fromkeys(context.manifest.platforms) if not _has(tag, name)]
            if missing:
                yield Evidence(f"No image for {', '.join(missing)}.", f"{tier.tier}:{tag.tag}")


@RELEASE.rule(
    "unlisted-platforms",
    Level.GUIDELINE,
    "There is an image for a platform that the page does not name",
    why="Customers of that platform do not find the product.",
    remedy="Add the platform to the page, or leave its image out.",
)
def _unlisted(context: ReleaseContext) -> Iterable[Evidence]:
    named = context.manifest.platforms
    images = {image.platform for tier in context.release.tiers for tag in tier.tags for image in tag.platforms}
    for platform in sorted(images):
        if named and not any(_is(platform, name) for name in named):
            yield Evidence(f"{platform} is not on the page.", "platforms", platform)


def _has(tag: PinnedTag, name: str) -> bool:
    return any(_is(image.platform, name) for image in tag.platforms)


def _is(platform: str, name: str) -> bool:
    """`linux/arm` of the page is also `linux/arm/v7` of an image; arm64 and arm64/v8 are one (OCI image-spec)."""
    platform, name = _usual(platform), _usual(name)
    return platform == name or platform.startswith(f"{name}/")


def _usual(platform: str) -> str:
    return platform.removesuffix("/v8") if platform.endswith("/arm64/v8") else platform
