"""Products known by their own bits, whatever the file is called: binaries of which no package database tells.

Versions have a digit, a dot and a digit, so only the places of a file that have these are looked at: finding them
costs little, and what stands around them is held against all signatures at once. Memory is bounded by the window.

>>> identifier = Identifier.load()
>>> if identifier.wants(path, size, head):          # head: the first HEAD bytes, or all of a smaller file
...     bits = identifier.look(path, chunks)        # chunks: all of the file, head included, in pieces of any size
"""

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Self

from scanning.binaries import BuildInformation
from scanning.package_files import Package
from scanning.signature_files import Pattern, Signature, signatures
from scanning.texts import decoded

#: bytes of a file's beginning by which it is known whether it is looked at
HEAD = 4096
#: bytes on each side of a version that a signature may span
AROUND = 160
#: bytes that are searched at a time
WINDOW = 2**20
#: places of one file that are looked at: of a file that is nothing but versions, the rest is passed over
_MOST_PLACES = 100_000
#: marks of one kind, versions that stand by themselves, and different versions of one pattern: of a file that repeats
#: them, the rest is passed over
_MOST_MARKS = 2_000
_MOST_VERSIONS = 20
_LONGEST_EVIDENCE = 120
#: bytes before a version in which what decides about it is looked for, and all of the file after it
_REACH = 16 * 2**20
#: bytes of the largest file of text that is looked at
_LARGEST_TEXT = 2**20
_MAGIC = (b"\x7fELF", b"!<arch>\n")
#: what may follow the numbers of a version: 3.13.0rc1, 1.2.4_git20230717
_ENDS = re.compile(rb"[\w.+~-]{0,24}\0")
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


@dataclass(frozen=True, slots=True)
class Bits:
    """What a file's bits tell: what it is, and the packages that Go and Rust compiled into it."""

    identified: tuple[Identified, ...]
    packages: tuple[Package, ...]


class Identifier:
    """Of a set of signatures. Has no state of its own: any number of threads may use one."""

    def __init__(self, known: Iterable[Signature]) -> None:
        known = tuple(known)
        files = {pattern.file for one in known for pattern in one.patterns}
        self._texts = {file: _Texts(known, file) for file in files | {""}}

    @classmethod
    @cache
    def load(cls) -> Self:
        """Of all our signatures; made once."""
        return cls(signatures())

    def wants(self, path: str, size: int, head: bytes) -> bool:
        """Whether the file can be one that signatures tell of: binaries and static libraries, and few named texts."""
        if head.startswith(_MAGIC):
            return True
        return size <= _LARGEST_TEXT and path.rpartition("/")[2] in self._texts and b"\0" not in head

    def look(self, path: str, chunks: Iterable[bytes]) -> Bits:
        """All that a file's bits tell, in one pass over it."""
        information = BuildInformation()
        identified = self.identify(path, information.passing(chunks))
        return Bits(identified, information.packages())

    def identify(self, path: str, chunks: Iterable[bytes]) -> tuple[Identified, ...]:
        """What a file is and what it has inside; each product and version once, in the order of their names."""
        search = None
        for window in _windows(chunks):
            if search is None:
                file = "" if window.content.startswith(_MAGIC) else path.rpartition("/")[2]
                search = _Search(self._texts.get(file, self._texts[""]))
            search.looks_at(window)
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
    """All patterns of a kind of file."""

    def __init__(self, known: Iterable[Signature], file: str) -> None:
        self.patterns = {one: [pattern for pattern in one.patterns if pattern.file == file] for one in known}
        self.expressions = {pattern: re.compile(pattern.text) for some in self.patterns.values() for pattern in some}
        self.marked: dict[bytes, list[Pattern]] = defaultdict(list)
        for pattern in self.expressions:
            self.marked[pattern.mark].append(pattern)
        self.bare = self.marked.pop(b"", [])


