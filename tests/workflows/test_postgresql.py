"""The same stories over PostgreSQL, which takes less than SQLite does."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from models import commands as c
from models.findings import Severity
from models.lifecycle import Stage
from models.products import ListingStatus
from models.watching import ChangeKind
from store import watch_views
from tests.parts.presence import needs
from tests.workflows.house import House
from tests.workflows.stand_ins import weakness
from tests.workflows.test_product import published
from tests.workflows.test_watch import change

pytestmark = [pytest.mark.system, needs("postgresql")]


async def test_two_iterations_and_a_hold_over_postgresql(postgresql_house: House) -> None:
    house = postgresql_house
    house.scans.weaknesses = (weakness("CVE-2026-1", Severity.CRITICAL),)
    manifest = house.manifest("1.0")
    case = await house.submits(manifest)
    await case.reaches(Stage.READY)
    await house.moderator.tells(case, c.RequestChanges, text="Update crane.")
    house.scans.weaknesses = ()
    await house.resubmits(case, house.manifest("1.1", manifest.name))
    await case.reaches(Stage.READY, iteration=2)
    await house.moderator.tells(case, c.Approve)
    assert (await case.ends()).stage is Stage.PUBLISHED
    product = await house.product_of(case)
    await house.moderator.tells(product, c.Hold, text="CVE-2026-7 is exploited.")
    held = await house.second.tells(product, c.Confirm)
    assert held.status is ListingStatus.HOLD
    await product.recorded()
    row = await case.row()
    assert (row.stage, row.iteration, row.number) == (Stage.PUBLISHED, 2, 1)


async def test_a_watched_product_is_held_and_recovers_over_postgresql(
    postgresql_house: House, time_skipping: WorkflowEnvironment
) -> None:
    house = postgresql_house
    _, product = await published(house)
    id_ = product.address.removeprefix("product/")
    await house.lookout.tell(id_, "first", (change("CVE-1"), change("CVE-2", Severity.MAJOR)))
    await product.becomes(lambda now: now.critical == 1)
    await time_skipping.sleep(timedelta(hours=73))
    await product.becomes(lambda now: now.status is ListingStatus.HOLD)
    await product.recorded()
    async with house.database.session() as session:
        found = await watch_views.overview(session)
    assert [clock.critical for clock in found.held] == [1]
    await house.lookout.tell(id_, "second", (change("CVE-1", kind=ChangeKind.RETRACTED),))
    await product.becomes(lambda now: now.status is ListingStatus.PUBLISHED)
    assert (await product.notices())[-2:] == ["on_hold", "recovered"]


async def test_what_postgresql_cannot_store_wedges_no_run(postgresql_house: House) -> None:
    """A NUL is a letter of JSON and of SQLite, and none of PostgreSQL's: a record with one is not tried for ever."""
    house = postgresql_house
    case = await house.submits()
    await case.reaches(Stage.READY)
    for told in (
        {"id": "a\x00b", "actor": house.moderator.id, "text": "x"},
        {"id": "n1", "actor": f"{house.moderator.id}\x00", "text": "x"},
    ):
        await case.handle.signal("note", told)
        with pytest.raises(WorkflowUpdateFailedError):
            await case.handle.execute_update("note", told)
    await case.handle.signal("assign", {"id": "n2", "actor": house.moderator.id, "to": "x\x00"})
    await case.handle.signal("ask_waiver", {"id": "n3", "actor": house.member.id, "text": "x", "finding": "\x00"})
    await house.moderator.tells(case, c.Note, id="n4", text="A NUL: \x00.")
    await house.member.signals(case, c.Approve, id="n5", text="A NUL: \x00.")
    await house.moderator.tells(case, c.Approve)
    assert (await case.ends()).stage is Stage.PUBLISHED
    texts = {event.command: event.text for event in await case.trail()}
    assert texts["n4"].startswith("A NUL: ")
    assert "n5" in texts
