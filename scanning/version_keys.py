"""Keys that order the versions of each ecosystem by its own rules.

Written here but for Python's and RubyGems' orders: univers rejects real apk versions (`3.3.3p1-r3`), compares unknown
ecosystems, NuGet's releases and one pair of Maven's versions in a hundred wrongly, and a tuple compares Debian's
versions forty times faster.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Any

from packaging.version import Version as PythonVersion
from univers.versions import RubygemsVersion

from scanning.maven_versions import maven_key

#: characters of the longest version that is read; real ones have less than a hundred
_LONGEST = 250


class InvalidVersion(ValueError):
    """A version that its ecosystem's rules cannot read."""


def base_of(ecosystem: str) -> str:
    """`Debian` of `Debian:12`."""
    return ecosystem.partition(":")[0]


def version_key(ecosystem: str, version: str) -> Any:
    """What orders versions of the ecosystem; comparable with keys of the same ecosystem. Errors: InvalidVersion."""
    return _key(base_of(ecosystem), version)


class Standing(StrEnum):
    """What an answer about versions of an ecosystem rests on."""

    #: its rules, compared with its own tool and with another scanner
    COMPARED = "compared"
    #: its rules, not compared with another scanner
    NOT_COMPARED = "not compared"
    #: numbers and words, as its rules are not known here
    GUESSED = "guessed"
    #: nothing: the version cannot be read, and counts as affected only where it is listed or every version is
    UNREADABLE = "unreadable"


def standing_of(ecosystem: str, version: str) -> Standing:
    """How far the answer about this version can be trusted."""
    base = base_of(ecosystem)
    try:
        _key(base, version)
    except InvalidVersion:
        return Standing.UNREADABLE
    if base not in _READERS:
        return Standing.GUESSED
    return Standing.COMPARED if base in _COMPARED else Standing.NOT_COMPARED


def is_spelt_one_way(ecosystem: str) -> bool:
    """Whether a list of versions is literal. PyPI's 1.0 is 1.0.0, Go's v1.0.0 is 1.0.0, RPM's 1.0 is 0:1.0; what dpkg
    and apk call equal is spelt the same in practice, and of unknown rules nothing is known."""
    return _READERS.get(base_of(ecosystem), generic_key) in (debian_key, alpine_key, generic_key)


@lru_cache(maxsize=100_000)
def _key(base: str, version: str) -> Any:
    if not version or len(version) > _LONGEST or not version.isprintable():
        raise InvalidVersion(f"{version[:80]!r} is no version.")
    reader: Callable[[str], Any] = _READERS.get(base, generic_key)
    try:
        return reader(version)
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidVersion(f"{version!r} is no version of {base}.") from error


_DEBIAN_VERSION = re.compile(r"(?:(?P<epoch>[0-9]+):)?(?P<upstream>[A-Za-z0-9.+~-]+|(?<=:)[A-Za-z0-9.+~:-]+)")
_DEBIAN_PART = re.compile(r"([^0-9]*)([0-9]*)")
_DEBIAN_END = ((0,), 0)


def debian_key(version: str) -> tuple[Any, ...]:
    """deb-version(7): `~` sorts before the end, letters before everything else."""
    match = _DEBIAN_VERSION.fullmatch(version)
    if match is None:
        raise ValueError(version)
    upstream, dash, revision = match["upstream"].rpartition("-")
    if dash and not (upstream and revision):
        raise ValueError(version)
    if not dash:
        upstream, revision = revision, ""
    return int(match["epoch"] or 0), _debian_parts(upstream), _debian_parts(revision)


def _debian_parts(text: str) -> tuple[Any, ...]:
    pairs = [
        ((*(_debian_order(character) for character in letters), 0), int(digits or 0))
        for letters, digits in _DEBIAN_PART.findall(text)
    ]
    while len(pairs) > 1 and pairs[-1] == _DEBIAN_END:
        pairs.pop()
    # the end is a part itself, or 1 would come before 1~; so is a first part of nothing, or 0 would come before 0~
    return (*pairs, _DEBIAN_END)


