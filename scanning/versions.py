"""Versions of the ecosystems, compared by each one's own rules, and OSV's ranges evaluated.

Debian's and Alpine's orders are written here: univers rejects real apk versions (`3.3.3p1-r3`), and a cached key of our
own compares Debian's versions forty times faster. Others are compared by univers. Reference of the ranges:
https://ossf.github.io/osv-schema/ ("Evaluation").
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from packaging.version import InvalidVersion as InvalidPythonVersion
from packaging.version import Version as PythonVersion
from univers import versions as univers_versions


class InvalidVersion(ValueError):
    """A version that its ecosystem's rules cannot read."""


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


def affected(version: str, entry: Affected) -> tuple[bool, str]:
    """Whether the entry names this version, and the first version that mends it (empty when none is known).

    A range with a bound that cannot be read (26 in PyPI's data) counts for nothing where there is a list of versions;
    where there is none, the readable part of its events decides.
    """
    listed = _is_listed(version, entry)
    hit = listed
    for range_ in entry.ranges:
        hit = hit or _in_range(entry.ecosystem, version, range_, lenient=not entry.versions)
    return hit, _fixed_after(version, entry) if hit else ""


def _is_listed(version: str, entry: Affected) -> bool:
    if version in entry.versions:
        return True
    key = _readable(entry.ecosystem, version)
    # 1.0 and 1.0.0 are one version of PyPI; for others a list is literal
    if key is None or base_of(entry.ecosystem) != "PyPI":
        return False
    return any(_readable(entry.ecosystem, listed) == key for listed in entry.versions)


def _in_range(ecosystem: str, version: str, range_: Range, *, lenient: bool) -> bool:
    if range_.events == (("introduced", "0"),):
        return True  # every version, also one that cannot be read
    key = _readable(ecosystem, version)
    if key is None:
        return False
    events: list[tuple[Any, str]] = []
    everything = False
    for kind, bound in range_.events:
        if kind == "introduced" and bound == "0":
            everything = True
            continue
        bound_key = _readable(ecosystem, bound)
        if bound_key is None and not lenient:
            return False
        if bound_key is not None:
            events.append((bound_key, kind))
    limits = [bound for bound, kind in events if kind == "limit"]
    if limits and not any(key < bound for bound in limits):
        return False
    hit = everything
    for bound, kind in sorted(events, key=_by_bound):
        if kind == "introduced" and key >= bound:
            hit = True
        elif (kind == "fixed" and key >= bound) or (kind == "last_affected" and key > bound):
            hit = False
    return hit


@dataclass(frozen=True, slots=True)
class _ByBound:
    key: Any
    kind: str

    def __lt__(self, other: "_ByBound") -> bool:
        if self.key == other.key:
            # what is introduced and fixed at one version is fixed there: the fix comes last
            return self.kind == "introduced" and other.kind != "introduced"
        return bool(self.key < other.key)


def _by_bound(event: tuple[Any, str]) -> _ByBound:
    return _ByBound(*event)


def _fixed_after(version: str, entry: Affected) -> str:
    """The first fix after the version; without a readable version the last one named."""
    fixes = [bound for range_ in entry.ranges for kind, bound in range_.events if kind == "fixed"]
    key = _readable(entry.ecosystem, version)
    if key is None:
        return fixes[-1] if fixes else ""
    best, best_key = "", None
    for fix in fixes:
        fix_key = _readable(entry.ecosystem, fix)
        if fix_key is not None and fix_key > key and (best_key is None or fix_key < best_key):
            best, best_key = fix, fix_key
    return best


def _readable(ecosystem: str, version: str) -> Any:
    try:
        return version_key(ecosystem, version)
    except InvalidVersion:
        return None


def base_of(ecosystem: str) -> str:
    """`Debian` of `Debian:12`."""
    return ecosystem.partition(":")[0]


def version_key(ecosystem: str, version: str) -> Any:
    """What orders versions of the ecosystem; comparable with keys of the same ecosystem. Errors: InvalidVersion."""
    return _key(base_of(ecosystem), version)


@lru_cache(maxsize=200_000)
def _key(base: str, version: str) -> Any:
    if not version or len(version) > 500:
        raise InvalidVersion(f"{version[:80]!r} is no version.")
    reader = _READERS.get(base, univers_versions.GenericVersion)
    try:
        return reader(version)
    except (InvalidPythonVersion, univers_versions.InvalidVersion, ValueError, TypeError, AttributeError) as error:
        raise InvalidVersion(f"{version!r} is no version of {base}.") from error


_DEBIAN_PART = re.compile(r"(\D*)(\d*)")
_DEBIAN_END = ((0,), 0)


def debian_key(version: str) -> tuple[Any, ...]:
    """deb-version(7): `~` sorts before the end, letters before everything else."""
    epoch, colon, rest = version.rpartition(":") if version.count(":") == 1 else version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    return int(epoch), _debian_parts(upstream), _debian_parts(revision)


