"""The watch: asks what has changed in the advisories, finds whom it concerns, and tells products and people, once."""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.errors import translated
from activities.heartbeats import Progress, heartbeats
from activities.lookout import Lookout, Release, berths_of
from activities.news import NewsDesk
from models.addresses import product_address
from models.errors import LONGEST_MESSAGE, NotFound, ToolFailed, WharfingerError
from models.exposures import Known
from models.images import ReleaseSet
from models.notices import NoticeKind
from models.tables import ProductRow
from models.watch_tables import BatchRow
from models.watching import BatchStatus, ExposureNews
from models.work import AdvisoryBatch, BatchOrder, Digested, DigestOrder, SyncDone, Told
from scanning.advisories import AdvisoryStore
from scanning.advisory_sync import sync
from scanning.cpe import CPE
from store import batches, classes, exposures, products, watching
from store.batches import Mark, ProductNews
from store.database import Database
from store.exposures import Pair, Scope

T = TypeVar("T")

log = structlog.get_logger(__name__)

#: changes in one signal: a payload of some 25 KB
_CHANGES_A_SIGNAL = 200
#: products that are told before it is written down that they were, and how many of them at a time
_PRODUCTS_A_PAGE, _AT_A_TIME = 100, 16
#: pairs of vulnerability and package, and products, that are settled in one transaction
_PAIRS, _PRODUCTS = 200, 50
#: pairs of the first transaction, and the exposures that one should look at: it holds up every other writer meanwhile
_FIRST_PAIRS, _EXPOSURES = 8, 50_000
#: units that are matched between two heartbeats
_UNITS = 2_000
#: with more names than this every component is looked through: a store that was just filled names everything
_MANY_NAMES = 20_000
#: clocks of hosts differ, and a transaction that is slow to commit has an earlier time than one that was seen
_SLACK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class WatchActivities:
    client: Client
    lookout: Lookout

    @property
    def database(self) -> Database:
        return self.lookout.database

    @property
    def news(self) -> NewsDesk:
        return NewsDesk(self.lookout.database, self.lookout.policy)

    # --- from the sources to a batch ------------------------------------------------------------------------------

    @activity.defn
    async def sync_advisories(self) -> SyncDone:
        """What has changed at the remembered sources is imported. A source that fails does not keep the others out."""
        with translated():
            async with heartbeats() as progress:
                done = await _in_thread(sync, self.lookout.advisories, progress)
                total = await asyncio.to_thread(self.lookout.advisories.count)
        return SyncDone(
            added=done.added,
            changed=done.changed,
            skipped=done.skipped,
            total=total,
            mark=done.mark,
            problem="; ".join(done.problems)[:LONGEST_MESSAGE],
        )

    @activity.defn
    async def rematch(self) -> AdvisoryBatch:
        """One batch to tell: one that was begun and not ended, or what has changed since the latest.

        Tried again after a worker died, it is the same batch.
        """
        with translated():
            async with heartbeats() as progress:
                await self._adopt(progress)
                own = _own_batch()
                async with self.database.session() as session:
                    begun = await batches.find(session, own) or await batches.unfinished(session)
                if begun is None or begun.status is BatchStatus.MATCHING:
                    begun = await self._match(begun, own, progress)
        if begun is None or begun.status in (BatchStatus.TOLD, BatchStatus.DISMISSED):
            return AdvisoryBatch()
        return AdvisoryBatch(
            id=begun.id,
            mark_before=begun.mark_before,
            mark_after=begun.mark_after,
            names=begun.names,
            products=begun.products,
            mass=begun.mass,
        )

    async def _adopt(self, progress: Progress) -> None:
        """Products that were published before there was a watch are watched from now on."""
        last = ""
        while True:
            async with self.database.session() as session:
                found = await watching.unwatched(session, last, _PRODUCTS)
            for product in found:
                progress.says(f"taking in {product.id}")
                try:
                    await self._take_in(product)
                except WharfingerError as trouble:
                    log.warning("a product cannot be watched", product=product.id, trouble=str(trouble))
            if len(found) < _PRODUCTS:
                return
            last = found[-1].id

    async def _take_in(self, product: ProductRow) -> None:
        async with self.database.session() as session:
            reports = await watching.reports_of(session, product.id, product.release)
            images = await products.images_of_release(session, product.id, product.release)
        if not reports or not images:
            raise NotFound("It has no reports, or nothing in the registry.")
        release = await self.lookout.blobs.get_message(ReleaseSet, product.release)
        references = {image["tier"]: image["reference"].rpartition(":")[0] for image in images}
        live = Release(product.id, product.publisher, product.release, berths_of(release, references), reports)
        await self.lookout.take_in(live)

    async def _match(self, begun: BatchRow | None, own: str, progress: Progress) -> BatchRow | None:
        now, policy = datetime.now(UTC), self.lookout.policy.current()
        severity = policy.severity
        of_classes = f"{severity.critical}/{severity.major}/{severity.minor}"
        async with self.database.session() as session:
            latest = await batches.latest_mark(session, before=begun)
            since = latest.at - _SLACK if latest.at else None
            stale = await exposures.stale_products(session, since, now)
            classed = await classes.changed_since(session, since) if since else ()
        names, mark = await self._names(latest, of_classes, classed)
        if begun is None and not stale and not classed and mark == latest.mark and names is not None:
            return None
        row = begun or BatchRow(id=own, mark_before=latest.mark, begun_at=now)
        row = row.model_copy(update={"mark_after": mark, "classes": of_classes, "names": len(names or ())})
        await self.database.write(lambda session: batches.begin(session, row))
        await self._ask_again(names, row.id, progress)
        async with self.database.session() as session:
            pairs = await exposures.pairs_of(session, row.id)
        await self._settle(row.id, pairs, stale, now, progress)
        mass_above = policy.watch.mass_change_products

        async def conclude(session: AsyncSession) -> BatchRow:
            await batches.forget_gone(session, row.id)
            return await batches.matched(session, row.id, mass_above, now)

        return await self.database.write(conclude)

    async def _names(
        self, latest: Mark, of_classes: str, classed: Collection[str]
    ) -> tuple[set[tuple[str, str]] | None, int]:
        """(ecosystem, name) of what has to be matched again, and the store's mark; None for everything there is."""
        changes = await asyncio.to_thread(self.lookout.advisories.changes_after, latest.mark)
        # other classes make other severities; a store that has gone back is another store
        if latest.at is None or latest.classes != of_classes or changes.mark < latest.mark:
            return None, changes.mark
        names = set(changes.names) | {(CPE, f"{vendor}:{product}") for vendor, product in changes.products}
        if len(names) > _MANY_NAMES:
            return None, changes.mark
        async with self.database.session() as session:
            return names | await watching.names_with(session, classed), changes.mark

    async def _ask_again(self, names: set[tuple[str, str]] | None, batch: str, progress: Progress) -> None:
        async with self.database.session() as session:
            units = await watching.units_named(session, names)
        done = 0
        for some in watching.in_parts(units, _UNITS):
            answer = await self.lookout.ask(unit for _, unit in some)
            await self._put_known({number: answer.known[unit] for number, unit in some}, batch)
            done += len(some)
            progress.says(f"matched {done:,} of {len(units):,} components")

    async def _put_known(self, found: Mapping[int, Sequence[Known]], batch: str) -> None:
        await self.database.write(lambda session: watching.put_known(session, found, batch))

    async def _settle(
        self, batch: str, pairs: Sequence[Pair], stale: Sequence[str], now: datetime, progress: Progress
    ) -> None:
        """In transactions of a bearable size: a package that every product has is one alone, of others one has many."""
        done, size = 0, _FIRST_PAIRS
        while done < len(pairs):
            some = pairs[done : done + size]
            seen = await self._settled(batch, Scope(pairs=tuple(some)), now)
            done += len(some)
            size = max(1, min(_PAIRS, 4 * size, size * _EXPOSURES // max(seen, 1)))
            progress.says(f"settled {done:,} of {len(pairs):,} vulnerabilities of packages")
        for place, named in enumerate(watching.in_parts(stale, _PRODUCTS), 1):
            await self._settled(batch, Scope(products=tuple(named)), now)
            progress.says(f"settled {min(place * _PRODUCTS, len(stale)):,} of {len(stale):,} products as a whole")

    async def _settled(self, batch: str, scope: Scope, now: datetime) -> int:
        """How many exposures were looked at."""
        async with self.database.session() as session:
            dispensed = await exposures.dispensations(session, self.lookout.blobs, scope, now)

        async def work(session: AsyncSession) -> int:
            await watching.take_turn(session)
            settled = await exposures.settle(session, scope, batch, dispensed)
            if scope.products:
                await watching.set_stale(session, scope.products, False)
            return settled.seen

        return await self.database.write(work)

    # --- from a batch to products and people ------------------------------------------------------------------------

    @activity.defn
    async def tell_products(self, order: BatchOrder) -> Told:
        """At least once: a signal that comes again has the same id. Then the mails, once: the rows note them."""
        with translated():
            async with heartbeats() as progress:
                return await self._tell(order, BatchStatus.TOLD, progress)

    @activity.defn
    async def dismiss_batch(self, order: BatchOrder) -> Told:
        """Nobody is told what is new in it; what it takes back is told all the same, as that is no penalty."""
        with translated():
            async with heartbeats() as progress:
                now = datetime.now(UTC)
                await self.database.write(lambda session: batches.dismiss(session, order.batch, now))
                return await self._tell(order, BatchStatus.DISMISSED, progress)

    async def _tell(self, order: BatchOrder, end: BatchStatus, progress: Progress) -> Told:
        await self.database.write(lambda session: batches.decided(session, order.batch, order.actor, order.reason))
        told = changes = 0
        while True:
            async with self.database.session() as session:
                row = await batches.get(session, order.batch)
                news = await batches.to_tell(session, order.batch, _PRODUCTS_A_PAGE)
            if not news:
                break
            await self._signal_all(order.batch, news)
            told, changes = told + len(news), changes + sum(len(each.changes) for each in news)
            progress.says(f"told {told:,} of {row.products:,} products")
        progress.says("writing mails")
        await self.news.of_batch(order.batch)
        await self.database.write(lambda session: batches.ended(session, order.batch, end, datetime.now(UTC)))
        return Told(products=told, changes=changes)

    async def _signal_all(self, batch: str, news: Sequence[ProductNews]) -> None:
        now = datetime.now(UTC)
        for some in watching.in_parts(news, _AT_A_TIME):
            await asyncio.gather(*(self._signal(batch, each, now) for each in some))
        products = [each.product for each in news]
        await self.database.write(lambda session: batches.told(session, batch, products, now))

    async def _signal(self, batch: str, news: ProductNews, at: datetime) -> None:
        """A product whose process the server does not know is left out: whoever restores it starts it anew."""
        handle = self.client.get_workflow_handle(product_address(news.product))
        policy = self.lookout.policy.current()
        for part, changes in enumerate(watching.in_parts(news.changes, _CHANGES_A_SIGNAL)):
            told = ExposureNews(
                id=f"{batch}/{part}" if part else batch,
                release=news.release,
                at=at,
                changes=tuple(changes),
                clocks=policy.remediation,
                watch=policy.watch,
            )
            try:
                await handle.signal("exposures", told)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                log.warning("the product's process is gone", product=news.product, batch=batch)

    @activity.defn
    async def digest_notices(self, order: DigestOrder) -> Digested:
        """The day's mail to every publisher that has something to read. Ordered again of the same day, nobody gets two:
        what came since is the next day's."""
        occasion = f"digest-{order.at.astimezone(UTC):%Y-%m-%d}"
        told = mails = 0
        with translated():
            async with heartbeats() as progress:
                async with self.database.session() as session:
                    publishers = await batches.unmailed_publishers(session)
                for publisher in publishers:
                    written = await self.news.to_publisher(publisher, NoticeKind.VULNERABILITY_DIGEST, occasion)
                    told, mails = told + bool(written), mails + written
                    progress.says(f"{told:,} of {len(publishers):,} publishers")
                await self.database.write(batches.note_mailed)
        return Digested(publishers=told, notices=mails)


def _own_batch() -> str:
    """The same for every attempt of this activity: a batch that an earlier one has made is found again."""
    info = activity.info()
    return hashlib.sha256(f"{info.workflow_run_id}/{info.activity_id}".encode()).hexdigest()[:16]


async def _in_thread(
    work: Callable[[AdvisoryStore, Callable[[str], None]], T], store: AdvisoryStore, progress: Progress
) -> T:
    """A cancellation ends the thread's work, too: what it was importing is not kept."""
    stop = threading.Event()

    def says(words: str) -> None:
        if stop.is_set():
            raise ToolFailed("The synchronization was cancelled.")
        progress.says(words)

    try:
        return await asyncio.to_thread(work, store, says)
    finally:
        stop.set()
