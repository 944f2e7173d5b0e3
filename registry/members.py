"""The members of a tar from a stranger, one after the other. Nothing but names is held in memory, whatever it says."""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from models.errors import ImageTooLarge, MalformedImage

#: bytes of a header that describes the next member (pax, GNU long names); a longer one describes no file
_LONGEST_HEADER = 2**16
_LONGEST_NAME = 1024
#: archives smaller than this may unpack to as much, whatever their ratio
_HARMLESS = 16 * 2**20
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_LINKS = {tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink"}
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)


@dataclass(frozen=True, slots=True)
class Member:
    """`kind` is file, folder, symlink or hardlink; `size` in bytes of a file's content."""

    name: str
    kind: str
    size: int = 0
    link: str = ""


class Archive:
    """A tar, or one that gzip has compressed. Errors everywhere: MalformedImage, ImageTooLarge.

    >>> for member in archive: archive.read(member, 2**20)
    """

    def __init__(self, file: IO[bytes], compressed: int, most: int, ratio: int) -> None:
        """The file has `compressed` bytes; no more than `most` are unpacked, nor `ratio` for each of the file's."""
        start = file.read(6)
        file.seek(0)
        if start.startswith((b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
            raise MalformedImage("The archive is compressed in a way that the hub does not read: use gzip, or none.")
        packed = start.startswith(b"\x1f\x8b")
        self._stream: IO[bytes] | gzip.GzipFile = gzip.GzipFile(fileobj=file) if packed else file
        self._budget = min(most, max(ratio * compressed, _HARMLESS)) if packed else most
        self._most = self._budget
        self._left = self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        said: dict[str, str] = {}
        while True:
            self._pass_over()
            header = self._header()
            if header is None:
                return
            self._left, self._padding = header.size, -header.size % tarfile.BLOCKSIZE
            if header.type in _PAX:
                said |= _records(self._small(header.size))
            elif header.type == tarfile.XGLTYPE:
                self._small(header.size)
            elif header.type == tarfile.GNUTYPE_LONGNAME:
                said["path"] = _text(self._small(header.size).partition(b"\0")[0])
            elif header.type == tarfile.GNUTYPE_LONGLINK:
                said["linkpath"] = _text(self._small(header.size).partition(b"\0")[0])
            else:
                yield self._member(header, said)
                said = {}

    def read(self, most: int) -> bytes:
        """The next bytes of the member at hand; none at its end."""
        content = self._exactly(min(self._left, most))
        self._left -= len(content)
        return content

    def _member(self, header: tarfile.TarInfo, said: dict[str, str]) -> Member:
        name = said.get("path", header.name)
        if len(name) > _LONGEST_NAME:
            raise MalformedImage(f"The archive has a name of {len(name):,} characters.")
        if any(key.startswith("GNU.sparse") for key in said) or header.type == tarfile.GNUTYPE_SPARSE:
            raise MalformedImage(f"The archive has a sparse file, {name[:200]!r}: save the image again.")
        if header.type in _LINKS or header.type == tarfile.DIRTYPE:
            self._left = self._padding = 0  # whatever size is said, nothing follows
            kind = _LINKS.get(header.type, "folder")
            return Member(name, kind, link=said.get("linkpath", header.linkname) if kind != "folder" else "")
        if header.type not in _REGULAR:
            raise MalformedImage(f"The archive has a device, {name[:200]!r}: save the image again.")
        if "size" in said:
            self._left = _number(said["size"])
            self._padding = -self._left % tarfile.BLOCKSIZE
        return Member(name, "file", self._left)

    def _header(self) -> tarfile.TarInfo | None:
        block = self._some(tarfile.BLOCKSIZE)
        if not block or block.count(0) == tarfile.BLOCKSIZE:
            return None
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except UnicodeDecodeError as error:
            raise MalformedImage("The archive has a member whose name is not UTF-8.") from error
        except (tarfile.HeaderError, ValueError, OverflowError) as error:
            raise MalformedImage(f"The archive cannot be read: {error}. Save the image again.") from error
        if header.size < 0:
            raise MalformedImage("The archive has a member of a negative size.")
        return header

    def _small(self, size: int) -> bytes:
        if size > _LONGEST_HEADER:
            raise MalformedImage(f"The archive has a header of {size:,} bytes.")
        return self.read(size)

    def _pass_over(self) -> None:
        while self._left:
            self.read(2**20)
        self._exactly(self._padding)
        self._padding = 0

    def _exactly(self, size: int) -> bytes:
        content = self._some(size)
        if len(content) < size:
            raise MalformedImage("The archive ends in the middle of a file. Save the image again.")
        return content

    def _some(self, size: int) -> bytes:
        """Fewer than `size` bytes only at the end."""
        if size > self._budget:
            raise ImageTooLarge(f"The archive unpacks to more than {self._most:,} bytes.")
        self._budget -= size
        try:
            return self._stream.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise MalformedImage(f"The archive cannot be read: {error}. Save the image again.") from error


@contextmanager
def opened(path: Path, most: int, ratio: int) -> Iterator[Archive]:
    with path.open("rb") as file:
        yield Archive(file, path.stat().st_size, most, ratio)


def _records(content: bytes) -> dict[str, str]:
    """Records `length key=value\\n` of a pax header."""
    found = {}
    while content:
        digits = content.partition(b" ")[0]
        length = _number(_text(digits)) if len(digits) < 8 else 0
        record = content[len(digits) + 1 : length]
        key, equals, value = record.partition(b"=")
        if not record.endswith(b"\n") or not equals or length > len(content):
            raise MalformedImage("The archive has a pax header that cannot be read. Save the image again.")
        found[_text(key)] = _text(value[:-1])
        content = content[length:]
    return found


def _number(digits: str) -> int:
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 20):
        raise MalformedImage(f"The archive has {digits[:40]!r} for a number. Save the image again.")
    return int(digits)


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise MalformedImage("The archive has a member whose name is not UTF-8.") from error
