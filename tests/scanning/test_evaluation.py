"""A whole record, as it is imported, affects what OSV's own algorithm says, in every kind of order.

Reference: https://ossf.github.io/osv-schema/#evaluation, written down here once more, in its own words, over plain
numbers. Two events of one version are not told there; tests/scanning/test_ranges.py has what we make of them.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scanning.osv import affected_from_json, affected_to_json, by_name, parse_record
from scanning.versions import fixed_after, is_affected

#: how the number of a version is written in each ecosystem; where an installed one looks different, second
SPELLINGS: dict[str, tuple[str, str]] = {
    "Debian:12": ("1:{}.0-1", "1:{}.0-1"),
    "Ubuntu:22.04": ("{}.0-0ubuntu1", "{}.0-0ubuntu1"),
    "Alpine:v3.20": ("{}.1-r0", "{}.1-r0"),
    "Wolfi": ("{}.1-r3", "{}.1-r3"),
    "Rocky Linux:9": ("0:{}.2-1.el9", "{}.2-1.el9"),
    "AlmaLinux:9": ("{}.2-1.el9_4", "{}.2-1.el9_4"),
    "Red Hat:enterprise_linux:9::baseos": ("0:{}.2-1.el9", "{}.2-1.el9"),
    "openSUSE:Leap 15.5": ("{}.2-150500.1.1", "{}.2-150500.1.1"),
    "PyPI": ("{}.0", "{}"),
    "npm": ("{}.0.0", "{}.0.0"),
    "Go": ("{}.0.0", "v{}.0.0"),
    "Maven": ("{}.0", "{}.0.0"),
    "RubyGems": ("{}.0", "{}.0.0"),
    "crates.io": ("{}.0.0", "{}.0.0"),
    "NuGet": ("{}.0.0", "{}.0.0.0"),
    "Packagist": ("{}.0.0", "v{}.0"),
    "Hex": ("{}.0.0", "{}.0.0"),
    "Pub": ("{}.0.0", "{}.0.0"),
    "ConanCenter": ("{}.0.0", "{}.0.0"),
    "SwiftURL": ("{}.0.0", "{}.0.0"),
    "GitHub Actions": ("{}.0.0", "v{}.0.0"),
    "CRAN": ("{}.0", "{}.0"),
    "Hackage": ("{}.1", "{}.1"),
}
KINDS = ("introduced", "fixed", "last_affected", "limit")
Event = tuple[str, int]

#: 0 is the first of all versions; installed ones begin with 1
bounds = st.integers(min_value=0, max_value=9)
installed = st.integers(min_value=1, max_value=10)
a_range = st.lists(
    st.tuples(st.sampled_from(KINDS), bounds).filter(lambda event: event[0] == "introduced" or event[1] > 0),
    min_size=1,
    max_size=6,
    unique_by=lambda event: event[1],
)
an_entry = st.tuples(st.lists(a_range, max_size=3), st.lists(installed, max_size=3))
entries = st.lists(an_entry, min_size=1, max_size=3)
Entries = list[tuple[list[list[Event]], list[int]]]


def is_vulnerable(version: int, said: Entries) -> bool:
    return any(version in listed or included_in_ranges(version, ranges) for ranges, listed in said)


def included_in_ranges(version: int, ranges: list[list[Event]]) -> bool:
    for events in ranges:
        if before_limits(version, events):
            vulnerable = False
            for kind, bound in sorted(events, key=lambda event: event[1]):
                if kind == "introduced" and version >= bound:
                    vulnerable = True
                elif (kind == "fixed" and version >= bound) or (kind == "last_affected" and version > bound):
                    vulnerable = False
            if vulnerable:
                return True
    return False


def before_limits(version: int, events: list[Event]) -> bool:
    limits = [bound for kind, bound in events if kind == "limit"]
    return not limits or any(version < limit for limit in limits)


def record(ecosystem: str, said: Entries) -> dict[str, Any]:
    """As an export has it."""
    package = {"ecosystem": ecosystem, "name": "left"}
    affected = [
        {
            "package": package,
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{kind: spelt(ecosystem, bound)} for kind, bound in events]}
                for events in ranges
            ],
            "versions": [spelt(ecosystem, number) for number in listed],
        }
        for ranges, listed in said
    ]
    return {"id": "A-1", "modified": "2026-01-01T00:00:00Z", "affected": affected}


def spelt(ecosystem: str, number: int) -> str:
    return SPELLINGS[ecosystem][0].format(number) if number else "0"


def affects(ecosystem: str, said: Entries) -> Callable[[int], bool]:
    """Whether the record, once it has been stored and read again, affects an installed version."""
    ((name, found),) = by_name(parse_record(record(ecosystem, said))).items()
    stored = list(affected_from_json(*name, affected_to_json(found)))
    return lambda number: any(is_affected(SPELLINGS[ecosystem][1].format(number), entry) for entry in stored)


@pytest.mark.parametrize("ecosystem", SPELLINGS)
@settings(max_examples=60)
@given(said=entries)
@example(said=[([], [])])
@example(said=[([[("introduced", 0)]], [])])
@example(said=[([[("introduced", 2), ("fixed", 4), ("introduced", 6)]], [])])
@example(said=[([[("introduced", 0), ("last_affected", 3)], [("introduced", 5), ("fixed", 7)]], [9])])
@example(said=[([[("introduced", 0), ("limit", 3)]], []), ([[("introduced", 8)]], [4])])
@example(said=[([[("introduced", 0), ("fixed", 4), ("fixed", 2)]], [])])
@example(said=[([[("introduced", 0), ("last_affected", 4), ("last_affected", 2)]], [])])
def test_a_record_affects_what_the_schema_says(ecosystem: str, said: Entries) -> None:
    affected = affects(ecosystem, said)
    for number in range(1, 11):
        assert affected(number) is is_vulnerable(number, said), f"version {number}"


@given(said=entries, more=an_entry, number=installed)
def test_what_is_added_to_a_record_never_takes_a_version_out(
    said: Entries, more: tuple[list[list[Event]], list[int]], number: int
) -> None:
    assert affects("npm", [*said, more])(number) >= affects("npm", said)(number)


@given(low=bounds, middle=bounds, high=bounds, number=installed)
def test_two_ranges_that_touch_are_one(low: int, middle: int, high: int, number: int) -> None:
    low, middle, high = sorted((low, middle, high))
    whole: list[Event] = [("introduced", low), ("fixed", high)]
    halves: list[Event] = [("introduced", low), ("fixed", middle), ("introduced", middle), ("fixed", high)]
    if low < middle < high:
        assert affects("PyPI", [([whole], [])])(number) is affects("PyPI", [([halves], [])])(number)
        apart = [[halves[0], halves[1]], [halves[2], halves[3]]]
        assert affects("PyPI", [([whole], [])])(number) is affects("PyPI", [(apart, [])])(number)


@given(said=entries, number=installed)
def test_a_fix_is_later_and_is_not_affected(said: Entries, number: int) -> None:
    found = by_name(parse_record(record("Debian:12", said)))["Debian:12", "left"]
    fix = fixed_after(SPELLINGS["Debian:12"][1].format(number), found)
    named = [bound for ranges, _ in said for events in ranges for kind, bound in events if kind == "fixed"]
    sound = sorted(bound for bound in named if bound > number and not is_vulnerable(bound, said))
    assert fix == (spelt("Debian:12", sound[0]) if sound else "")
