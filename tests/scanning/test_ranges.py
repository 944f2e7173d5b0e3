"""OSV's evaluation: which versions an entry affects, and where it is mended."""

import gzip
import json
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scanning.osv import parse_record
from scanning.version_keys import InvalidVersion, version_key
from scanning.versions import Affected, Range, fixed_after, is_affected
from tests.scanning.real_data import real

KINDS = ("introduced", "fixed", "last_affected", "limit")
numbers = st.integers(min_value=0, max_value=9)
events = st.lists(st.tuples(st.sampled_from(KINDS), numbers), min_size=1, max_size=6)


def npm(*ranges: list[tuple[str, int]], versions: tuple[int, ...] = ()) -> Affected:
    said = tuple(Range(tuple((kind, version(number)) for kind, number in events)) for events in ranges)
    return Affected("npm", "left-pad", said, tuple(version(number) for number in versions))


def version(number: int) -> str:
    """In OSV 0 stands for the first of all versions, so it is never written as one here."""
    return "0" if number == 0 else f"{number}.0.0"


def entry(ecosystem: str, *events: tuple[str, str], versions: tuple[str, ...] = ()) -> Affected:
    return Affected(ecosystem, "package", (Range(events),), versions)


def reference(number: int, events: list[tuple[str, int]]) -> bool:
    """The schema's own words, for a range whose events are of different versions."""
    limits = [bound for kind, bound in events if kind == "limit"]
    if limits and not any(number < bound for bound in limits):
        return False
    vulnerable = False
    for kind, bound in sorted(events, key=lambda event: event[1]):
        if kind == "introduced" and number >= bound:
            vulnerable = True
        elif (kind == "fixed" and number >= bound) or (kind == "last_affected" and number > bound):
            vulnerable = False
    return vulnerable


@given(
    events=st.lists(st.tuples(st.sampled_from(KINDS), numbers), min_size=1, unique_by=lambda event: event[1]),
    at=numbers,
)
@example(events=[("introduced", 0)], at=0)
@example(events=[("introduced", 0), ("fixed", 5)], at=4)
@example(events=[("introduced", 0), ("fixed", 5)], at=5)
@example(events=[("introduced", 2), ("last_affected", 5)], at=5)
@example(events=[("introduced", 2), ("last_affected", 5)], at=6)
@example(events=[("introduced", 0), ("limit", 5)], at=5)
@example(events=[("introduced", 0), ("limit", 3), ("limit", 7)], at=5)
@example(events=[("fixed", 3)], at=2)
def test_a_range_is_evaluated_as_the_schema_says(events: list[tuple[str, int]], at: int) -> None:
    assert is_affected(version(at), npm(events)) is reference(at, events)


@given(events=events, at=numbers, data=st.data())
def test_the_order_in_which_events_are_written_says_nothing(
    events: list[tuple[str, int]], at: int, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(events))
    assert is_affected(version(at), npm(events)) is is_affected(version(at), npm(shuffled))
    assert fixed_after(version(at), [npm(events)]) == fixed_after(version(at), [npm(shuffled)])


@given(one=events, other=events, listed=st.lists(numbers, max_size=3), at=numbers)
def test_an_entry_affects_what_its_list_or_any_of_its_ranges_does(
    one: list[tuple[str, int]], other: list[tuple[str, int]], listed: list[int], at: int
) -> None:
    by_either = any(is_affected(version(at), npm(events)) for events in (one, other))
    together = npm(one, other, versions=tuple(listed))
    assert is_affected(version(at), together) is (by_either or at in listed)


@given(one=events, other=events, at=numbers)
@example(one=[("introduced", 1), ("fixed", 3)], other=[("introduced", 2), ("fixed", 6)], at=1)
def test_the_fix_is_the_first_later_version_that_is_called_one_and_is_not_affected(
    one: list[tuple[str, int]], other: list[tuple[str, int]], at: int
) -> None:
    entries = [npm(one), npm(other)]
    fixes = sorted(bound for kind, bound in one + other if kind == "fixed" and bound > at)
    sound = [version(bound) for bound in fixes if not any(is_affected(version(bound), entry) for entry in entries)]
    assert fixed_after(version(at), entries) == (sound[0] if sound else "")


def test_where_one_range_ends_and_the_next_begins_versions_stay_affected() -> None:
    """PYSEC-2022-42972 and PYSEC-2024-258: one of 0.13 was never told as long as the fix had the last word."""
    touching = entry("PyPI", ("introduced", "0.13.0"), ("fixed", "0.14"), ("introduced", "0.12.2"), ("fixed", "0.13.0"))
    assert [is_affected(at, touching) for at in ("0.12.1", "0.12.2", "0.13.0", "0.13.5", "0.14")] == [
        *(False, True, True, True),
        False,
    ]
    assert fixed_after("0.12.2", [touching]) == "0.14"
    assert is_affected(
        "2.5", entry("PyPI", ("introduced", "0"), ("fixed", "2"), ("introduced", "2.0"), ("fixed", "2.11"))
    )


def test_what_is_introduced_and_fixed_in_one_version_never_was() -> None:
    """Alpine says so of what its packages never had: introduced 0, fixed 0."""
    never = entry("Alpine:v3.11", ("introduced", "0"), ("fixed", "0"))
    assert not is_affected("10.1.22-r0", never)
    assert not is_affected("2.0", entry("npm", ("introduced", "2.0.0"), ("fixed", "2.0.0")))
    assert is_affected("2.0.0", entry("npm", ("introduced", "2.0.0"), ("last_affected", "2.0.0")))


def test_a_star_is_no_limit() -> None:
    assert is_affected("9.9.9", entry("npm", ("introduced", "1.0.0"), ("limit", "*")))


