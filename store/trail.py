"""The audit trail and the outbox's other end: events, and the notices that they cause."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import canonical_json, digest_of
from models.notices import NoticeKind
from models.recording import Entry
from models.tables import EventRow, NoticeRow, NoticeStatus
from store.database import insert_new
from store.recipients import Circle, Recipient, recipients


async def write_events(
    session: AsyncSession, subject: str, run: str, revision: int, entries: Sequence[Entry]
) -> list[Entry]:
    """Append the entries that this run has not recorded at this revision yet, and return those.

    A refused command changes no state, so several recordings may carry one revision: an entry is recognised by its
    digest, not by its place.
    """
    if not entries:
        return []
    at_revision = (EventRow.subject == subject, EventRow.run == run, EventRow.revision == revision)
    known = Counter((await session.exec(select(EventRow.digest).where(*at_revision))).all())
    position = known.total()
    rows: list[dict[str, Any]] = []
    new: list[Entry] = []
    for entry in entries:
        digest = digest_of(canonical_json(entry))
        if known[digest]:
            known[digest] -= 1
            continue
        new.append(entry)
        row = EventRow(
            subject=subject,
            run=run,
            revision=revision,
            position=position + len(rows),
            digest=digest,
            **entry.model_dump(include={"event", "actor", "command", "at", "text", "private", "refused"}),
        )
        rows.append(row.model_dump(exclude={"id"}))
    inserted = await insert_new(session, EventRow, rows, ("subject", "run", "revision", "position"))
    # fewer only when another attempt of the same activity was faster: it queues the notices as well
    return new if len(inserted) == len(rows) else []


async def queue_notices(
    session: AsyncSession,
    subject: str,
    revision: int,
    entries: Iterable[Entry],
    circle: Circle,
    shown: Mapping[str, Any],
) -> int:
    """One row for each notice and recipient; returns how many are to be sent."""
    rows: dict[str, dict[str, Any]] = {}
    for entry in entries:
        for kind in entry.notices:
            concerned = Circle(circle.publisher, circle.product, entry.actor, circle.assignee, circle.proposer)
            found = await recipients(session, kind, concerned)
            payload = dict(shown) | {"text": entry.refused or entry.text, "actor": entry.actor, "event": entry.event}
            if entry.private:
                payload["private"] = True
            for recipient in found or [Recipient("", "", for_publisher=False)]:
                row = notice_row(subject, revision, entry.command, kind, recipient, payload, entry.at)
                rows.setdefault(row["id"], row)
    return await insert_notices(session, list(rows.values()))


async def insert_notices(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> int:
    """Those that are not there yet; returns how many of them are to be sent."""
    inserted = set(await insert_new(session, NoticeRow, rows, ("id",)))
    return sum(row["id"] in inserted and row["status"] is NoticeStatus.QUEUED for row in rows)


def notice_row(
    subject: str,
    revision: int,
    occasion: str,
    kind: NoticeKind,
    recipient: Recipient,
    payload: Mapping[str, Any],
    at: datetime,
) -> dict[str, Any]:
    """A notice to be sent now, or given up at once when there is nobody to send it to: the log shows it."""
    key = "\n".join((subject, str(revision), occasion, kind, recipient.id))
    row = NoticeRow(
        id=hashlib.sha256(key.encode()).hexdigest()[:32],
        subject=subject,
        revision=revision,
        occasion=occasion,
        kind=kind,
        recipient=recipient.id,
        address=recipient.address,
        for_publisher=recipient.for_publisher,
        payload=dict(payload),
        queued_at=at,
        next_try=at,
    )
    if not recipient.address:
        row.status, row.next_try = NoticeStatus.GIVEN_UP, None
        row.last_error = "There is nobody to send it to: give somebody the role (wharfinger staff add)."
    return row.model_dump()


async def events_of(session: AsyncSession, subjects: Sequence[str], *, private: bool) -> list[EventRow]:
    """Events in order of time; private ones and refused commands only for staff."""
    statement = select(EventRow).where(col(EventRow.subject).in_(subjects))
    if not private:
        statement = statement.where(~col(EventRow.private), col(EventRow.refused) == "")
    return list((await session.exec(statement.order_by(col(EventRow.at), col(EventRow.id)))).all())
