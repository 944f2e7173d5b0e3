"""Tar archives from strangers, read in one pass and never unpacked.

As strict as the reader of Go's standard library (archive/tar), with which Docker, containerd and trivy read layers:
what that refuses nobody could run, and is refused here with the reason. Formats: ustar, pax (POSIX.1-2001), GNU, old.
"""

import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from models.errors import MalformedImage
from scanning.texts import decoded

BLOCK = 512
#: bytes of a header that describes the next entry (pax, GNU long name), as in Go's reader
_LONGEST_HEADER = 2**20
#: Linux's PATH_MAX: a longer path cannot be unpacked anywhere
_LONGEST_PATH = 4096
_ZEROS = bytes(BLOCK)
_HALF = BLOCK // 2
_LOW = 0xFFFF
#: numbers of a header as almost all tools write them: mode, uid, gid, size, mtime, checksum; then those of a device
_PLAIN = re.compile(rb"([0-7]{7})\0[0-7]{7}\0[0-7]{7}\0([0-7]{11})\0[0-7]{11}\0([0-7]{6})\0 ")
_PLAIN_DEVICE = re.compile(rb"(?:[0-7]{7}\0){2}|\0{16}")
_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK, _SPARSE = b"x", b"g", b"L", b"K", b"S"
#: types that have no content, whatever size their header gives
_EMPTY = frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))
#: types that say with their own header all that there is to say
_ORDINARY = frozenset((b"0", b"2", b"5"))
_REGULAR = frozenset((b"0", b"\0", b"7", _SPARSE))
_NUMBERS = (("mode", 100, 108), ("uid", 108, 116), ("gid", 116, 124), ("mtime", 136, 148))
_PAX_NUMBERS = ("uid", "gid", "size")
_PAX_TIMES = ("atime", "mtime", "ctime")
_PAX_TEXTS = ("path", "linkpath", "uname", "gname")


