"""Scans that answer a stored report: what benchmarks put in the place of the scanner, and of nothing else."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

from activities.heartbeats import Progress
from activities.scanning import ScanActivities
from benchmarks.house import PLATFORM, write_image
from models.policy import ImageLimits, SeverityClasses
from models.scans import ImageReport
from models.work import ImageOrder
from scanning.advisories import AdvisoryStore
from scanning.scanner import Scanner
from store.blobs import Blobs
from worker import Collaborators

#: of one run of the scanner over an image of a few hundred bytes
_PATIENCE = 120.0


async def template() -> ImageReport:
    """What the real scanner says of an image as `write_image` makes them."""
    with tempfile.TemporaryDirectory(prefix="wharfinger-benchmark-") as place:
        folder = Path(place)
        write_image(folder / "layout", "template")
        store = AdvisoryStore(folder / "advisories.sqlite")
        scanner = Scanner(store, SeverityClasses(), ImageLimits(), folder / "work", folder / "cache", seconds=_PATIENCE)
        return await scanner.scan(folder / "layout", PLATFORM, lambda _: None)


@dataclass(slots=True)
class Reports:
    """One report for every image, by the image's digest."""

    template: ImageReport
    digests: dict[str, str] = field(default_factory=dict)

    async def store(self, blobs: Blobs, images: list[str]) -> None:
        for image in images:
            facts = self.template.facts.model_copy(update={"digest": image})
            self.digests[image] = await blobs.put_message(self.template.model_copy(update={"facts": facts}))


@dataclass(frozen=True, slots=True)
class StoredScans(ScanActivities):
    """All of the product's scanning but the fetch and the scanner. Nothing is remembered: every image is asked for."""

    reports: dict[str, str] = field(default_factory=dict)
    #: how long a scan takes, seconds, by the image's digest
    seconds: Callable[[str], float] = lambda _: 0.0

    async def _scan(self, order: ImageOrder, progress: Progress) -> str:
        await asyncio.sleep(self.seconds(order.digest))
        return self.reports[order.digest]


def answer_from(
    collaborators: Collaborators, reports: Reports, seconds: Callable[[str], float] = lambda _: 0.0
) -> None:
    """Replace the scanner of these collaborators."""
    real = collaborators.scanning
    same = {each.name: getattr(real, each.name) for each in fields(ScanActivities)}
    collaborators.scanning = StoredScans(**same, reports=reports.digests, seconds=seconds)
