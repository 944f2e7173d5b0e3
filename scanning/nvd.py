"""CVEs in the JSON form of NVD's API and feeds, version 2.0, and whether they are about a version of a product.

A configuration names what is vulnerable and, where it is an AND, what else has to be there. What else is in an image is
not looked at: a CVE counts for its product even where another one has to be there too, and its summary says so. The one
exception are systems that no Linux image is (Windows, macOS, ...): what holds only there is left out.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from scanning.cpe import Cpe, parse_cpe
from scanning.cpe_versions import Key, cpe_version_key
from scanning.osv import InvalidAdvisory, moment, one_line
from scanning.scores import score_of
from scanning.version_keys import InvalidVersion

#: what NVD's own scores are told by; those that it passes on are told by their source and this
_NVD = "NVD"
_NVD_ITSELF = "nvd@nist.gov"
#: sources that NVD names by a number
_SOURCES = {"134c704f-9b21-4f2e-91b3-4a467353bcc0": "CISA-ADP"}
_METRICS = ("cvssMetricV40", "cvssMetricV31", "cvssMetricV30", "cvssMetricV2")
_BOUNDS = ("versionStartIncluding", "versionStartExcluding", "versionEndIncluding", "versionEndExcluding")
#: systems that are not Linux, as products and as editions of other products
_ELSEWHERE = frozenset(
    {
        *("windows", "windows_nt", "x86_windows", "macos", "mac_os", "mac_os_x", "iphone_os", "ios", "ipados"),
        *("ipad_os", "watchos", "tvos", "visionos", "android", "solaris", "sunos", "aix", "hp-ux", "irix", "os_400"),
    }
)
#: vendors whose systems are not Linux
_VENDORS_ELSEWHERE = frozenset({"microsoft", "apple", "freebsd", "netbsd", "openbsd", "cisco", "juniper", "vmware"})
#: conditions that a summary names
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Criterion:
    """One entry of a CVE about one product: a version, or a range of them. Empty bounds are open."""

    #: `*` where there is a range, or where all are affected
    version: str
    start: str = ""
    start_is_in: bool = True
    end: str = ""
    end_is_in: bool = False


@dataclass(frozen=True, slots=True)
class Cve:
    """What is kept of one CVE. One that is rejected, or not analysed yet, has no products."""

    id: str
    #: UTC, in the form of osv.moment; empty when the record does not say
    modified: str
    summary: str
    url: str
    #: source -> its vectors
    scores: dict[str, set[str]]
    #: `vendor:product` -> its criteria
    products: dict[str, tuple[Criterion, ...]]


def parse_cve(record: Any) -> Cve:
    """Of {"cve": {...}}. Errors: InvalidAdvisory."""
    try:
        return _parse(record["cve"])
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InvalidAdvisory(f"not a CVE of NVD's: {type(error).__name__}: {error}") from error


def _parse(cve: Any) -> Cve:
    id_ = cve["id"]
    if not id_.startswith("CVE-") or not id_.isprintable() or len(id_) > 40:
        raise ValueError(f"{id_!r:.80} is no CVE")
    rejected = str(cve.get("vulnStatus", "")).lower() == "rejected"
    conditions: set[str] = set()
    products: dict[str, set[Criterion]] = {}
    for configuration in cve.get("configurations") or () if not rejected else ():
        for name, criterion in _of_configuration(configuration, conditions):
            products.setdefault(name, set()).add(criterion)
    return Cve(
        id=id_,
        modified=moment(cve.get("lastModified") or ""),
        summary=_summary(cve, conditions),
        url=f"https://nvd.nist.gov/vuln/detail/{id_}",
        scores={} if rejected else _scores(cve.get("metrics") or {}),
        products={name: tuple(sorted(found, key=_in_order)) for name, found in sorted(products.items())},
    )


def _of_configuration(configuration: dict[str, Any], conditions: set[str]) -> Iterator[tuple[str, Criterion]]:
    """What the configuration calls vulnerable; the names of what else has to be there go into `conditions`."""
    nodes = [_of_node(node) for node in configuration["nodes"]]
    together = str(configuration.get("operator", "OR")).upper() == "AND"
    if together:
        asked = [node.others for node in nodes if node.others and not node.vulnerable]
        if any(all(map(_is_elsewhere, others)) for others in asked):
            return
        conditions.update(name for others in asked for name in (cpe.name for cpe in others))
    for node in nodes:
        yield from node.vulnerable


@dataclass(frozen=True, slots=True)
class _Node:
    vulnerable: list[tuple[str, Criterion]]
    #: what is there beside it and is not vulnerable itself
    others: list[Cpe]


def _of_node(node: dict[str, Any]) -> _Node:
    """A node that says where something does not hold (`negate`: none in the data of today) calls nothing vulnerable."""
    vulnerable: list[tuple[str, Criterion]] = []
    others: list[Cpe] = []
    for match in node["cpeMatch"] if not node.get("negate") else ():
        cpe = parse_cpe(match["criteria"])
        if not match["vulnerable"]:
            others.append(cpe)
        # only software is found in images; of a system or a device no component is ever told
        elif cpe.part == "a" and not _ELSEWHERE.intersection(cpe.editions):
            criterion = _criterion(cpe, match)
            if criterion is not None:
                vulnerable.append((cpe.name, criterion))
    return _Node(vulnerable, others)


def _criterion(cpe: Cpe, match: dict[str, Any]) -> Criterion | None:
    """None for one that names no version at all (`-`)."""
    bounds = {name: match.get(name) or "" for name in _BOUNDS}
    if not all(isinstance(bound, str) and bound.isprintable() for bound in bounds.values()):
        raise TypeError(f"bounds of {cpe.name!r:.80} should be texts")
    if cpe.version == "-":
        return None
    starts = bounds["versionStartIncluding"] or bounds["versionStartExcluding"]
    ends = bounds["versionEndExcluding"] or bounds["versionEndIncluding"]
    return Criterion(
        version=cpe.full_version or "*",
        start=starts,
        start_is_in=not starts or bool(bounds["versionStartIncluding"]),
        end=ends,
        end_is_in=bool(ends) and not bounds["versionEndExcluding"],
    )


def _is_elsewhere(cpe: Cpe) -> bool:
    """Whether it is a system that no Linux image is."""
    vendor, _, product = cpe.name.partition(":")
    return cpe.part == "o" and (product in _ELSEWHERE or (vendor in _VENDORS_ELSEWHERE and "linux" not in product))


def _scores(metrics: dict[str, Any]) -> dict[str, set[str]]:
    """Vectors by source; of another one than NVD it is told that it was NVD who passed them on: it may say something
    else in a file of its own."""
    found: dict[str, set[str]] = {}
    for kind in _METRICS:
        for metric in metrics.get(kind) or ():
            said = metric.get("source") or ""
            source = _NVD if said == _NVD_ITSELF else f"{_SOURCES.get(said, said)[:80]} ({_NVD})"
            source.encode()
            vector = metric["cvssData"]["vectorString"]
            if score_of(vector, source) is not None:
                found.setdefault(source, set()).add(vector)
    return found


def is_of_nvd(source: str) -> bool:
    """Whether a score's source is NVD, or one that NVD has passed on."""
    return source == _NVD or source.endswith(f" ({_NVD})")


