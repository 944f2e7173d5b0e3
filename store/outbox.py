"""The outbox: notices that wait to be mailed, handed to one mailroom at a time, and the log of their delivery.

Each function is a transaction of its own: what became of a mail is written down before the next one goes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, tuple_, update
from sqlalchemy.orm import aliased
from sqlmodel import col, exists, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.addresses import new_id
from models.tables import NoticeRow, NoticeStatus
from store import trail
from store.database import Database
from store.recipients import recipients
from store.views import DeliveryView, Page

_OPEN = (NoticeStatus.QUEUED, NoticeStatus.SENDING)
_FAILED = (NoticeStatus.REFUSED, NoticeStatus.GIVEN_UP)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice that this mailroom alone may send until its lease ends. `attempt` counts from 1."""

    row: NoticeRow
    attempt: int
    #: the claim's
    token: str

    @property
    def id(self) -> str:
        return self.row.id


def message_id(notice: str, mail_domain: str) -> str:
    """The same for every attempt: a mail that went out twice can be recognised."""
    return f"<{notice}@{mail_domain}>"


def thread_id(subject: str, mail_domain: str) -> str:
    """The root that all mails of one process refer to, so that mail programs show them as a thread."""
    return f"<{subject.replace('/', '.')}@{mail_domain}>"


async def claim(database: Database, *, now: datetime, lease_seconds: float, batch: int) -> list[Claimed]:
    """Take up to `batch` notices that are due, the oldest first; several mailrooms never hold the same one.

    Of one thread (process and address) only the oldest notice that has not gone out is due: mails that tell a story
    arrive in its order, and one that has to be tried again holds up the later ones of its thread, and no others. A
    notice whose mailroom died is due again when its lease ends.
    """
    token, until = new_id(), now + timedelta(seconds=lease_seconds)

    async def take(session: AsyncSession) -> list[NoticeRow]:
        statement = (
            select(NoticeRow)
            .where(col(NoticeRow.status).in_(_OPEN), col(NoticeRow.next_try) <= now, ~_has_an_older_one())
            .order_by(col(NoticeRow.queued_at), col(NoticeRow.revision), col(NoticeRow.id))
            .limit(batch)
        )
        # PostgreSQL passes over what another mailroom is just taking; SQLite has one writer at a time
        rows = (await session.exec(statement.with_for_update(skip_locked=True, of=NoticeRow))).all()
        if not rows:
            return []
        await session.exec(
            update(NoticeRow)
            .where(col(NoticeRow.id).in_([row.id for row in rows]))
            .values(
                status=NoticeStatus.SENDING,
                claim=token,
                lease_until=until,
                next_try=until,
                attempts=col(NoticeRow.attempts) + 1,
            )
            .execution_options(synchronize_session=False)
        )
        return list(rows)

    rows = await database.write(take)
    return [Claimed(row, row.attempts + 1, token) for row in rows]


def _has_an_older_one() -> ColumnElement[bool]:
    older = aliased(NoticeRow)
    place = tuple_(col(NoticeRow.queued_at), col(NoticeRow.revision), col(NoticeRow.id))
    return exists().where(
        col(older.subject) == col(NoticeRow.subject),
        col(older.address) == col(NoticeRow.address),
        col(older.status).in_(_OPEN),
        tuple_(col(older.queued_at), col(older.revision), col(older.id)) < place,
    )


async def sent(database: Database, notice: str, at: datetime, message_id: str = "") -> None:
    """The mail server has taken it. Said twice (two mailrooms after a lease that ended), the first time counts."""
    await _conclude(database, notice, status=NoticeStatus.SENT, sent_at=at, message_id=message_id, last_error="")


async def postpone(database: Database, notice: str, next_try: datetime, error: str) -> None:
    """It could not be sent now: try again at `next_try`."""
    await _conclude(database, notice, status=NoticeStatus.QUEUED, next_try=next_try, last_error=error)


async def release(database: Database, letters: Sequence[Claimed], now: datetime) -> int:
    """Put back what was claimed and not tried: due at once, and no attempt is lost. Returns how many were.

    What another mailroom has claimed meanwhile, after a lease that ended, stays with that one.
    """

    async def put_back(session: AsyncSession) -> int:
        held = (
            col(NoticeRow.id).in_([letter.id for letter in letters]),
            col(NoticeRow.claim).in_({letter.token for letter in letters}),
            col(NoticeRow.status) == NoticeStatus.SENDING,
        )
        values = {"claim": "", "lease_until": None, "next_try": now, "status": NoticeStatus.QUEUED}
        done = await session.exec(update(NoticeRow).where(*held).values(**values, attempts=col(NoticeRow.attempts) - 1))
        return int(done.rowcount)

    return await database.write(put_back) if letters else 0


