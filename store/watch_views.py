"""What the watch shows people: how products stand, what waits for the security team, and what was told lately."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import String, cast
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.findings import Severity
from models.products import ListingStatus, ProductSnapshot
from models.tables import ProductRow, PublisherRow
from models.watch_tables import BatchRow, ExposureRow, WatchedProductRow
from models.watching import BatchStatus


class View(BaseModel):
    model_config = ConfigDict(frozen=True)


class ExposureView(View):
    """A vulnerability of a published product. `due` is None where no clock runs."""

    key: str
    vulnerability: str
    package: str
    versions: str
    severity: Severity
    fixed_version: str
    inherited: bool
    exploited: bool
    url: str
    since: datetime
    notified_at: datetime | None = None
    due: datetime | None = None


class BatchView(View):
    id: str
    status: BatchStatus
    names: int
    products: int
    changes: int
    mass: bool
    begun_at: datetime
    ended_at: datetime | None = None
    decided_by: str = ""
    reason: str = ""


class ClockView(View):
    """A product whose clocks run, or that they have put on hold; `by` is when the first ends, or the hold."""

    product: str
    publisher: str
    status: ListingStatus
    critical: int
    major: int
    by: datetime | None


class WatchView(View):
    """The whole watch at a glance. `watched` counts products, `open` vulnerabilities by class."""

    watched: int
    open: dict[Severity, int]
    batches: tuple[BatchView, ...]
    clocks: tuple[ClockView, ...]
    held: tuple[ClockView, ...]


async def overview(session: AsyncSession, *, batches: int = 10, products: int = 20) -> WatchView:
    """The latest batches, and the products whose terms end first."""
    watched = select(func.count()).where(col(WatchedProductRow.watched))
    by_class = (
        select(ExposureRow.severity, func.count())
        .where(col(ExposureRow.closed_at).is_(None))
        .group_by(col(ExposureRow.severity))
    )
    return WatchView(
        watched=(await session.exec(watched)).one(),
        open=dict((await session.exec(by_class)).all()),
        batches=tuple(await latest(session, batches)),
        clocks=tuple(await _clocked(session, ListingStatus.PUBLISHED, "mend_by", products)),
        held=tuple(await _clocked(session, ListingStatus.HOLD, "hold_until", products)),
    )


async def latest(session: AsyncSession, limit: int) -> list[BatchView]:
    """Updates of advisories, the newest first, those that wait for the security team before all; no publications."""
    waits = col(BatchRow.status) == BatchStatus.WAITING
    statement = (
        select(BatchRow)
        .where(BatchRow.submission == "")
        .order_by(waits.desc(), col(BatchRow.begun_at).desc(), col(BatchRow.id))
        .limit(limit)
    )
    fields = BatchView.model_fields.keys()
    return [BatchView(**row.model_dump(include=set(fields))) for row in (await session.exec(statement)).all()]


async def _clocked(session: AsyncSession, status: ListingStatus, moment: str, limit: int) -> list[ClockView]:
    """By the moment of their snapshots; instants are written alike, so that their texts are in the order of time."""
    at = cast(col(ProductRow.snapshot)[moment], String)
    rows = await session.exec(
        select(ProductRow, PublisherRow.slug)
        .join(PublisherRow, col(PublisherRow.id) == col(ProductRow.publisher))
        .where(col(ProductRow.status) == status, at.is_not(None), at != "null")
        .order_by(at, col(ProductRow.id))
        .limit(limit)
    )
    return [_clock(row, publisher, moment) for row, publisher in rows.all()]


def _clock(row: ProductRow, publisher: str, moment: str) -> ClockView:
    snapshot = ProductSnapshot.model_validate(row.snapshot)
    return ClockView(
        product=f"{publisher}/{row.slug}",
        publisher=row.publisher,
        status=snapshot.status,
        critical=snapshot.critical,
        major=snapshot.major,
        by=snapshot.mend_by if moment == "mend_by" else snapshot.hold_until,
    )


async def exposures_of(session: AsyncSession, product: str) -> list[ExposureView]:
    """Everything that is open in a product (an id), the heaviest first."""
    statement = (
        select(ExposureRow)
        .where(ExposureRow.product == product, col(ExposureRow.closed_at).is_(None))
        .order_by(col(ExposureRow.vulnerability), col(ExposureRow.key))
    )
    views = [
        ExposureView(**row.model_dump(exclude={"product", "batch", "closed_at"}))
        for row in (await session.exec(statement)).all()
    ]
    return sorted(views, key=lambda view: list(Severity).index(view.severity))
