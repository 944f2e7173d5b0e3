"""What every watched product is exposed to: settled anew for what a batch names, and what that changes is the batch's.

Settled twice, nothing changes: so a batch that was cut short is settled again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, or_
from sqlmodel import col, func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from models.exposures import Known
from models.findings import Severity, Waiver, WaiverScope
from models.images import ReleaseSet
from models.tables import WaiverRow
from models.watch_tables import (
    BatchChangeRow,
    ComponentRow,
    ComponentSetMemberRow,
    ComponentVulnerabilityRow,
    ExposureRow,
    ShippedImageRow,
    ShippedSetRow,
    WatchedImageRow,
    WatchedProductRow,
)
from models.watching import ChangeKind
from policies.exposures import Hit, Standing, compared, exposure_key, standing_of, waived
from store import waivers
from store.blobs import Blobs
from store.spreading import spread
from store.watching import in_parts

#: a vulnerability and a package
Pair = tuple[str, str]

_key = cache(exposure_key)

#: how long an exposure has stood, by what, and whether it was told, is as it was when only its weight changes
_SINCE = ("batch", "since", "notified_at")


class Matter(NamedTuple):
    """What an exposure is about."""

    product: str
    vulnerability: str
    package: str


class Settled(NamedTuple):
    """How many exposures a settlement has changed, of how many that it looked at."""

    changed: int
    seen: int


class Scope(NamedTuple):
    """What is settled: all of some products, or some pairs in all products."""

    products: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()


#: package, and the hit as one of the publisher's own or as one that comes with the base
_Said = tuple[str, Hit, Hit]


@dataclass(frozen=True, slots=True)
class Dispensations:
    """Waivers in force by product, with the release set that they may speak of."""

    now: datetime
    by_product: Mapping[str, tuple[Sequence[Waiver], ReleaseSet | None]] = field(default_factory=dict)


async def pairs_of(session: AsyncSession, batch: str) -> list[Pair]:
    """What the batch has changed for components, in a fixed order."""
    rows = await session.exec(
        select(ComponentVulnerabilityRow.vulnerability, ComponentRow.package)
        .join(ComponentRow, col(ComponentRow.id) == col(ComponentVulnerabilityRow.component))
        .where(ComponentVulnerabilityRow.batch == batch)
        .distinct()
    )
    return sorted((vulnerability, package) for vulnerability, package in rows.all())


async def stale_products(session: AsyncSession, since: datetime | None, now: datetime) -> list[str]:
    """Products that have to be settled as a whole: scanned anew, back in the registry, or reached by a waiver that was
    given, taken back or has run out `since` then."""
    stale = select(WatchedProductRow.product).where(col(WatchedProductRow.stale), col(WatchedProductRow.watched))
    found = set((await session.exec(stale)).all())
    if since is not None:
        moved = or_(
            col(WaiverRow.granted_at) >= since,
            col(WaiverRow.withdrawn_at) >= since,
            and_(col(WaiverRow.expires) >= since, col(WaiverRow.expires) <= now),
        )
        rows = (await session.exec(select(WaiverRow).where(moved))).all()
        own = {row.product for row in rows}
        publishers = {row.publisher for row in rows if row.scope is not WaiverScope.PRODUCT}
        found.update(row.product for row in await _watched(session, own, publishers))
    return sorted(found)


async def dispensations(session: AsyncSession, blobs: Blobs, scope: Scope, now: datetime) -> Dispensations:
    """Waivers that may reach what is settled. A release set that is lost is none: then only the product's own reach."""
    named = select(WaiverRow).where(col(WaiverRow.withdrawn_at).is_(None), col(WaiverRow.expires) > now)
    if scope.pairs:
        keys = sorted({_key(*pair) for pair in scope.pairs})
        rows = [row for some in in_parts(keys) for row in await _all(session, named, col(WaiverRow.finding).in_(some))]
    else:
        rows = list((await session.exec(named)).all())
    own = {row.product for row in rows}
    publishers = {row.publisher for row in rows if row.scope is not WaiverScope.PRODUCT}
    found: dict[str, tuple[Sequence[Waiver], ReleaseSet | None]] = {}
    for product in await _watched(session, own, publishers):
        if not scope.products or product.product in scope.products:
            release = (
                await blobs.get_message(ReleaseSet, product.release) if await blobs.exists(product.release) else None
            )
            found[product.product] = await waivers.in_force(session, product.product, product.publisher, now), release
    return Dispensations(now, found)


async def settle(session: AsyncSession, scope: Scope, batch: str, dispensed: Dispensations) -> Settled:
    """Bring the exposures up to date; what changes is written as the batch's.

    Of a product that is not watched nothing changes. The caller has its turn (store.watching.take_turn).
    """
    known = await _known(session, scope)
    hits = await _hits(session, scope, known)
    now = await _without_waived(session, hits, known, dispensed)
    before = await _open(session, scope)
    outcome = _Outcome(batch, dispensed.now)
    for matter in now.keys() | before.keys():
        row, old = before.get(matter, (None, None))
        new = now.get(matter)
        if old != new:
            outcome.note(matter, row, old, new)
    await outcome.write(session)
    return Settled(outcome.changed, len(now.keys() | before.keys()))


