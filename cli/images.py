"""Images as they are named on the command line: found, fetched and scanned, platform by platform."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.context import complaints
from models.errors import ImageNotFound, UnsupportedImage
from models.images import PinnedPlatform
from models.policy import HubPolicy
from models.scans import ImageReport
from registry.access import Access, SourceRules
from registry.fetch import fetch_image
from registry.resolve import resolve_tier
from registry.sources import Source, open_source
from scanning.advisories import AdvisoryStore
from scanning.reports.scanned import size
from scanning.scanner import Scanner
from settings import Settings

_LOCAL = ("oci:", "archive:")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image is: a source as everywhere, and a tag or digest there."""

    repository: str
    reference: str

    @property
    def is_local(self) -> bool:
        return self.repository.startswith(_LOCAL)


class Looked(NamedTuple):
    """`reference` is the tag or digest that was looked at, `digest` what it points to: an index, or the only image."""

    reference: str
    digest: str
    reports: list[ImageReport]


def place_of(image: str) -> Place:
    """`host/name:tag`, `host/name@sha256:...`, `oci:FOLDER:TAG`, `archive:FILE[:TAG]`. No reference: empty."""
    repository, at, digest = image.rpartition("@")
    if at and digest.startswith("sha256:"):
        return Place(repository, digest)
    kind = next((prefix for prefix in _LOCAL if image.startswith(prefix)), "")
    head, colon, tag = image.removeprefix(kind).rpartition(":")
    # a colon before a slash is that of a port; a folder may have one in its name
    if not colon or "/" in tag or (kind and Path(image.removeprefix(kind)).exists()):
        return Place(image, "")
    return Place(kind + head, tag)


async def scan_all(
    place: Place,
    platform: str,
    settings: Settings,
    policy: HubPolicy,
    advisories: AdvisoryStore,
    access: Access | None,
) -> Looked:
    """What the reference points to, and a report for each platform. Nothing is left but the scanner's cache.

    Errors: PUBLISHERS_ERRORS, ToolFailed.
    """
    if place.is_local and not (path := Path(place.repository.partition(":")[2])).exists():
        raise ImageNotFound(f"There is nothing at {path}.")
    rules = SourceRules(
        plain_http_hosts=settings.plain_http_hosts,
        # whoever types an address here may reach it anyway
        allow_private_hosts=True,
        source_folders=(Path("/"),) if place.is_local else (),
        limits=policy.limits,
    )
    reports = []
    with tempfile.TemporaryDirectory(prefix="wharfinger-scan-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        scanner = Scanner(
            advisories, policy.severity, policy.limits, work / "work", settings.scanner_cache, settings.scan_seconds
        )
        async with open_source(place.repository, rules, access) as source:
            reference = place.reference or await _only_tag(source, place)
            tier = await resolve_tier(source, "", place.repository, [reference], policy.limits)
            for image in _chosen(tier.tags[0].platforms, platform):
                reports.append(await _scan_one(source, image, work, scanner, policy))
    return Looked(reference, tier.tags[0].digest, reports)


async def _only_tag(source: Source, place: Place) -> str:
    if not place.is_local:
        return "latest"
    tags = await source.tags()
    if len(tags) != 1:
        known = f"it has {', '.join(sorted(tags)[:20])}" if tags else "it has none"
        raise ImageNotFound(f"Say which tag of {place.repository}: {known}.")
    return tags[0]


def _chosen(images: tuple[PinnedPlatform, ...], platform: str) -> list[PinnedPlatform]:
    chosen = [image for image in images if not platform or image.platform.startswith(platform)]
    if not chosen:
        raise UnsupportedImage(
            f"There is no image for {platform}: it has {', '.join(image.platform for image in images)}."
        )
    return chosen


async def _scan_one(
    source: Source, image: PinnedPlatform, work: Path, scanner: Scanner, policy: HubPolicy
) -> ImageReport:
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[platform]}"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=complaints,
        transient=True,
        disable=not complaints.is_terminal,
    ) as progress:
        task = progress.add_task("fetching", total=None, platform=image.platform)
        # the platforms share the folder, and so the layers that they have in common
        layout = await fetch_image(
            source,
            image.digest,
            work / "layout",
            policy.limits,
            progress=lambda done, total: progress.update(
                task, completed=done, total=total, description=f"{size(done)} of {size(total)}"
            ),
        )
        progress.update(task, total=None)
        return await scanner.scan(layout, image.platform, lambda words: progress.update(task, description=words))
