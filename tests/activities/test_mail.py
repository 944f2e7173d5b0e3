"""The mailroom drains a real outbox over real SMTP: what is sent once, tried again, refused, and what a death costs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import col, select, update
from temporalio.testing import ActivityEnvironment

from activities.mail import MailActivities
from activities.policy import PolicyInForce
from cli.servers import MailServer
from models.lifecycle import Stage
from models.notices import NoticeKind
from models.products import ListingStatus
from models.publishers import ApplicationStatus
from models.recording import Entry
from models.tables import MembershipRow, NoticeRow, NoticeStatus, PersonRow, SubscriptionRow, TokenRow
from models.work import MailsHandled, MailShift
from notifications.composing import UnusableAddress
from notifications.delivery import SmtpServer
from notifications.mailbox import read_mailbox
from store import outbox, subscriptions
from store.database import Database
from store.notices import MailDesk
from store.views import DeliveryView
from tests.parts.rows import MONDAY, Harbour, harbour
from tests.parts.smtp import DROP_AFTER, ScriptedSmtp, scripted_smtp

SHIFT = MailShift(seconds=60)
DESK = MailDesk("The Hub", "https://hub.example", "hub.example")


@pytest.fixture
def policy(tmp_path: Path) -> PolicyInForce:
    """Two attempts, a minute apart."""
    path = tmp_path / "policy.toml"
    path.write_text("[mail]\nattempts = 2\nfirst_retry_seconds = 60\nconfirmation_days = 3\n")
    return PolicyInForce(path)


@pytest.fixture
async def smtp() -> AsyncIterator[ScriptedSmtp]:
    async with scripted_smtp() as script:
        yield script


def mailroom(database: Database, policy: PolicyInForce, server: SmtpServer) -> MailActivities:
    return MailActivities(database, policy, server, DESK, "wharfinger@hub.example")


async def writes(house: Harbour, *texts: str) -> None:
    """The moderators write to the publisher, a second between two mails of the thread."""
    for revision, text in enumerate(texts, 2):
        at = MONDAY + timedelta(seconds=revision)
        await house.records(revision, Stage.READY, Entry(event="reply", at=at, text=text, notices=(NoticeKind.REPLY,)))


async def threads(database: Database, count: int) -> None:
    """A mail in each of `count` threads: none waits for another."""
    for number in range(count):
        await writes(await harbour(database, slug=f"pier{number}"), "hello")


async def log(database: Database) -> list[DeliveryView]:
    """The oldest first."""
    async with database.session() as session:
        return list(reversed((await outbox.deliveries(session, size=500)).items))


async def statuses(database: Database) -> list[NoticeStatus]:
    return [row.status for row in await log(database)]


async def works(room: MailActivities, wanted: Callable[[list[DeliveryView]], bool]) -> MailsHandled:
    """A shift that the worker ends, as at a restart, once the log is as wanted."""
    environment = ActivityEnvironment()
    shift = asyncio.ensure_future(environment.run(room.drain, SHIFT))
    async with asyncio.timeout(30):
        while not wanted(await log(room.database)):
            await asyncio.wait([shift], timeout=0.02)
            assert not shift.done(), f"it ended before: {shift}"
    environment.worker_shutdown()
    return await shift


def all_are(*ends: NoticeStatus) -> Callable[[list[DeliveryView]], bool]:
    return lambda rows: all(row.status in ends for row in rows)


def all_are_tried(rows: list[DeliveryView]) -> bool:
    return all(row.attempts and row.status is not NoticeStatus.SENDING for row in rows)


async def time_passes(database: Database) -> None:
    """Until every later try is due and every lease has ended."""
    async with database.transaction() as session:
        waiting = col(NoticeRow.next_try).is_not(None)
        await session.exec(update(NoticeRow).where(waiting).values(next_try=MONDAY, lease_until=MONDAY))


async def test_each_notice_is_sent_once_in_the_order_of_its_thread(
    database: Database, policy: PolicyInForce, smtp: ScriptedSmtp
) -> None:
    house = await harbour(database)
    await writes(house, "one", "two", "three")
    room = mailroom(database, policy, smtp.server())
    assert await works(room, all_are(NoticeStatus.SENT)) == MailsHandled(sent=3)
    quoted = [line for _, mail in smtp.received for line in mail.text.splitlines() if line.startswith("> ")]
    assert quoted == ["> one", "> two", "> three"]
    rows = await log(database)
    assert [row.message_id for row in rows] == smtp.message_ids
    assert all(row.sent_at is not None and row.attempts == 1 for row in rows)
    assert {mail.thread for _, mail in smtp.received} == {f"<submission.{house.submission}@hub.example>"}
    assert {to for to, _ in smtp.received} == {"pat@harbour.example"}
    assert smtp.connections == 1
    assert not await outbox.claim(database, now=datetime.now(UTC), lease_seconds=60, batch=9)


async def test_a_no_for_now_is_tried_again_later_and_then_sent(
    database: Database, policy: PolicyInForce, smtp: ScriptedSmtp
) -> None:
    await writes(await harbour(database), "hello")
    room = mailroom(database, policy, smtp.server())
    smtp.says("RCPT", "452 4.2.2 Mailbox full")
    before = datetime.now(UTC)
    assert await works(room, all_are_tried) == MailsHandled(postponed=1)
    [row] = await log(database)
    assert (row.status, row.last_error) == (NoticeStatus.QUEUED, "452 4.2.2 Mailbox full")
    async with database.session() as session:
        stored = (await session.exec(select(NoticeRow))).one()
    assert stored.next_try is not None
    assert stored.next_try >= before + timedelta(seconds=60)
    assert not await outbox.claim(database, now=datetime.now(UTC), lease_seconds=60, batch=9), "not before its time"
    await time_passes(database)
    assert await works(room, all_are(NoticeStatus.SENT)) == MailsHandled(sent=1)
    [row] = await log(database)
    assert (row.attempts, row.last_error, [row.message_id]) == (2, "", smtp.message_ids)


async def test_after_the_policys_attempts_it_is_given_up_and_the_log_says_why(
    database: Database, policy: PolicyInForce, smtp: ScriptedSmtp
) -> None:
    await writes(await harbour(database), "hello")
    room = mailroom(database, policy, smtp.server())
    smtp.says("DATA", "451 4.3.0 Local error", "451 4.3.0 Local error")
    await works(room, all_are_tried)
    await time_passes(database)
    assert await works(room, all_are(NoticeStatus.GIVEN_UP)) == MailsHandled(refused=1)
    [row] = await log(database)
    assert row.last_error == "Given up after 2 attempts: 451 4.3.0 Local error"
    assert await outbox.retry_refused(database, now=datetime.now(UTC)) == 1
    assert await works(room, all_are(NoticeStatus.SENT)) == MailsHandled(sent=1)


async def test_a_no_for_good_is_shown_and_holds_up_nobody(
    database: Database, policy: PolicyInForce, smtp: ScriptedSmtp
) -> None:
    await writes(await harbour(database), "one", "two")
    smtp.says("RCPT", "550 5.1.1 No such user")
    room = mailroom(database, policy, smtp.server())
    handled = await works(room, all_are(NoticeStatus.SENT, NoticeStatus.REFUSED))
    assert handled == MailsHandled(sent=1, refused=1)
    async with database.session() as session:
        refused = await outbox.deliveries(session, status=NoticeStatus.REFUSED)
    assert [row.last_error for row in refused.items] == ["550 5.1.1 No such user"]
    assert [mail.text.count("> two") for _, mail in smtp.received] == [1]


async def test_while_the_mail_server_is_down_everything_waits_and_nothing_is_lost(
    database: Database, policy: PolicyInForce, tmp_path: Path
) -> None:
    await threads(database, 5)
    server = MailServer(tmp_path / "mail")
    server.reserve()
    room = mailroom(database, policy, SmtpServer("127.0.0.1", server.port, timeout_seconds=10))
    assert await works(room, all_are_tried) == MailsHandled(postponed=5)
    assert all("127.0.0.1" in row.last_error for row in await log(database))
    await time_passes(database)
    async with server:
        assert await works(room, all_are(NoticeStatus.SENT)) == MailsHandled(sent=5)
        kept = read_mailbox(server.mailbox)
    assert {mail.message_id for mail in kept} == {row.message_id for row in await log(database)}
    assert len(kept) == 5


async def test_what_a_dead_mailroom_had_taken_is_sent_by_another_when_its_lease_ends(
    database: Database, policy: PolicyInForce, smtp: ScriptedSmtp
) -> None:
    await threads(database, 2)
    room = mailroom(database, policy, smtp.server())
    taken = await outbox.claim(database, now=datetime.now(UTC), lease_seconds=120, batch=1)
    assert await works(room, lambda rows: any(row.status is NoticeStatus.SENT for row in rows)) == MailsHandled(sent=1)
    assert outbox.message_id(taken[0].id, "hub.example") not in smtp.message_ids, "it is still the other's"
    await time_passes(database)
    assert await works(room, all_are(NoticeStatus.SENT)) == MailsHandled(sent=1)
    assert max(Counter(smtp.message_ids).values()) == 1


async def test_several_mailrooms_send_each_notice_once(
    database: Database, database_url: str, policy: PolicyInForce, smtp: ScriptedSmtp
) -> None:
    await threads(database, 12)
    second = Database(database_url)
    try:
        rooms = [mailroom(place, policy, smtp.server()) for place in (database, second)]
        handled = await asyncio.gather(*(works(room, all_are(NoticeStatus.SENT)) for room in rooms))
    finally:
        await second.close()
    assert sum(one.sent for one in handled) == 12
    assert len(smtp.message_ids) == len(set(smtp.message_ids)) == 12


async def test_a_death_between_the_servers_250_and_our_commit_costs_a_second_copy_with_the_same_id(
    database: Database, policy: PolicyInForce, smtp: ScriptedSmtp
) -> None:
    await threads(database, 3)
    room = mailroom(database, policy, smtp.server())
    dies = ActivityEnvironment()
    smtp.on_received = dies.cancel  # the server has it, and we never hear of it
    with pytest.raises(asyncio.CancelledError):
        await dies.run(room.drain, SHIFT)
    assert len(smtp.message_ids) == 1
    assert NoticeStatus.SENT not in await statuses(database)
    smtp.on_received = lambda: None
    await time_passes(database)
    assert await works(room, all_are(NoticeStatus.SENT)) == MailsHandled(sent=3)
    copies = Counter(smtp.message_ids)
    assert sorted(copies.values()) == [1, 1, 2], "one mail twice, the others once"
    assert copies[smtp.message_ids[0]] == 2
    first, second = (mail for _, mail in smtp.received if mail.message_id == smtp.message_ids[0])
    assert first == second, "whoever keeps one by its Message-ID has lost nothing"


async def test_a_connection_that_breaks_before_the_250_costs_no_more_than_that(
    database: Database, policy: PolicyInForce, smtp: ScriptedSmtp
) -> None:
    await writes(await harbour(database), "hello")
    room = mailroom(database, policy, smtp.server())
    smtp.says("DATA", DROP_AFTER)
    assert await works(room, all_are_tried) == MailsHandled(postponed=1)
    await time_passes(database)
    assert await works(room, all_are(NoticeStatus.SENT)) == MailsHandled(sent=1)
    assert len(smtp.message_ids) == 2
    assert len(set(smtp.message_ids)) == 1


async def test_what_a_worker_had_no_time_for_is_due_at_once_for_the_next(
    database: Database, policy: PolicyInForce, smtp: ScriptedSmtp
) -> None:
    await threads(database, 4)
    room = mailroom(database, policy, smtp.server())
    ends = ActivityEnvironment()
    smtp.on_received = ends.worker_shutdown
    assert await ends.run(room.drain, SHIFT) == MailsHandled(sent=1)
    rows = await log(database)
    assert sorted((row.status, row.attempts) for row in rows) == [(NoticeStatus.QUEUED, 0)] * 3 + [
        (NoticeStatus.SENT, 1)
    ]
    assert await works(room, all_are(NoticeStatus.SENT)) == MailsHandled(sent=3)
    assert len(smtp.message_ids) == len(set(smtp.message_ids)) == 4


async def test_a_notice_that_cannot_be_written_holds_up_no_other(
    database: Database, policy: PolicyInForce, smtp: ScriptedSmtp
) -> None:
    await threads(database, 2)
    async with database.transaction() as session:
        broken = (await session.exec(select(NoticeRow).limit(1))).one()
        broken.payload = broken.payload | {"by": "the day after tomorrow"}
        session.add(broken)
    room = mailroom(database, policy, smtp.server())
    assert await works(room, all_are_tried) == MailsHandled(sent=1, postponed=1)
    [waits] = [row for row in await log(database) if row.status is NoticeStatus.QUEUED]
    assert waits.id == broken.id
    assert waits.last_error.startswith("The hub cannot write this mail: ValueError")


async def test_an_address_that_is_none_is_refused_at_once(
    database: Database, policy: PolicyInForce, smtp: ScriptedSmtp
) -> None:
    await writes(await harbour(database), "hello")
    async with database.transaction() as session:
        await session.exec(update(NoticeRow).values(address="pat@harbour.example\r\nBcc: all@example.org"))
    room = mailroom(database, policy, smtp.server())
    assert await works(room, all_are(NoticeStatus.REFUSED)) == MailsHandled(refused=1)
    assert "No mail can be sent to" in (await log(database))[0].last_error
    assert not smtp.received


async def test_whoever_has_unsubscribed_gets_no_mail_that_was_on_its_way(
    database: Database, policy: PolicyInForce, smtp: ScriptedSmtp
) -> None:
    house = await harbour(database)
    async with database.transaction() as session:
        session.add(
            SubscriptionRow(
                id="ann",
                product=house.product,
                address="ann@example.org",
                token="t0ken",
                created_at=MONDAY,
                confirmed_at=MONDAY,
            )
        )
    entry = Entry(event="published", at=MONDAY, text=house.submission, notices=(NoticeKind.RELEASE_PUBLISHED,))
    await house.product_records(2, ListingStatus.PUBLISHED, entry)
    room = mailroom(database, policy, smtp.server())
    [letter] = await outbox.claim(database, now=datetime.now(UTC), lease_seconds=60, batch=1)
    async with database.transaction() as session:
        assert await subscriptions.unsubscribe(session, "t0ken")
    await outbox.postpone(database, letter.id, MONDAY, "451 4.3.0 Local error")
    assert await works(room, all_are(NoticeStatus.REFUSED)) == MailsHandled(refused=1)
    assert [row.last_error for row in await log(database)] == ["The subscription has ended, and with it its mails."]
    assert not smtp.received


async def test_a_sender_that_is_no_address_is_found_when_the_worker_starts(
    database: Database, policy: PolicyInForce, smtp: ScriptedSmtp
) -> None:
    with pytest.raises(UnusableAddress, match="wharfinger at hub"):
        MailActivities(database, policy, smtp.server(), DESK, "wharfinger at hub")


async def test_a_link_that_confirms_an_address_is_good_for_the_policys_days(
    database: Database, policy: PolicyInForce, smtp: ScriptedSmtp
) -> None:
    house = await harbour(database)
    async with database.transaction() as session:
        session.add(PersonRow(id="new", email="new@harbour.example", name="New", created_at=MONDAY))
        await session.flush()
        session.add(MembershipRow(person="new", publisher=house.publisher, since=MONDAY))
    entry = Entry(event="apply", at=MONDAY, notices=(NoticeKind.CONFIRM_EMAIL,))
    await house.application_records(1, ApplicationStatus.UNCONFIRMED, entry)
    room = mailroom(database, policy, smtp.server())
    before = datetime.now(UTC)
    assert await works(room, all_are(NoticeStatus.SENT)) == MailsHandled(sent=1)
    async with database.session() as session:
        token = (await session.exec(select(TokenRow))).one()
    assert timedelta(days=3) <= token.expires - before < timedelta(days=3, minutes=1)
    assert "https://hub.example/confirm/" in smtp.received[0][1].text
