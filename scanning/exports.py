"""Where advisories come from: exports as files, zips and folders, of which nothing is held but one record at a time.

Every record has a stamp: what bears one that was seen before need not be read again.
"""

import gzip
import json
import lzma
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from models.errors import NotFound
from scanning import zips
from scanning.json_streams import Readable, objects_in

KINDS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".zip")

#: bytes of the largest line or record that is read; the largest real record has under 20 MB
_LARGEST = 32 * 2**20
#: bytes of a document that is read at once: longer ones are lists of many records
_SMALL = 2**20
#: bytes that one file may unpack to; all of OSV has about 10 GB
_LARGEST_EXPORT = 32 * 2**30
#: records of one file; all of OSV has less than a million
_MOST_RECORDS = 5_000_000
_GZIP = b"\x1f\x8b"
#: nanoseconds within which a file may be written again and bear the same time: clocks of file systems tick slowly
_RACY = 200_000_000
#: another version of the reader reads everything again: it is part of every stamp
_READER = b"1"
#: what a file raises that is damaged, or a zip that is encrypted (RuntimeError) or packed in a way not known here
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is no JSON, or too large: it is skipped and counted."""

    reason: str


class Entry(NamedTuple):
    """A record that is not read yet, or the few of one document."""

    #: where in the container it stands, for people; empty where it is all of it
    place: str
    #: equal for equal content; empty when that is not known
    stamp: bytes
    #: records, `Unreadable` in the place of one that is
    read: Callable[[], Iterator[Any]]


@dataclass(frozen=True, slots=True)
class Container:
    """A file with records, or all the small files of a folder."""

    path: Path
    #: the same as before: nothing in it has changed. Empty when that cannot be told without reading it.
    version: str
    entries: Callable[[], Iterator[Entry]]


def containers(path: Path) -> list[Container]:
    """What an export consists of. Errors: NotFound for a place without advisories."""
    if path.is_dir():
        files = sorted(_below(path), key=itemgetter(0))
        if not files:
            raise NotFound(f"There are no advisories in {path}: expected files that end with {', '.join(KINDS)}.")
        loose = [(name, told) for name, told in files if name.endswith(".json") and told.st_size <= _SMALL]
        large = [name for name, told in files if not name.endswith(".json") or told.st_size > _SMALL]
        small = [Container(path, "", partial(_loose, path, loose))] if loose else []
        return [*small, *(_of_file(Path(name)) for name in large)]
    if not path.is_file():
        raise NotFound(f"There is nothing at {path}.")
    if not path.name.endswith(KINDS):
        raise NotFound(f"{path} is no export: its name should end with {', '.join(KINDS)}.")
    return [_of_file(path)]


def records(path: Path) -> Iterator[Any]:
    """Every record of an export, or `Unreadable` in its place. Errors: NotFound for a place without advisories."""
    for container in containers(path):
        for entry in container.entries():
            yield from entry.read()


def opened(path: Path) -> BinaryIO:
    """The file, unpacked if it is a gzip; by its first bytes: some servers unpack what they send, others pack it."""
    file = path.open("rb")
    magic = file.read(len(_GZIP))
    file.seek(0)
    return cast(BinaryIO, _Unpacked(file)) if magic == _GZIP else file


class _Unpacked(gzip.GzipFile):
    """Closes the file below it too, and has an end."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(fileobj=file)
        self._below = file

    def read(self, size: int | None = -1) -> bytes:
        _check_size(self.tell())
        return super().read(size)

    def readline(self, size: int | None = -1) -> bytes:
        _check_size(self.tell())
        return super().readline(size)

    def close(self) -> None:
        super().close()
        self._below.close()


def _check_size(size: int) -> None:
    if size > _LARGEST_EXPORT:
        raise OSError(f"it unpacks to more than {_LARGEST_EXPORT:,} bytes")