class Bytes(Protocol):
    """Where an archive comes from."""

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes, fewer only at the end."""

    def skip(self, count: int) -> int:
        """How many of `count` bytes there were."""

    def peek(self, count: int) -> bytes:
        """The next bytes, which will be read again; at most `count`, fewer only at the end."""

    def chunk(self, most: int) -> bytes:
        """Some bytes, at most so many; none only at the end."""


class Entry(NamedTuple):
    """One member. `path` has no leading slash and no `.`; `size` in bytes; the content of a `sparse` file has holes.

    `link` is the path of the member that a hard link is another name of.
    """

    path: str
    kind: bytes
    mode: int
    size: int
    sparse: bool = False
    link: str = ""

    @property
    def is_file(self) -> bool:
        return self.kind in _REGULAR

    @property
    def is_folder(self) -> bool:
        return self.kind == b"5"


class TarReader:
    """Iterate, and `content` of the entry at hand where it is wanted. Errors everywhere: MalformedImage."""

    def __init__(self, stream: Bytes, name: str) -> None:
        self._stream, self._name = stream, name
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        pax: dict[str, bytes] = {}
        long_name = long_link = b""
        while (header := self._header()) is not None:
            kind, mode, size = header[156:157], *self._checked(header)
            self._begin(0 if kind in _EMPTY else size)
            if kind in (_PAX, _PAX_GLOBAL):
                records = self._pax(size)
                if kind == _PAX:
                    pax = records
            elif kind == _LONG_NAME:
                long_name = _until_nul(self._special(size))
            elif kind == _LONG_LINK:
                long_link = _until_nul(self._special(size))
            else:
                if pax or long_name or long_link or kind not in _ORDINARY:
                    yield self._entry(header, kind, mode, size, pax, long_name, long_link)
                    pax, long_name, long_link = {}, b"", b""
                else:
                    yield Entry(self._path(_name(header)), kind, mode, 0 if kind in _EMPTY else size)

    def content(self) -> bytes:
        """The content of the entry that was given last, as far as it was not read before."""
        content = self._stream.read(self._left)
        if len(content) < self._left:
            raise self._broken("ends in the middle of a file")
        self._left = 0
        return content

    def head(self, count: int) -> bytes:
        """The first bytes of the entry that was given last, at most so many; they will be read again."""
        return self._stream.peek(min(count, self._left))

    def chunks(self) -> Iterator[bytes]:
        """The content of the entry that was given last, piece by piece; who stops early has lost nothing."""
        while self._left:
            chunk = self._stream.chunk(self._left)
            if not chunk:
                raise self._broken("ends in the middle of a file")
            self._left -= len(chunk)
            yield chunk

    def _entry(
        self,
        header: bytes,
        kind: bytes,
        mode: int,
        size: int,
        pax: dict[str, bytes],
        long_name: bytes,
        long_link: bytes,
    ) -> Entry:
        name = long_name or pax.get("path") or _name(header)
        link = long_link or pax.get("linkpath") or _until_nul(header[157:257])
        if pax.get("size"):
            size = int(pax["size"])
        if kind == b"\0" and name.endswith(b"/"):
            kind = b"5"
        size = 0 if kind in _EMPTY else size
        self._begin(size)
        sparse = kind == _SPARSE or any(key.startswith("GNU.sparse.") for key in pax)
        if kind == _SPARSE:
            self._skip_sparse_map(header)
        name = pax.get("GNU.sparse.name") or name
        path = self._path(name)
        return Entry(path, kind, mode, size, sparse, self._path(link) if kind == b"1" else "")

    def _path(self, name: bytes) -> str:
        if len(name) > _LONGEST_PATH:
            raise self._broken(f"has a path of {len(name):,} bytes")
        text = decoded(name).removeprefix("./")
        if not ("//" in text or "/." in text or text.startswith(("/", "."))):
            return text.removesuffix("/")
        parts = [part for part in decoded(name).split("/") if part not in ("", ".")]
        if ".." in parts:
            raise self._broken(f"has a path that leads out of the image: {decoded(name)[:200]}")
        return "/".join(parts)

    def _header(self) -> bytes | None:
        """The next header block; None at the end of the archive."""
        self._pass_over()
        block = self._stream.read(BLOCK)
        if block == _ZEROS:
            block = self._stream.read(BLOCK)
            if block in (b"", _ZEROS):
                return None
            raise self._broken("has a broken end")
        if not block:
            return None
        if len(block) < BLOCK:
            raise self._broken("ends in the middle of a header")
        return block

    def _checked(self, block: bytes) -> tuple[int, int]:
        """Mode and size, when all of the header can be read."""
        plain = _PLAIN.fullmatch(block, 100, 156)
        if plain and (block[257:262] != b"ustar" or _PLAIN_DEVICE.fullmatch(block, 329, 345)):
            mode, size, checksum = plain.groups()
            if int(checksum, 8) == _sum(block) - sum(block[148:156]) + 8 * 32:
                return int(mode, 8), int(size, 8)
        self._check(block)
        return self._number(block[100:108], "mode"), self._number(block[124:136], "size")

    def _check(self, block: bytes) -> None:
        said = self._number(block[148:156], "checksum")
        total = _sum(block) - sum(block[148:156]) + 8 * 32
        if said != total and said != total - 256 * sum(1 for byte in block[:148] + block[156:] if byte > 127):
            raise self._broken("has a header with a wrong checksum")
        for field, begin, end in _NUMBERS:
            self._number(block[begin:end], field)
        if block[257:262] == b"ustar":
            self._number(block[329:337], "device")
            self._number(block[337:345], "device")

    def _number(self, field: bytes, what: str) -> int:
        """Octal digits, or base 256 where the first bit is set."""
        if field[0] & 0x80:
            value = int.from_bytes(bytes((field[0] & 0x7F, *field[1:])), "big")
            if field[0] & 0x40:
                value -= 1 << (8 * len(field) - 1)
        else:
            digits = field.strip(b" \0").partition(b"\0")[0]
            try:
                value = int(digits, 8) if digits else 0
            except ValueError:
                raise self._broken(f"has a header whose {what} is no number") from None
            if digits and not digits.isdigit():
                raise self._broken(f"has a header whose {what} is no number")
        if not -(2**63) <= value < 2**63 or (what in ("size", "mode") and value < 0):
            raise self._broken(f"has a header whose {what} is out of range")
        return value

    def _pax(self, size: int) -> dict[str, bytes]:
        """Records `length key=value\\n`."""
        content, records = self._special(size), {}
        while content:
            digits, space, _ = content.partition(b" ")
            length = int(digits) if digits.isdigit() and len(digits) < 9 else 0
            if not space or length > len(content):
                raise self._broken("has a pax header that cannot be read")
            record, content = content[len(digits) + 1 : length], content[length:]
            key, equals, value = record.removesuffix(b"\n").partition(b"=")
            if not record.endswith(b"\n") or not equals or not key:
                raise self._broken("has a pax header that cannot be read")
            name = key.decode("utf-8", "replace")
            self._check_record(name, value)
            records[name] = value
        return records

    def _check_record(self, key: str, value: bytes) -> None:
        if b"\0" in (value if key in _PAX_TEXTS else key.encode()):
            raise self._broken(f"has a pax header with a NUL in its {key.encode('unicode_escape').decode()[:40]}")
        if not value:
            return
        if key in _PAX_NUMBERS and not (value.removeprefix(b"-").isdigit() and abs(int(value[:20])) < 2**63):
            raise self._broken(f"has a pax header whose {key} is no number")
        if key == "size" and value.startswith(b"-"):
            raise self._broken("has a pax header with a negative size")
        if key in _PAX_TIMES:
            seconds, _, fraction = value.removeprefix(b"-").partition(b".")
            if not seconds.isdigit() or len(seconds) > 18 or (fraction and not fraction.isdigit()):
                raise self._broken(f"has a pax header whose {key} is no time")

    def _special(self, size: int) -> bytes:
        if size > _LONGEST_HEADER:
            raise self._broken(f"has a header of {size:,} bytes")
        return self.content()

    def _skip_sparse_map(self, header: bytes) -> None:
        """Extended blocks of the old GNU format lie between header and content."""
        if header[257:265] != b"ustar  \0":
            raise self._broken("has a sparse file that is not of the GNU format")
        more = header[482]
        while more:
            block = self._stream.read(BLOCK)
            if len(block) < BLOCK:
                raise self._broken("ends in the middle of a header")
            more = block[504]

    def _begin(self, size: int) -> None:
        self._left, self._padding = size, -size % BLOCK

    def _pass_over(self) -> None:
        if self._left and self._stream.skip(self._left) < self._left:
            raise self._broken("ends in the middle of a file")
        if self._padding:
            self._stream.skip(self._padding)
        self._left = self._padding = 0

    def _broken(self, what: str) -> MalformedImage:
        return MalformedImage(f"{self._name} {what}. Build and push the image again.")


def _sum(block: bytes) -> int:
    """Of the bytes of a header. Adler-32 begins with it, and the sum of half a block does not overflow there."""
    return (zlib.adler32(block[:_HALF]) & _LOW) + (zlib.adler32(block[_HALF:]) & _LOW) - 2


def _until_nul(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _name(header: bytes) -> bytes:
    name = _until_nul(header[:100])
    prefix = _until_nul(header[345:500]) if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name
