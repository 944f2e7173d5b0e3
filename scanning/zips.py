"""Zip archives of very many small members, one at a time: neither their directory nor a member is held as a whole.

The standard library makes an object of every member before the first is read: 600 MB for a million of them.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple
from zipfile import BadZipFile

#: members of the largest archive that is read; OSV's largest has less than a million
_MOST_MEMBERS = 5_000_000
_CHUNK = 2**16
#: bytes of the directory that are read at once
_BLOCK = 2**20

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
#: what stands where the real size is told apart, in 64 bits
_APART = 0xFFFFFFFF
_STORED, _DEFLATED = 0, 8


class Member(NamedTuple):
    """As the directory tells it; sizes in bytes."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


@dataclass(frozen=True, slots=True)
class _Directory:
    offset: int
    size: int
    #: bytes in front of the archive: offsets count from behind them
    before: int
    members: int


def members_of(file: BinaryIO) -> Iterator[Member]:
    """In the order of the directory. Errors: BadZipFile, also for one whose members lie upon each other."""
    descriptor = file.fileno()
    whole = os.fstat(descriptor).st_size
    directory = _directory_of(descriptor, whole)
    if directory.members > _MOST_MEMBERS:
        raise BadZipFile(f"it has more than {_MOST_MEMBERS:,} members")
    packed = 0
    for member in _entries(descriptor, directory):
        packed += member.packed
        if packed > whole:
            raise BadZipFile("its members lie upon each other")
        yield member


def _directory_of(descriptor: int, whole: int) -> _Directory:
    start = max(0, whole - _END.size - 2**16)
    tail = os.pread(descriptor, whole - start, start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise BadZipFile("it is no zip file")
    *_, members, size, offset, _ = _END.unpack_from(tail, at)
    end = start + at
    locator = os.pread(descriptor, _LOCATOR64.size, max(0, end - _LOCATOR64.size))
    if locator.startswith(b"PK\x06\x07"):
        _, _, place, _ = _LOCATOR64.unpack(locator)
        content = os.pread(descriptor, _END64.size, place)
        if len(content) < _END64.size or not content.startswith(b"PK\x06\x06"):
            raise BadZipFile("the end of its directory is damaged")
        *_, members, size, offset = _END64.unpack(content)
        end = place
    before = end - size - offset
    if before < 0:
        raise BadZipFile("its directory is damaged")
    return _Directory(offset + before, size, before, members)


def _entries(descriptor: int, directory: _Directory) -> Iterator[Member]:
    """The count in the end of a large archive may have overflowed: the size of the directory has the say."""
    place, end, buffer, at = directory.offset, directory.offset + directory.size, b"", 0
    while place < end or at < len(buffer):
        # name, extra field and comment have at most 64 KiB each
        if len(buffer) - at < _ENTRY.size + 3 * 2**16 and place < end:
            block = os.pread(descriptor, min(_BLOCK, end - place), place)
            if not block:
                raise BadZipFile("its directory is cut off")
            buffer, at, place = buffer[at:] + block, 0, place + len(block)
            continue
        if len(buffer) - at < _ENTRY.size or buffer[at : at + 4] != b"PK\x01\x02":
            raise BadZipFile("its directory is damaged")
        fields = _ENTRY.unpack_from(buffer, at)
        flags, method, crc, packed, size = fields[3], fields[4], fields[7], fields[8], fields[9]
        names = at + _ENTRY.size
        extras = names + fields[10]
        at = extras + fields[11] + fields[12]
        name = buffer[names:extras].decode("utf-8" if flags & 0x800 else "cp437", "replace")
        offset = fields[16]
        if _APART in (size, packed, offset):
            size, packed, offset = _told_apart(buffer[extras : extras + fields[11]], size, packed, offset)
        yield Member(name, flags, method, crc, packed, size, offset + directory.before)


def _told_apart(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Size, packed size and offset, from the extra field of 64 bits where they do not fit."""
    values = [size, packed, offset]
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            given = iter(struct.unpack_from(f"<{length // 8}Q", extra[: 4 + length], 4))
            try:
                values = [next(given) if value == _APART else value for value in values]
            except StopIteration:
                raise BadZipFile("its directory is damaged") from None
            break
        extra = extra[4 + length :]
    return values[0], values[1], values[2]


class MemberReader:
    """The content of a member, unpacked while it is read.

    Errors: BadZipFile, zlib.error, NotImplementedError for one that is packed or encrypted in a way not known here.
    """

    def __init__(self, file: BinaryIO, member: Member) -> None:
        self._descriptor = file.fileno()
        self._left = member.packed
        self._crc = self._count = 0
        self._member = member
        self._inflating = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == _DEFLATED else None
        self._buffer = b""
        self._ended = False
        if member.flags & 1:
            raise NotImplementedError(f"{member.name} is encrypted")
        if member.method not in (_STORED, _DEFLATED):
            raise NotImplementedError(f"{member.name} is packed in an unknown way ({member.method})")
        local = os.pread(self._descriptor, _LOCAL.size, member.offset)
        if len(local) < _LOCAL.size or not local.startswith(b"PK\x03\x04"):
            raise BadZipFile(f"{member.name} is not where the directory says")
        *_, name, extra = _LOCAL.unpack(local)
        self._place = member.offset + _LOCAL.size + name + extra

    def read(self, size: int) -> bytes:
        """As many bytes as there are up to `size`; fewer at the end only."""
        parts = [self._buffer]
        count = len(self._buffer)
        while count < size and not self._ended:
            part = self._next(size - count)
            parts.append(part)
            count += len(part)
        content = b"".join(parts)
        self._buffer = content[size:]
        return content[:size]

    def _next(self, most: int) -> bytes:
        packed = self._inflating.unconsumed_tail if self._inflating is not None else b""
        if not packed and self._left:
            packed = os.pread(self._descriptor, min(_CHUNK, self._left), self._place)
            if not packed:
                raise BadZipFile(f"{self._member.name} is cut off")
            self._place += len(packed)
            self._left -= len(packed)
        content = packed if self._inflating is None else self._inflating.decompress(packed, max(most, 1))
        self._crc = zlib.crc32(content, self._crc)
        self._count += len(content)
        if self._count > self._member.size:
            raise BadZipFile(f"{self._member.name} is larger than the directory says")
        if self._inflating is None:
            self._ended = not self._left
        elif self._inflating.eof or (not self._left and not self._inflating.unconsumed_tail and not content):
            self._ended = True
        if self._ended and (self._crc != self._member.crc or (self._inflating and not self._inflating.eof)):
            raise BadZipFile(f"{self._member.name} is damaged")
        return content
