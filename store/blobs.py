"""Blobs by the digest of their content: in a folder, or in an S3-compatible store. The same code runs on both.

A blob never changes, so writing it again is harmless: it makes the copy at rest whole again, and young, which keeps the
garbage collector off it until the rows that name it are written.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store
from pydantic import ValidationError

from models.base import Message, canonical_json, digest_of
from models.errors import NotFound, ToolFailed

if TYPE_CHECKING:
    from obstore.store import S3Config

M = TypeVar("M", bound=Message)

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_AT_REST = re.compile(r"sha256/[0-9a-f]{2}/([0-9a-f]{64})")
#: a file that its writer has not completed
_HALF = re.compile(r"[0-9a-f]{64}#[0-9]+")
#: hashing fewer bytes than this is faster than handing them to a thread
_SMALL = 256 * 1024
#: the store's own retries, seconds: what fails longer is for the caller's retry policy
_RETRY_FOR = timedelta(seconds=10)
_REQUEST_SECONDS = timedelta(seconds=60)


class Entry(NamedTuple):
    """One blob at rest: its size in bytes, and when it was last written."""

    digest: str
    size: int
    modified: datetime


class Blobs:
    """Content-addressed storage.

    `place` is a folder, or s3://bucket/prefix; the options are for the latter only. Without an access key, the
    credentials are those of the environment or the machine. Errors: ToolFailed for whatever goes wrong in the store.

    >>> blobs = Blobs("blobs")
    >>> digest = await blobs.put(b"hello")
    >>> assert await blobs.get(digest) == b"hello"
    """

    def __init__(
        self,
        place: str | Path,
        *,
        endpoint: str = "",
        region: str = "",
        access_key: str = "",
        secret_key: str = "",
        allow_http: bool = False,
    ) -> None:
        self.place = str(place)
        self._store: LocalStore | S3Store
        if self.place.startswith("s3://"):
            self._store = _s3(self.place, endpoint, region, access_key, secret_key, allow_http)
        else:
            self._store = LocalStore(Path(self.place).resolve(), mkdir=True)

    @classmethod
    def from_place(
        cls,
        place: str | Path,
        *,
        endpoint: str = "",
        region: str = "",
        access_key: str = "",
        secret_key: str = "",
        allow_http: bool = False,
    ) -> "Blobs":
        """As the settings say it: see the class."""
        return cls(
            place,
            endpoint=endpoint,
            region=region,
            access_key=access_key,
            secret_key=secret_key,
            allow_http=allow_http,
        )

    def __repr__(self) -> str:
        return f"Blobs({self.place!r})"

    async def put(self, content: bytes) -> str:
        """Store and return the digest. Atomic: a reader sees all of it or nothing."""
        digest = await _digest(content)
        with self._failures(f"write {digest} to"):
            await obstore.put_async(self._store, _path(digest), content, use_multipart=len(content) > _PART)
        return digest

    async def put_file(self, path: str | Path) -> str:
        """Store a file of any size, streamed. The file must not change meanwhile."""
        digest = await asyncio.to_thread(_digest_of_file, Path(path))
        with self._failures(f"write {digest} to"):
            await obstore.put_async(self._store, _path(digest), Path(path), chunk_size=_PART)
        return digest

    async def get(self, digest: str) -> bytes:
        """The content, verified. Errors: NotFound; ToolFailed when the copy at rest is damaged."""
        with self._failures(f"read {digest} from"):
            try:
                result = await obstore.get_async(self._store, _path(digest))
                content = bytes(await result.bytes_async())
            except FileNotFoundError:
                raise NotFound(f"There is no blob {digest}.") from None
        if await _digest(content) != digest:
            raise ToolFailed(
                f"The blob {digest} in {self.place} is damaged: its {len(content):,} bytes have another digest. "
                "Restore it from a backup."
            )
        return content

    async def exists(self, digest: str) -> bool:
        return await self.entry(digest) is not None

    async def entry(self, digest: str) -> Entry | None:
        """Size and age of one blob; None when there is none."""
        with self._failures(f"look for {digest} in"):
            try:
                found = await obstore.head_async(self._store, _path(digest))
            except (FileNotFoundError, NotFound):
                return None
            return Entry(digest, found["size"], found["last_modified"])

    async def delete(self, digest: str) -> None:
        """Delete a blob; one that is not there is no error."""
        with self._failures(f"delete {digest} from"):
            try:
                await obstore.delete_async(self._store, _path(digest))
            except FileNotFoundError:
                return

    async def entries(self) -> AsyncIterator[Entry]:
        """Every blob, in no order. What others put beside them is passed over."""
        with self._failures("list"):
            async for batch in obstore.list(self._store, prefix="sha256"):
                for found in batch:
                    if name := _AT_REST.fullmatch(found["path"]):
                        yield Entry(f"sha256:{name[1]}", found["size"], found["last_modified"])

    async def sweep(self, before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
        """Delete what writers that were killed left half written before then: how many files, how many bytes.

        Only a folder has them: S3 keeps unfinished uploads out of sight, and a lifecycle rule of the bucket ends them.
        """
        if isinstance(self._store, S3Store):
            return 0, 0
        with self._failures("sweep"):
            return await asyncio.to_thread(_sweep, Path(self.place), before.timestamp(), dry_run)

    async def put_message(self, message: Message) -> str:
        """Store the canonical JSON; the digest is that of the message."""
        return await self.put(canonical_json(message))

    async def get_message(self, model: type[M], digest: str) -> M:
        """Errors: NotFound, also when the blob is something else; ToolFailed as in `get`."""
        content = await self.get(digest)
        try:
            return model.model_validate_json(content)
        except ValidationError as error:
            raise NotFound(
                f"The blob {digest} is not a {model.__name__}: {error.error_count()} fields are wrong or missing."
            ) from None

    @contextmanager
    def _failures(self, what: str) -> Iterator[None]:
        """Whatever the store says is the hub's matter and may be over in a minute: no publisher can mend it."""
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            raise ToolFailed(f"Could not {what} the blobs at {self.place}: {_first_line(error)}") from error


