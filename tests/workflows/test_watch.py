"""Whole lives of published products under watch: advisory, reminder, hold, revocation; and each way back."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities import options
from models import commands as c
from models.addresses import new_id
from models.findings import Severity, VexState, Waiver, WaiverScope
from models.notices import NoticeKind
from models.products import ListingStatus, ProductSnapshot
from models.tables import NoticeRow, SubscriptionRow
from models.watching import BatchStatus, ChangeKind, Clock, Exposure, ExposureChange
from models.work import Digested, RescanOrder, RescansDone
from store import waivers
from tests.workflows.house import House
from tests.workflows.people import Process, meet, refused
from tests.workflows.test_product import published
from workflows.advisories import DigestWorkflow
from workflows.rescan import RescanWorkflow

pytestmark = pytest.mark.system

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
S = ListingStatus


def change(
    key: str, severity: Severity = Severity.CRITICAL, kind: ChangeKind = ChangeKind.NEW, **fields: bool
) -> ExposureChange:
    return ExposureChange(kind=kind, exposure=Exposure.model_validate({"key": key, "severity": severity, **fields}))


def retracted(key: str) -> ExposureChange:
    return change(key, kind=ChangeKind.RETRACTED)


def id_of(product: Process[ProductSnapshot]) -> str:
    return product.address.removeprefix("product/")


async def tells(house: House, product: Process[ProductSnapshot], *changes: ExposureChange) -> None:
    """The next look at the advisories finds it."""
    house.lookout.says(new_id(), {id_of(product): changes})
    await house.watches()


async def clocks_of(product: Process[ProductSnapshot]) -> list[Clock]:
    found: list[Clock] = await product.handle.query("clocks", result_type=list[Clock])
    return found


async def exposed(house: House, name: str = "") -> Process[ProductSnapshot]:
    """Published, with one critical vulnerability that was told now."""
    _, product = await published(house, name)
    await tells(house, product, change("CVE-1"))
    await product.becomes(lambda now: now.critical == 1)
    return product


async def held(house: House, time_skipping: WorkflowEnvironment, name: str = "") -> Process[ProductSnapshot]:
    product = await exposed(house, name)
    await time_skipping.sleep(73 * HOUR)
    await product.becomes(lambda now: now.status is S.HOLD)
    return product


async def mailed(product: Process[ProductSnapshot]) -> list[str]:
    return [kind for kind in await product.notices() if kind != NoticeKind.RELEASE_PUBLISHED]


@pytest.mark.history("watched-to-the-end")
async def test_what_nobody_mends_is_reminded_of_held_warned_of_and_revoked(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    product = await exposed(house)
    said = await product.snapshot()
    assert (said.status, said.critical) == (S.PUBLISHED, 1)
    assert "to mend: 1 critical; the first clock ends" in await product.details()
    await time_skipping.sleep(47 * HOUR)
    assert await mailed(product) == []
    await time_skipping.sleep(2 * HOUR)
    assert await mailed(product) == ["remediation_reminder"]
    await time_skipping.sleep(24 * HOUR)
    hold = await product.becomes(lambda now: now.status is S.HOLD)
    assert hold.by_clock
    assert hold.reason.startswith("1 vulnerability was not mended in time: 1 critical.")
    assert hold.hold_until is not None
    await time_skipping.sleep(24 * DAY)
    assert await mailed(product) == ["remediation_reminder", "on_hold", "revoke_warning"]
    await time_skipping.sleep(7 * DAY)
    revoked = await product.becomes(lambda now: now.status is S.REVOKED)
    assert revoked.reason == hold.reason
    assert [event.event for event in await product.trail()][-5:] == [
        "exposures",
        "remediation_reminder",
        "overdue",
        "revoke_warning",
        "hold_over",
    ]
    await meet(lambda: _left_the_registry(house), "the manifests are still there")


async def _left_the_registry(house: House) -> bool:
    return [order.status for order in house.quay.listed] == [S.REVOKED]


@pytest.mark.history("watched-mended")
async def test_a_version_without_what_is_overdue_ends_the_hold_by_itself(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    product = await held(house, time_skipping, "Gantry")
    house.quay.changes = (retracted("CVE-1"),)
    mended, _ = await published(house, "Gantry", "1.1")
    now = await product.snapshot()
    assert (now.status, now.submission, now.hold_until, now.by_clock) == (S.PUBLISHED, mended.id, None, False)
    assert await mailed(product) == ["remediation_reminder", "on_hold", "recovered"]
    assert await clocks_of(product) == []


@pytest.mark.history("watched-mended-in-part")
async def test_a_version_that_mends_a_part_is_published_and_the_hold_goes_on(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    _, product = await published(house, "Gantry")
    await tells(house, product, change("CVE-1"), change("CVE-2"))
    await time_skipping.sleep(73 * HOUR)
    before = await product.becomes(lambda now: now.status is S.HOLD)
    house.quay.changes = (retracted("CVE-1"), change("CVE-3", Severity.MAJOR))
    part, _ = await published(house, "Gantry", "1.1")
    now = await product.snapshot()
    assert (now.status, now.submission, now.hold_until) == (S.HOLD, part.id, before.hold_until)
    assert now.reason.startswith("1 vulnerability was not mended in time")
    assert (await mailed(product))[-1] == "still_on_hold"
    house.quay.changes = (retracted("CVE-2"),)
    await published(house, "Gantry", "2.0")
    left = await product.snapshot()
    assert (left.status, left.critical, left.major) == (S.PUBLISHED, 0, 1)


@pytest.mark.history("watched-retracted")
async def test_an_advisory_that_is_withdrawn_ends_the_hold_that_it_has_caused(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    product = await held(house, time_skipping)
    await tells(house, product, retracted("CVE-1"))
    now = await product.becomes(lambda now: now.status is S.PUBLISHED)
    assert (now.reason, now.hold_until, now.critical) == ("", None, 0)
    assert await mailed(product) == ["remediation_reminder", "on_hold", "recovered"]
    await time_skipping.sleep(40 * DAY)
    assert (await product.snapshot()).status is S.PUBLISHED


@pytest.mark.history("watched-waived")
async def test_a_waiver_ends_the_hold_and_is_in_force_for_the_next_look(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    product = await held(house, time_skipping)
    await house.member.tells(product, c.AskWaiver, finding="CVE-1", text="It is not reached.")
    waiver = Waiver(
        finding="CVE-1",
        state=VexState.NOT_AFFECTED,
        evidence="It is not reached.",
        owner=house.moderator.id,
        scope=WaiverScope.PRODUCT,
        subject=id_of(product),
        expires=await time_skipping.get_current_time() + 60 * DAY,
    )
    digest = await house.blobs.put_message(waiver)
    await house.moderator.tells(product, c.Waive, finding="CVE-1", waiver=digest, text="It is not reached.")
    waived = await house.second.tells(product, c.Confirm)
    assert (waived.status, waived.critical, waived.by_clock) == (S.PUBLISHED, 0, False)
    assert (await mailed(product))[2:] == ["waiver_asked", "waiver_proposed", "recovered", "waiver_granted"]
    assert await in_force(house, product) == [waiver]
    # taken back, it is what the next look finds again
    await house.moderator.tells(product, c.Undo)
    await product.recorded()
    assert await in_force(house, product) == []
    await tells(house, product, change("CVE-1"))
    assert (await product.becomes(lambda now: now.critical == 1)).status is S.PUBLISHED


async def in_force(house: House, product: Process[ProductSnapshot]) -> list[Waiver]:
    now = datetime.now(UTC)
    async with house.database.session() as session:
        return await waivers.in_force(session, id_of(product), house.publisher, now)


@pytest.mark.history("watched-recovered")
async def test_somebody_who_recovers_it_gives_the_whole_term_again(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    product = await held(house, time_skipping)
    recovered = await house.moderator.tells(product, c.Recover, text="A false alarm.")
    assert (recovered.status, recovered.critical) == (S.PUBLISHED, 1)
    await time_skipping.sleep(71 * HOUR)
    assert (await product.snapshot()).status is S.PUBLISHED
    await time_skipping.sleep(2 * HOUR)
    await product.becomes(lambda now: now.status is S.HOLD)


@pytest.mark.history("watched-inherited")
async def test_the_clock_of_what_the_base_image_brings_starts_with_its_fix(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    _, product = await published(house)
    await tells(house, product, change("CVE-1", inherited=True))
    await product.becomes(lambda now: now.critical == 1)
    assert "no clock runs until there is a fix" in await product.details()
    await time_skipping.sleep(30 * DAY)
    assert ((await product.snapshot()).status, await mailed(product)) == (S.PUBLISHED, [])
    await tells(house, product, change("CVE-1", kind=ChangeKind.ESCALATED, inherited=True, fix_exists=True))
    due = (await product.becomes(lambda now: now.mend_by is not None)).mend_by
    assert due is not None
    assert due - await time_skipping.get_current_time() > 71 * HOUR


@pytest.mark.history("watched-escalated")
async def test_a_major_one_that_becomes_critical_is_due_earlier_and_one_of_no_class_not_at_all(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    _, product = await published(house)
    await tells(house, product, change("CVE-1", Severity.MAJOR), change("CVE-2", Severity.UNKNOWN))
    await product.becomes(lambda now: now.major == 1)
    [clock] = await clocks_of(product)
    assert clock.due == clock.begins + 7 * DAY
    assert (clock.begins.hour, clock.begins.minute) == (6, 0)
    await tells(house, product, change("CVE-1", kind=ChangeKind.ESCALATED))
    await product.becomes(lambda now: now.critical == 1)
    [sooner] = await clocks_of(product)
    assert sooner.due is not None
    assert sooner.due < clock.due
    # the security team has given it a class since
    await tells(house, product, change("CVE-2", kind=ChangeKind.ESCALATED))
    await product.becomes(lambda now: now.critical == 2)
    await time_skipping.sleep(74 * HOUR)
    held = await product.becomes(lambda now: now.status is S.HOLD)
    assert (held.by_clock, held.critical, held.major) == (True, 2, 0)


@pytest.mark.history("told-twice")
async def test_news_told_twice_are_told_once(house: House) -> None:
    product = await exposed(house)
    revision = (await product.snapshot()).revision
    news = change("CVE-9"), change("CVE-8", Severity.MAJOR)
    for _ in range(3):
        await house.lookout.tell(id_of(product), "batch", news)
    await house.lookout.tell(id_of(product), "batch", (retracted("CVE-9"),))
    now = await product.becomes(lambda now: now.critical == 2)
    assert (now.revision, now.major) == (revision + 1, 1)
    assert [event.text for event in await product.trail() if event.event == "exposures"] == ["1 new", "2 new"]


async def test_subscribers_learn_of_a_hold_and_nothing_of_what_was_found(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    _, product = await published(house)
    now = await time_skipping.get_current_time()
    await subscribed(house, id_of(product), now)
    await tells(house, product, change("CVE-2026-7"))
    await time_skipping.sleep(73 * HOUR)
    await product.becomes(lambda now: now.status is S.HOLD)
    await tells(house, product, retracted("CVE-2026-7"))
    await product.becomes(lambda now: now.status is S.PUBLISHED)
    await product.recorded()
    async with house.database.session() as session:
        rows = (await session.exec(select(NoticeRow).where(NoticeRow.address == "carl@consumer.example"))).all()
    assert [str(row.kind) for row in rows] == ["listing_on_hold", "listing_recovered"]
    for row in rows:
        assert "CVE" not in str(row.payload)
        assert "mends" not in row.payload["next"] or row.payload["status"] == "hold"


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


async def subscribed(house: House, product: str, at: datetime) -> None:
    """Somebody who has confirmed that mails of the product are wanted."""
    row = SubscriptionRow(
        id=new_id(), product=product, address="carl@consumer.example", token=new_id(), created_at=at, confirmed_at=at
    )
    async with house.database.transaction() as session:
        session.add(row)
