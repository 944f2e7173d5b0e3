"""Waivers: taken into force and back by decisions, asked for by every check."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import and_, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.findings import Waiver, WaiverScope
from models.recording import Entry
from models.tables import SubmissionRow, WaiverRow
from store.database import RowMissing, put_row


async def take(
    session: AsyncSession, submission: SubmissionRow, entry: Entry, granted: Mapping[str, Waiver | None]
) -> None:
    """The entry's waiver takes effect; an `undo` takes it back.

    `granted` holds the stored waivers by digest, None for one that was never stored: then nothing is put in force.
    """
    if entry.event == "undo":
        await session.exec(
            update(WaiverRow)
            .where(col(WaiverRow.digest) == entry.waiver, col(WaiverRow.submission) == submission.id)
            .values(withdrawn_at=entry.at)
        )
        return
    if entry.waiver not in granted:
        raise RowMissing(f"Waiver {entry.waiver} of submission {submission.id} was not read from the blobs.")
    waiver = granted[entry.waiver]
    if waiver is None:
        return
    row = WaiverRow(
        digest=entry.waiver,
        submission=submission.id,
        product=submission.product,
        publisher=submission.publisher,
        finding=waiver.finding,
        scope=waiver.scope,
        subject=waiver.subject,
        expires=waiver.expires,
        waiver=waiver.model_dump(mode="json"),
        granted_at=entry.at,
        granted_by=entry.actor,
    )
    await put_row(session, WaiverRow, row.model_dump(), ("digest", "submission"))


async def in_force(session: AsyncSession, product: str, publisher: str, now: datetime) -> list[Waiver]:
    """Waivers that may apply to a product: its own, and those of its publisher for a repository or a digest.

    Whether one applies to a finding is the policy's question (scope and subject).
    """
    rows = await session.exec(
        select(WaiverRow)
        .where(
            col(WaiverRow.withdrawn_at).is_(None),
            col(WaiverRow.expires) > now,
            or_(
                col(WaiverRow.product) == product,
                and_(col(WaiverRow.publisher) == publisher, col(WaiverRow.scope) != WaiverScope.PRODUCT),
            ),
        )
        .order_by(col(WaiverRow.granted_at), col(WaiverRow.digest))
    )
    return [Waiver.model_validate(row.waiver) for row in rows.all()]
