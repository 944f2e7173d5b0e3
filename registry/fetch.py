"""One image of one platform, fetched into an OCI layout folder for the scanner."""

import asyncio
import errno
import json
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from models.errors import MalformedImage
from models.policy import ImageLimits
from registry.manifests import Descriptor, require_image, require_within
from registry.sources import Source

Progress = Callable[[int, int], None]

#: bytes that are written at once: a thread for every little chunk costs more than the writing
_AT_ONCE = 2**20


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What a trim deleted and left, in bytes."""

    deleted: int = 0
    deleted_bytes: int = 0
    left_bytes: int = 0


class BlobCache:
    """Blobs that were fetched already, by digest: the layers that images share are fetched once.

    Only verified bytes come in, under a name of their own first. Links instead of copies: a layout costs no space, and
    a blob that is trimmed while somebody reads it stays until the reader has done with it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._fetching: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def path(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        return self.folder / name[:2] / name

    def turn(self, digest: str) -> asyncio.Lock:
        """Who fetches this blob; the others wait and find it. Within one process: two processes fetch twice."""
        return self._fetching.setdefault(digest, asyncio.Lock())

    def link_to(self, digest: str, target: Path) -> bool:
        """Put the blob at `target` if it is here; being used keeps it from being trimmed."""
        path = self.path(digest)
        try:
            os.utime(path)
            _link(path, target)
        except FileNotFoundError:
            return False
        return True

    def keep(self, digest: str, source: Path) -> None:
        path = self.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        _link(source, temporary)
        temporary.replace(path)

    def trim(self, most_bytes: int, *, dry_run: bool = False) -> Trimmed:
        """Delete what was unused for longest until no more than `most_bytes` are left. A dry run only says what."""
        found: list[tuple[float, int, Path]] = []
        for path in self.folder.glob("??/*"):
            try:
                stat = path.lstat()
            except FileNotFoundError:  # trimmed by somebody else while we look
                continue
            found.append((stat.st_mtime, stat.st_size, path))
        left = sum(size for _, size, _ in found)
        deleted = freed = 0
        for _, size, path in sorted(found):
            if left - freed <= most_bytes:
                break
            if not dry_run:
                path.unlink(missing_ok=True)
            deleted += 1
            freed += size
        return Trimmed(deleted=deleted, deleted_bytes=freed, left_bytes=left - freed)


def _link(source: Path, target: Path) -> None:
    """A copy where a link cannot be: across file systems, or on one without links."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copyfile(source, target)


async def fetch_image(
    source: Source,
    digest: str,
    folder: Path,
    limits: ImageLimits,
    cache: BlobCache | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write the image as a layout with exactly one manifest and return its folder. Sizes in bytes.

    Errors: those of PUBLISHERS_ERRORS, ToolFailed.
    """
    manifest = require_image(await source.manifest(digest))
    total = require_within(manifest, limits) + manifest.config.size
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    done = 0
    for blob in dict.fromkeys((manifest.config, *manifest.layers)):
        await _fetch(source, blob, blobs / blob.digest.removeprefix("sha256:"), cache)
        done += blob.size
        if progress is not None:
            progress(done, total)
    (blobs / manifest.digest.removeprefix("sha256:")).write_bytes(manifest.content)
    entry = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": len(manifest.content)}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return folder


async def _fetch(source: Source, blob: Descriptor, target: Path, cache: BlobCache | None) -> None:
    if target.exists():  # an image may have one layer twice, or name it as its config
        return
    if cache is None:
        await _download(source, blob, target)
        return
    async with cache.turn(blob.digest):
        if not await asyncio.to_thread(cache.link_to, blob.digest, target):
            await _download(source, blob, target)
            await asyncio.to_thread(cache.keep, blob.digest, target)
    if target.stat().st_size != blob.size:  # somebody else's image has said it rightly
        raise MalformedImage(f"Blob {blob.digest} does not have the {blob.size:,} bytes that its manifest says.")


async def _download(source: Source, blob: Descriptor, target: Path) -> None:
    temporary = target.with_suffix(".part")
    with temporary.open("wb") as file:
        waiting = bytearray()
        async for chunk in source.blob(blob.digest, blob.size):
            waiting += chunk
            if len(waiting) >= _AT_ONCE:
                await asyncio.to_thread(file.write, bytes(waiting))
                waiting.clear()
        file.write(waiting)
    temporary.replace(target)
