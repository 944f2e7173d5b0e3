"""Updates of advisories on their way to the products: begun, matched, told or dismissed, and mailed, each once."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, case, delete, or_, update
from sqlmodel import col, exists, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.addresses import publisher_address
from models.findings import Severity
from models.notices import NoticeKind
from models.products import ListingStatus
from models.tables import NoticeRow, ProductRow, PublisherRow, SubscriptionRow
from models.watch_tables import BatchChangeRow, BatchRow, ComponentVulnerabilityRow, ExposureRow, WatchedProductRow
from models.watching import BatchStatus, ChangeKind, ExposureChange, NewsLine
from policies.exposures import WITH_A_CLOCK, Standing, changes_to_tell, component_of
from store.database import RowMissing, put_row

_ENDED = (BatchStatus.TOLD, BatchStatus.DISMISSED)
_ITS_EXPOSURE = and_(
    col(ExposureRow.product) == col(BatchChangeRow.product), col(ExposureRow.key) == col(BatchChangeRow.key)
)
_HARMFUL = col(BatchChangeRow.kind) != ChangeKind.RETRACTED


class Mark(NamedTuple):
    """Where the latest batch left off: the mark of the advisory store, the policy's classes, and when it began."""

    mark: int = 0
    classes: str = ""
    at: datetime | None = None


