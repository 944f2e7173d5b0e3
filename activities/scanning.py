"""Scans: what is inside each image of a release set, and which advisories it matches."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from temporalio import activity

from activities.errors import translated
from activities.heartbeats import Progress, heartbeats
from activities.hub_knowledge import HubKnowledge
from activities.image_scans import ImageScans
from activities.policy import PolicyInForce
from activities.sources import Sources
from models.content import ContentManifest
from models.errors import PUBLISHERS_ERRORS, NotFound
from models.images import ImageSource, ReleaseSet
from models.scans import ImageReport
from models.work import ImageOrder, ImageProblem, ImageScanned, ImagesToScan, IterationOrder
from registry.fetch import BlobCache
from scanning.advisories import AdvisoryStore
from store import contents, scans
from store.blobs import Blobs
from store.database import Database, RowMissing


@dataclass(frozen=True, slots=True)
class ScanActivities:
    database: Database
    blobs: Blobs
    sources: Sources
    policy: PolicyInForce
    advisories: AdvisoryStore
    work: Path
    cache: BlobCache
    scanner_cache: Path
    scan_seconds: float

    @activity.defn
    async def images_to_scan(self, order: IterationOrder) -> ImagesToScan:
        """Images without a report under the advisories in force; equal digests of several tags are one image.

        A report that is there already is brought up to the bases and classes of now: that needs no scan.
        """
        with translated():
            release = await self.blobs.get_message(ReleaseSet, order.release)
            scanner = self.images.scanner()
            snapshot, version = await asyncio.to_thread(self.advisories.snapshot), await scanner.version()
            images: dict[str, ImageOrder] = {}
            stored: dict[str, datetime] = {}
            async with self.database.session(brief=True) as session:
                for tier in release.tiers:
                    for image in (platform for tag in tier.tags for platform in tag.platforms):
                        if image.digest in images:
                            continue
                        known = await scans.find(session, image.digest, image.platform, snapshot, version)
                        if known is not None:
                            stored.setdefault(known.report, known.at)
                        else:
                            images[image.digest] = ImageOrder(
                                submission=order.submission,
                                iteration=order.iteration,
                                content=order.content,
                                tier=tier.tier,
                                digest=image.digest,
                                platform=image.platform,
                                size=image.size,
                            )
            return ImagesToScan(images=tuple(images.values()), reports=await self._up_to_date(stored))

    @activity.defn
    async def scan_image(self, order: ImageOrder) -> ImageScanned:
        """Fetch one image by digest, scan it, store the report. The publisher's problems are the answer."""
        with translated():
            async with heartbeats() as progress:
                try:
                    return ImageScanned(report=await self._scan(order, progress))
                except PUBLISHERS_ERRORS as problem:
                    return ImageScanned(problem=_problem(order, type(problem).__name__, str(problem)))

    async def _up_to_date(self, stored: dict[str, datetime]) -> tuple[str, ...]:
        """Reports (digest -> when it was made) as they stand now, by digest."""
        if not stored:
            return ()
        knowledge = self._knowledge()
        changed_at = await knowledge.changed_at()
        return tuple(
            [
                digest if changed_at is None or changed_at < at else await self._told(digest, knowledge)
                for digest, at in stored.items()
            ]
        )

    async def _told(self, digest: str, knowledge: HubKnowledge) -> str:
        report = await self.blobs.get_message(ImageReport, digest)
        told = await knowledge.applied_to(report)
        return digest if told == report else await self._keep(told)

    async def _scan(self, order: ImageOrder, progress: Progress) -> str:
        source = await self._source(order)
        name = f"{order.submission}-{order.iteration}"
        report = await self.images.report(
            lambda: self.sources.open(source), order.digest, order.platform, name, progress
        )
        progress.says("comparing with the known base images")
        return await self._keep(await self._knowledge().applied_to(report))

    async def _keep(self, report: ImageReport) -> str:
        digest = await self.blobs.put_message(report)
        async with self.database.transaction(brief=True) as session:
            await scans.save(session, report, digest)
        return digest

    async def _source(self, order: ImageOrder) -> ImageSource:
        async with self.database.session(brief=True) as session:
            manifest = await contents.find(session, ContentManifest, order.content)
        if manifest is None:
            raise RowMissing(f"Content manifest {order.content} is not in the database.")
        for tier in manifest.tiers:
            if tier.name == order.tier and tier.source is not None:
                return tier.source
        raise NotFound(f"The content manifest has no source for the tier {order.tier}.")

    def _knowledge(self) -> HubKnowledge:
        return HubKnowledge(self.database, self.blobs, self.advisories, self.policy.current().severity)

    @property
    def images(self) -> ImageScans:
        return ImageScans(self.policy, self.advisories, self.work, self.cache, self.scanner_cache, self.scan_seconds)


def _problem(order: ImageOrder, error: str, message: str) -> ImageProblem:
    return ImageProblem(digest=order.digest, platform=order.platform, tier=order.tier, error=error, message=message)
