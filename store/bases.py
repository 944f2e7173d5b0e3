"""Base images that the hub knows. A row is ended, never deleted: images built on a former one are recognized still."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.bases import KnownBase
from models.errors import NotFound
from models.security_tables import BaseImageRow
from store.database import put_row


async def add(session: AsyncSession, base: KnownBase) -> None:
    """Know a base image; one that was removed is known again. Its report is the newest that was made of it."""
    row = BaseImageRow(
        reference=base.reference,
        digest=base.digest,
        platform=base.platform,
        layers=list(base.layers),
        created=base.created,
        report=base.report,
        added_at=base.added_at,
    )
    await put_row(session, BaseImageRow, row.model_dump(), ("reference", "digest"))


async def remove(session: AsyncSession, reference: str, digest: str, platform: str, at: datetime) -> int:
    """Forget a reference, or only one digest or platform of it (empty: all); how many images that were.

    Errors: NotFound where there is none.
    """
    statement = update(BaseImageRow).where(
        col(BaseImageRow.reference) == reference, col(BaseImageRow.removed_at).is_(None)
    )
    if digest:
        statement = statement.where(col(BaseImageRow.digest) == digest)
    if platform:
        statement = statement.where(col(BaseImageRow.platform) == platform)
    gone = (await session.exec(statement.values(removed_at=at))).rowcount
    if not gone:
        raise NotFound(f"There is no base image {reference}: `wharfinger bases list` shows them.")
    return gone


async def known(session: AsyncSession, platforms: Iterable[str] | None = None) -> list[KnownBase]:
    """Those in force, of all platforms or of these; by reference and platform, the latest added first."""
    statement = select(BaseImageRow).where(col(BaseImageRow.removed_at).is_(None))
    if platforms is not None:
        statement = statement.where(col(BaseImageRow.platform).in_(sorted(set(platforms))))
    rows = await session.exec(
        statement.order_by(
            col(BaseImageRow.reference),
            col(BaseImageRow.platform),
            col(BaseImageRow.added_at).desc(),
            col(BaseImageRow.digest),
        )
    )
    return [KnownBase.model_validate(row.model_dump()) for row in rows.all()]


async def changed_at(session: AsyncSession) -> datetime | None:
    """When a base image was added or removed last; None when there never was one."""
    added = (await session.exec(select(func.max(col(BaseImageRow.added_at))))).one()
    removed = (await session.exec(select(func.max(col(BaseImageRow.removed_at))))).one()
    return max((moment for moment in (added, removed) if moment is not None), default=None)
