"""OSV's affected ranges, evaluated in the order of each ecosystem.

Reference: https://ossf.github.io/osv-schema/ ("Evaluation").
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from scanning.version_keys import InvalidVersion, base_of, is_spelt_one_way, version_key


@dataclass(frozen=True, slots=True)
class Range:
    """Events of one range as (kind, version); kind is introduced, fixed, last_affected or limit."""

    events: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Affected:
    """One package that an advisory names. `ecosystem` as OSV writes it (`Debian:12`)."""

    ecosystem: str
    name: str
    ranges: tuple[Range, ...] = ()
    versions: tuple[str, ...] = ()


def compare(ecosystem: str, a: str, b: str) -> int:
    """-1, 0 or 1, as `a` is older than, the same as, or newer than `b`. Errors: InvalidVersion."""
    first, second = version_key(ecosystem, a), version_key(ecosystem, b)
    if first == second:
        return 0
    return -1 if first < second else 1


def is_affected(version: str, entry: Affected) -> bool:
    """Whether the entry names this version, in its list or by a range.

    A range with a bound that cannot be read (26 in PyPI's data) counts for nothing where there is a list of versions;
    where there is none, the bound is read as far as it can be, and what is left open is taken for affected. A version
    that cannot be read is affected where it is listed, and where every version is. A local version of Python's is what
    its public one is, too.
    """
    named = any(_in_range(version, range_, entry) for range_ in entry.ranges) or _is_listed(version, entry)
    return named or (_is_local(version, entry) and is_affected(version.partition("+")[0], entry))


def _is_local(version: str, entry: Affected) -> bool:
    """torch's 1.13.1+cu117 is a build of 1.13.1, and newer than the last affected one only by its name."""
    return "+" in version and base_of(entry.ecosystem) == "PyPI"


def fixed_after(version: str, entries: Iterable[Affected]) -> str:
    """The first fix after the version that no entry calls affected itself; empty when none is known."""
    entries = tuple(entries)
    for fix in _fixes(version, entries):
        if not any(is_affected(fix, entry) for entry in entries):
            return fix
    return ""


def _fixes(version: str, entries: tuple[Affected, ...]) -> list[str]:
    """Later ones than the version, in order; all of them when the version cannot be read."""
    found: list[tuple[Any, str]] = []
    for entry in entries:
        key = _readable(entry.ecosystem, version)
        for fix in (bound for range_ in entry.ranges for kind, bound in range_.events if kind == "fixed"):
            fix_key = _readable(entry.ecosystem, fix)
            if fix_key is not None and (key is None or fix_key > key):
                found.append((fix_key, fix))
    return [fix for _, fix in sorted(found, key=_Ordered)]


def _is_listed(version: str, entry: Affected) -> bool:
    if version in entry.versions:
        return True
    if not entry.versions or is_spelt_one_way(entry.ecosystem):
        return False
    key = _readable(entry.ecosystem, version)
    return key is not None and any(_readable(entry.ecosystem, listed) == key for listed in entry.versions)


def _in_range(version: str, range_: Range, entry: Affected) -> bool:
    if all(event == ("introduced", "0") for event in range_.events):
        return True
    key = _readable(entry.ecosystem, version)
    if key is None:
        return False
    try:
        bounds = [(kind, _bound(entry, kind, bound)) for kind, bound in range_.events]
    except InvalidVersion:
        return False
    limits = [bound for kind, bound in bounds if kind == "limit"]
    if limits and not any(bound is None or key < bound for bound in limits):
        return False
    hit = any(kind == "introduced" and bound is None for kind, bound in bounds)
    events = [(bound, kind) for kind, bound in bounds if bound is not None and kind != "limit"]
    for bound, kinds in _by_bound(events):
        if key < bound:
            break
        hit = _after(hit, kinds, exactly=key == bound)
    return hit


def _after(hit: bool, kinds: set[str], *, exactly: bool) -> bool:
    """Whether a version is affected from a bound on, that was or was not affected before it.

    Where one range ends and the next begins (fixed and introduced in 3.1.1: real), the affected ones go on; what is
    introduced and fixed in the same version never was.
    """
    ends = "fixed" in kinds or ("last_affected" in kinds and not exactly)
    if "introduced" in kinds:
        return hit or not ends
    return hit and not ends


def _by_bound(events: list[tuple[Any, str]]) -> Iterator[tuple[Any, set[str]]]:
    """Kinds of events by bound, the lowest bound first."""
    for _, group in groupby(sorted(events, key=_Ordered), key=_Ordered):
        same = list(group)
        yield same[0][0], {kind for _, kind in same}


@dataclass(frozen=True, slots=True, eq=False)
class _Ordered:
    """Compares what begins with a key by that key alone: keys of Maven and RubyGems have no order inside a tuple."""

    event: tuple[Any, str]

    def __lt__(self, other: "_Ordered") -> bool:
        return bool(self.event[0] < other.event[0])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Ordered) and bool(self.event[0] == other.event[0])


_NUMBERS = re.compile(r"v?[0-9]+(?:\.[0-9]+)+")


def _bound(entry: Affected, kind: str, bound: str) -> Any:
    """Key of a bound; None for one that is open: the first of all versions, or no limit. Errors: InvalidVersion, where
    the list of versions has the say."""
    if (kind, bound) in (("introduced", "0"), ("limit", "*")):
        return None
    try:
        return version_key(entry.ecosystem, bound)
    except InvalidVersion:
        if entry.versions:
            raise
    readable = _NUMBERS.match(bound)
    return _readable(entry.ecosystem, readable[0]) if readable else None


def _readable(ecosystem: str, version: str) -> Any:
    try:
        return version_key(ecosystem, version)
    except InvalidVersion:
        return None
