"""Why two scanners with the same advisories disagree: the causes that are known, each seen in what the records say.

docs/agreement.md tells of each with its cases. A cause is claimed only where the record and the versions show it; what
shows none is `unexplained`.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from packaging.version import InvalidVersion as InvalidPythonVersion
from packaging.version import Version as PythonVersion

from scanning.osv import Advisory, InvalidAdvisory, normal_name, parse_record
from scanning.version_keys import InvalidVersion, version_key
from scanning.versions import Affected, compare, is_affected

#: our names of ecosystems -> OSV's, without a release
ORDERS = {"deb": "Debian", "apk": "Alpine", "pypi": "PyPI", "npm": "npm", "go": "Go"}

_APK_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*[a-z]?(_[a-z]+[0-9]*)*(-r[0-9]+)?")
_SPELT_OUT = re.compile(r"[-.](beta|alpha)")


@dataclass(frozen=True, slots=True, order=True)
class Statement:
    """That a package of a layer has a vulnerability."""

    ecosystem: str
    package: str
    version: str
    id: str
    layer: str


@dataclass(frozen=True, slots=True)
class Answers:
    """Of both about one statement: the fixes that are named, None where nothing is stated."""

    statement: Statement
    ours: str | None
    theirs: str | None


@dataclass(frozen=True, slots=True)
class Case:
    """A difference, and what the records say about its vulnerability and package: events in the records' own order."""

    answers: Answers
    entries: tuple[Affected, ...]
    events: tuple[tuple[tuple[str, str], ...], ...]

    @property
    def order(self) -> str:
        return ORDERS[self.answers.statement.ecosystem]

    @property
    def bounds(self) -> set[str]:
        """Versions that the records name, in ranges and lists."""
        said = {bound for events in self.events for _, bound in events if bound != "0"}
        return said | {listed for entry in self.entries for listed in entry.versions}


@dataclass
class Records:
    """What the records say, by ecosystem (without its release) and vulnerability."""

    _by_id: dict[tuple[str, str], list[tuple[Affected, list[Any]]]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, records: Iterable[Any]) -> "Records":
        found = cls()
        for record in records:
            try:
                advisory = parse_record(record)
            except InvalidAdvisory:
                continue
            if not advisory.withdrawn:
                found._add(advisory, record)
        return found

    def _add(self, advisory: Advisory, record: Any) -> None:
        said = [entry.get("ranges") or [] for entry in record.get("affected") or () if entry.get("package")]
        for entry, ranges in zip(advisory.affected, said, strict=True):
            for id_ in {advisory.id, *advisory.aliases}:
                self._by_id[entry.ecosystem.partition(":")[0], id_].append((entry, ranges))

    def case(self, answers: Answers) -> Case:
        """Of distributions all entries of the vulnerability: the source's name is not part of a statement."""
        statement = answers.statement
        order = ORDERS[statement.ecosystem]
        name = normal_name(order, statement.package).lower()
        found = [
            (entry, ranges)
            for entry, ranges in self._by_id.get((order, statement.id), ())
            if order in ("Debian", "Alpine") or entry.name.lower() == name
        ]
        events = [
            tuple((kind, bound) for event in said["events"] for kind, bound in event.items())
            for _, ranges in found
            for said in ranges
            if said["type"] != "GIT"
        ]
        return Case(answers, tuple(entry for entry, _ in found), tuple(events))


def cause_of(case: Case) -> str:
    """The first of the causes that the case shows."""
    ours, theirs = case.answers.ours, case.answers.theirs
    causes = _OF_FIX if ours is not None and theirs is not None else _OURS_ONLY if theirs is None else _THEIRS_ONLY
    return next((name for name, shows in causes.items() if shows(case)), "unexplained")


def _is_unreadable_to_trivy(case: Case) -> bool:
    """trivy turns all of them into one constraint, and drops that when one part cannot be read."""
    return any(not _is_readable(case.order, bound) for bound in case.bounds)


def _is_installed_unreadable(case: Case) -> bool:
    return not _is_readable(case.order, case.answers.statement.version)


def _is_spelt_out(case: Case) -> bool:
    """`<3.0.0-beta0`, which trivy's reader of constraints takes for no version that it knows, without a word."""
    return case.order == "PyPI" and any(_SPELT_OUT.search(bound) for bound in case.bounds)


