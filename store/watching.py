"""What is inside everything published: components in sets that images share, and which product ships which image."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TypeVar

from sqlalchemy import delete, text, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.exposures import Berth, Known, Load, Shipment, Unit
from models.products import ListingStatus
from models.tables import IterationRow, ProductRow, SubmissionRow
from models.watch_tables import (
    ComponentRow,
    ComponentSetMemberRow,
    ComponentSetRow,
    ComponentVulnerabilityRow,
    ShippedImageRow,
    ShippedSetRow,
    WatchedImageRow,
    WatchedProductRow,
)
from store.database import insert_new, put_row, put_rows

T = TypeVar("T")

#: key of PostgreSQL's advisory lock of those who change what is watched
_LOCK = 7_731_403
#: values in one statement
_MANY = 1_000


class Unasked(Exception):
    """A component is new after all: it was forgotten since somebody looked. The advisories have to be asked again."""


async def take_turn(session: AsyncSession) -> None:
    """Until the transaction ends, nobody else changes what is watched: what was read of it stays true.

    A publication and a batch at the same time would each miss what the other brings. SQLite has one writer anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        await session.connection()
        await session.exec(text("SELECT pg_advisory_xact_lock(:key)").bindparams(key=_LOCK))  # type: ignore[call-overload]


async def unmatched(session: AsyncSession, units: Iterable[Unit]) -> list[Unit]:
    """Those of the units that nothing published has shipped so far: nobody has asked the advisories about them."""
    wanted = {unit.digest: unit for unit in units}
    known = await _ids(session, wanted)
    return [unit for digest, unit in wanted.items() if digest not in known]


async def save_release(
    session: AsyncSession,
    *,
    product: str,
    publisher: str,
    release: str,
    berths: Sequence[Berth],
    shipments: Sequence[Shipment],
    known: Mapping[Unit, Sequence[Known]],
    batch: str,
    at: datetime,
) -> None:
    """The release set is what is live of the product from now on, and is watched. Saved again, it is the same.

    `known` is what the advisories say of the units that were `unmatched`. An image that another product ships keeps
    its report if that is the newer one. Errors: Unasked.
    """
    row = WatchedProductRow(product=product, publisher=publisher, release=release, since=at)
    await put_row(session, WatchedProductRow, row.model_dump(), ("product",))
    images = {shipment.image: await _save_shipment(session, shipment, known, batch) for shipment in shipments}
    await session.exec(delete(WatchedImageRow).where(col(WatchedImageRow.product) == product))
    rows = {
        images[berth.image]: WatchedImageRow(
            image=images[berth.image], product=product, tier=berth.tier, repository=berth.repository
        )
        for berth in reversed(berths)
        if berth.image in images
    }
    await insert_new(session, WatchedImageRow, [each.model_dump() for each in rows.values()], ("image", "product"))


async def save_rescan(
    session: AsyncSession, shipment: Shipment, known: Mapping[Unit, Sequence[Known]], batch: str = ""
) -> None:
    """A newer report of a published image: from now on this one counts. Its products are stale: the next batch looks
    at them as a whole, and tells what has changed. Errors: Unasked."""
    await _save_shipment(session, shipment, known, batch)


async def set_watched(session: AsyncSession, product: str, watched: bool) -> None:
    """What people have revoked is not watched. Back in the registry it is stale: much may have come meanwhile."""
    await session.exec(
        update(WatchedProductRow)
        .where(col(WatchedProductRow.product) == product, col(WatchedProductRow.watched) != watched)
        .values(watched=watched, stale=watched)
    )


async def set_stale(session: AsyncSession, products: Collection[str], stale: bool) -> None:
    """Whether the next batch looks at all of the products."""
    named = col(WatchedProductRow.product).in_(products)
    await session.exec(update(WatchedProductRow).where(named).values(stale=stale))


async def unwatched(session: AsyncSession, after: str, limit: int) -> list[ProductRow]:
    """What is live and not watched, by id: it was published before there was a watch, or its rows were restored."""
    live = (ListingStatus.PUBLISHED, ListingStatus.HOLD)
    statement = (
        select(ProductRow)
        .join(WatchedProductRow, col(WatchedProductRow.product) == col(ProductRow.id), isouter=True)
        .where(col(ProductRow.status).in_(live), ProductRow.release != "", col(WatchedProductRow.product).is_(None))
        .where(col(ProductRow.id) > after)
        .order_by(col(ProductRow.id))
        .limit(limit)
    )
    return list((await session.exec(statement)).all())