def _below(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Files of exports in the folder and in those below it, each with what the file system tells of it: asking once is
    most of what an import of a hundred thousand files costs that have not changed."""
    waiting = [str(folder)]
    try:
        while waiting:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.name.endswith(KINDS) and entry.is_file():
                        yield entry.path, entry.stat()
    except OSError as error:
        raise NotFound(f"{folder} cannot be read: {error}") from error


def _of_file(path: Path) -> Container:
    return Container(path, _version_of(path.stat()), partial(_entries_of, path))


def _version_of(told: os.stat_result) -> str:
    """Empty for a file so young that it may be written again without a change of its time."""
    if time.time_ns() - told.st_ctime_ns < _RACY:
        return ""
    # the time of the last write can be set to anything: whoever unpacks or copies does so
    return f"{_READER.decode()}-{told.st_ino}-{told.st_size}-{told.st_mtime_ns}-{told.st_ctime_ns}"


def _entries_of(path: Path) -> Iterator[Entry]:
    try:
        with path.open("rb") if path.name.endswith(".zip") else opened(path) as file:
            if path.name.endswith(".zip"):
                entries = _of_zip(path, file)
            elif path.name.endswith((".jsonl", ".jsonl.gz")):
                entries = _of_lines(file)
            else:
                entries = _of_document("", file)
            for count, entry in enumerate(entries):
                if count == _MOST_RECORDS:
                    raise OSError(f"it has more than {_MOST_RECORDS:,} records")
                yield entry
    except DAMAGE as error:
        raise NotFound(f"{path} cannot be read: {error}") from error


def _of_lines(file: BinaryIO) -> Iterator[Entry]:
    number = 0
    while line := file.readline(_LARGEST):
        number += 1
        place = f"line {number}"
        if len(line) == _LARGEST and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = file.readline(2**16)
            yield Entry(place, b"", partial(_one, Unreadable(f"it is longer than {_LARGEST:,} bytes")))
        elif text := line.strip():
            yield Entry(place, _stamp(text), partial(_of_text, text))


def _of_zip(path: Path, file: BinaryIO) -> Iterator[Entry]:
    """A member's check sum and its two sizes stand in the directory: what has not changed is not unpacked."""
    empty, unpacked = True, 0
    for member in zips.members_of(file):
        if member.name.endswith(".json"):
            empty = False
            unpacked += member.size
            _check_size(unpacked)
            # its place in the archive moves with every change before it
            stamp = _stamp(repr(member[:-1]).encode("utf-8", "surrogatepass"))
            yield Entry(member.name, stamp, partial(_of_member, path, file, member))
    if empty:
        raise NotFound(f"There are no advisories in {path}: expected files that end with .json.")


def _of_member(path: Path, file: BinaryIO, member: zips.Member) -> Iterator[Any]:
    try:
        for entry in _of_document(member.name, zips.MemberReader(file, member)):
            yield from entry.read()
    except DAMAGE as error:
        raise NotFound(f"{path} cannot be read: {error}") from error


def _loose(folder: Path, files: list[tuple[str, os.stat_result]]) -> Iterator[Entry]:
    before = len(str(folder)) + 1
    for name, told in files:
        version, place = _version_of(told), name[before:]
        stamp = _stamp(f"{place}\0{version}".encode("utf-8", "surrogateescape")) if version else b""
        yield Entry(place, stamp, partial(_of_path, name))


def _of_path(name: str) -> Iterator[Any]:
    for entry in _entries_of(Path(name)):
        yield from entry.read()


def _of_document(place: str, file: Readable) -> Iterator[Entry]:
    """Most are one small record; of a long one nothing is held but the record that is read."""
    head = file.read(_SMALL + 1)
    if len(head) <= _SMALL:
        for found in _listed(_json(head)):
            yield Entry(place, b"", partial(_one, found))
        return
    number = 0
    try:
        for number, (found, text) in enumerate(objects_in(_Joined(head, file), _LARGEST), 1):
            stamp = _stamp(text.encode("utf-8", "surrogatepass"))
            yield Entry(f"{place} record {number}".strip(), stamp, partial(_one, found))
    except (ValueError, RecursionError) as error:
        yield Entry(f"{place} after record {number}".strip(), b"", partial(_one, Unreadable(_words(error))))


@dataclass(slots=True)
class _Joined:
    """What was read already, and the rest."""

    head: bytes
    file: Readable
    count: int = 0

    def read(self, size: int, /) -> bytes:
        content, self.head = self.head[:size], self.head[size:]
        content = content or self.file.read(size)
        self.count += len(content)
        _check_size(self.count)
        return content


def _listed(found: Any) -> list[Any]:
    """Records of a small document: NVD's and CISA's have theirs under `vulnerabilities`."""
    if isinstance(found, dict) and "id" not in found and isinstance(found.get("vulnerabilities"), list):
        return list(found["vulnerabilities"])
    return found if isinstance(found, list) else [found]


def _one(record: Any) -> Iterator[Any]:
    yield record


def _of_text(text: bytes) -> Iterator[Any]:
    yield _json(text)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        return Unreadable(_words(error))


def _words(error: Exception) -> str:
    return f"no JSON: {error}" if isinstance(error, ValueError) else "no JSON: it is nested too deeply"


def _stamp(content: bytes) -> bytes:
    return blake2b(content, digest_size=16, person=_READER).digest()