async def _known(session: AsyncSession, scope: Scope) -> dict[int, list[_Said]]:
    """What is known of each component."""
    statement = (
        select(ComponentVulnerabilityRow, ComponentRow.package, ComponentRow.version, ComponentRow.package_version)
        .join(ComponentRow, col(ComponentRow.id) == col(ComponentVulnerabilityRow.component))
        .where(~col(ComponentVulnerabilityRow.gone))
    )
    found: dict[int, list[_Said]] = defaultdict(list)
    if scope.products:
        conditions = [col(ComponentVulnerabilityRow.component).in_(_components_of(scope.products))]
    else:
        names = sorted({vulnerability for vulnerability, _ in scope.pairs})
        conditions = [col(ComponentVulnerabilityRow.vulnerability).in_(some) for some in in_parts(names)]
    pairs = set(scope.pairs)
    for condition in conditions:
        for row, package, version, package_version in (await session.exec(statement.where(condition))).all():
            if not pairs or (row.vulnerability, package) in pairs:
                known = Known(row.vulnerability, row.severity, row.fixed_version, row.exploited, row.url)
                hit = Hit(package_version or version, known, inherited=False)
                found[row.component].append((package, hit, hit._replace(inherited=True)))
    return found


def _components_of(products: Iterable[str]) -> Any:
    return (
        select(ComponentSetMemberRow.component)
        .join(ShippedSetRow, col(ShippedSetRow.component_set) == col(ComponentSetMemberRow.component_set))
        .join(WatchedImageRow, col(WatchedImageRow.image) == col(ShippedSetRow.image))
        .where(col(WatchedImageRow.product).in_(tuple(products)))
    )


async def _hits(session: AsyncSession, scope: Scope, known: Mapping[int, Sequence[_Said]]) -> dict[Matter, list[Hit]]:
    #: in one image it comes with the base, in another it does not: then it is the publisher's
    inherited = func.min(case((col(ShippedSetRow.inherited), 1), else_=0))
    statement = (
        select(WatchedImageRow.product, ComponentSetMemberRow.component, inherited)
        .join(ShippedSetRow, col(ShippedSetRow.component_set) == col(ComponentSetMemberRow.component_set))
        .join(WatchedImageRow, col(WatchedImageRow.image) == col(ShippedSetRow.image))
        .join(WatchedProductRow, col(WatchedProductRow.product) == col(WatchedImageRow.product))
        .where(col(WatchedProductRow.watched))
        .group_by(col(WatchedImageRow.product), col(ComponentSetMemberRow.component))
    )
    if scope.products:
        statement = statement.where(col(WatchedImageRow.product).in_(scope.products))
    found: dict[Matter, list[Hit]] = defaultdict(list)
    for some in in_parts(sorted(known)):
        rows = await session.exec(statement.where(col(ComponentSetMemberRow.component).in_(some)))
        for product, component, comes_with_base in rows.all():
            for package, own, from_base in known[component]:
                matter = Matter(product, own.known.vulnerability, package)
                found[matter].append(from_base if comes_with_base else own)
    return found


async def _without_waived(
    session: AsyncSession,
    hits: Mapping[Matter, Sequence[Hit]],
    known: Mapping[int, Sequence[_Said]],
    dispensed: Dispensations,
) -> dict[Matter, Standing]:
    standings: dict[tuple[Hit, ...], Standing] = {}
    now: dict[Matter, Standing] = {}
    for matter, same in hits.items():
        seen = tuple(same)
        if seen not in standings:
            standings[seen] = standing_of(seen)
        now[matter] = standings[seen]
    for product, (given, release) in dispensed.by_product.items():
        keys = {_key(matter.vulnerability, matter.package): matter for matter in now if matter.product == product}
        if not keys.keys() & {waiver.finding for waiver in given}:
            continue
        images = await _images_of(session, product, known)
        classes = {key: now[matter].severity for key, matter in keys.items()}
        for key in waived(classes, waivers=given, product=product, release=release, images=images, now=dispensed.now):
            del now[keys[key]]
    return now