class _Search:
    """Of one file: which texts it has, and with which versions."""

    def __init__(self, texts: _Texts) -> None:
        self._texts = texts
        #: pattern -> what its groups said -> the text
        self._found: dict[Pattern, dict[tuple[bytes, ...], bytes]] = defaultdict(dict)
        #: bytes that decide about what was found -> whether the file has them
        self._asked: dict[bytes, bool] = {}
        self._recent: deque[bytes] = deque(maxlen=_REACH // WINDOW)
        self._places = _MOST_PLACES
        #: mark -> how many more of it are looked at
        self._left: dict[bytes, int] = dict.fromkeys(texts.marked, _MOST_MARKS)
        self._bare_left = _MOST_MARKS

    def looks_at(self, window: _Window) -> None:
        content = window.content
        self._recent.append(content)
        for one, there in self._asked.items():
            self._asked[one] = there or one in content
        for region in self._regions(window):
            for mark in self._texts.marked:
                for first, last in self._marks(mark, content, *region):
                    self._try(mark, content, max(0, first - AROUND), last + len(mark) + AROUND)
        for pattern in self._found:
            self._ask(pattern)

    def _try(self, mark: bytes, content: bytes, begin: int, end: int) -> None:
        for pattern in self._texts.marked[mark]:
            for match in self._texts.expressions[pattern].finditer(content, begin, end):
                self._note(pattern, match)

    def _marks(self, mark: bytes, content: bytes, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Where it stands; of some that are close together, the first and the last."""
        place = content.find(mark, begin, end)
        while place >= 0 and self._left[mark] > 0:
            first = last = place
            while last <= place <= last + AROUND:
                self._left[mark] -= 1
                last, place = place, content.find(mark, place + 1, end)
            yield first, last

    def _regions(self, window: _Window) -> Iterator[tuple[int, int]]:
        """What stands around the places that have a version; where these are close together, around all of them."""
        content = window.content
        begin = end = -1
        for place in _PLACE.finditer(content, window.begin, window.end):
            if self._places <= 0:
                break
            self._places -= 1
            if self._bare_left > 0 and (bare := _by_itself(content, place.start(), place.end())) >= 0:
                self._bare_left -= 1
                for pattern in self._texts.bare:
                    if match := self._texts.expressions[pattern].match(content, bare):
                        self._note(pattern, match)
            if end < 0 or place.start() - AROUND > end:
                if end >= 0:
                    yield begin, end
                begin = max(0, place.start() - AROUND)
            end = place.end() + AROUND
        if end >= 0:
            yield begin, min(end, len(content))

    def _note(self, pattern: Pattern, match: re.Match[bytes]) -> None:
        found = self._found[pattern]
        if len(found) < _MOST_VERSIONS:
            found.setdefault(match.groups(b""), match[0])

    def _ask(self, pattern: Pattern) -> None:
        """One after the other: what is not there makes all that follows needless."""
        for one in pattern.needs:
            if not self._has(one):
                return
        for one in pattern.unless:
            self._has(one)

    def _has(self, one: bytes) -> bool:
        if one not in self._asked:
            self._asked[one] = any(one in content for content in self._recent)
        return self._asked[one]

    def result(self, path: str) -> tuple[Identified, ...]:
        """Of each product what its first pattern tells that tells anything."""
        found: dict[tuple[str, str], Identified] = {}
        for signature, patterns in self._texts.patterns.items():
            for pattern in patterns:
                if not pattern.alone and (told := list(self._told(signature, pattern, path))):
                    found.update(((one.product, one.version), one) for one in told)
                    break
        surely = {product for product, _ in found}
        taken = {version for _, version in found}
        for signature, patterns in self._texts.patterns.items():
            for pattern in patterns if signature.name not in surely else ():
                if not pattern.alone:
                    continue
                told = [one for one in self._told(signature, pattern, path) if one.version not in taken]
                if len(told) == 1:
                    found[signature.name, told[0].version] = told[0]
                    break
        return tuple(found[key] for key in sorted(found))

    def _told(self, signature: Signature, pattern: Pattern, path: str) -> Iterator[Identified]:
        if not all(self._asked.get(one) for one in pattern.needs) or any(
            self._asked.get(one) for one in pattern.unless
        ):
            return
        names = self._texts.expressions[pattern].groupindex
        for groups, text in self._found[pattern].items():
            said = {name: decoded(groups[number - 1]) for name, number in names.items()}
            version, update = (part.format_map(said) for part in pattern.cpe)
            yield Identified(
                product=signature.name,
                version=pattern.version.format_map(said),
                cpe=signature.cpe(version, update),
                confidence=pattern.confidence,
                evidence=decoded(text.strip(b"\0\r\n "))[:_LONGEST_EVIDENCE],
                path=path,
            )


def _by_itself(content: bytes, begin: int, end: int) -> int:
    """Where the version begins that has its first dot at `begin`; -1 when no NUL ends it, or a name goes before it.

    `GLIBC_2.2.5` and `python3.11` are no versions that stand by themselves.
    """
    if not _ENDS.match(content, end):
        return -1
    before = content[max(0, begin - 4) : begin]
    digits = len(before) - len(before.rstrip(b"0123456789"))
    last = content[max(0, begin - digits - 1) : begin - digits]
    return -1 if last.isalnum() or last in (b"_", b".") else begin - digits
