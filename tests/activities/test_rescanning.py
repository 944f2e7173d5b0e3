"""Nightly scans as the worker runs them: from the hub's own registry, real trivy, and what comes of it."""

from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from activities.image_scans import ImageScans
from activities.publication import HubRegistry
from activities.rescanning import RescanActivities
from models.images import ImageSource, ReleaseSet
from models.scans import ImageReport
from models.tables import IterationRow
from models.work import Rescanned, RescanPlan
from registry.building import push_layout, write_index
from registry.client import HubRepository
from registry.fetch import BlobCache
from store import scans
from tests.activities.watchtower import CRITICAL, Watchtower, advisory
from tests.activities.wharf import Wharf
from tests.parts.presence import needs
from tests.parts.rows import MONDAY
from tests.scanning.images import shop

pytestmark = [needs("docker-registry", "trivy"), pytest.mark.system]


@dataclass
class Night:
    """A product whose image has something in it that an older scanner has not seen."""

    wharf: Wharf
    tower: Watchtower
    activities: RescanActivities
    image: str

    async def plans(self) -> RescanPlan:
        plan = await self.tower.run(self.activities.rescan_plan)
        assert isinstance(plan, RescanPlan)
        return plan

    async def scans(self) -> Rescanned:
        (order,) = (await self.plans()).images
        scanned = await self.tower.run(self.activities.rescan_image, order)
        assert isinstance(scanned, Rescanned)
        return scanned


async def night(wharf: Wharf, folder: Path, *, in_a_folder: bool = False) -> Night:
    """Published, with the report of a scanner that found nothing."""
    hub = HubRegistry(wharf.client, wharf.registry.address, wharf.namespace)
    if in_a_folder:
        hub = HubRegistry(None, str(folder / "hub"))
    tower = Watchtower(wharf.house, folder)
    layout, name = folder / uuid4().hex, f"team/{uuid4().hex}"
    write_index(layout, "1.0", {"linux/amd64": shop("linux/amd64").write(layout)})
    await push_layout(layout, "1.0", HubRepository(wharf.client, name))
    content = await wharf.save(("Free", ImageSource(repository=f"{wharf.registry.address}/{name}", tags=("1.0",))))
    release = (await wharf.onboards(content)).release
    pinned = await wharf.blobs.get_message(ReleaseSet, release)
    image = pinned.tiers[0].tags[0].platforms[0].digest
    blind = await tower.report({})
    blind = blind.model_copy(update={"facts": blind.facts.model_copy(update={"digest": image})})
    report = await wharf.blobs.put_message(blind)
    async with wharf.database.transaction() as session:
        session.add(
            IterationRow(
                submission=wharf.house.submission,
                number=1,
                content=content,
                release=release,
                reports=[report],
                examined_at=MONDAY,
            )
        )
    publication = replace(wharf.publication, hub=hub, lookout=tower.lookout)
    done = await tower.run(publication.publish, wharf.order(content, release))
    assert done.problem == ""
    images = ImageScans(
        tower.lookout.policy,
        tower.advisories,
        folder / "scans",
        BlobCache(folder / "cache"),
        folder / "scanner",
        scan_seconds=60,
    )
    return Night(wharf, tower, RescanActivities(tower.lookout, hub, images), image)


@pytest.mark.parametrize("in_a_folder", [False, True])
async def test_what_an_older_scanner_has_missed_is_found_and_told_by_the_next_batch(
    wharf: Wharf, tmp_path: Path, in_a_folder: bool
) -> None:
    here = await night(wharf, tmp_path, in_a_folder=in_a_folder)
    here.tower.says(advisory("CVE-2026-0001", "jinja2", vector=CRITICAL))
    product = wharf.house.product
    assert (await here.tower.rematches()).id == ""
    plan = await here.plans()
    assert [(one.image, one.platform, one.publisher) for one in plan.images] == [
        (here.image, "linux/amd64", wharf.house.publisher)
    ]
    scanned = await here.scans()
    report = await wharf.blobs.get_message(ImageReport, scanned.report)
    assert report.facts.digest == here.image
    async with wharf.database.session() as session:
        assert [row.report for row in await scans.of_image(session, here.image)] == [scanned.report]
    # the new report is in force, and its scanner is today's
    assert (await here.plans()).images == ()
    batch = await here.tower.rematches()
    assert await here.tower.changes(batch, product) == {"CVE-2026-0001": "new"}


async def test_an_image_that_todays_limits_refuse_keeps_its_report(wharf: Wharf, tmp_path: Path) -> None:
    here = await night(wharf, tmp_path)
    here.tower.sets("files = 2_000_000", "files = 1")
    scanned = await here.scans()
    assert (scanned.report, "files" in scanned.problem) == ("", True)
    assert [one.image for one in (await here.plans()).images] == [here.image]
