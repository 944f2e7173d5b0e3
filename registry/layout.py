"""OCI layout folders (image-spec 1.1) as sources."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

from models.errors import ImageNotFound, ImageTooLarge, MalformedImage
from models.policy import ImageLimits
from registry.client import verified
from registry.manifests import Descriptor, Manifest, parse_manifest, read_descriptor
from registry.references import is_digest, require_tag


class LayoutSource:
    """A folder with `oci-layout`, `index.json` and `blobs/`. Nothing outside the folder is read."""

    def __init__(self, folder: Path, limits: ImageLimits) -> None:
        self.folder = folder.resolve()
        self._limits = limits

    def __str__(self) -> str:
        return f"oci:{self.folder.name}"

    async def manifest(self, reference: str) -> Manifest:
        require_tag(reference)
        said = await asyncio.to_thread(self._find, reference)
        content = await asyncio.to_thread(self._small, self._blob(said.digest), self._limits.manifest_bytes)
        manifest = parse_manifest(content, said.media_type)
        if manifest.digest != said.digest:
            raise MalformedImage(f"{self}: the blob {said.digest} has other bytes than its name says.")
        return manifest

    async def tags(self) -> list[str]:
        return [entry.reference for entry in await asyncio.to_thread(self._index) if entry.reference]

    async def blob(self, digest: str, size: int) -> AsyncIterator[bytes]:
        path = self._blob(digest)

        async def chunks() -> AsyncIterator[bytes]:
            with path.open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, 2**20):
                    yield chunk

        async for chunk in verified(chunks(), digest, size):
            yield chunk

    def _find(self, reference: str) -> Descriptor:
        if is_digest(reference):
            known = next((entry for entry in self._index() if entry.digest == reference), None)
            return known or Descriptor(reference, 0, "")
        for entry in self._index():
            # some tools write the whole name here, others the tag alone
            if entry.reference == reference or entry.reference.endswith(f":{reference}"):
                return entry
        raise ImageNotFound(f"There is no tag {reference} in {self}.")

    def _index(self) -> list[Descriptor]:
        path = self._inside(self.folder / "index.json")
        if not path.is_file():
            raise ImageNotFound(f"{self} is no OCI layout: it has no index.json.")
        try:
            document = json.loads(self._small(path, self._limits.manifest_bytes))
            return [read_descriptor(entry, "manifest") for entry in document["manifests"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise MalformedImage(f"{self}: index.json cannot be read: {error}") from error

    def _blob(self, digest: str) -> Path:
        if not is_digest(digest):
            raise MalformedImage(f"{digest[:80]!r} is no sha256 digest.")
        path = self._inside(self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:"))
        if not path.is_file():
            raise ImageNotFound(f"{self} has no blob {digest}: the layout is not complete.")
        return path

    def _inside(self, path: Path) -> Path:
        """A link in the folder must not lead out of it."""
        found = path.resolve()
        if not found.is_relative_to(self.folder):
            raise MalformedImage(f"{self}: {path.name} leads out of the folder.")
        return found

    def _small(self, path: Path, most: int) -> bytes:
        if path.stat().st_size > most:
            raise ImageTooLarge(f"{self}: {path.name} has more than {most:,} bytes.")
        return path.read_bytes()