def _is_before_zero(case: Case) -> bool:
    """v0.0.0-2024... is older than 0, by which OSV means the first of all versions and trivy `>=0`."""
    open_ = any(
        entry.ranges and ("introduced", "0") in range_.events for entry in case.entries for range_ in entry.ranges
    )
    return case.order in ("Go", "npm") and open_ and _is_less(case, case.answers.statement.version, "0.0.0")


def _is_local_pre_release(case: Case) -> bool:
    """1.0rc1+local is not `<1.0` to trivy, while 1.0rc1 is."""
    if case.order != "PyPI" or not _is_readable("PyPI", case.answers.statement.version):
        return False
    installed = PythonVersion(case.answers.statement.version)
    fixed = {PythonVersion(bound).release for events in case.events for kind, bound in events if kind == "fixed"}
    return bool(installed.local) and installed.is_prerelease and installed.release in fixed


def _is_a_fix_of_another_range(case: Case) -> bool:
    """trivy takes out what any range calls fixed; OSV's ranges are a union."""
    version = case.answers.statement.version
    fixed = [bound for events in case.events for kind, bound in events if kind == "fixed"]
    return any(_is_readable(case.order, fix) and compare(case.order, fix, version) == 0 for fix in fixed)


def _is_of_another_spelling(case: Case) -> bool:
    """npm's old names have capitals, and jQuery is not jquery; trivy asks for all in small letters."""
    return case.order == "npm" and all(entry.name != case.answers.statement.package for entry in case.entries)


def _has_several_ends(case: Case) -> bool:
    """By OSV's evaluation the first `last_affected` ends what began; for trivy it is the last that is written."""
    return any(
        first != "introduced" != second for events in case.events for (first, _), (second, _) in pairwise(events)
    )


def _is_misspelt(case: Case) -> bool:
    """`2.7.16-33`: apk-tools takes it for no version and for older than an end; trivy's reader for 2.7.16 and more."""
    return case.order == "Alpine" and any(not _APK_VERSION.fullmatch(bound) for bound in case.bounds)


def _is_fix_affected(case: Case) -> bool:
    """What trivy names first is affected itself, by another range of the record."""
    first = first_fix(case.answers.statement, case.answers.theirs or "")
    return bool(first) and any(is_affected(first, entry) for entry in case.entries)


_Shows = Callable[[Case], bool]
_OURS_ONLY: dict[str, _Shows] = {
    "unreadable": _is_unreadable_to_trivy,
    "installed": _is_installed_unreadable,
    "spelt-out": _is_spelt_out,
    "before-zero": _is_before_zero,
    "local-pre-release": _is_local_pre_release,
    "union": _is_a_fix_of_another_range,
}
_THEIRS_ONLY: dict[str, _Shows] = {
    "capitals": _is_of_another_spelling,
    "several-ends": _has_several_ends,
    "misspelt": _is_misspelt,
}
_OF_FIX: dict[str, _Shows] = {"fix-affected": _is_fix_affected}

#: every cause; `removed` is that of a package which a later layer deletes, seen in the report
CAUSES = ("removed", *_OURS_ONLY, *_THEIRS_ONLY, *_OF_FIX)


def first_fix(statement: Statement, listed: str) -> str:
    """trivy names the fixes of all branches, `2.2.24, 3.1.12, 3.2.4`: the first one that is an upgrade."""
    order = ORDERS[statement.ecosystem]
    first = ""
    for fix in listed.split(", "):
        if _is_readable(order, fix) and _is_readable(order, statement.version):
            is_upgrade = compare(order, fix, statement.version) > 0
            if is_upgrade and (not first or compare(order, fix, first) < 0):
                first = fix
    return first


def _is_less(case: Case, a: str, b: str) -> bool:
    return _is_readable(case.order, a) and compare(case.order, a, b) < 0


def _is_readable(order: str, version: str) -> bool:
    """As the ecosystem's own tool has it: of PyPI `packaging`, of others our keys, which keep to theirs."""
    try:
        if order == "PyPI":
            PythonVersion(version)
        else:
            version_key(order, version)
    except (InvalidVersion, InvalidPythonVersion):
        return False
    return True
