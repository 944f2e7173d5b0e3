"""Scans that answer a stored report: what benchmarks put in the place of the scanner, and of nothing else."""

import tempfile
from dataclasses import dataclass, fields
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


@dataclass(frozen=True, slots=True)
class Reports:
    """The digest of the stored report of every image, in a file named after the image's digest."""

    folder: Path

    async def store(self, blobs: Blobs, template: ImageReport, images: list[str]) -> None:
        """The same report for each of them, as if it were its own."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for image in images:
            facts = template.facts.model_copy(update={"digest": image})
            report = await blobs.put_message(template.model_copy(update={"facts": facts}))
            self._place(image).write_text(report)

    def of(self, image: str) -> str:
        return self._place(image).read_text()

    def _place(self, image: str) -> Path:
        return self.folder / image.partition(":")[2]


@dataclass(frozen=True, slots=True)
class StoredScans(ScanActivities):
    """All of the product's scanning but the fetch and the scanner. Nothing is remembered: every image is asked for."""

    stored: Reports

    async def _scan(self, order: ImageOrder, progress: Progress) -> str:
        return self.stored.of(order.digest)


def answer_from(collaborators: Collaborators, stored: Reports) -> None:
    """Replace the scanner of these collaborators."""
    real = collaborators.scanning
    same = {each.name: getattr(real, each.name) for each in fields(ScanActivities)}
    collaborators.scanning = StoredScans(**same, stored=stored)
