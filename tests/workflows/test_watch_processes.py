"""The watch's own processes: a look at the advisories, a mass change that waits for people, digest, nightly scans."""

from datetime import timedelta

import pytest
from sqlmodel import select
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities import options
from models import commands as c
from models.addresses import new_id
from models.notices import NoticeKind
from models.products import ProductSnapshot
from models.tables import NoticeRow
from models.watching import BatchStatus
from models.work import Digested, RescanOrder, RescansDone
from tests.workflows.house import House
from tests.workflows.people import Process, refused
from tests.workflows.test_product import published
from tests.workflows.test_watch import change, id_of
from workflows.advisories import DigestWorkflow
from workflows.rescan import RescanWorkflow

pytestmark = pytest.mark.system

HOUR = timedelta(hours=1)


# --- the security team ------------------------------------------------------------------------------------------


async def waiting(house: House) -> tuple[Process[ProductSnapshot], str]:
    """A product that one of very many is, and the batch that waits."""
    _, product = await published(house)
    batch = new_id()
    house.lookout.says(batch, {id_of(product): (change("CVE-1"),)}, mass=True)
    house.known.append(f"mass-change/{batch}")
    watched = await house.watches()
    assert (watched.waiting, watched.told, watched.products) == ((batch,), (), 0)
    return product, batch


@pytest.mark.history("mass-change-confirmed")
async def test_a_mass_change_is_told_when_the_security_team_has_confirmed_it(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    product, batch = await waiting(house)
    change_ = house.mass_change(batch)
    assert "1 products, 1 packages" in await change_.details()
    await time_skipping.sleep(49 * HOUR)
    assert (await product.snapshot()).critical == 0, "no clock runs before somebody has looked"
    with refused("confirm is for: security"):
        await house.moderator.tells(change_, c.Confirm)
    # the hub's next look finds nothing: what waits is not found again
    assert (await house.watches()).waiting == ()
    house.lookout.failures.append(OSError("the database is away"))
    confirmed = await house.security.tells(change_, c.Confirm)
    assert confirmed.status is BatchStatus.TELLING
    assert (await change_.handle.result()).status is BatchStatus.TOLD
    await product.becomes(lambda now: now.critical == 1)
    assert await change_.notices() == ["mass_change_to_confirm"] * 3 + ["mass_change_decided"]
    assert [order.actor for order in house.lookout.told] == [house.security.id]


@pytest.mark.history("mass-change-declined")
async def test_a_mass_change_that_is_declined_is_told_to_nobody(house: House) -> None:
    product, batch = await waiting(house)
    change_ = house.mass_change(batch)
    with refused("Say why"):
        await house.security.tells(change_, c.Decline)
    await house.moderator.signals(change_, c.Confirm)
    declined = await house.security.tells(change_, c.Decline, text="A slip of the source.")
    assert declined.status is BatchStatus.DISMISSED
    assert (await change_.handle.result()).reason == "A slip of the source."
    assert (await product.snapshot()).critical == 0
    assert [order.reason for order in house.lookout.dismissed] == ["A slip of the source."]
    trail = {event.event: event.refused for event in await change_.trail()}
    assert trail.keys() == {"waits", "confirm", "decline", "told"}
    assert trail["confirm"].startswith("confirm is for: security")


async def test_the_night_gives_way_to_what_publishers_push_and_is_as_fair_as_the_day() -> None:
    night, day = options.rescan("pub")["priority"], options.scan("pub")["priority"]
    assert night.priority_key is not None
    assert day.priority_key is not None
    assert night.priority_key > day.priority_key
    assert night.fairness_key == day.fairness_key == "pub"
    for watched in (options.SYNC, options.REMATCH, options.TELL, options.DIGEST, options.rescan("pub")):
        assert watched["heartbeat_timeout"] < watched["start_to_close_timeout"], "nothing is stuck"


# --- what runs on schedules ---------------------------------------------------------------------------------------


@pytest.mark.history("watch-stumbles")
async def test_a_source_that_is_away_delays_the_watch_and_the_next_product_is_told_all_the_same(house: House) -> None:
    _, one = await published(house)
    _, other = await published(house)
    house.lookout.says("first", {id_of(one): (change("CVE-1"),)})
    house.lookout.says("second", {id_of(one): (change("CVE-2"),), id_of(other): (change("CVE-2"), change("CVE-3"))})
    house.lookout.failures += [OSError("no route"), OSError("no route")]
    watched = await house.watches()
    assert (watched.products, watched.changes, watched.told) == (3, 4, ("first", "second"))
    await one.becomes(lambda now: now.critical == 2)
    await other.becomes(lambda now: now.critical == 2)


@pytest.mark.history("advisories-unread")
async def test_operators_are_told_of_a_source_that_cannot_be_read_and_the_watch_goes_on(house: House) -> None:
    _, product = await published(house)
    house.lookout.problem = "osv.example: no route"
    for batch in ("first", "second"):
        house.lookout.says(batch, {id_of(product): (change(f"CVE-{batch}"),)})
        watched = await house.watches()
        assert (watched.synced.problem, watched.told) == ("osv.example: no route", (batch,))
    async with house.database.session() as session:
        rows = (await session.exec(select(NoticeRow).where(NoticeRow.kind == NoticeKind.ADVISORIES_UNREAD))).all()
    assert [row.payload["text"] for row in rows] == ["osv.example: no route"], "once a day"


@pytest.mark.history("advisories-lost")
async def test_what_can_never_be_imported_is_told_to_operators_and_what_is_known_is_matched(house: House) -> None:
    _, product = await published(house)
    house.lookout.failures.append(ApplicationError("the file is damaged", non_retryable=True))
    house.lookout.says("known", {id_of(product): (change("CVE-1"),)})
    watched = await house.watches()
    assert watched.synced.problem == "Nothing could be imported: the file is damaged"
    assert watched.told == ("known",)
    async with house.database.session() as session:
        rows = (await session.exec(select(NoticeRow).where(NoticeRow.kind == NoticeKind.ADVISORIES_UNREAD))).all()
    assert len(rows) == 1


@pytest.mark.history("digest")
async def test_the_digest_of_a_day_goes_by_the_clock_of_the_server(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    now = await time_skipping.get_current_time()
    digested = await house.runs(DigestWorkflow, Digested)
    assert digested.notices == 3
    [order] = house.lookout.digests
    assert abs(order.at - now) < HOUR


@pytest.mark.history("rescanned")
async def test_a_nights_scans_end_with_what_cannot_be_scanned(house: House) -> None:
    house.lookout.outdated += [
        RescanOrder(image=f"sha256:{n}", platform="linux/amd64", publisher=house.publisher, repository="crane")
        for n in range(5)
    ]
    house.lookout.broken.add("sha256:0")
    done = await house.runs(RescanWorkflow, RescansDone)
    assert [order.image for order in house.lookout.outdated] == ["sha256:0"]
    assert done.scanned == 4
    assert done.problems >= 1