async def reports_of(session: AsyncSession, product: str, release: str) -> list[str]:
    """Digests of the stored reports of the images of a release set, by the latest iteration that examined it."""
    statement = (
        select(IterationRow.reports)
        .join(SubmissionRow, col(SubmissionRow.id) == col(IterationRow.submission))
        .where(SubmissionRow.product == product, IterationRow.release == release)
        .order_by(col(IterationRow.examined_at).desc(), col(IterationRow.number).desc())
    )
    return next((list(reports) for reports in (await session.exec(statement)).all() if reports), [])


async def outdated(
    session: AsyncSession, scanner_version: str, limit: int
) -> tuple[list[tuple[ShippedImageRow, str, str]], int]:
    """(image, publisher, repository) of watched images whose report is by another scanner, and how many more."""
    statement = (
        select(ShippedImageRow, WatchedProductRow.publisher, WatchedImageRow.repository)
        .join(WatchedImageRow, col(WatchedImageRow.image) == col(ShippedImageRow.id))
        .join(WatchedProductRow, col(WatchedProductRow.product) == col(WatchedImageRow.product))
        .where(ShippedImageRow.scanner_version != scanner_version, col(WatchedProductRow.watched))
        .order_by(col(ShippedImageRow.id), col(WatchedProductRow.product))
    )
    found: dict[int | None, tuple[ShippedImageRow, str, str]] = {}
    for image, publisher, repository in (await session.exec(statement)).all():
        found.setdefault(image.id, (image, publisher, repository))
    return list(islice(found.values(), limit)), max(len(found) - limit, 0)


async def forget_unshipped(session: AsyncSession, limit: int) -> int:
    """Images that nobody ships any more go, then what only they had: at most so many of each. Returns how many in all.

    The caller has its turn.
    """
    forgotten = 0
    for table, kept in (
        (ShippedImageRow, select(WatchedImageRow.image).where(col(WatchedImageRow.image) == col(ShippedImageRow.id))),
        (
            ComponentSetRow,
            select(ShippedSetRow.image).where(col(ShippedSetRow.component_set) == col(ComponentSetRow.id)),
        ),
        (
            ComponentRow,
            select(ComponentSetMemberRow.component).where(col(ComponentSetMemberRow.component) == col(ComponentRow.id)),
        ),
    ):
        unshipped = (await session.exec(select(table.id).where(~kept.exists()).limit(limit))).all()
        for some in in_parts(unshipped):
            await session.exec(delete(table).where(col(table.id).in_(some)))
        forgotten += len(unshipped)
    return forgotten


async def units_named(session: AsyncSession, names: Collection[tuple[str, str]] | None) -> list[tuple[int, Unit]]:
    """Every component of these (ecosystem, name), with its row; of all of them, when `names` is None."""
    if names is None:
        return [_unit(row) for row in (await session.exec(select(ComponentRow))).all()]
    found: list[tuple[int, Unit]] = []
    by_ecosystem: dict[str, list[str]] = {}
    for ecosystem, name in names:
        by_ecosystem.setdefault(ecosystem, []).append(name)
    for ecosystem, same in by_ecosystem.items():
        for some in in_parts(sorted(same)):
            rows = await session.exec(
                select(ComponentRow).where(ComponentRow.ecosystem == ecosystem, col(ComponentRow.name).in_(some))
            )
            found += [_unit(row) for row in rows.all()]
    return found


async def names_with(session: AsyncSession, vulnerabilities: Iterable[str]) -> set[tuple[str, str]]:
    """(ecosystem, name) of the components that have these vulnerabilities."""
    names: set[tuple[str, str]] = set()
    for some in in_parts(sorted(set(vulnerabilities))):
        rows = await session.exec(
            select(ComponentRow.ecosystem, ComponentRow.name)
            .join(ComponentVulnerabilityRow, col(ComponentVulnerabilityRow.component) == col(ComponentRow.id))
            .where(col(ComponentVulnerabilityRow.vulnerability).in_(some))
            .distinct()
        )
        names.update((ecosystem, name) for ecosystem, name in rows.all())
    return names


async def put_known(session: AsyncSession, found: Mapping[int, Sequence[Known]], batch: str) -> int:
    """What the advisories say of components (by row) from now on. What has changed is the batch's; returns how much."""
    changed = 0
    for some in in_parts(sorted(found)):
        statement = select(ComponentVulnerabilityRow).where(col(ComponentVulnerabilityRow.component).in_(some))
        before = {(row.component, row.vulnerability): row for row in (await session.exec(statement)).all()}
        now = {
            (component, known.vulnerability): _known_row(component, known, batch)
            for component in some
            for known in found[component]
        }
        for key, row in before.items():
            if key not in now and not row.gone:
                now[key] = ComponentVulnerabilityRow(**(row.model_dump() | {"gone": True, "batch": batch}))
        rows = [row.model_dump() for key, row in now.items() if _differs(before.get(key), row)]
        await put_rows(session, ComponentVulnerabilityRow, rows, ("component", "vulnerability"))
        changed += len(rows)
    return changed


