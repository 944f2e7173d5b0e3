"""rpm's database, as Fedora, Red Hat and what follows them write it since 2020: an SQLite file with a header a package.

The older Berkeley DB and SUSE's ndb are not read: of those trivy lists what is there in the end, and nobody what a
later layer removes. The file comes from a stranger: SQLite reads it in memory, for so many steps and no more.
"""

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

#: where the database lies, by the age of the distribution
DATABASES = frozenset(
    f"{folder}/rpmdb.sqlite" for folder in ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm", "usr/lib/rpm")
)
_NAME, _VERSION, _RELEASE, _EPOCH, _ARCHITECTURE, _SOURCE = 1000, 1001, 1002, 1003, 1022, 1044
_FOLDER_OF, _BASE_NAMES, _FOLDERS = 1116, 1117, 1118
_INTEGERS, _TEXT, _TEXTS, _LOCAL_TEXT = 4, 6, 8, 9
_ENTRY = struct.Struct(">4I")
#: entries and texts of one header; a kernel has about 10,000 files
_MOST_ENTRIES, _MOST_TEXTS = 10_000, 1_000_000
_MOST_PACKAGES = 100_000
#: instructions of SQLite's machine; a system of 5,000 packages needs 50,000
_MOST_STEPS, _STEP = 50_000_000, 10_000
#: keys that the system trusts stand among the packages
_NO_PACKAGE = b"gpg-pubkey"

_Values = list[bytes] | list[int]


@dataclass(frozen=True, slots=True)
class RpmPackage:
    """Fields of a header. `source` is the file of the source package, without `.src.rpm`."""

    name: str
    epoch: int
    version: str
    release: str
    architecture: str
    source: str


def packages_in(database: bytes) -> Iterator[RpmPackage]:
    """None of a broken one."""
    for header in _headers(database):
        said = _fields(header, {_NAME, _VERSION, _RELEASE, _EPOCH, _ARCHITECTURE, _SOURCE})
        name = _first(said, _NAME)
        if name and name != _NO_PACKAGE.decode():
            epoch = said.get(_EPOCH)
            yield RpmPackage(
                name=name,
                epoch=epoch[0] if epoch and isinstance(epoch[0], int) else 0,
                version=_first(said, _VERSION),
                release=_first(said, _RELEASE),
                architecture=_first(said, _ARCHITECTURE),
                source=_first(said, _SOURCE).removesuffix(".src.rpm").removesuffix(".nosrc.rpm"),
            )


def files_in(database: bytes) -> Iterator[bytes]:
    """Paths of all files of all packages."""
    for header in _headers(database):
        said = _fields(header, {_FOLDER_OF, _BASE_NAMES, _FOLDERS})
        folders = said.get(_FOLDERS, [])
        for name, number in zip(said.get(_BASE_NAMES, []), said.get(_FOLDER_OF, []), strict=False):
            if isinstance(name, bytes) and isinstance(number, int) and number < len(folders):
                folder = folders[number]
                if isinstance(folder, bytes):
                    yield folder + name


def _headers(database: bytes) -> Iterator[bytes]:
    if not database.startswith(b"SQLite format 3\0") or len(database) < 100:
        return
    # rpm writes ahead to a second file, which an image has empty or not at all: the first is opened without it
    content = database[:18] + b"\1\1" + database[20:]
    left = [_MOST_STEPS // _STEP]

    def goes_on() -> bool:
        left[0] -= 1
        return left[0] < 0

    size = len(content)
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(content)
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, size)
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.set_progress_handler(goes_on, _STEP)
            # a view of this name could compute for ever
            if connection.execute("SELECT type FROM sqlite_master WHERE name = 'Packages'").fetchall() != [("table",)]:
                return
            for (blob,) in connection.execute("SELECT blob FROM Packages ORDER BY hnum LIMIT ?", (_MOST_PACKAGES,)):
                if isinstance(blob, bytes):
                    # many rows may share the pages of one
                    size -= len(blob)
                    if size < 0:
                        return
                    yield blob
    except (sqlite3.Error, ValueError, OverflowError, MemoryError):
        # a message of SQLite that repeats the image is no UTF-8 then
        return


def _fields(header: bytes, wanted: set[int]) -> dict[int, _Values]:
    """Values of some tags. A header: how many entries, how many bytes; (tag, type, place, count) each; the bytes."""
    found: dict[int, _Values] = {}
    try:
        entries, size = struct.unpack_from(">2I", header)
        begin = 8 + _ENTRY.size * entries
        if entries > _MOST_ENTRIES or begin + size > len(header):
            return {}
        for number in range(entries):
            tag, kind, place, count = _ENTRY.unpack_from(header, 8 + _ENTRY.size * number)
            if tag not in wanted or count > _MOST_TEXTS:
                continue
            if kind == _INTEGERS:
                found[tag] = list(struct.unpack_from(f">{count}I", header, begin + place))
            elif kind in (_TEXT, _TEXTS, _LOCAL_TEXT):
                found[tag] = header[begin + place : begin + size].split(b"\0", count)[:count]
    except struct.error:
        return {}
    return found


def _first(said: dict[int, _Values], tag: int) -> str:
    values = said.get(tag)
    return values[0].decode("utf-8", "replace") if values and isinstance(values[0], bytes) else ""
