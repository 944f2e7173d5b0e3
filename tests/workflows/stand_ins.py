"""What stands in for the scanner and the hub's registry, which have tests of their own: the same activities by name."""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from temporalio import activity
from temporalio.client import Client

from models.addresses import product_address
from models.findings import Severity
from models.images import ImageFacts, ReleaseSet
from models.products import PublicationOrder
from models.scans import ImageReport, Scanner, Vulnerability
from models.tables import ProductRow
from models.watching import ExposureChange, ExposureNews
from models.work import (
    AdvisoryBatch,
    BatchOrder,
    Digested,
    DigestOrder,
    ImageOrder,
    ImageProblem,
    ImageScanned,
    ImagesToScan,
    IterationOrder,
    ListingOrder,
    PublicationDone,
    Rescanned,
    RescanOrder,
    RescanPlan,
    SyncDone,
    Told,
)
from store import products
from store.blobs import Blobs
from store.database import Database

_SCANNER = Scanner(name="stored", version="1", advisory_snapshot="sha256:none", at=datetime(2026, 3, 2, tzinfo=UTC))


def weakness(id_: str, severity: Severity, fixed_version: str = "2.0") -> Vulnerability:
    return Vulnerability(
        id=id_,
        advisory=id_,
        purl="pkg:pypi/crane@1.0",
        component="crane",
        version="1.0",
        severity=severity,
        fixed_version=fixed_version,
    )


@dataclass
class Gate:
    """Open unless a test has shut it: `arrived` says that somebody waits at it."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    def shut(self) -> None:
        self.open.clear()
        self.arrived.clear()

    async def passed(self) -> None:
        self.arrived.set()
        while not self.open.is_set():
            activity.heartbeat()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.open.wait(), 0.1)


@dataclass
class StoredScans:
    """Answers with a stored report. `weaknesses` are found in every image that is scanned from now on."""

    blobs: Blobs
    weaknesses: tuple[Vulnerability, ...] = ()
    problem: str = ""
    gate: Gate = field(default_factory=Gate)
    #: raised by the next scans, one each
    failures: deque[Exception] = field(default_factory=deque)
    begun: list[ImageOrder] = field(default_factory=list)
    scanned: list[ImageOrder] = field(default_factory=list)
    cancelled: list[ImageOrder] = field(default_factory=list)

    def reset(self) -> None:
        """Nothing was ever scanned."""
        self.weaknesses, self.problem = (), ""
        self.failures.clear()
        self.begun.clear()
        self.scanned.clear()
        self.cancelled.clear()
        self.gate.open.set()

    @activity.defn
    async def images_to_scan(self, order: IterationOrder) -> ImagesToScan:
        release = await self.blobs.get_message(ReleaseSet, order.release)
        images = [
            ImageOrder(
                submission=order.submission,
                iteration=order.iteration,
                content=order.content,
                tier=tier.tier,
                digest=image.digest,
                platform=image.platform,
                size=image.size,
            )
            for tier in release.tiers
            for tag in tier.tags
            for image in tag.platforms
        ]
        return ImagesToScan(images=tuple(images))

    @activity.defn
    async def scan_image(self, order: ImageOrder) -> ImageScanned:
        self.begun.append(order)
        try:
            await self.gate.passed()
        except asyncio.CancelledError:
            self.cancelled.append(order)
            raise
        if self.failures:
            raise self.failures.popleft()
        self.scanned.append(order)
        if self.problem:
            problem = ImageProblem(
                digest=order.digest,
                platform=order.platform,
                tier=order.tier,
                error="MalformedImage",
                message=self.problem,
            )
            return ImageScanned(problem=problem)
        facts = ImageFacts(
            platform=order.platform, digest=order.digest, config_digest="sha256:config", size=order.size, user="10001"
        )
        report = ImageReport(scanner=_SCANNER, facts=facts, vulnerabilities=self.weaknesses)
        return ImageScanned(report=await self.blobs.put_message(report))


@dataclass
class Quay:
    """Takes the place of the hub's registry, and keeps what was brought there, in order."""

    database: Database
    #: why no publication can succeed
    problem: str = ""
    gate: Gate = field(default_factory=Gate)
    failures: deque[Exception] = field(default_factory=deque)
    #: how the vulnerabilities of the next version differ from those of the one before
    changes: tuple[ExposureChange, ...] = ()
    #: whether a publication that is cancelled goes through all the same
    deaf: bool = False
    published: list[PublicationOrder] = field(default_factory=list)
    listed: list[ListingOrder] = field(default_factory=list)

    def reset(self) -> None:
        """Nothing was ever brought here."""
        self.problem, self.deaf, self.changes = "", False, ()
        self.failures.clear()
        self.published.clear()
        self.listed.clear()
        self.gate.open.set()

    @activity.defn
    async def publish(self, order: PublicationOrder) -> PublicationDone:
        try:
            await self.gate.passed()
        except asyncio.CancelledError:
            if not self.deaf:
                raise
        if self.failures:
            raise self.failures.popleft()
        if self.problem:
            return PublicationDone(problem=self.problem)
        self.published.append(order)
        async with self.database.transaction() as session:
            product = await products.of_submission(session, order.submission)
            await products.save_publication(
                session,
                submission=order.submission,
                product=product.id,
                release=order.release,
                content=order.content,
                images=[{"tier": "Free", "reference": "hub.example/crane:1.0", "digest": order.release}],
                at=datetime.now(UTC),
            )
        return PublicationDone(images=1, changes=self.changes)

    @activity.defn
    async def apply_listing(self, order: ListingOrder) -> None:
        if self.failures:
            raise self.failures.popleft()
        self.listed.append(order)