def _summary(cve: dict[str, Any], conditions: set[str]) -> str:
    english = (said["value"] for said in cve.get("descriptions") or () if said.get("lang") == "en")
    text = one_line(next(english, ""))
    if not conditions:
        return text
    named = sorted(conditions)[:_MOST_NAMED] + ["…"] * (len(conditions) > _MOST_NAMED)
    return f"{text} (only together with {', '.join(named)})".strip()


def _in_order(criterion: Criterion) -> tuple[str, ...]:
    return criterion.version, criterion.start, criterion.end, str(criterion)


def criteria_to_json(criteria: Iterable[Criterion]) -> str:
    return json.dumps(
        [[one.version, one.start, one.start_is_in, one.end, one.end_is_in] for one in criteria],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def criteria_from_json(content: str) -> tuple[Criterion, ...]:
    return tuple(Criterion(*fields) for fields in json.loads(content))


def is_about(product: str, version: str, criterion: Criterion) -> bool:
    """Whether the version of the product is the one, or in the range. A version that cannot be read is so only where
    all are; a bound that cannot be read is open: what is not known is taken for affected."""
    ranged = bool(criterion.start or criterion.end)
    if criterion.version != "*" and not ranged:
        return _same(product, version, criterion.version)
    key = _key(product, version)
    if key is None:
        return not ranged
    start, end = _key(product, criterion.start), _key(product, criterion.end)
    after = start is None or key > start or (criterion.start_is_in and key == start)
    before = end is None or key < end or (criterion.end_is_in and key == end)
    return after and before


def first_fix(product: str, version: str, criteria: Iterable[Criterion]) -> str:
    """The lowest end of a range, itself not affected, that is newer than the version; empty when none is known."""
    criteria = tuple(criteria)
    key = _key(product, version)
    ends = ((_key(product, one.end), one.end) for one in criteria if one.end and not one.end_is_in)
    later = sorted((end_key, end) for end_key, end in ends if end_key is not None and (key is None or end_key > key))
    return next((end for _, end in later if not any(is_about(product, end, one) for one in criteria)), "")


def _same(product: str, version: str, other: str) -> bool:
    key = _key(product, version)
    return version == other or (key is not None and key == _key(product, other))


def _key(product: str, version: str) -> Key | None:
    try:
        return cpe_version_key(product, version) if version else None
    except InvalidVersion:
        return None
