"""Keeps what is published and what is known against it together: used by publications, batches and re-scans alike."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.policy import PolicyInForce
from models.errors import NotFound, ToolFailed
from models.exposures import Berth, Known, Shipment, Unit
from models.findings import Waiver
from models.images import ReleaseSet
from models.scans import ImageReport
from models.watch_tables import BatchRow
from models.watching import BatchStatus, ExposureChange
from scanning.advisories import AdvisoryStore
from scanning.shipments import known_of, shipment_of
from store import batches, classes, exposures, waivers, watching
from store.blobs import Blobs
from store.database import Database
from store.exposures import Dispensations, Scope

T = TypeVar("T")

#: changes that a publication tells its product at once; a history is no place for more
MOST_TOLD = 200
#: rows of each table that are forgotten in one transaction
_FORGOTTEN = 5_000


class Answer(NamedTuple):
    """What the advisories say of units. `mark` is the store's before it was asked: at least that was known."""

    mark: int
    known: dict[Unit, tuple[Known, ...]]


class Release(NamedTuple):
    """What is live from now on: where each image lies, and the stored reports of the images."""

    product: str
    publisher: str
    digest: str
    berths: tuple[Berth, ...]
    reports: Sequence[str]


class Difference(NamedTuple):
    """What a release changes: `changes` are for the product's process, `total` is the number of all."""

    changes: tuple[ExposureChange, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Lookout:
    database: Database
    blobs: Blobs
    advisories: AdvisoryStore
    policy: PolicyInForce

    async def ask(self, units: Iterable[Unit]) -> Answer:
        """By the classes in force. Errors: ToolFailed."""
        mark = await asyncio.to_thread(self.advisories.mark)
        wanted = list(units)
        if not wanted:
            return Answer(mark, {})
        async with self.database.session() as session:
            classings = await classes.in_force(session)
        severity = self.policy.current().severity
        return Answer(mark, await asyncio.to_thread(known_of, self.advisories, wanted, severity, classings))

    async def shipments(self, reports: Iterable[str]) -> list[Shipment]:
        """A report that is lost is the operators' matter: what it says of its image cannot be guessed."""
        try:
            return [
                await asyncio.to_thread(shipment_of, await self.blobs.get_message(ImageReport, digest), digest)
                for digest in reports
            ]
        except NotFound as lost:
            raise ToolFailed(f"A stored report is lost: restore it from a backup. {lost}") from lost

    async def watch(self, release: Release, submission: str, batch: str) -> Difference:
        """The release is what is watched of the product from now on; how that changes what the product is exposed to.

        Watched again under the same `batch`, the changes are the same. Of very many only the first are returned: the
        next batch of advisories tells the others.
        """

        async def settle(session: AsyncSession, dispensed: Dispensations) -> Difference:
            settled = await exposures.settle(session, Scope(products=(release.product,)), batch, dispensed)
            if not settled.changed and await batches.find(session, batch) is None:
                return Difference((), 0)
            row = BatchRow(id=batch, status=BatchStatus.TELLING, submission=submission, begun_at=dispensed.now)
            await batches.begin(session, row)
            return await self._conclude(session, batch, release.product, dispensed.now)

        return await self._save(release, settle, batch)

    async def take_in(self, release: Release) -> None:
        """As `watch`, for what has been live for long: the next batch settles it, and tells what there is to tell."""

        async def leave_stale(session: AsyncSession, _: Dispensations) -> None:
            await watching.set_stale(session, [release.product], True)

        await self._save(release, leave_stale)

    async def replace(self, shipment: Shipment) -> None:
        """A newer report of a published image: the next batch looks at the products that ship it."""
        while True:
            async with self.database.session() as session:
                new = await watching.unmatched(session, shipment.units)
            answer = await self.ask(new)

            async def save(session: AsyncSession, answer: Answer = answer) -> bool:
                await watching.take_turn(session)
                if (await batches.latest_mark(session)).mark > answer.mark:
                    return False
                await watching.save_rescan(session, shipment, answer.known)
                return True

            with suppress(watching.Unasked):
                if await self.database.write(save):
                    return

    async def forget_unshipped(self) -> int:
        """What is in no published image any more need not be watched. Returns how many rows went, at most some."""

        async def forget(session: AsyncSession) -> int:
            await watching.take_turn(session)
            return await watching.forget_unshipped(session, _FORGOTTEN)

        return await self.database.write(forget)

    async def _save(
        self,
        release: Release,
        then: Callable[[AsyncSession, Dispensations], Awaitable[T]],
        batch: str = "",
    ) -> T:
        """In one transaction, by what is known as of the latest batch: asked again when one has come between."""
        shipped = await self.shipments(release.reports)
        units = {unit for shipment in shipped for unit in shipment.units}
        while True:
            now = datetime.now(UTC)
            async with self.database.session() as session:
                new = await watching.unmatched(session, units)
                given = await waivers.in_force(session, release.product, release.publisher, now)
            answer, dispensed = await self.ask(new), await self._dispensed(release, given, now)

            async def save(
                session: AsyncSession, answer: Answer = answer, dispensed: Dispensations = dispensed
            ) -> tuple[T] | None:
                await watching.take_turn(session)
                if (await batches.latest_mark(session)).mark > answer.mark:
                    return None
                await watching.save_release(
                    session,
                    product=release.product,
                    publisher=release.publisher,
                    release=release.digest,
                    berths=release.berths,
                    shipments=shipped,
                    known=answer.known,
                    batch=batch,
                    at=dispensed.now,
                )
                return (await then(session, dispensed),)

            with suppress(watching.Unasked):
                if (done := await self.database.write(save)) is not None:
                    return done[0]

    async def _conclude(self, session: AsyncSession, batch: str, product: str, now: datetime) -> Difference:
        """Told by the answer to the publication; mailed is only what has a clock: the publisher knows its findings."""
        row = await batches.matched(session, batch, None, now)
        changes = await batches.changes_of(session, batch, product)
        await batches.leave_unmailed(session, batch, now)
        if len(changes) <= MOST_TOLD:
            await batches.told(session, batch, [product], now)
            await batches.ended(session, batch, BatchStatus.TOLD, now)
        return Difference(changes[:MOST_TOLD], row.changes)

    async def _dispensed(self, release: Release, given: Sequence[Waiver], now: datetime) -> Dispensations:
        if not given:
            return Dispensations(now)
        return Dispensations(now, {release.product: (given, await self.blobs.get_message(ReleaseSet, release.digest))})


def berths_of(release: ReleaseSet, repositories: Mapping[str, str]) -> tuple[Berth, ...]:
    """`repositories` are the tiers' places in the hub's registry."""
    return tuple(
        Berth(image.digest, tier.tier, repositories.get(tier.tier, ""))
        for tier in release.tiers
        for tag in tier.tags
        for image in tag.platforms
    )
