"""The outbox hands each notice to one mailroom, keeps the order of a thread, and knows what became of each."""

import asyncio
from datetime import datetime, timedelta

from models.lifecycle import Stage
from models.notices import NoticeKind
from models.publishers import Role
from models.recording import Entry
from models.tables import NoticeStatus
from store import outbox
from store.database import Database
from store.views import DeliveryView
from tests.parts.rows import MONDAY, harbour, staff

LATER = MONDAY + timedelta(hours=1)


async def replies(database: Database, count: int, *, at: datetime = MONDAY, names: int = 1) -> None:
    """`count` notices in each of `names` threads."""
    for number in range(names):
        house = await harbour(database, slug=f"pier{number}")
        for revision in range(count):
            moment = at + timedelta(seconds=revision)
            entry = Entry(event="reply", at=moment, text=f"{revision}", notices=(NoticeKind.REPLY,))
            await house.records(revision + 2, Stage.READY, entry)


async def claimed(database: Database, now: datetime = LATER, batch: int = 50) -> list[outbox.Claimed]:
    return await outbox.claim(database, now=now, lease_seconds=60, batch=batch)


async def log(database: Database) -> list[DeliveryView]:
    """The oldest first."""
    async with database.session() as session:
        return list(reversed((await outbox.deliveries(session, size=1000)).items))


async def test_several_mailrooms_never_send_the_same_notice(database: Database, database_url: str) -> None:
    await replies(database, 1, names=12)
    second = Database(database_url)
    try:
        taken: list[str] = []

        async def works(place: Database) -> None:
            while letters := await claimed(place, batch=2):
                taken.extend(letter.id for letter in letters)
                for letter in letters:
                    await outbox.sent(place, letter.id, LATER)

        await asyncio.gather(works(database), works(second), works(database), works(second))
    finally:
        await second.close()
    assert len(taken) == len(set(taken)) == 12
    assert {row.status for row in await log(database)} == {NoticeStatus.SENT}


async def test_mails_of_one_thread_go_out_in_order_and_hold_up_no_other_thread(database: Database) -> None:
    await replies(database, 3, names=2)
    first = await claimed(database)
    assert len(first) == 2, "the oldest of each thread"
    assert [letter.row.payload["text"] for letter in first] == ["0", "0"]
    assert await claimed(database) == [], "the next ones wait until these have gone out"
    await outbox.postpone(database, first[0].id, LATER + timedelta(minutes=5), "451 later please")
    await outbox.sent(database, first[1].id, LATER)
    [next_] = await claimed(database)
    assert (next_.row.subject, next_.row.payload["text"]) == (first[1].row.subject, "1")


async def test_a_notice_is_not_due_before_its_next_try(database: Database) -> None:
    await replies(database, 1)
    [letter] = await claimed(database)
    assert letter.attempt == 1
    await outbox.postpone(database, letter.id, LATER + timedelta(minutes=5), "451 later please")
    assert await claimed(database, LATER + timedelta(minutes=4)) == []
    [again] = await claimed(database, LATER + timedelta(minutes=5))
    assert again.attempt == 2
    [shown] = await log(database)
    assert (shown.status, shown.attempts, shown.last_error) == (NoticeStatus.SENDING, 2, "451 later please")


async def test_what_a_dead_mailroom_had_taken_is_due_when_its_lease_ends(database: Database) -> None:
    await replies(database, 1)
    [letter] = await claimed(database)
    assert await claimed(database, LATER + timedelta(seconds=59)) == []
    [again] = await claimed(database, LATER + timedelta(seconds=60))
    assert (again.id, again.attempt) == (letter.id, 2)


async def test_what_is_put_back_is_due_at_once_and_has_lost_no_attempt(database: Database) -> None:
    await replies(database, 1, names=3)
    for _ in range(20):
        letters = await claimed(database)
        assert [letter.attempt for letter in letters] == [1, 1, 1]
        assert await outbox.release(database, letters, LATER) == 3
    [first, *_] = await claimed(database)
    await outbox.postpone(database, first.id, LATER, "451 later please")
    [again] = await claimed(database)
    assert again.attempt == 2
    await outbox.release(database, [again], LATER)
    [row] = [row for row in await log(database) if row.id == first.id]
    assert (row.status, row.attempts, row.last_error) == (NoticeStatus.QUEUED, 1, "451 later please")
    assert await outbox.release(database, [], LATER) == 0


