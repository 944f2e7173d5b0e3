"""What is inside one image, wherever it lies: fetched, scanned, and nothing left behind."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from activities.heartbeats import Progress
from activities.policy import PolicyInForce
from models.errors import MalformedImage
from models.scans import ImageReport
from registry.fetch import BlobCache, fetch_image
from registry.sources import Source
from scanning.advisories import AdvisoryStore
from scanning.scanner import Scanner

Opens = Callable[[], AbstractAsyncContextManager[Source]]


@dataclass(frozen=True, slots=True)
class ImageScans:
    policy: PolicyInForce
    advisories: AdvisoryStore
    work: Path
    cache: BlobCache
    scanner_cache: Path
    scan_seconds: float

    def scanner(self) -> Scanner:
        """Made anew for each scan: the classes and limits are those of the policy in force."""
        policy = self.policy.current()
        return Scanner(
            self.advisories, policy.severity, policy.limits, self.work, self.scanner_cache, self.scan_seconds
        )

    async def report(self, opens: Opens, digest: str, platform: str, name: str, progress: Progress) -> ImageReport:
        """Fetch the image by digest and scan it. `name` is for the folder that it lies in meanwhile.

        Errors: PUBLISHERS_ERRORS, ToolFailed.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.work))
        try:
            # what is below it can be handed to the user that trivy runs as
            folder.chmod(0o711)
            return await self._look(opens, digest, platform, folder, progress)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _look(self, opens: Opens, digest: str, platform: str, folder: Path, progress: Progress) -> ImageReport:
        scanner = self.scanner()
        layout = await self._fetch(opens, digest, folder / "layout", progress)
        try:
            return await scanner.scan(layout, platform, progress.says)
        except MalformedImage:
            # a blob may have been damaged in the cache since it was verified: the publisher is told of what was
            # fetched anew
            await asyncio.to_thread(self._forget, layout)
            layout = await self._fetch(opens, digest, folder / "again", progress)
            return await scanner.scan(layout, platform, progress.says)

    async def _fetch(self, opens: Opens, digest: str, folder: Path, progress: Progress) -> Path:
        async with opens() as opened:
            return await fetch_image(
                opened,
                digest,
                folder,
                self.policy.current().limits,
                cache=self.cache,
                progress=lambda done, total: progress.says(f"fetched {done:,} of {total:,} bytes"),
            )

    def _forget(self, layout: Path) -> None:
        for blob in (layout / "blobs" / "sha256").iterdir():
            self.cache.path(f"sha256:{blob.name}").unlink(missing_ok=True)