def _debian_order(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


# a letter may be followed by a number up to apk-tools 2 (3.3.3p1)
_APK_VERSION = re.compile(
    r"[0-9]+(?:\.[0-9]+)*(?:[a-z][0-9]+(?:\.[0-9]+)*)*[a-z]?"
    r"(?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)(?![a-z])[0-9]*)*(?:~[0-9A-Fa-f]+)?(?:-r[0-9]+)?"
)
_APK_TOKEN = re.compile(
    r"-r(?P<revision>[0-9]+)|~(?P<hash>[0-9A-Fa-f]+)|_(?P<suffix>[a-z]+)(?P<nth>[0-9]*)"
    r"|\.(?P<number>[0-9]+)|(?P<first>[0-9]+)|(?P<letter>[a-z])"
)
_APK_BEFORE = {"alpha": 0, "beta": 1, "pre": 2, "rc": 3}
_APK_AFTER = {"cvs": 0, "svn": 1, "git": 2, "hg": 3, "p": 4}
# of two tokens of different kinds the higher one is newer (apk-tools, version.c)
_NUMBER, _LETTER, _AFTER, _NTH, _HASH, _REVISION, _END, _UNREADABLE, _BEFORE = 9, 8, 7, 6, 5, 4, 0, -1, -2


def alpine_key(version: str) -> tuple[Any, ...]:
    """The order of apk-tools. As there, what cannot be read is older than an end in its place: bounds of real
    advisories are misspelt (`10.2.26.r0`, `1.0.4.-r0`)."""
    match = _APK_VERSION.match(version)
    if match is None:
        raise ValueError(version)
    tokens = [token for found in _APK_TOKEN.finditer(match[0]) for token in _apk_tokens(found)]
    if match.end() < len(version):
        tokens.append((_UNREADABLE,))
    return (*tokens, (_END,))


def _apk_tokens(match: re.Match[str]) -> Iterable[tuple[Any, ...]]:
    if match["first"]:
        yield _NUMBER, 1, int(match["first"])
    elif number := match["number"]:
        # a leading zero makes a fraction: 1.05 is older than 1.1
        yield (_NUMBER, 0, number) if number.startswith("0") else (_NUMBER, 1, int(number))
    elif match["letter"]:
        yield _LETTER, match["letter"]
    elif suffix := match["suffix"]:
        yield (_BEFORE, _APK_BEFORE[suffix]) if suffix in _APK_BEFORE else (_AFTER, _APK_AFTER[suffix])
        if match["nth"]:
            yield _NTH, int(match["nth"])
    elif match["hash"]:
        yield _HASH, match["hash"]
    else:
        yield _REVISION, int(match["revision"])


_RPM_VERSION = re.compile(r"(?:(?P<epoch>[0-9]+):)?(?P<version>[^\s:-]*[0-9A-Za-z][^\s:-]*)(?:-(?P<release>[^\s:-]+))?")
_RPM_PART = re.compile(r"(?P<number>[0-9]+)|(?P<word>[A-Za-z]+)|(?P<tilde>~)|(?P<caret>\^)")


def rpm_key(version: str) -> tuple[Any, ...]:
    """rpm-version(7): `~` sorts before the end, `^` after it but before everything else; other signs only divide."""
    match = _RPM_VERSION.fullmatch(version)
    if match is None:
        raise ValueError(version)
    return int(match["epoch"] or 0), _rpm_parts(match["version"]), _rpm_parts(match["release"] or "")


def _rpm_parts(text: str) -> tuple[Any, ...]:
    return (*(_rpm_part(found) for found in _RPM_PART.finditer(text)), (0,))


def _rpm_part(found: re.Match[str]) -> tuple[Any, ...]:
    if found["number"]:
        return 3, int(found["number"])
    if found["word"]:
        return 2, found["word"]
    return (1,) if found["caret"] else (-1,)


_SEMVER = re.compile(
    r"\s*=?\s*v?(?P<numbers>[0-9]+(?:\.[0-9]+)*)"
    r"(?:(?:-|(?=[A-Za-z]))(?P<before>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]*)?\s*"
)


def semver_key(version: str) -> tuple[Any, ...]:
    """Semantic versions as npm and Go write them: a leading v, one number or more; the build is no part of it."""
    match = _SEMVER.fullmatch(version)
    if match is None:
        raise ValueError(version)
    if not match["before"]:
        return _numbers(match["numbers"]), (1,)
    return _numbers(match["numbers"]), (0, tuple(_identifiers(match["before"])))


def _identifiers(text: str) -> Iterator[tuple[int, int, str]]:
    """Numbers by value and before words."""
    for part in text.strip().split("."):
        yield (0, int(part), "") if part.isdigit() else (1, 0, part)


def _numbers(text: str) -> tuple[int, ...]:
    """Without zeros at the end: 1, 1.0 and 1.0.0 are one version."""
    numbers = [int(number) for number in text.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


_GO_RELEASE = re.compile(r"(?:go)?([0-9]+\.[0-9]+(?:\.[0-9]+)?)(rc|beta)([0-9]+)")


def go_key(version: str) -> tuple[Any, ...]:
    """Modules are semver; Go itself writes `go1.22rc1` for 1.22.0-rc.1, experiments behind a space, and a vendor's name
    behind a dash (`go1.22.5-acme`), which changes nothing."""
    said = version.partition(" ")[0]
    if said.startswith("go"):
        said = said.partition("-")[0]
    if match := _GO_RELEASE.fullmatch(said):
        return semver_key(f"{match[1]}-{match[2]}.{match[3]}")
    return semver_key(said.removeprefix("go"))


_BUILD = re.compile(r"\+(.+)")


def build_key(version: str) -> tuple[Any, ...]:
    """Semver, but that a build is a version of its own (Dart's pub, Julia): 1.0.0 is older than 1.0.0+1."""
    found = _BUILD.search(version)
    return semver_key(version), tuple(_identifiers(found[1])) if found else ()


_REVISION_OF_BITNAMI = re.compile(r"(.+)-([0-9]+)")


def bitnami_key(version: str) -> tuple[Any, ...]:
    """Semver, but that a number behind the dash is the revision of a package: 1.2.3 is older than 1.2.3-4."""
    revised = _REVISION_OF_BITNAMI.fullmatch(version)
    return semver_key(revised[1] if revised else version), int(revised[2]) if revised else -1


def nuget_key(version: str) -> tuple[Any, ...]:
    """Semver with four numbers, whose stages know no case."""
    return semver_key(version.lower())


_COMPOSER = re.compile(
    r"v?(?P<numbers>[0-9]+(?:\.[0-9]+)*)"
    r"(?:[._-]?(?P<stage>stable|beta|b|rc|alpha|a|patch|pl|p)(?P<nth>(?:[.-]?[0-9]+)*))?"
    r"(?P<dev>[._-]?dev)?(?:\+[0-9a-z.-]*)?"
)
_COMPOSER_STAGES = {"alpha": -4, "a": -4, "beta": -3, "b": -3, "rc": -2, "stable": 0, "patch": 1, "pl": 1, "p": 1}


def composer_key(version: str) -> tuple[Any, ...]:
    """Composer's normal form, in the order of PHP's version_compare. A branch (`dev-main`) is no version."""
    match = _COMPOSER.fullmatch(version.strip().lower())
    if match is None:
        raise ValueError(version)
    stage = _COMPOSER_STAGES[match["stage"] or "stable"]
    if match["dev"] and not match["stage"]:
        stage = -5
    nth = tuple(int(number) for number in re.findall(r"[0-9]+", match["nth"] or ""))
    return _numbers(match["numbers"]), stage, nth, not match["dev"]


_GENERIC_PART = re.compile(r"([0-9]+)|([A-Za-z]+)|~")
_STAGES = frozenset({"a", "alpha", "b", "beta", "c", "cr", "dev", "ea", "m", "milestone", "pre", "preview", "rc"})


def generic_key(version: str) -> tuple[Any, ...]:
    """For ecosystems whose rules are not known: numbers by value, words of unfinished releases before the end."""
    parts: list[tuple[Any, ...]] = []
    for number, word in _GENERIC_PART.findall(version):
        if number:
            parts.append((2, int(number)))
        elif word:
            parts.append((-1 if word.lower() in _STAGES else 1, word.lower()))
        else:
            parts.append((-2,))
    if not any(part[0] == 2 for part in parts):
        raise ValueError(version)
    return (*parts, (0,))


#: what docs/agreement.md has figures of
_COMPARED = frozenset({"Debian", "Alpine", "PyPI", "npm", "Go"})
_READERS: dict[str, Callable[[str], Any]] = {
    "PyPI": PythonVersion,
    "Maven": maven_key,
    "RubyGems": RubygemsVersion,
    "NuGet": nuget_key,
    "Packagist": composer_key,
    "Go": go_key,
    **dict.fromkeys(("Debian", "Ubuntu", "Echo"), debian_key),
    **dict.fromkeys(
        ("Alpine", "Wolfi", "Chainguard", "MinimOS", "Alpaquita", "BellSoft Hardened Containers"), alpine_key
    ),
    "Bitnami": bitnami_key,
    **dict.fromkeys(("Pub", "Julia"), build_key),
    **dict.fromkeys(
        ("npm", "crates.io", "Hex", "SwiftURL", "GitHub Actions", "ConanCenter", "Kubernetes", "VSCode"), semver_key
    ),
    **dict.fromkeys(
        (
            "Red Hat",
            "Rocky Linux",
            "AlmaLinux",
            "Azure Linux",
            "SUSE",
            "openSUSE",
            "openEuler",
            "Photon OS",
            "Mageia",
        ),
        rpm_key,
    ),
}
