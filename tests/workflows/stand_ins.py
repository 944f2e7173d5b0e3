"""What stands in for the scanner and the hub's registry, which have tests of their own: the same activities by name."""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from temporalio import activity

from models.findings import Severity
from models.images import ImageFacts, ReleaseSet
from models.products import PublicationOrder
from models.scans import ImageReport, Scanner, Vulnerability
from models.work import (
    ImageOrder,
    ImageProblem,
    ImageScanned,
    ImagesToScan,
    IterationOrder,
    ListingOrder,
    PublicationDone,
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
    #: whether a publication that is cancelled goes through all the same
    deaf: bool = False
    published: list[PublicationOrder] = field(default_factory=list)
    listed: list[ListingOrder] = field(default_factory=list)

    def reset(self) -> None:
        """Nothing was ever brought here."""
        self.problem, self.deaf = "", False
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
        return PublicationDone(images=1)

    @activity.defn
    async def apply_listing(self, order: ListingOrder) -> None:
        if self.failures:
            raise self.failures.popleft()
        self.listed.append(order)