@dataclass
class Lookout:
    """Takes the place of the advisories: what a test says of products is matched, told and dismissed by batch."""

    client: Client
    database: Database
    #: why a source cannot be read
    problem: str = ""
    failures: deque[Exception] = field(default_factory=deque)
    #: batch -> product -> what is new of it; those that nobody has been told of yet
    batches: dict[AdvisoryBatch, dict[str, tuple[ExposureChange, ...]]] = field(default_factory=dict)
    told: list[BatchOrder] = field(default_factory=list)
    dismissed: list[BatchOrder] = field(default_factory=list)
    digests: list[DigestOrder] = field(default_factory=list)
    #: ids of the batches that wait in their own process
    _waiting: set[str] = field(default_factory=set)
    #: images of the hub's registry that an older scanner has seen, and those that cannot be scanned
    outdated: list[RescanOrder] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def reset(self) -> None:
        """Nothing was ever said."""
        self.problem = ""
        for kept in (self.failures, self.batches, self.told, self.dismissed, self.digests, self._waiting):
            kept.clear()
        self.outdated.clear()
        self.broken.clear()

    def says(self, batch: str, changes: dict[str, tuple[ExposureChange, ...]], *, mass: bool = False) -> None:
        """The next look at the advisories finds this, by product."""
        self.batches[AdvisoryBatch(id=batch, names=1, products=len(changes), mass=mass)] = changes

    @activity.defn
    async def sync_advisories(self) -> SyncDone:
        if self.failures:
            raise self.failures.popleft()
        return SyncDone(added=1, total=1, mark=1, problem=self.problem)

    @activity.defn
    async def rematch(self) -> AdvisoryBatch:
        for batch in self.batches:
            if batch.id not in self._waiting:
                if batch.mass:
                    self._waiting.add(batch.id)
                return batch
        return AdvisoryBatch()

    @activity.defn
    async def tell_products(self, order: BatchOrder) -> Told:
        if self.failures:
            raise self.failures.popleft()
        batch = next(batch for batch in self.batches if batch.id == order.batch)
        changes = self.batches[batch]
        for product, news in changes.items():
            await self.tell(product, order.batch, news)
        del self.batches[batch]
        self.told.append(order)
        return Told(products=len(changes), changes=sum(map(len, changes.values())))

    async def tell(self, product: str, batch: str, changes: tuple[ExposureChange, ...]) -> None:
        async with self.database.session() as session:
            release = (await session.get_one(ProductRow, product)).release
        news = ExposureNews(id=batch, release=release, at=datetime.now(UTC), changes=changes)
        await self.client.get_workflow_handle(product_address(product)).signal("exposures", news)

    @activity.defn
    async def dismiss_batch(self, order: BatchOrder) -> Told:
        self.batches = {batch: changes for batch, changes in self.batches.items() if batch.id != order.batch}
        self.dismissed.append(order)
        return Told()

    @activity.defn
    async def digest_notices(self, order: DigestOrder) -> Digested:
        self.digests.append(order)
        return Digested(publishers=1, products=2, notices=3)

    @activity.defn
    async def rescan_plan(self) -> RescanPlan:
        return RescanPlan(images=tuple(self.outdated[:2]), left=len(self.outdated[2:]))

    @activity.defn
    async def rescan_image(self, order: RescanOrder) -> Rescanned:
        if order.image in self.broken:
            return Rescanned(problem="It cannot be read.")
        self.outdated.remove(order)
        return Rescanned(report="sha256:report")
