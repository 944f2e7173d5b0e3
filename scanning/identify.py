"""Products known by their own bits, whatever the file is called: binaries of which no package database tells.

Versions have a digit, a dot and a digit, so only the places of a file that have these are looked at: finding them
costs little, and what stands around them is held against all signatures at once. Memory is bounded by the window.

>>> identifier = Identifier.load()
>>> if identifier.wants(path, size, head):          # head: the first HEAD bytes, or all of a smaller file
...     found = identifier.identify(path, chunks)   # chunks: all of the file, head included, in pieces of any size
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Self

from scanning.signature_files import Pattern, Signature, signatures
from scanning.texts import clean

#: bytes of a file's beginning by which it is known whether it is looked at
HEAD = 4096
#: bytes on each side of a version that a signature may span
AROUND = 160
#: bytes that are searched at a time
WINDOW = 2**20
#: places of one file that are looked at: of a file that is nothing but versions, the rest is passed over
_MOST_PLACES = 200_000
#: and texts of signatures in them
_MOST_HITS = 2_000
_MOST_VERSIONS = 20
_LONGEST_EVIDENCE = 120
#: bytes of the largest file of text that is looked at
_LARGEST_TEXT = 2**20
_MAGIC = (b"\x7fELF", b"!<arch>\n")
_PLACE = re.compile(rb"\.(?<=[0-9]\.)[0-9][0-9.]*")


@dataclass(frozen=True, slots=True)
class Identified:
    """A product in a file. `evidence` is the text that told; `confidence` from 0 to 1; `cpe` a CPE 2.3 name."""

    product: str
    version: str
    cpe: str
    confidence: float
    evidence: str
    path: str


@dataclass(frozen=True, slots=True)
class ShippedBinary:
    """What a file of a layer (its diff_id) is. `removed`: a later layer deletes or replaces the file."""

    identified: Identified
    layer: str
    removed: bool = False


class Identifier:
    """Of a set of signatures. Has no state of its own: any number of threads may use one."""

    def __init__(self, known: Iterable[Signature]) -> None:
        known = tuple(known)
        self._texts = {one.file: _Texts([one]) for one in known if one.file}
        self._binaries = _Texts([one for one in known if not one.file])

    @classmethod
    @cache
    def load(cls) -> Self:
        """Of all our signatures; made once."""
        return cls(signatures())

    def wants(self, path: str, size: int, head: bytes) -> bool:
        """Whether the file can be one that signatures tell of: binaries and static libraries, and few named texts."""
        if head.startswith(_MAGIC):
            return True
        return size <= _LARGEST_TEXT and path.rpartition("/")[2] in self._texts

    def identify(self, path: str, chunks: Iterable[bytes]) -> tuple[Identified, ...]:
        """What a file is and what it has inside; each product and version once, in the order of their names."""
        search = None
        for window in _windows(chunks):
            if search is None:
                texts = self._texts.get(path.rpartition("/")[2])
                search = _Search(self._binaries if texts is None or window.content.startswith(_MAGIC) else texts)
            if not search.looks_at(window):
                break
        return search.result(path) if search else ()


@dataclass(frozen=True, slots=True)
class _Window:
    """Part of a file: places from `begin` to before `end` are its own, the rest stands around them."""

    content: bytes
    begin: int
    end: int


def _windows(chunks: Iterable[bytes]) -> Iterator[_Window]:
    parts: list[bytes] = []
    size = begin = 0
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= WINDOW:
            content = b"".join(parts)
            yield _Window(content, begin, size - AROUND)
            parts = [content[-2 * AROUND :]]
            size, begin = 2 * AROUND, AROUND
    if size:
        yield _Window(b"".join(parts), begin, size)


class _Texts:
    """All texts of some signatures, and one expression that tells whether any of them is there."""

    def __init__(self, known: Iterable[Signature]) -> None:
        self.signatures = tuple(known)
        texts: dict[bytes, None] = {}
        for signature in self.signatures:
            for pattern in signature.patterns:
                texts.update(dict.fromkeys((pattern.text, *pattern.needs, *pattern.unless)))
        self.each = {text: re.compile(text) for text in texts}
        self.any = re.compile(b"|".join(re.sub(rb"\(\?P<\w+>", b"(?:", text) for text in texts))


class _Search:
    """Of one file: which texts it has, and with which versions."""

    def __init__(self, texts: _Texts) -> None:
        self._texts = texts
        #: text -> (version, update) -> what told
        self._found: dict[bytes, dict[tuple[str, str], str]] = defaultdict(dict)
        self._places = _MOST_PLACES
        self._hits = _MOST_HITS

    def looks_at(self, window: _Window) -> bool:
        """Whether it is to go on."""
        content = window.content
        for begin, end in self._regions(window):
            for hit in self._texts.any.finditer(content, begin, end):
                self._hits -= 1
                self._note(content, max(begin, hit.start() - AROUND), min(end, hit.end() + AROUND))
                if self._hits <= 0:
                    return False
        return self._places > 0

    def _regions(self, window: _Window) -> Iterator[tuple[int, int]]:
        """What stands around the places that have a version; where these are close together, around all of them."""
        begin = end = -1
        for place in _PLACE.finditer(window.content, window.begin, window.end):
            self._places -= 1
            if self._places <= 0:
                break
            if place.start() - AROUND > end:
                if end > 0:
                    yield begin, end
                begin = max(0, place.start() - AROUND)
            end = place.end() + AROUND
        if end > 0:
            yield begin, min(end, len(window.content))

    def _note(self, content: bytes, begin: int, end: int) -> None:
        """One hit may hide another: every text is tried."""
        for text, expression in self._texts.each.items():
            found = self._found[text]
            for match in expression.finditer(content, begin, end):
                if len(found) < _MOST_VERSIONS:
                    said = match.groupdict()
                    key = _decoded(said.get("version")), _decoded(said.get("update"))
                    found.setdefault(key, clean(_decoded(match[0]).strip("\0\n "), _LONGEST_EVIDENCE))

    def result(self, path: str) -> tuple[Identified, ...]:
        """The surest pattern tells of a product and version."""
        best: dict[tuple[str, str], Identified] = {}
        for signature in self._texts.signatures:
            for pattern in sorted(signature.patterns, key=lambda one: -one.confidence):
                for one in self._of(signature, pattern, path):
                    best.setdefault((one.product, one.version), one)
        return tuple(best[key] for key in sorted(best))

    def _of(self, signature: Signature, pattern: Pattern, path: str) -> Iterator[Identified]:
        if any(not self._found.get(text) for text in pattern.needs):
            return
        if any(self._found.get(text) for text in pattern.unless):
            return
        for (version, update), evidence in self._found.get(pattern.text, {}).items():
            yield Identified(
                product=signature.name,
                version=version + update,
                cpe=signature.cpe(version, update),
                confidence=pattern.confidence,
                evidence=evidence,
                path=path,
            )


def _decoded(said: bytes | None) -> str:
    return (said or b"").decode("latin-1")
