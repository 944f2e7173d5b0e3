"""A folder as the hub's registry: one OCI layout (image-spec 1.1) for each repository, below a root folder."""

import asyncio
import fcntl
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.base import digest_of
from models.errors import ToolFailed
from registry.references import is_digest, require_tag

Blob = Callable[[], AsyncIterator[bytes]]

_TAG = "org.opencontainers.image.ref.name"
#: bytes that are written sooner than handed to a thread
_SMALL = 64 * 1024


class LayoutTarget:
    """One repository. What is written is complete or not there: everything gets its name by a rename, synced before."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.folder = root / name

    def __str__(self) -> str:
        return f"oci:{self.folder}"

    async def put_blob(self, digest: str, size: int, content: Blob, mount_from: str = "") -> bool:
        """Write unless it is there; says whether bytes were written. `mount_from` is for registries only.

        `content` verifies itself (registry.client.verified): its last chunk comes only when all of it was right.
        """
        path = self._blob(digest)
        if self._has(digest, size):
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _beside(path)
        try:
            with temporary.open("wb") as file:
                async for chunk in content():
                    # most blobs but layers are a few hundred bytes, and the disk is waited for below
                    if len(chunk) <= _SMALL:
                        file.write(chunk)
                    else:
                        await asyncio.to_thread(file.write, chunk)
                await asyncio.to_thread(_sync, file.fileno(), file.flush)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return True

    async def put_manifest(self, reference: str, content: bytes, media_type: str) -> None:
        """Under a tag or its own digest. Errors: ToolFailed when the digest is another manifest's."""
        require_tag(reference)
        digest = digest_of(content)
        if is_digest(reference) and reference != digest:
            raise ToolFailed(f"{self}: a manifest with the digest {digest} cannot be written as {reference}.")
        entry = {"mediaType": media_type, "digest": digest, "size": len(content)}
        await asyncio.to_thread(self._put, "" if is_digest(reference) else reference, entry, content)

    async def digest_of_tag(self, reference: str) -> str:
        """What a tag points to, or the digest itself when it is there; empty when there is no such thing."""
        require_tag(reference)
        if is_digest(reference):
            return reference if self._blob(reference).is_file() else ""
        entries = await asyncio.to_thread(self._entries)
        found = next((entry for entry in entries if entry.get("annotations", {}).get(_TAG) == reference), None)
        return str(found["digest"]) if found else ""

    async def delete_manifest(self, digest: str) -> bool:
        """Take a manifest out, and every tag that points to it; says whether there was one. Layers stay."""
        there = self._blob(digest).is_file()
        if there:
            await asyncio.to_thread(self._remove, digest)
        return there

    def _has(self, digest: str, size: int) -> bool:
        path = self._blob(digest)
        return path.is_file() and path.stat().st_size == size

    def _blob(self, digest: str) -> Path:
        if not is_digest(digest):
            raise ToolFailed(f"{digest[:80]!r} is no sha256 digest.")
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def _entries(self) -> list[dict[str, Any]]:
        try:
            document = json.loads((self.folder / "index.json").read_bytes())
        except FileNotFoundError:
            return []
        entries: list[dict[str, Any]] = document["manifests"]
        return entries

    def _put(self, tag: str, entry: dict[str, Any], content: bytes) -> None:
        if not self._has(entry["digest"], len(content)):
            _write(self._blob(entry["digest"]), content)
        self._enter(tag, entry)

    def _enter(self, tag: str, entry: dict[str, Any]) -> None:
        """A tag moves here; without a tag the manifest stands in the index by its digest, once."""
        with self._locked():
            entries = self._entries()
            if tag:
                kept = [known for known in entries if known.get("annotations", {}).get(_TAG) != tag]
                kept = [known for known in kept if known["digest"] != entry["digest"] or known.get("annotations")]
                entries = [*kept, {**entry, "annotations": {_TAG: tag}}]
            elif all(known["digest"] != entry["digest"] for known in entries):
                entries = [*entries, entry]
            self._save(entries)

    def _remove(self, digest: str) -> None:
        with self._locked():
            self._save([entry for entry in self._entries() if entry["digest"] != digest])
            self._blob(digest).unlink(missing_ok=True)

    def _save(self, entries: list[dict[str, Any]]) -> None:
        if not (self.folder / "oci-layout").is_file():
            _write(self.folder / "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        _write(self.folder / "index.json", json.dumps({"schemaVersion": 2, "manifests": entries}).encode())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Several workers may publish into one repository's index."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    with temporary.open("wb") as file:
        file.write(content)
        _sync(file.fileno(), file.flush)
    temporary.replace(path)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def _sync(descriptor: int, flush: Callable[[], None]) -> None:
    flush()
    os.fsync(descriptor)
