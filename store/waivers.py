"""Waivers: taken into force and back by decisions, asked for by every check."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import and_, bindparam, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.findings import Waiver, WaiverScope
from models.recording import Entry
from models.tables import SubmissionRow, WaiverRow
from store.database import RowMissing, put_row, table_of

_WAIVER = table_of(WaiverRow)
_IN_FORCE = (
    select(_WAIVER.c.waiver)
    .where(
        _WAIVER.c.withdrawn_at.is_(None),
        _WAIVER.c.expires > bindparam("now"),
        or_(
            _WAIVER.c.product == bindparam("product"),
            and_(_WAIVER.c.publisher == bindparam("publisher"), _WAIVER.c.scope != WaiverScope.PRODUCT),
        ),
    )
    .order_by(_WAIVER.c.granted_at, _WAIVER.c.digest)
)


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
    of = {"product": product, "publisher": publisher, "now": now}
    return [Waiver.model_validate(waiver) for waiver in (await session.exec(_IN_FORCE, params=of)).all()]


async def of_product(session: AsyncSession, product: str) -> list[WaiverRow]:
    """Every waiver that was ever in force for a product, expired and withdrawn ones too; the latest first."""
    rows = await session.exec(
        select(WaiverRow)
        .where(WaiverRow.product == product)
        .order_by(col(WaiverRow.granted_at).desc(), col(WaiverRow.digest), col(WaiverRow.submission))
    )
    return list(rows.all())