async def test_whoever_is_slow_puts_back_nothing_that_is_another_mailrooms_by_now(database: Database) -> None:
    await replies(database, 1, names=2)
    slow = await claimed(database)
    await outbox.sent(database, slow[0].id, LATER)
    [other] = await claimed(database, LATER + timedelta(minutes=2))
    assert await outbox.release(database, slow, LATER) == 0
    row = next(row for row in await log(database) if row.id == other.id)
    assert (row.status, row.attempts) == (NoticeStatus.SENDING, 2)


async def test_what_was_sent_stays_sent_whatever_a_slower_mailroom_says(database: Database) -> None:
    await replies(database, 1)
    [letter] = await claimed(database)
    await outbox.sent(database, letter.id, LATER, "<id@hub>")
    await outbox.refuse(database, letter.id, "550 no")
    await outbox.postpone(database, letter.id, LATER, "451 later")
    await outbox.sent(database, letter.id, LATER + timedelta(days=1), "<other@hub>")
    [row] = await log(database)
    assert (row.status, row.sent_at, row.message_id, row.last_error) == (NoticeStatus.SENT, LATER, "<id@hub>", "")
    assert await claimed(database, LATER + timedelta(days=9)) == []


async def test_a_refused_notice_is_shown_and_sent_again_when_ops_say_so(database: Database) -> None:
    await replies(database, 2)
    [letter] = await claimed(database)
    await outbox.refuse(database, letter.id, "550 no such mailbox")
    async with database.session() as session:
        refused = await outbox.deliveries(session, status=NoticeStatus.REFUSED)
        assert await outbox.waiting(session) == 1
        assert await outbox.oldest_waiting(session) == MONDAY + timedelta(seconds=1)
    assert [row.last_error for row in refused.items] == ["550 no such mailbox"]
    [next_] = await claimed(database)
    assert next_.row.payload["text"] == "1", "a refusal holds up nobody"
    await outbox.sent(database, next_.id, LATER)
    assert await outbox.retry_refused(database, now=LATER, subject="submission/other") == 0
    assert await outbox.retry_refused(database, now=LATER, notices=[letter.id]) == 1
    [again] = await claimed(database)
    assert (again.id, again.attempt) == (letter.id, 1)


async def test_a_notice_that_nobody_could_get_is_sent_when_somebody_has_the_role(database: Database) -> None:
    house = await harbour(database)
    await house.records(2, Stage.WAITING, Entry(event="x", at=MONDAY, notices=(NoticeKind.PUBLICATION_FAILED,)))
    assert await outbox.retry_refused(database, now=LATER) == 0
    assert await claimed(database) == []
    await staff(database, "ops@hub.example", Role.OPS)
    assert await outbox.retry_refused(database, now=LATER) == 1
    assert [letter.row.address for letter in await claimed(database)] == ["ops@hub.example"]
    assert [row.address for row in await log(database)] == ["ops@hub.example"]


async def test_two_who_send_again_at_once_what_nobody_got_send_it_once(database: Database, database_url: str) -> None:
    house = await harbour(database)
    for revision in range(2, 12):
        entry = Entry(event="x", at=MONDAY, notices=(NoticeKind.PUBLICATION_FAILED,))
        await house.records(revision, Stage.WAITING, entry)
    await staff(database, "ops@hub.example", Role.OPS)
    second = Database(database_url)
    try:
        done = await asyncio.gather(*(outbox.retry_refused(place, now=LATER) for place in (database, second) * 3))
    finally:
        await second.close()
    assert sum(done) == 10
    assert [row.address for row in await log(database)] == ["ops@hub.example"] * 10


async def test_the_log_is_read_by_pages_and_by_process(database: Database) -> None:
    await replies(database, 5, names=2)
    async with database.session() as session:
        one = await outbox.deliveries(session, subject="submission/s-pier0-crane", page=2, size=2)
    assert (one.total, len(one.items), one.page) == (5, 2, 2)
    assert {row.subject for row in one.items} == {"submission/s-pier0-crane"}


def test_ids_of_a_mail_and_of_its_thread_never_change() -> None:
    assert outbox.message_id("ab12", "hub.example") == "<ab12@hub.example>"
    assert outbox.thread_id("submission/x1", "hub.example") == "<submission.x1@hub.example>"
