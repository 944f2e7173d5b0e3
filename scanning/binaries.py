"""What compilers write into binaries of the packages inside them: Go's build information, Rust's cargo-auditable.

Trivy reads both of what is there in the end; here they are read of every layer, for what a later one deletes. The file
passes once, as a stream: Go's block is found by its first bytes, Rust's section by the table at the end of the file.
"""

import json
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator

from scanning.package_files import Package, cleaned

_ELF = b"\x7fELF"
#: bytes of the beginning in which the note of Go's linker stands
_HEAD = 4096
_GO_NOTE, _GO_MAGIC = b"Go\0\0", b"\xff Go buildinf:"
#: bytes before the texts of Go's block: the magic, the size of a pointer, flags
_GO_HEADER = 32
_GO_INLINE = 2
#: bytes of the marks around Go's list of modules
_GO_SENTINEL = 16
#: bytes of the largest list that is read; trivy's own has 36 kB
_LONGEST = 2**20
#: bytes of the end of a file that are kept: the last sections, and the table that names them
_TAIL = 8 * 2**20
_MOST_SECTIONS = 10_000
_RUST_SECTION = b".dep-v0\0"


class BuildInformation:
    """Reads one file while it passes.

    >>> information = BuildInformation()
    >>> for chunk in information.passing(chunks): ...
    >>> information.packages()
    """

    def __init__(self) -> None:
        self._head = b""
        self._size = 0
        self._tail: deque[bytes] = deque()
        self._kept = 0
        #: the end of what has passed, or Go's block from its first byte on
        self._go = b""
        self._go_found = False

    def passing(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if len(self._head) < _HEAD:
                self._head += chunk[: _HEAD - len(self._head)]
            if self._head.startswith(_ELF):
                self._keep(chunk)
                if _GO_NOTE in self._head:
                    self._look_for_go(chunk)
            self._size += len(chunk)
            yield chunk

    def packages(self) -> tuple[Package, ...]:
        """When all has passed. Of what cannot be read, none."""
        if not self._head.startswith(_ELF):
            return ()
        found = _go_packages(self._go) if self._go_found else _rust_packages(self._rust_section())
        return tuple(dict.fromkeys(cleaned(package) for package in found if package.name and package.version))

    def _keep(self, chunk: bytes) -> None:
        self._tail.append(chunk)
        self._kept += len(chunk)
        while self._kept - len(self._tail[0]) >= _TAIL:
            self._kept -= len(self._tail.popleft())

    def _look_for_go(self, chunk: bytes) -> None:
        if self._go_found:
            if len(self._go) < _LONGEST:
                self._go += chunk
            return
        content = self._go + chunk
        place = content.find(_GO_MAGIC)
        self._go_found = place >= 0
        self._go = content[place:] if self._go_found else content[-len(_GO_MAGIC) :]

    def _rust_section(self) -> bytes:
        tail = b"".join(self._tail)
        begin = self._size - len(tail)
        for name, place, size in _sections(self._head, tail, begin):
            if name == _RUST_SECTION and begin <= place and place + size <= self._size:
                return tail[place - begin : place - begin + size]
        return b""


def _sections(head: bytes, tail: bytes, begin: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, place, bytes) of an ELF file's sections whose table is in `tail`, which begins at `begin` of the file."""
    order = ">" if head[5:6] == b"\2" else "<"
    wide = head[4:5] == b"\2"
    try:
        (table,) = struct.unpack_from(order + ("Q" if wide else "I"), head, 40 if wide else 32)
        length, count, names = struct.unpack_from(order + "3H", head, 58 if wide else 46)
        entry = struct.Struct(order + ("II4Q" if wide else "6I"))
        if table < begin or count > _MOST_SECTIONS or length < entry.size:
            return
        entries = [entry.unpack_from(tail, table - begin + number * length) for number in range(count)]
        texts = entries[names][4] - begin
    except (struct.error, IndexError, OverflowError):
        return
    for said in entries:
        if texts >= 0:
            place = texts + said[0]
            yield tail[place : place + len(_RUST_SECTION)], said[4], said[5]


def _go_packages(block: bytes) -> Iterator[Package]:
    """Of Go since 1.18; before, the block has only addresses. A module that was replaced is what replaced it."""
    if len(block) <= _GO_HEADER or not block[15] & _GO_INLINE:
        return
    version, rest = _text(block[_GO_HEADER:])
    modules, _ = _text(rest)
    if version.startswith(b"go"):
        yield Package("golang", "stdlib", "v" + version.split()[0][2:].decode("utf-8", "replace"))
    found: list[Package] = []
    for line in modules[_GO_SENTINEL:-_GO_SENTINEL].decode("utf-8", "replace").split("\n"):
        word, *said = line.split("\t")
        if word == "=>" and found:
            found.pop()
        if word in ("mod", "dep", "=>") and len(said) >= 2:
            found.append(Package("golang", said[0], said[1] if said[1] != "(devel)" else ""))
    yield from found


def _text(block: bytes) -> tuple[bytes, bytes]:
    """A text with its length before it, as Go's varint, and what follows."""
    length = shift = 0
    for place, byte in enumerate(block[:5]):
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return block[place + 1 : place + 1 + length], block[place + 1 + length :]
    return b"", b""


def _rust_packages(section: bytes) -> Iterator[Package]:
    """What was only needed to build it is not in it."""
    try:
        said = json.loads(zlib.decompressobj().decompress(section, _LONGEST))
        for package in said["packages"]:
            if package.get("kind", "runtime") == "runtime":
                yield Package("cargo", str(package["name"]), str(package["version"]))
    except (zlib.error, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