class ProductNews(NamedTuple):
    """What is to be told to one product, in a fixed order."""

    product: str
    #: the release set that the changes are of
    release: str
    changes: tuple[ExposureChange, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A change that has not been mailed, with whom it concerns."""

    batch: str
    publisher: str
    product: str
    key: str
    shown: NewsLine
    change: tuple[ExposureChange, ...]


async def begin(session: AsyncSession, batch: BatchRow) -> None:
    """Begun again, it is the same."""
    await put_row(session, BatchRow, batch.model_dump(), ("id",), keep=("begun_at",))


async def get(session: AsyncSession, batch: str) -> BatchRow:
    """Errors: RowMissing."""
    row = await find(session, batch)
    if row is None:
        raise RowMissing(f"Batch {batch} is not in the database.")
    return row


async def unfinished(session: AsyncSession) -> BatchRow | None:
    """The oldest batch that somebody has begun to match or to tell, and not ended: whoever did may have died."""
    statement = (
        select(BatchRow)
        .where(col(BatchRow.status).in_((BatchStatus.MATCHING, BatchStatus.TELLING)))
        .order_by(col(BatchRow.begun_at), col(BatchRow.id))
    )
    return (await session.exec(statement)).first()


async def find(session: AsyncSession, batch: str) -> BatchRow | None:
    return await session.get(BatchRow, batch)


async def latest_mark(session: AsyncSession, before: BatchRow | None = None) -> Mark:
    """Of all batches, or of those that were begun before that one. Publications are of one product: they leave none."""
    statement = (
        select(BatchRow.mark_after, BatchRow.classes, BatchRow.begun_at)
        .where(BatchRow.submission == "")
        .order_by(col(BatchRow.begun_at).desc(), col(BatchRow.mark_after).desc())
    )
    if before is not None:
        statement = statement.where(col(BatchRow.begun_at) < before.begun_at)
    found = (await session.exec(statement)).first()
    return Mark(*found) if found else Mark()


async def matched(session: AsyncSession, batch: str, mass_above: int | None, at: datetime) -> BatchRow:
    """All of it is settled: how many products it changes something for, and whether that is a mass change.

    Only those count for whom a clock may start. `mass_above` is the most products that nobody need look at; None for
    any number.
    """
    row = await get(session, batch)
    harmful = and_(_HARMFUL, col(BatchChangeRow.severity).in_(WITH_A_CLOCK))
    counted = select(
        func.count(func.distinct(BatchChangeRow.product)),
        func.count(),
        func.count(func.distinct(case((harmful, col(BatchChangeRow.product))))),
    )
    row.products, row.changes, penalised = (await session.exec(counted.where(BatchChangeRow.batch == batch))).one()
    row.mass = mass_above is not None and penalised > mass_above
    row.matched_at = at
    if not row.changes:
        row.status, row.ended_at = BatchStatus.TOLD, at
    else:
        row.status = BatchStatus.WAITING if row.mass else BatchStatus.TELLING
    session.add(row)
    return row


async def forget_gone(session: AsyncSession, batch: str) -> None:
    """What the batch has found to be said of components no more need not be kept once all is settled."""
    gone = (col(ComponentVulnerabilityRow.batch) == batch, col(ComponentVulnerabilityRow.gone))
    await session.exec(delete(ComponentVulnerabilityRow).where(*gone))


async def decided(session: AsyncSession, batch: str, actor: str, reason: str) -> None:
    """Who has judged a mass change, and why; nobody, where the policy needed nobody."""
    if actor:
        await session.exec(
            update(BatchRow)
            .where(col(BatchRow.id) == batch, col(BatchRow.status).not_in(_ENDED))
            .values(decided_by=actor, reason=reason)
        )


async def dismiss(session: AsyncSession, batch: str, at: datetime) -> None:
    """What is new in it is told to nobody; what it takes back is told all the same. The exposures stand, as known."""
    await session.exec(
        update(BatchChangeRow)
        .where(col(BatchChangeRow.batch) == batch, _HARMFUL, col(BatchChangeRow.told_at).is_(None))
        .values(told_at=at, mailed_at=at)
    )


async def to_tell(session: AsyncSession, batch: str, limit: int) -> list[ProductNews]:
    """The next products, by id, that have not been told, with all that there is for each; empty when all have been.

    What is told is how things stand now: a later batch may have changed them again.
    """
    untold = (BatchChangeRow.batch == batch, col(BatchChangeRow.told_at).is_(None))
    products = select(BatchChangeRow.product).where(*untold).distinct().order_by(col(BatchChangeRow.product))
    return await _news(session, (*untold, col(BatchChangeRow.product).in_(products.limit(limit))))


async def changes_of(session: AsyncSession, batch: str, product: str) -> tuple[ExposureChange, ...]:
    """All that a batch tells a product, whether or not it has been told."""
    news = await _news(session, (BatchChangeRow.batch == batch, BatchChangeRow.product == product))
    return tuple(change for each in news for change in each.changes)


async def _news(session: AsyncSession, where: Iterable[ColumnElement[bool] | bool]) -> list[ProductNews]:
    statement = (
        select(BatchChangeRow, ExposureRow, WatchedProductRow.release)
        .join(
            ExposureRow,
            (col(ExposureRow.product) == col(BatchChangeRow.product))
            & (col(ExposureRow.key) == col(BatchChangeRow.key)),
        )
        .join(WatchedProductRow, col(WatchedProductRow.product) == col(BatchChangeRow.product))
        .where(*where)
        .order_by(col(BatchChangeRow.product), col(BatchChangeRow.key))
    )
    changes: dict[tuple[str, str], list[ExposureChange]] = defaultdict(list)
    for change, exposure, release in (await session.exec(statement)).all():
        changes[change.product, release] += _to_tell(change, exposure)
    return [ProductNews(product, release, tuple(told)) for (product, release), told in changes.items()]


async def told(session: AsyncSession, batch: str, products: Collection[str], at: datetime) -> None:
    """The products' processes have it: the clocks of what has one may start."""
    of_products = (col(BatchChangeRow.product).in_(products), col(BatchChangeRow.batch) == batch)
    notified = select(BatchChangeRow.key).where(
        *of_products, col(BatchChangeRow.product) == col(ExposureRow.product), col(BatchChangeRow.told_at).is_(None)
    )
    await session.exec(
        update(ExposureRow)
        .where(
            col(ExposureRow.product).in_(products),
            col(ExposureRow.key).in_(notified),
            col(ExposureRow.notified_at).is_(None),
        )
        .values(notified_at=at)
        .execution_options(synchronize_session=False)
    )
    await session.exec(
        update(BatchChangeRow).where(*of_products, col(BatchChangeRow.told_at).is_(None)).values(told_at=at)
    )


async def ended(session: AsyncSession, batch: str, status: BatchStatus, at: datetime) -> None:
    """Told or dismissed; the first time counts."""
    await session.exec(
        update(BatchRow)
        .where(col(BatchRow.id) == batch, col(BatchRow.status).not_in(_ENDED))
        .values(status=status, ended_at=at)
    )


async def unmailed_publishers(session: AsyncSession, batch: str = "", *, critical: bool = False) -> list[str]:
    """Publishers that have something to read: what is critical in a batch, or (a digest) all that has been told."""
    statement = (
        select(WatchedProductRow.publisher)
        .join(BatchChangeRow, col(BatchChangeRow.product) == col(WatchedProductRow.product))
        .where(*_unmailed(batch, critical))
        .distinct()
        .order_by(col(WatchedProductRow.publisher))
    )
    return list((await session.exec(statement)).all())


async def unmailed(
    session: AsyncSession, publisher: str, batch: str = "", *, critical: bool = False, limit: int = 5_000
) -> list[Line]:
    """What `unmailed_publishers` found for one of them."""
    return await _lines(session, (*_unmailed(batch, critical), col(WatchedProductRow.publisher) == publisher), limit)


async def has_mail(session: AsyncSession, publisher: str, kind: NoticeKind, occasion: str) -> bool:
    """Whether the publisher has been written to on this occasion."""
    told = exists().where(
        col(NoticeRow.subject) == publisher_address(publisher),
        col(NoticeRow.kind) == kind,
        col(NoticeRow.occasion) == occasion,
    )
    return bool((await session.exec(select(told))).one())


async def mailed(session: AsyncSession, lines: Iterable[Line], at: datetime) -> None:
    """Each is mailed once: in the transaction that puts the mail into the outbox."""
    by_product: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in lines:
        by_product[line.batch, line.product].append(line.key)
    for (batch, product), keys in by_product.items():
        await session.exec(
            update(BatchChangeRow)
            .where(
                col(BatchChangeRow.batch) == batch,
                col(BatchChangeRow.product) == product,
                col(BatchChangeRow.key).in_(keys),
            )
            .values(mailed_at=at)
        )


async def note_mailed(session: AsyncSession) -> None:
    """Batches that have nothing left to mail need not be looked through any more."""
    waiting = exists().where(col(BatchChangeRow.batch) == col(BatchRow.id), col(BatchChangeRow.mailed_at).is_(None))
    ended = (~col(BatchRow.mailed), col(BatchRow.status).in_(_ENDED))
    await session.exec(
        update(BatchRow).where(*ended, ~waiting).values(mailed=True).execution_options(synchronize_session=False)
    )


async def leave_unmailed(session: AsyncSession, batch: str, at: datetime) -> None:
    """What has no clock, and had none, is no matter for a mail: the findings of its submission said it."""
    quiet = col(BatchChangeRow.severity).not_in(WITH_A_CLOCK) & or_(
        col(BatchChangeRow.was).is_(None), col(BatchChangeRow.was).not_in(WITH_A_CLOCK)
    )
    await session.exec(update(BatchChangeRow).where(col(BatchChangeRow.batch) == batch, quiet).values(mailed_at=at))


async def for_subscribers(session: AsyncSession, batch: str) -> dict[str, list[Line]]:
    """What is new or heavier in products that somebody has subscribed to, and has a clock; by product. What is revoked
    nobody can pull, so nobody is told of more."""
    subscribed = exists().where(
        col(SubscriptionRow.product) == col(BatchChangeRow.product), col(SubscriptionRow.confirmed_at).is_not(None)
    )
    shown = col(ProductRow.status) != ListingStatus.REVOKED
    harmful = (_HARMFUL, col(BatchChangeRow.severity).in_(WITH_A_CLOCK), shown)
    found: dict[str, list[Line]] = defaultdict(list)
    for line in await _lines(session, (BatchChangeRow.batch == batch, *harmful, subscribed), None):
        found[line.product].append(line)
    return found


async def unclassed(session: AsyncSession, batch: str, limit: int) -> list[NewsLine]:
    """New vulnerabilities of the batch that have no class yet, each package once."""
    where = (
        BatchChangeRow.batch == batch,
        BatchChangeRow.kind == ChangeKind.NEW,
        BatchChangeRow.severity == Severity.UNKNOWN,
    )
    found: dict[tuple[str, str], NewsLine] = {}
    for line in await _lines(session, where, limit):
        found.setdefault((line.shown.vulnerability, line.shown.component), line.shown)
    return list(found.values())


def _unmailed(batch: str, critical: bool) -> Iterator[ColumnElement[bool]]:
    yield col(BatchChangeRow.mailed_at).is_(None)
    yield col(BatchChangeRow.told_at).is_not(None)
    if batch:
        yield col(BatchChangeRow.batch) == batch
    else:
        yield col(BatchChangeRow.batch).in_(select(BatchRow.id).where(~col(BatchRow.mailed)))
    if critical:
        yield _HARMFUL
        yield col(BatchChangeRow.severity) == Severity.CRITICAL


async def _lines(session: AsyncSession, where: Iterable[ColumnElement[bool] | bool], limit: int | None) -> list[Line]:
    statement = (
        select(BatchChangeRow, ExposureRow, ProductRow, PublisherRow)
        .join(
            ExposureRow,
            (col(ExposureRow.product) == col(BatchChangeRow.product))
            & (col(ExposureRow.key) == col(BatchChangeRow.key)),
        )
        .join(WatchedProductRow, col(WatchedProductRow.product) == col(BatchChangeRow.product))
        .join(ProductRow, col(ProductRow.id) == col(BatchChangeRow.product))
        .join(PublisherRow, col(PublisherRow.id) == col(ProductRow.publisher))
        .where(*where)
        .order_by(col(BatchChangeRow.batch), col(BatchChangeRow.product), col(BatchChangeRow.key))
        .limit(limit)
    )
    return [
        Line(
            batch=change.batch,
            publisher=publisher.id,
            product=change.product,
            key=change.key,
            shown=_shown(change, exposure, f"{publisher.slug}/{product.slug}"),
            change=_to_tell(change, exposure),
        )
        for change, exposure, product, publisher in (await session.exec(statement)).all()
    ]


def _to_tell(change: BatchChangeRow, exposure: ExposureRow) -> tuple[ExposureChange, ...]:
    standing = Standing(exposure.severity, exposure.fixed_version, exposure.inherited, exposure.exploited)
    return changes_to_tell(change.kind, change.key, change.was, standing, stands=exposure.closed_at is None)


def _shown(change: BatchChangeRow, exposure: ExposureRow, product: str) -> NewsLine:
    return NewsLine(
        product=product,
        change=change.kind,
        vulnerability=exposure.vulnerability,
        component=component_of(exposure.package),
        version=exposure.versions,
        severity=change.severity,
        fixed_version=exposure.fixed_version,
        inherited=exposure.inherited,
        exploited=exposure.exploited,
        url=exposure.url,
    )