def _debian_parts(text: str) -> tuple[Any, ...]:
    pairs = [
        ((*(_debian_order(character) for character in letters), 0), int(digits or 0))
        for letters, digits in _DEBIAN_PART.findall(text)
    ]
    while pairs and pairs[-1] == _DEBIAN_END:
        pairs.pop()
    # the end is a part itself, or 1 would come before 1~
    return (*pairs, _DEBIAN_END)


def _debian_order(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 0x110000


_APK_TOKEN = re.compile(r"(?P<number>\.?\d+)|(?P<letter>[a-z])|_(?P<suffix>[a-z]+)(?P<nth>\d*)|~(?P<hash>[0-9a-f]+)")
_APK_BEFORE = {"alpha": 0, "beta": 1, "pre": 2, "rc": 3}
_APK_AFTER = {"cvs": 0, "svn": 1, "git": 2, "hg": 3, "p": 4}
# of two tokens of different kinds the higher one is newer (apk-tools, version.c)
_NUMBER, _LETTER, _AFTER, _NTH, _REVISION, _END, _BEFORE = 9, 8, 7, 6, 5, 0, -1


def alpine_key(version: str) -> tuple[Any, ...]:
    """The order of apk-tools, for versions that real packages have (`3.3.3p1-r3`, `1.2.2_git20230717-r5`)."""
    body, _, revision = version.partition("-r")
    tokens: list[tuple[Any, ...]] = []
    place = 0
    while place < len(body):
        match = _APK_TOKEN.match(body, place)
        if match is None:
            raise ValueError(version)
        tokens.extend(_apk_tokens(match, first=not tokens))
        place = match.end()
    if revision:
        tokens.append((_REVISION, int(revision)))
    return (*tokens, (_END,))


def _apk_tokens(match: re.Match[str], *, first: bool) -> Iterable[tuple[Any, ...]]:
    if number := match["number"]:
        digits = number.lstrip(".")
        # a leading zero makes a fraction: 1.05 is older than 1.1
        yield (_NUMBER, 0, digits) if digits.startswith("0") and not first else (_NUMBER, 1, int(digits))
    elif match["letter"]:
        yield (_LETTER, match["letter"])
    elif suffix := match["suffix"]:
        if suffix in _APK_BEFORE:
            yield (_BEFORE, _APK_BEFORE[suffix])
        elif suffix in _APK_AFTER:
            yield (_AFTER, _APK_AFTER[suffix])
        else:
            raise ValueError(suffix)
        if match["nth"]:
            yield (_NTH, int(match["nth"]))


_SEMVER = re.compile(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?((?:\.\d+)*)(?:-?([0-9A-Za-z][0-9A-Za-z.-]*))?(?:\+.*)?$")


def semver_key(version: str) -> tuple[Any, ...]:
    """Semantic versions as npm and Go write them: a leading v, one to three numbers and more; the build is no part."""
    match = _SEMVER.match(version.strip().lstrip("=v"))
    if match is None:
        raise ValueError(version)
    major, minor, patch, more, before = match.groups()
    numbers = (int(major), int(minor or 0), int(patch or 0), *(int(part) for part in more.split(".") if part))
    if not before:
        return numbers, (1,)
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split("."))
    return numbers, (0, parts)


_GO_RELEASE = re.compile(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+))?(rc|beta)(\d+)$")


def go_key(version: str) -> tuple[Any, ...]:
    """Modules are semver; Go itself writes `go1.22rc1` for 1.22.0-rc.1."""
    match = _GO_RELEASE.match(version)
    if match:
        major, minor, patch, stage, nth = match.groups()
        return semver_key(f"{major}.{minor}.{patch or 0}-{stage}.{nth}")
    return semver_key(version.removeprefix("go").split(" ")[0])


_READERS: dict[str, Callable[[str], Any]] = {
    "PyPI": PythonVersion,
    "Debian": debian_key,
    "Ubuntu": debian_key,
    "Echo": debian_key,
    "Alpine": alpine_key,
    "Wolfi": alpine_key,
    "Chainguard": alpine_key,
    "npm": semver_key,
    "Go": go_key,
    "crates.io": semver_key,
    "Hex": semver_key,
    "Pub": semver_key,
    "SwiftURL": semver_key,
    "Maven": univers_versions.MavenVersion,
    "RubyGems": univers_versions.RubygemsVersion,
    "NuGet": univers_versions.NugetVersion,
    "Packagist": univers_versions.ComposerVersion,
    "ConanCenter": univers_versions.ConanVersion,
    "Red Hat": univers_versions.RpmVersion,
    "Rocky Linux": univers_versions.RpmVersion,
    "AlmaLinux": univers_versions.RpmVersion,
    "SUSE": univers_versions.RpmVersion,
    "openSUSE": univers_versions.RpmVersion,
    "openEuler": univers_versions.RpmVersion,
    "Photon OS": univers_versions.RpmVersion,
    "Mageia": univers_versions.RpmVersion,
}
