"""A bbolt file, the database that trivy reads, written whole from a tree: a mapping is a bucket, bytes are a value.

The format is version 2 of bbolt: pages of 4 KiB with a header of 16 bytes; two meta pages with a checksum, a list of
free pages, leaves and branches in the order of their keys. A small bucket without buckets lies in its parent's leaf.
"""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar, Union

Tree = Mapping[str, Union[bytes, "Tree"]]
_Item = TypeVar("_Item", bound=tuple[object, ...])
#: flags, key, value
_Leaf = tuple[int, bytes, bytes]
#: first key below, page
_Branch = tuple[bytes, int]

_PAGE = 4096
_HEADER = _ELEMENT = 16
_BRANCH, _LEAF, _META, _FREE = 1, 2, 4, 16
_MAGIC, _VERSION = 0xED0CDAED, 2
_IS_BUCKET = 1
#: bytes of the largest bucket that lies in its parent's leaf
_LARGEST_INLINE = _PAGE // 4
#: of the file: two meta pages, the list of free pages, and the one page that is in it
_FREE_LIST, _SPARE, _FIRST = 2, 3, 4


def write(path: Path, tree: Tree) -> None:
    """Written anew; keys are in UTF-8. No page is sorted out later: the file is as large as its content."""
    with path.open("wb") as file:
        pages = _Pages(file)
        root = pages.put(_items(tree, pages))
        pages.set(_FREE_LIST, _page(_FREE_LIST, _FREE, 1, struct.pack("<Q", _SPARE)))
        pages.set(_SPARE, _page(_SPARE, _LEAF, 0, b""))
        for number in (0, 1):
            meta = struct.pack("<IIIIQQQQQ", _MAGIC, _VERSION, _PAGE, 0, root, 0, _FREE_LIST, pages.next_free, number)
            pages.set(number, _page(number, _META, 0, meta + struct.pack("<Q", _fnv(meta))))
        file.truncate(pages.next_free * _PAGE)


class _Pages:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.next_free = _FIRST

    def set(self, number: int, page: bytes) -> None:
        self._file.seek(number * _PAGE)
        self._file.write(page.ljust(-(-len(page) // _PAGE) * _PAGE, b"\0"))

    def put(self, items: Sequence[_Leaf]) -> int:
        """Leaves of the items and the branches above them; returns the page of the topmost."""
        level: list[_Branch] = [
            (chunk[0][1] if chunk else b"", self._add(_LEAF, len(chunk), _leaf_body(chunk)))
            for chunk in _chunks(items, lambda item: len(item[1]) + len(item[2]))
        ]
        while len(level) > 1:
            level = [
                (chunk[0][0], self._add(_BRANCH, len(chunk), _branch_body(chunk)))
                for chunk in _chunks(level, lambda item: len(item[0]))
            ]
        return level[0][1]

    def _add(self, kind: int, count: int, body: bytes) -> int:
        number = self.next_free
        page = _page(number, kind, count, body)
        self.next_free += -(-len(page) // _PAGE)
        self.set(number, page)
        return number


def _items(tree: Tree, pages: _Pages) -> list[_Leaf]:
    """In the order of their keys as bytes, as bbolt looks for them."""
    found = sorted((key.encode(), value) for key, value in tree.items())
    return [
        (0, key, value) if isinstance(value, bytes) else (_IS_BUCKET, key, _bucket(_items(value, pages), pages))
        for key, value in found
    ]


def _bucket(items: list[_Leaf], pages: _Pages) -> bytes:
    """What stands in the parent's leaf: the page of the bucket's root, or the bucket itself."""
    size = _HEADER + sum(_ELEMENT + len(key) + len(value) for _, key, value in items)
    if size <= _LARGEST_INLINE and not any(flags for flags, _, _ in items):
        return struct.pack("<QQ", 0, 0) + _page(0, _LEAF, len(items), _leaf_body(items))
    return struct.pack("<QQ", pages.put(items), 0)


def _page(number: int, kind: int, count: int, body: bytes) -> bytes:
    more = (_HEADER + len(body) - 1) // _PAGE
    return struct.pack("<QHHI", number, kind, count, more) + body


def _leaf_body(items: Sequence[_Leaf]) -> bytes:
    heads, place = [], _ELEMENT * len(items)
    for number, (flags, key, value) in enumerate(items):
        heads.append(struct.pack("<IIII", flags, place - _ELEMENT * number, len(key), len(value)))
        place += len(key) + len(value)
    return b"".join(heads) + b"".join(key + value for _, key, value in items)


def _branch_body(items: Sequence[_Branch]) -> bytes:
    heads, place = [], _ELEMENT * len(items)
    for number, (key, page) in enumerate(items):
        heads.append(struct.pack("<IIQ", place - _ELEMENT * number, len(key), page))
        place += len(key)
    return b"".join(heads) + b"".join(key for key, _ in items)


def _chunks(items: Sequence[_Item], size: Callable[[_Item], int]) -> Iterator[list[_Item]]:
    """As many as fit into a page, but at least two: a branch above one page would have no end. One chunk of nothing."""
    chunk: list[_Item] = []
    room = _PAGE - _HEADER
    for item in items:
        needed = _ELEMENT + size(item)
        if len(chunk) >= 2 and needed > room:
            yield chunk
            chunk, room = [], _PAGE - _HEADER
        chunk.append(item)
        room -= needed
    if chunk or not items:
        yield chunk


def _fnv(content: bytes) -> int:
    """FNV-1a of 64 bits."""
    found = 0xCBF29CE484222325
    for byte in content:
        found = ((found ^ byte) * 0x100000001B3) % 2**64
    return found
