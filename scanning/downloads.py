"""What a URL sends, as a file: only if it has changed, and going on where a broken download ended.

Beside a download that is not complete stands what the server called it (ETag, or the time it was written), so that the
rest is only taken of the same content.
"""

import fcntl
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx

from models.errors import NotFound, ToolFailed
from scanning.exports import KINDS

#: bytes of the largest export that is downloaded (all ecosystems in one zip: about 1.5 GB)
_LARGEST = 8 * 2**30
#: between two pieces, and for all of it
_SECONDS, _MOST_SECONDS = 60.0, 2 * 3600.0
#: how often a download that breaks is taken up again, and the pause before that in seconds
_ATTEMPTS, _PAUSE = 5, 1.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """`path` is None where the server says that nothing has changed."""

    path: Path | None
    #: what the server calls this content; empty when it gives it no name
    version: str


class _Broken(Exception):
    """The connection ended too early."""


class _Outdated(_Broken):
    """What we have of it is of no use: it is begun anew."""


@contextmanager
def fetched(
    url: str, folder: Path, version: str = "", progress: Callable[[int], None] | None = None
) -> Iterator[Fetched]:
    """What the URL sends, unless it is still what it calls `version`. The file lies in `folder` and is gone at the end;
    when what is done with it fails, it waits there to be used again. `progress` is told how many bytes there are.

    Errors: NotFound for a URL that is wrong, ToolFailed for one that does not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    download = _Download(url, folder, progress)
    with download.locked():
        named = download.fetch(version)
        if named is None:
            yield Fetched(None, version)
        else:
            try:
                yield Fetched(download.target, named)
            except NotFound:
                # damaged: the same file again would be no better
                download.forget()
                raise
            download.forget()


def discard(url: str, folder: Path) -> None:
    """What is left of downloads of the URL; one that is under way is left alone. Errors: NotFound, ToolFailed."""
    if folder.is_dir():
        download = _Download(url, folder, None)
        with download.locked():
            download.forget()


def fetch_text(url: str, most: int) -> str | None:
    """A small text; None when there is none, or it is longer than `most` bytes. Errors: ToolFailed."""
    try:
        with httpx.stream("GET", url, timeout=_SECONDS, follow_redirects=True) as answer:
            if not answer.is_success:
                return None
            content = b""
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > most:
                    return None
        return content.decode("utf-8", "replace")
    except (ValueError, httpx.InvalidURL, httpx.HTTPError):
        return None


class _Download:
    def __init__(self, url: str, folder: Path, progress: Callable[[int], None] | None) -> None:
        self._url = url
        self._progress = progress
        self._deadline = time.monotonic() + _MOST_SECONDS
        try:
            name = PurePosixPath(urlsplit(url).path).name
        except ValueError as error:
            raise NotFound(f"{url} is no address of an export: {error}.") from error
        stem = hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()[:16]
        self.target = folder / f"{stem}-{name[-80:] if name.endswith(KINDS) else 'export.zip'}"
        self._part = folder / f"{stem}.part"
        #: what the server calls what we have: of a part, and of a whole file that is still to be used
        self._named = folder / f"{stem}.version"
        self._lock = folder / f"{stem}.lock"

    @contextmanager
    def locked(self) -> Iterator[None]:
        with self._lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ToolFailed(f"{self._url} is being fetched by another process.") from error
            yield

    def forget(self) -> None:
        for path in (self.target, self._part, self._named):
            path.unlink(missing_ok=True)

    def fetch(self, version: str) -> str | None:
        """What the server calls the file that is now at `target`; None when it still is `version`."""
        attempts = 0
        while True:
            size = self._size()
            try:
                return self._ask(version)
            except _Broken as error:
                # as long as there is more of it each time, it is worth another request
                grown = self._size() > size
                attempts = 1 if grown else attempts + 1
                goes_on = self._has_name() or isinstance(error, _Outdated)
                if attempts >= _ATTEMPTS or not goes_on or time.monotonic() > self._deadline:
                    raise ToolFailed(f"The advisories at {self._url} could not be fetched: {error}.") from error
                time.sleep(_PAUSE)

    def _ask(self, version: str) -> str | None:
        headers = {"Accept-Encoding": "identity"}
        have = self._named.read_text() if self._has_name() else ""
        if have and self.target.exists():
            headers |= _unless(have)
        elif have and self._size():
            headers |= {"Range": f"bytes={self._size()}-", "If-Range": have}
        elif version:
            headers |= _unless(version)
        try:
            with httpx.stream("GET", self._url, headers=headers, timeout=_SECONDS, follow_redirects=True) as answer:
                return self._take(answer, have, version)
        except (ValueError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise NotFound(f"{self._url} is no address of an export: {error}.") from error
        except httpx.TransportError as error:
            raise _Broken(str(error) or type(error).__name__) from error
        except httpx.HTTPError as error:
            raise ToolFailed(f"The advisories at {self._url} could not be fetched: {error}.") from error

    def _take(self, answer: httpx.Response, have: str, version: str) -> str | None:
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return have if have and self.target.exists() else None
        if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
            raise NotFound(f"There is nothing at {self._url}.")
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            self.forget()
            raise _Outdated("the server does not have the rest of it any more")
        answer.raise_for_status()
        self.target.unlink(missing_ok=True)
        goes_on = answer.status_code == httpx.codes.PARTIAL_CONTENT
        if goes_on and not answer.headers.get("content-range", "").startswith(f"bytes {self._size()}-"):
            self.forget()
            raise _Outdated("the server sends another part than the one it was asked for")
        packed = answer.headers.get("content-encoding", "identity") != "identity"
        named = have if goes_on else _name_of(answer)
        if not goes_on:
            self._part.unlink(missing_ok=True)
        # what the server packed on the way has other places than the content
        if named and not packed:
            self._named.write_text(named)
        else:
            self._named.unlink(missing_ok=True)
        with self._part.open("ab" if goes_on else "wb") as file:
            self._write(answer, file)
        self._part.replace(self.target)
        if named and packed:
            self._named.write_text(named)
        return named

    def _write(self, answer: httpx.Response, file: BinaryIO) -> None:
        size = file.tell()
        for chunk in answer.iter_bytes():
            size += len(chunk)
            if size > _LARGEST:
                self.forget()
                raise ToolFailed(f"{self._url} sends more than {_LARGEST:,} bytes.")
            if time.monotonic() > self._deadline:
                raise ToolFailed(f"{self._url} was not done after {_MOST_SECONDS / 3600:g} hours.")
            file.write(chunk)
            if self._progress is not None:
                self._progress(size)

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _has_name(self) -> bool:
        return self._named.exists()


def _name_of(answer: httpx.Response) -> str:
    """A weak ETag does not tell bytes apart: it is good for asking again, and so is a time."""
    return str(answer.headers.get("etag") or answer.headers.get("last-modified") or "")


def _unless(version: str) -> dict[str, str]:
    """An ETag is in quotation marks, a time is not."""
    return {"If-None-Match" if '"' in version else "If-Modified-Since": version}
