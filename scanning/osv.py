"""OSV records (https://ossf.github.io/osv-schema/), read into what the store keeps: facts, and one line of text."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from scanning.versions import Affected, Range, base_of

#: characters of the summary that is kept
_SUMMARY = 200
_KINDS = ("introduced", "fixed", "last_affected", "limit")
_CVE = re.compile(r"(?:^|-)(CVE-\d{4}-\d{4,})$")
_PYPI_NAME = re.compile(r"[-_.]+")


class InvalidAdvisory(ValueError):
    """A record that is not OSV."""


@dataclass(frozen=True, slots=True)
class Advisory:
    """What matching needs of one record. `severity` holds (type, vector) as OSV names them."""

    id: str
    modified: str
    withdrawn: bool
    aliases: tuple[str, ...]
    #: what a distribution's bulletin sums up (OSV's `upstream`): no aliases, there may be many
    upstream: tuple[str, ...]
    summary: str
    url: str
    severity: tuple[tuple[str, str], ...]
    affected: tuple[Affected, ...]

    @property
    def cves(self) -> tuple[str, ...]:
        """The CVE ids this record is about; `DEBIAN-CVE-2024-1` and its like are about the CVE in their name."""
        found = (_CVE.search(name) for name in (self.id, *self.aliases))
        return tuple(dict.fromkeys(match[1] for match in found if match))


def parse_record(record: object) -> Advisory:
    """Errors: InvalidAdvisory."""
    try:
        return _parse(record)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidAdvisory(f"not an OSV record: {type(error).__name__}: {error}") from error


def _parse(record: Any) -> Advisory:
    entries = [entry for entry in record.get("affected") or () if entry.get("package")]
    severity = [*(record.get("severity") or ()), *(one for entry in entries for one in entry.get("severity") or ())]
    id_ = _text(record["id"])
    if not id_:
        raise ValueError("it has no id")
    return Advisory(
        id=id_,
        modified=_text(record.get("modified")),
        withdrawn=bool(record.get("withdrawn")),
        aliases=tuple(_text(alias) for alias in record.get("aliases") or ()),
        upstream=tuple(_text(name) for name in record.get("upstream") or ()),
        summary=_summary(record),
        url=_url(record),
        severity=tuple(dict.fromkeys((_text(one["type"]), _text(one["score"])) for one in severity)),
        affected=tuple(_affected(entry) for entry in entries),
    )


def _affected(entry: dict[str, Any]) -> Affected:
    ecosystem = normal_ecosystem(_text(entry["package"]["ecosystem"]))
    ranges = (_range(said) for said in entry.get("ranges") or () if said.get("type") != "GIT")
    return Affected(
        ecosystem=ecosystem,
        name=normal_name(ecosystem, _text(entry["package"]["name"])),
        ranges=tuple(range_ for range_ in ranges if range_.events),
        versions=tuple(_text(version) for version in entry.get("versions") or ()),
    )


def _range(said: dict[str, Any]) -> Range:
    return Range(
        tuple((kind, _text(event[kind])) for event in said.get("events") or () for kind in _KINDS if kind in event)
    )


def _summary(record: dict[str, Any]) -> str:
    text = _text(record.get("summary")) or _text(record.get("details"))
    line = " ".join(text.split())
    if len(line) <= _SUMMARY:
        return line
    return line[: _SUMMARY - 1].rsplit(" ", 1)[0] + "…"


def _url(record: dict[str, Any]) -> str:
    references = [reference for reference in record.get("references") or () if reference.get("type") == "ADVISORY"]
    for reference in references:
        url = _text(reference.get("url"))
        if url.startswith(("https://", "http://")):
            return url
    return f"https://osv.dev/vulnerability/{record['id']}"


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} should be a text")
    return value


def normal_ecosystem(ecosystem: str) -> str:
    """Debian:12 and Alpine:v3.20 as they are; `Ubuntu:22.04:LTS` and `Ubuntu:Pro:22.04:LTS` are told apart by `Pro`."""
    return ecosystem.removesuffix(":LTS") if ecosystem.startswith("Ubuntu:") else ecosystem


def normal_name(ecosystem: str, name: str) -> str:
    """One spelling of a name: PyPI (PEP 503), NuGet and Packagist know no case and PyPI no difference of -, _ and ."""
    base = base_of(ecosystem)
    if base == "PyPI":
        return _PYPI_NAME.sub("-", name).lower()
    return name.lower() if base in ("NuGet", "Packagist") else name


def to_json(advisory: Advisory) -> str:
    """What the store keeps of the record as a whole: the same record is the same text."""
    return _compact([advisory.aliases, advisory.upstream, advisory.summary, advisory.url, advisory.severity])


def from_json(id_: str, modified: str, content: str, affected: Iterable[Affected]) -> Advisory:
    """The reverse of `to_json`, for a record that is in force; what it affects is kept by name."""
    aliases, upstream, summary, url, severity = json.loads(content)
    return Advisory(
        id=id_,
        modified=modified,
        withdrawn=False,
        aliases=tuple(aliases),
        upstream=tuple(upstream),
        summary=summary,
        url=url,
        severity=tuple((kind, vector) for kind, vector in severity),
        affected=tuple(affected),
    )


def affected_to_json(entries: Iterable[Affected]) -> str:
    """Entries of one name: a kernel bulletin names hundreds of packages, of which an image has one."""
    return _compact([[[range_.events for range_ in entry.ranges], entry.versions] for entry in entries])


def affected_from_json(ecosystem: str, name: str, content: str) -> Iterator[Affected]:
    for ranges, versions in json.loads(content):
        read = (Range(tuple((kind, bound) for kind, bound in events)) for events in ranges)
        yield Affected(ecosystem, name, tuple(read), tuple(versions))


def by_name(advisory: Advisory) -> dict[tuple[str, str], list[Affected]]:
    """(ecosystem, name) -> its entries."""
    found: dict[tuple[str, str], list[Affected]] = {}
    for entry in advisory.affected:
        found.setdefault((entry.ecosystem, entry.name), []).append(entry)
    return found


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
