"""Whole lives of published products under watch: advisory, reminder, hold, revocation; and each way back."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select
from temporalio.testing import WorkflowEnvironment

from models import commands as c
from models.addresses import new_id
from models.findings import Severity, VexState, Waiver, WaiverScope
from models.notices import NoticeKind
from models.products import ListingStatus, ProductSnapshot
from models.tables import NoticeRow, SubscriptionRow
from models.watching import ChangeKind, Clock, Exposure, ExposureChange
from store import waivers
from tests.workflows.house import House
from tests.workflows.people import Process, meet
from tests.workflows.test_product import published

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


async def subscribed(house: House, product: str, at: datetime) -> None:
    """Somebody who has confirmed that mails of the product are wanted."""
    row = SubscriptionRow(
        id=new_id(), product=product, address="carl@consumer.example", token=new_id(), created_at=at, confirmed_at=at
    )
    async with house.database.transaction() as session:
        session.add(row)