def test_a_list_of_versions_knows_that_1_0_is_1_0_0_where_the_ecosystem_does() -> None:
    assert is_affected("1.0.0", Affected("PyPI", "package", versions=("1.0", "1.1")))
    assert not is_affected("1.0.1", Affected("PyPI", "package", versions=("1.0", "1.1")))
    assert is_affected("not-a-version", Affected("PyPI", "package", versions=("not-a-version",)))
    assert not is_affected("1.0.0", Affected("Debian:12", "package", versions=("1.0",)))


@pytest.mark.parametrize(
    ("ecosystem", "installed"), [("Go", "v1.2.0"), ("npm", "1.2.0+build.5"), ("NuGet", "1.2"), ("Packagist", "v1.2.0")]
)
def test_a_listed_version_may_be_spelt_differently(ecosystem: str, installed: str) -> None:
    assert is_affected(installed, Affected(ecosystem, "package", versions=("1.2.0",)))
    assert not is_affected(installed, Affected(ecosystem, "package", versions=("1.2.1",)))


def test_a_local_version_of_python_is_what_its_public_one_is() -> None:
    """torch is installed as 1.13.1+cu117: newer than 1.13.1 in PEP 440's order, and the same sources."""
    up_to = entry("PyPI", ("introduced", "0"), ("last_affected", "1.13.1"))
    listed = Affected("PyPI", "torch", versions=("1.13.1",))
    for said in (up_to, listed):
        assert is_affected("1.13.1+cu117", said)
        assert not is_affected("1.13.2+cu117", said)
    assert not is_affected("1.13.1+cu117", entry("PyPI", ("introduced", "0"), ("fixed", "1.13.1")))
    assert not is_affected("1.13.1-2+b1", entry("Debian:12", ("introduced", "0"), ("last_affected", "1.13.1-2")))


def test_a_range_with_an_unreadable_bound_leaves_the_word_to_the_list() -> None:
    """PYSEC-2026-1194, one of 26."""
    said = (("introduced", "0"), ("fixed", "4.6.0.stable11"))
    listed = entry("PyPI", *said, versions=("4.5.9", "4.6.0.dev1"))
    assert [is_affected(at, listed) for at in ("4.5.9", "4.5.8", "4.6.0.dev1", "4.7")] == [True, False, True, False]


def test_without_a_list_an_unreadable_bound_is_read_as_far_as_it_can_be() -> None:
    """PYSEC-2025-192: torch up to `2.6.0-NA`. What is left open is taken for affected."""
    torch = entry("PyPI", ("introduced", "0"), ("last_affected", "2.6.0-NA"))
    assert [is_affected(at, torch) for at in ("1.0", "2.6.0", "2.6.1", "2.7")] == [True, True, False, False]
    assert is_affected("3.0", entry("PyPI", ("introduced", "0"), ("last_affected", "2024-09-25")))
    assert is_affected("1.0", entry("PyPI", ("introduced", "whenever"), ("fixed", "2.0")))
    assert not is_affected("2.0", entry("PyPI", ("introduced", "whenever"), ("fixed", "2.0")))


def test_a_version_that_cannot_be_read_is_affected_where_all_versions_are() -> None:
    assert is_affected("(devel)", entry("Go", ("introduced", "0")))
    assert not is_affected("(devel)", entry("Go", ("introduced", "0"), ("fixed", "1.2.3")))
    assert fixed_after("(devel)", [entry("Go", ("introduced", "0"), ("fixed", "1.2.3"))]) == "1.2.3"


def test_a_fix_is_that_of_the_branch() -> None:
    django = entry("PyPI", *(("introduced", "3.2"), ("fixed", "3.2.19"), ("introduced", "4.0"), ("fixed", "4.1.9")))
    assert fixed_after("3.2.1", [django]) == "3.2.19"
    assert fixed_after("4.0", [django]) == "4.1.9"
    assert fixed_after("4.2", [django]) == ""


def test_the_lists_and_the_ranges_of_real_records_say_the_same() -> None:
    """Where a record of PyPI has both, its list names the versions of its ranges: a second opinion on every one."""
    counts: Counter[bool] = Counter()
    denied: dict[str, int] = defaultdict(int)
    with gzip.open(real("osv/pypi.osv.jsonl.gz")) as file:
        for place, line in enumerate(file):
            if place % 12:
                continue
            advisory = parse_record(json.loads(line))
            for said in advisory.affected:
                alone = replace(said, versions=())
                for listed in said.versions if said.ranges else ():
                    if is_readable(listed):
                        hit = is_affected(listed, alone)
                        counts[hit] += 1
                        denied[advisory.id] += not hit
    assert counts[True] > 30_000
    # pre-releases of what a range begins with, and the one record of unreadable bounds
    assert {id_ for id_, count in denied.items() if count} <= {"PYSEC-2023-61", "PYSEC-2026-686", "PYSEC-2021-114"}


@pytest.mark.parametrize(
    ("export", "unreadable"),
    [("pypi", 26), ("go", 0), ("npm-2021", 0), ("debian-11", 0), ("debian-12", 0), ("alpine-2020", 0)],
)
def test_the_bounds_of_real_records_can_be_read(export: str, unreadable: int) -> None:
    found: set[str] = set()
    bounds = 0
    with gzip.open(real(f"osv/{export}.osv.jsonl.gz")) as file:
        for line in file:
            for said in parse_record(json.loads(line)).affected:
                for bound in {bound for range_ in said.ranges for _, bound in range_.events} - {"0"}:
                    bounds += 1
                    try:
                        version_key(said.ecosystem, bound)
                    except InvalidVersion:
                        found.add(bound)
    assert bounds > 100
    assert len(found) == unreadable


def is_readable(text: str) -> bool:
    try:
        version_key("PyPI", text)
    except InvalidVersion:
        return False
    return True