async def refuse(database: Database, notice: str, error: str) -> None:
    """The mail server said no for good."""
    await _conclude(database, notice, status=NoticeStatus.REFUSED, last_error=error)


async def give_up(database: Database, notice: str, error: str) -> None:
    """The policy's attempts are used up."""
    await _conclude(database, notice, status=NoticeStatus.GIVEN_UP, last_error=error)


async def _conclude(database: Database, notice: str, **values: Any) -> None:
    """Ends the claim. What has been sent stays sent, whatever another attempt came to."""
    ended = {"claim": "", "lease_until": None, "next_try": None} | values

    async def conclude(session: AsyncSession) -> None:
        unsent = (col(NoticeRow.id) == notice, col(NoticeRow.status) != NoticeStatus.SENT)
        await session.exec(update(NoticeRow).where(*unsent).values(**ended))

    await database.write(conclude)


async def retry_refused(database: Database, *, now: datetime, notices: Sequence[str] = (), subject: str = "") -> int:
    """For ops, when the cause is mended: what was refused or given up is sent again, all of it or what is named.

    A notice that had nobody to go to is sent to whoever has the role now, if anybody has. Returns how many will go out.
    """

    async def again(session: AsyncSession) -> int:
        wanted: list[ColumnElement[bool]] = [col(NoticeRow.status).in_(_FAILED)]
        if notices:
            wanted.append(col(NoticeRow.id).in_(notices))
        if subject:
            wanted.append(col(NoticeRow.subject) == subject)
        addressed = update(NoticeRow).where(*wanted, col(NoticeRow.address) != "")
        done = await session.exec(addressed.values(status=NoticeStatus.QUEUED, attempts=0, next_try=now))
        # two who say it at once find the same rows: the second one waits, and finds none left
        lost = select(NoticeRow).where(*wanted, col(NoticeRow.address) == "").with_for_update()
        nobodys = (await session.exec(lost)).all()
        return int(done.rowcount) + sum([await _find_somebody(session, row, now) for row in nobodys])

    return await database.write(again)


async def _find_somebody(session: AsyncSession, row: NoticeRow, now: datetime) -> int:
    """The notice goes to those whom its kind is for by now, and the row that nobody got goes away."""
    circle = await trail.circle_of(session, row.subject, row.payload.get("actor", ""))
    found = await recipients(session, row.kind, circle)
    rows = [
        trail.notice_row(row.subject, row.revision, row.occasion, row.kind, recipient, row.payload, now)
        for recipient in found
    ]
    if rows:
        await session.delete(row)
    return await trail.insert_notices(session, rows)


async def waiting(session: AsyncSession) -> int:
    """How many notices have neither gone out nor failed for good."""
    statement = select(func.count()).select_from(NoticeRow).where(col(NoticeRow.status).in_(_OPEN))
    return (await session.exec(statement)).one()


async def oldest_waiting(session: AsyncSession) -> datetime | None:
    """Since when the oldest waiting notice has waited: the age of the queue."""
    statement = select(func.min(NoticeRow.queued_at)).where(col(NoticeRow.status).in_(_OPEN))
    return (await session.exec(statement)).one()


async def deliveries(
    session: AsyncSession,
    *,
    subject: str | None = None,
    status: NoticeStatus | None = None,
    page: int = 1,
    size: int = 50,
) -> Page[DeliveryView]:
    """The delivery log, the newest first. `subject` is the address of a process."""
    statement = select(NoticeRow)
    if subject is not None:
        statement = statement.where(NoticeRow.subject == subject)
    if status is not None:
        statement = statement.where(NoticeRow.status == status)
    total = (await session.exec(select(func.count()).select_from(statement.subquery()))).one()
    ordered = statement.order_by(col(NoticeRow.queued_at).desc(), col(NoticeRow.revision).desc(), col(NoticeRow.id))
    rows = await session.exec(ordered.offset((page - 1) * size).limit(size))
    items = tuple(DeliveryView.model_validate(row.model_dump()) for row in rows.all())
    return Page(items=items, total=total, page=page, size=size)
