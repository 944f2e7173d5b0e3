"""Scans: what is inside each image of a release set, and which advisories it matches."""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from temporalio import activity

from activities.errors import translated
from activities.heartbeats import Progress, heartbeats
from activities.policy import PolicyInForce
from activities.sources import Sources
from models.content import ContentManifest
from models.errors import PUBLISHERS_ERRORS, MalformedImage, NotFound
from models.images import ImageSource, ReleaseSet
from models.scans import ImageReport
from models.work import ImageOrder, ImageProblem, ImageScanned, ImagesToScan, IterationOrder
from registry.fetch import BlobCache, fetch_image
from scanning.advisories import AdvisoryStore
from scanning.scanner import Scanner
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
        """Images without a report under the advisories in force; equal digests of several tags are one image."""
        with translated():
            release = await self.blobs.get_message(ReleaseSet, order.release)
            scanner = self._scanner()
            snapshot, version = await asyncio.to_thread(self.advisories.snapshot), await scanner.version()
            images: dict[str, ImageOrder] = {}
            reports: list[str] = []
            async with self.database.session() as session:
                for tier in release.tiers:
                    for image in (platform for tag in tier.tags for platform in tag.platforms):
                        if image.digest in images:
                            continue
                        known = await scans.find(session, image.digest, image.platform, snapshot, version)
                        if known is not None and known.report not in reports:
                            reports.append(known.report)
                        if known is None:
                            images[image.digest] = ImageOrder(
                                submission=order.submission,
                                iteration=order.iteration,
                                content=order.content,
                                tier=tier.tier,
                                digest=image.digest,
                                platform=image.platform,
                                size=image.size,
                            )
            return ImagesToScan(images=tuple(images.values()), reports=tuple(reports))

    @activity.defn
    async def scan_image(self, order: ImageOrder) -> ImageScanned:
        """Fetch one image by digest, scan it, store the report. The publisher's problems are the answer."""
        with translated():
            async with heartbeats() as progress:
                try:
                    return ImageScanned(report=await self._scan(order, progress))
                except PUBLISHERS_ERRORS as problem:
                    return ImageScanned(problem=_problem(order, type(problem).__name__, str(problem)))

    async def _scan(self, order: ImageOrder, progress: Progress) -> str:
        source = await self._source(order)
        self.work.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{order.submission}-{order.iteration}-", dir=self.work))
        try:
            # what is below it can be handed to the user that trivy runs as
            folder.chmod(0o711)
            report = await self._look(order, source, folder, progress)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        digest = await self.blobs.put_message(report)
        async with self.database.transaction() as session:
            await scans.save(session, report, digest)
        return digest

    async def _look(self, order: ImageOrder, source: ImageSource, folder: Path, progress: Progress) -> ImageReport:
        scanner = self._scanner()
        layout = await self._fetch(order, source, folder / "layout", progress)
        try:
            return await scanner.scan(layout, order.platform, progress.says)
        except MalformedImage:
            # a blob may have been damaged in the cache since it was verified: the publisher is told of what was
            # fetched anew
            await asyncio.to_thread(self._forget, layout)
            layout = await self._fetch(order, source, folder / "again", progress)
            return await scanner.scan(layout, order.platform, progress.says)

    async def _fetch(self, order: ImageOrder, source: ImageSource, folder: Path, progress: Progress) -> Path:
        async with self.sources.open(source) as opened:
            return await fetch_image(
                opened,
                order.digest,
                folder,
                self.policy.current().limits,
                cache=self.cache,
                progress=lambda done, total: progress.says(f"fetched {done:,} of {total:,} bytes"),
            )

    def _forget(self, layout: Path) -> None:
        for blob in (layout / "blobs" / "sha256").iterdir():
            self.cache.path(f"sha256:{blob.name}").unlink(missing_ok=True)

    async def _source(self, order: ImageOrder) -> ImageSource:
        async with self.database.session() as session:
            manifest = await contents.find(session, ContentManifest, order.content)
        if manifest is None:
            raise RowMissing(f"Content manifest {order.content} is not in the database.")
        for tier in manifest.tiers:
            if tier.name == order.tier and tier.source is not None:
                return tier.source
        raise NotFound(f"The content manifest has no source for the tier {order.tier}.")

    def _scanner(self) -> Scanner:
        """Made anew for each scan: the classes and limits are those of the policy in force."""
        policy = self.policy.current()
        return Scanner(
            self.advisories, policy.severity, policy.limits, self.work, self.scanner_cache, self.scan_seconds
        )


def _problem(order: ImageOrder, error: str, message: str) -> ImageProblem:
    return ImageProblem(digest=order.digest, platform=order.platform, tier=order.tier, error=error, message=message)