async def _images_of(session: AsyncSession, product: str, known: Mapping[int, Sequence[_Said]]) -> dict[str, set[str]]:
    """key -> digests of the images that have it."""
    statement = (
        select(ComponentSetMemberRow.component, ShippedImageRow.digest)
        .join(ShippedSetRow, col(ShippedSetRow.component_set) == col(ComponentSetMemberRow.component_set))
        .join(WatchedImageRow, col(WatchedImageRow.image) == col(ShippedSetRow.image))
        .join(ShippedImageRow, col(ShippedImageRow.id) == col(ShippedSetRow.image))
        .where(col(WatchedImageRow.product) == product)
        .distinct()
    )
    images: dict[str, set[str]] = defaultdict(set)
    for some in in_parts(sorted(known)):
        rows = await session.exec(statement.where(col(ComponentSetMemberRow.component).in_(some)))
        for component, digest in rows.all():
            for package, hit, _ in known[component]:
                images[_key(hit.known.vulnerability, package)].add(digest)
    return images


async def _open(session: AsyncSession, scope: Scope) -> dict[Matter, tuple[ExposureRow, Standing]]:
    """Exposures of watched products that are not closed."""
    statement = (
        select(ExposureRow)
        .join(WatchedProductRow, col(WatchedProductRow.product) == col(ExposureRow.product))
        .where(col(ExposureRow.closed_at).is_(None), col(WatchedProductRow.watched))
    )
    if scope.products:
        conditions = [col(ExposureRow.product).in_(scope.products)]
    else:
        names = sorted({vulnerability for vulnerability, _ in scope.pairs})
        conditions = [col(ExposureRow.vulnerability).in_(some) for some in in_parts(names)]
    pairs = set(scope.pairs)
    return {
        Matter(row.product, row.vulnerability, row.package): (row, _standing(row))
        for condition in conditions
        for row in (await session.exec(statement.where(condition))).all()
        if not pairs or (row.vulnerability, row.package) in pairs
    }


def _standing(row: ExposureRow) -> Standing:
    return Standing(row.severity, row.fixed_version, row.inherited, row.exploited, row.versions, row.url)


class _Outcome:
    """What a settlement writes. What is the same for many products is one statement, and not one row after the other:
    a single advisory may concern every product of the hub."""

    def __init__(self, batch: str, now: datetime) -> None:
        self.batch, self.now, self.changed = batch, now, 0
        #: (vulnerability, package, standing) -> products: of what is new, and of what stood already
        self._new: dict[tuple[str, str, Standing], list[str]] = defaultdict(list)
        self._other: dict[tuple[str, str, Standing], list[str]] = defaultdict(list)
        self._gone: dict[str, list[str]] = defaultdict(list)
        self._changes: dict[tuple[str, ChangeKind, Severity, Severity | None], list[str]] = defaultdict(list)

    def note(self, matter: Matter, row: ExposureRow | None, old: Standing | None, new: Standing | None) -> None:
        key = _key(matter.vulnerability, matter.package)
        if kind := compared(old, new):
            present = new or old
            severity = present.severity if present else Severity.UNKNOWN
            self._changes[key, kind, severity, old.severity if old else None].append(matter.product)
            self.changed += 1
        if new is None:
            self._gone[key].append(matter.product)
        else:
            noted = self._other if row else self._new
            noted[matter.vulnerability, matter.package, new].append(matter.product)

    async def write(self, session: AsyncSession) -> None:
        for noted, keep in ((self._new, ()), (self._other, _SINCE)):
            groups = [(products, self._exposure(*standing)) for standing, products in noted.items()]
            await spread(session, ExposureRow, groups, ("product", "key"), keep)
        for key, products in self._gone.items():
            for some in in_parts(products):
                gone = (col(ExposureRow.key) == key, col(ExposureRow.product).in_(some))
                await session.exec(update(ExposureRow).where(*gone).values(closed_at=self.now))
        changes = [(products, self._change(*change)) for change, products in self._changes.items()]
        await spread(session, BatchChangeRow, changes, ("batch", "product", "key"))

    def _exposure(self, vulnerability: str, package: str, standing: Standing) -> dict[str, Any]:
        return {
            "key": _key(vulnerability, package),
            "vulnerability": vulnerability,
            "package": package,
            **standing._asdict(),
            "batch": self.batch,
            "since": self.now,
            "notified_at": None,
            "closed_at": None,
        }

    def _change(self, key: str, kind: ChangeKind, severity: Severity, was: Severity | None) -> dict[str, Any]:
        return {
            "batch": self.batch,
            "key": key,
            "kind": kind,
            "severity": severity,
            "was": was,
            "told_at": None,
            "mailed_at": None,
        }


async def _all(session: AsyncSession, statement: Any, condition: ColumnElement[bool]) -> Sequence[WaiverRow]:
    rows: Sequence[WaiverRow] = (await session.exec(statement.where(condition))).all()
    return rows


async def _watched(session: AsyncSession, products: set[str], publishers: set[str]) -> Sequence[WatchedProductRow]:
    if not products and not publishers:
        return ()
    reached = col(WatchedProductRow.product).in_(products) | col(WatchedProductRow.publisher).in_(publishers)
    return (await session.exec(select(WatchedProductRow).where(reached, col(WatchedProductRow.watched)))).all()
