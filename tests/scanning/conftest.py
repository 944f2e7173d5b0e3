"""A scanner with the demo's advisories, and everything it needs in the test's own folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.policy import ImageLimits, SeverityClasses
from models.scans import ImageReport
from registry.building import ImageBuilder
from scanning.advisories import AdvisoryStore
from scanning.demo import DEMO_ADVISORIES
from scanning.scanner import Scanner
from tests.scanning.images import layout_of


@pytest.fixture(scope="session")
def demo_advisories(tmp_path_factory: pytest.TempPathFactory) -> AdvisoryStore:
    """Only to be read."""
    store = AdvisoryStore(tmp_path_factory.mktemp("advisories") / "advisories.sqlite")
    store.import_from(DEMO_ADVISORIES)
    return store


@dataclass
class Laboratory:
    """Scans images in a folder of its own; `work` is to be empty after every scan."""

    folder: Path
    advisories: AdvisoryStore

    def __post_init__(self) -> None:
        self.work = self.folder / "work"

    def scanner(self, *, seconds: float = 60, severity: SeverityClasses | None = None, **limits: int) -> Scanner:
        return Scanner(
            self.advisories,
            severity or SeverityClasses(),
            ImageLimits(**limits),
            self.work,
            self.folder / "cache",
            seconds,
        )

    def layout(self, builder: ImageBuilder, name: str = "layout") -> Path:
        return layout_of(builder, self.folder / name)

    async def scan(
        self, builder: ImageBuilder, says: Callable[[str], None] = lambda _: None, name: str = "layout"
    ) -> ImageReport:
        return await self.scanner().scan(self.layout(builder, name), builder.platform, says)


@pytest.fixture
def laboratory(tmp_path: Path, demo_advisories: AdvisoryStore) -> Laboratory:
    return Laboratory(tmp_path, demo_advisories)
