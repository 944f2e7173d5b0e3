"""OCI layout folders (image-spec 1.1) as sources."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from models.errors import ImageNotFound, ImageTooLarge, MalformedImage, UnsupportedImage
from models.policy import ImageLimits
from registry.client import verified
from registry.manifests import Descriptor, Manifest, loads, parse_manifest, read_descriptor
from registry.references import is_digest, require_tag

_CHUNK = 2**20
#: of a layout's tags, how many a message names
_NAMED = 10


class LayoutSource:
    """A folder with `oci-layout`, `index.json` and `blobs/`. Nothing outside the folder is read."""

    def __init__(self, folder: Path, limits: ImageLimits, name: str = "") -> None:
        """`name` is what messages call it."""
        self.folder = folder.resolve()
        self._limits = limits
        self._name = name or f"oci:{self.folder.name}"

    def __str__(self) -> str:
        return self._name

    async def manifest(self, reference: str) -> Manifest:
        require_tag(reference)
        said, content = await asyncio.to_thread(self._read, reference)
        manifest = parse_manifest(content, said.media_type)
        if manifest.digest != said.digest:
            raise MalformedImage(f"{self}: the blob {said.digest} has other bytes than its name says.")
        return manifest

    async def tags(self) -> list[str]:
        """The tag alone, where a tool has written the whole name."""
        return [_tag(entry) for entry in await asyncio.to_thread(self._index) if entry.reference]

    async def blob(self, digest: str, size: int) -> AsyncIterator[bytes]:
        async for chunk in verified(self._chunks(self._blob(digest)), digest, size):
            yield chunk

    async def _chunks(self, path: Path) -> AsyncIterator[bytes]:
        try:
            with path.open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, _CHUNK):
                    yield chunk
                    if len(chunk) < _CHUNK:  # the end: another look would wake a thread for nothing
                        return
        except OSError as error:
            raise ImageNotFound(f"{self}: the blob {path.name} cannot be read: {error.strerror}.") from error

    def _read(self, reference: str) -> tuple[Descriptor, bytes]:
        said = self._find(reference)
        return said, self._small(self._blob(said.digest), self._limits.manifest_bytes)

    def _find(self, reference: str) -> Descriptor:
        if is_digest(reference):
            known = next((entry for entry in self._index() if entry.digest == reference), None)
            return known or Descriptor(reference, 0, "")
        entries = [entry for entry in self._index() if entry.reference]
        found = [entry for entry in entries if entry.reference == reference]
        found = found or [entry for entry in entries if _tag(entry) == reference]
        if len({entry.digest for entry in found}) > 1:
            names = ", ".join(entry.reference for entry in found[:_NAMED])
            raise UnsupportedImage(f"{self} has several images for the tag {reference} ({names}): save one alone.")
        if not found:
            there = ", ".join(sorted({_tag(entry)[:128] for entry in entries})[:_NAMED]) or "none"
            raise ImageNotFound(f"There is no tag {reference} in {self}; tags that it has: {there}.")
        return found[0]

    def _index(self) -> list[Descriptor]:
        path = self._inside(self.folder / "index.json")
        if not path.is_file():
            raise ImageNotFound(f"{self} is no OCI layout: it has no index.json.")
        document = loads(self._small(path, self._limits.manifest_bytes), f"index.json of {self}")
        entries = document.get("manifests") if isinstance(document, dict) else None
        if not isinstance(entries, list):
            raise MalformedImage(f"{self}: index.json has no list of manifests.")
        return [read_descriptor(entry, "manifest") for entry in entries]

    def _blob(self, digest: str) -> Path:
        if not is_digest(digest):
            raise MalformedImage(f"{digest[:80]!r} is no sha256 digest.")
        path = self._inside(self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:"))
        if not path.is_file():
            raise ImageNotFound(f"{self} has no blob {digest}: the layout is not complete.")
        return path

    def _inside(self, path: Path) -> Path:
        """A link in the folder must not lead out of it."""
        try:
            found = path.resolve()
        except (OSError, RuntimeError) as error:  # links in a circle
            raise MalformedImage(f"{self}: {path.name} leads nowhere.") from error
        if not found.is_relative_to(self.folder):
            raise MalformedImage(f"{self}: {path.name} leads out of the folder.")
        return found

    def _small(self, path: Path, most: int) -> bytes:
        try:
            with path.open("rb") as file:
                content = file.read(most + 1)
        except OSError as error:
            raise ImageNotFound(f"{self}: {path.name} cannot be read: {error.strerror}.") from error
        if len(content) > most:
            raise ImageTooLarge(f"{self}: {path.name} has more than {most:,} bytes.")
        return content


def _tag(entry: Descriptor) -> str:
    """Some tools write the whole name, others the tag alone."""
    return entry.reference.rpartition(":")[2]