def in_parts(values: Iterable[T], size: int = _MANY) -> Iterator[list[T]]:
    """A statement takes only so many values."""
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some


async def _save_shipment(
    session: AsyncSession, shipment: Shipment, known: Mapping[Unit, Sequence[Known]], batch: str
) -> int:
    before = (await session.exec(select(ShippedImageRow).where(ShippedImageRow.digest == shipment.image))).first()
    if before is not None and before.id is not None and before.scanned_at >= shipment.scanned_at:
        return before.id
    row = ShippedImageRow(
        digest=shipment.image,
        platform=shipment.platform,
        report=shipment.report,
        scanner_version=shipment.scanner_version,
        scanned_at=shipment.scanned_at,
    )
    await put_row(session, ShippedImageRow, row.model_dump(exclude={"id"}), ("digest",))
    image = (await session.exec(select(ShippedImageRow.id).where(ShippedImageRow.digest == shipment.image))).one()
    assert image is not None  # noqa: S101 - it is in the database
    if before is not None:
        shipping = select(WatchedImageRow.product).where(WatchedImageRow.image == image)
        await session.exec(
            update(WatchedProductRow).where(col(WatchedProductRow.product).in_(shipping)).values(stale=True)
        )
    components = await _save_units(session, shipment.units, known, batch)
    await session.exec(delete(ShippedSetRow).where(col(ShippedSetRow.image) == image))
    sets = await _save_loads(session, shipment.loads, components)
    rows = [
        {"component_set": sets[load.digest], "image": image, "inherited": load.inherited} for load in shipment.loads
    ]
    await insert_new(session, ShippedSetRow, rows, ("component_set", "image", "inherited"))
    return image


async def _save_units(
    session: AsyncSession, units: Iterable[Unit], known: Mapping[Unit, Sequence[Known]], batch: str
) -> dict[str, int]:
    """Rows by digest. What is known of a component that is here already is the batches' matter."""
    wanted = {unit.digest: unit for unit in units}
    new = set[str]()
    for some in in_parts(sorted(wanted)):
        rows = [{"digest": digest, **wanted[digest]._asdict()} for digest in some]
        new.update(await insert_new(session, ComponentRow, rows, ("digest",)))
    if any(wanted[digest] not in known for digest in new):
        raise Unasked
    ids = await _ids(session, wanted)
    await put_known(session, {ids[digest]: known[wanted[digest]] for digest in new}, batch)
    return ids


async def _save_loads(session: AsyncSession, loads: Iterable[Load], components: Mapping[str, int]) -> dict[str, int]:
    """Rows by digest. A set that is here already has its members."""
    wanted = {load.digest: load for load in loads}
    rows = [{"digest": digest} for digest in sorted(wanted)]
    new = await insert_new(session, ComponentSetRow, rows, ("digest",))
    known = select(ComponentSetRow.digest, ComponentSetRow.id).where(col(ComponentSetRow.digest).in_(sorted(wanted)))
    numbers = {digest: number for digest, number in (await session.exec(known)).all() if number is not None}
    members = (
        {"component": components[unit.digest], "component_set": numbers[digest]}
        for digest in new
        for unit in wanted[digest].units
    )
    for some in in_parts(members):
        await insert_new(session, ComponentSetMemberRow, some, ("component", "component_set"))
    return numbers


async def _ids(session: AsyncSession, digests: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in in_parts(sorted(digests)):
        rows = await session.exec(
            select(ComponentRow.digest, ComponentRow.id).where(col(ComponentRow.digest).in_(some))
        )
        found.update((digest, number) for digest, number in rows.all() if number is not None)
    return found


def _unit(row: ComponentRow) -> tuple[int, Unit]:
    assert row.id is not None  # noqa: S101 - it is in the database
    return row.id, Unit(row.ecosystem, row.name, row.version, row.package, row.package_version, row.cpe)


def _known_row(component: int, known: Known, batch: str) -> ComponentVulnerabilityRow:
    return ComponentVulnerabilityRow(component=component, batch=batch, **known._asdict())


def _differs(before: ComponentVulnerabilityRow | None, now: ComponentVulnerabilityRow) -> bool:
    return before is None or before.model_dump(exclude={"batch"}) != now.model_dump(exclude={"batch"})