#: bytes of one part of a streamed upload; S3 takes no less than 5 MiB
_PART = 8 * 2**20


def _s3(place: str, endpoint: str, region: str, access_key: str, secret_key: str, allow_http: bool) -> S3Store:
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    config: S3Config = {"region": region or "us-east-1", "virtual_hosted_style_request": False}
    if endpoint:
        config["endpoint"] = endpoint
    if access_key:
        config["access_key_id"], config["secret_access_key"] = access_key, secret_key
    return S3Store(
        bucket,
        prefix=prefix.strip("/") or None,
        config=config,
        client_options={"allow_http": allow_http, "timeout": _REQUEST_SECONDS},
        retry_config={"max_retries": 4, "retry_timeout": _RETRY_FOR},
    )


def _path(digest: str) -> str:
    """A folder for each first byte: a folder with a million files is slow. Anything but a digest names no blob."""
    if (parts := _DIGEST.fullmatch(digest)) is None:
        raise NotFound(f"{digest[:80]!r} is not a digest, so there is no such blob.")
    return f"sha256/{parts[1][:2]}/{parts[1]}"


async def _digest(content: bytes) -> str:
    return digest_of(content) if len(content) < _SMALL else await asyncio.to_thread(digest_of, content)


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _sweep(folder: Path, before: float, dry_run: bool) -> tuple[int, int]:
    """obstore writes NAME#1 (or the next free number) and renames it to NAME when it is complete."""
    sizes: list[int] = []
    for path in folder.glob("sha256/*/*#*"):
        try:
            stat = path.stat()
            if _HALF.fullmatch(path.name) and stat.st_mtime < before:
                if not dry_run:
                    path.unlink()
                sizes.append(stat.st_size)
        except FileNotFoundError:  # its writer has come to an end after all
            continue
    return len(sizes), sum(sizes)


def _first_line(error: Exception) -> str:
    """The store's errors go on with the whole chain of causes and its configuration."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:1_000]
