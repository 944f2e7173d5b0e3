"""OSV records (https://ossf.github.io/osv-schema/), read into what the store keeps: facts, and one line of text.

What is read is in one order, whatever the record's: the same knowledge is the same advisory.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from scanning.version_keys import base_of
from scanning.versions import Affected, Range

#: characters of the summary that is kept, of a name (an id, an alias) and of an address
_SUMMARY, _NAME, _ADDRESS = 200, 200, 2000
_KINDS = ("introduced", "fixed", "last_affected", "limit")
_CVE = re.compile(r"(?:^|-)(CVE-[0-9]{4}-[0-9]{4,})$")
_PYPI_NAME = re.compile(r"[-_.]+")
_Sortable = TypeVar("_Sortable", str, tuple[str, str])


class InvalidAdvisory(ValueError):
    """A record that is not OSV."""


@dataclass(frozen=True, slots=True)
class Advisory:
    """What matching needs of one record. `severity` holds (type, vector) as OSV names them."""

    id: str
    #: UTC, in one form that sorts by time; empty when the record does not say
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
        return cves_in((self.id, *self.aliases))


def cves_in(names: Iterable[str]) -> tuple[str, ...]:
    """The CVE ids that the names are or end with, each once."""
    found = (_CVE.search(name) for name in names)
    return tuple(dict.fromkeys(match[1] for match in found if match))


def parse_record(record: object) -> Advisory:
    """Errors: InvalidAdvisory."""
    try:
        return _parse(record)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InvalidAdvisory(f"not an OSV record: {type(error).__name__}: {error}") from error


def _parse(record: Any) -> Advisory:
    entries = [entry for entry in _list(record.get("affected")) if entry.get("package")]
    id_ = _name(record["id"])
    return Advisory(
        id=id_,
        modified=moment(_text(record.get("modified"))),
        withdrawn=bool(record.get("withdrawn")),
        aliases=_in_order(_name(alias) for alias in _list(record.get("aliases"))),
        upstream=_in_order(_name(name) for name in _list(record.get("upstream"))),
        summary=_summary(record),
        url=_url(record, id_),
        severity=_in_order(_severity([record, *entries])),
        affected=tuple(_affected(entry) for entry in entries),
    )


def _affected(entry: dict[str, Any]) -> Affected:
    ecosystem = normal_ecosystem(_text(entry["package"]["ecosystem"]))
    ranges = (_range(said) for said in _list(entry.get("ranges")) if said.get("type") != "GIT")
    return Affected(
        ecosystem=ecosystem,
        name=normal_name(ecosystem, _text(entry["package"]["name"])),
        ranges=tuple(sorted({range_ for range_ in ranges if range_.events}, key=lambda range_: range_.events)),
        versions=_in_order(_text(version) for version in _list(entry.get("versions"))),
    )


def _range(said: dict[str, Any]) -> Range:
    events = ((kind, event) for event in _list(said.get("events")) for kind in _KINDS if kind in event)
    return Range(_in_order((kind, _text(event[kind])) for kind, event in events))


def _severity(holders: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Of the record and of its packages; what has no vector is left out."""
    for holder in holders:
        for said in _list(holder.get("severity")):
            kind, vector = _text(said.get("type")), _text(said.get("score"))
            if vector:
                yield kind, vector


def _summary(record: dict[str, Any]) -> str:
    return one_line(_text(record.get("summary")) or _text(record.get("details")))


def one_line(text: str) -> str:
    """The beginning of a text, for a table: one line that can be shown on a terminal."""
    # descriptions of many pages are real
    line = " ".join(text[: 10 * _SUMMARY].split())
    if not line.isprintable():
        line = "".join(character for character in line if character.isprintable())
    if len(line) <= _SUMMARY:
        return line
    return line[: _SUMMARY - 1].rsplit(" ", 1)[0] + "…"


def _url(record: dict[str, Any], id_: str) -> str:
    for reference in _list(record.get("references")):
        url = _text(reference.get("url"))
        if reference.get("type") == "ADVISORY" and url.startswith(("https://", "http://")) and _is_plain(url, _ADDRESS):
            return url
    return f"https://osv.dev/vulnerability/{id_}"


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} should be a text")
    # a lone surrogate is in no encoding: neither a database nor a page takes it
    value.encode()
    return value


def _name(value: object) -> str:
    name = _text(value)
    if not _is_plain(name, _NAME):
        raise ValueError(f"{name!r:.80} should be a name")
    return name


def _is_plain(text: str, longest: int) -> bool:
    """Whether it is one word that can be shown on a terminal."""
    return 0 < len(text) <= longest and text.isprintable() and " " not in text


def _list(value: object) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.80} should be a list")
    return value


def _in_order(values: Iterable[_Sortable]) -> tuple[_Sortable, ...]:
    return tuple(sorted(set(values)))


def moment(text: str) -> str:
    """UTC, in one form that sorts by time: exports write fractions or none, and Z or +00:00."""
    if not text:
        return ""
    moment = datetime.fromisoformat(text)
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.isoformat(timespec="microseconds")


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
    return compact([advisory.aliases, advisory.upstream, advisory.summary, advisory.url, advisory.severity])


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
    return compact(sorted([[range_.events for range_ in entry.ranges], entry.versions] for entry in entries))


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


def by_scope(advisory: Advisory) -> dict[str, Advisory]:
    """An id belongs to one database, but for a bare CVE id: several write records under it, each about its own
    packages. So these are taken apart by ecosystem, and a record has a say about the ecosystems that it names."""
    if not advisory.id.startswith("CVE-"):
        return {"": advisory}
    ecosystems = sorted({entry.ecosystem for entry in advisory.affected})
    return {
        ecosystem: replace(
            advisory, affected=tuple(entry for entry in advisory.affected if entry.ecosystem == ecosystem)
        )
        for ecosystem in ecosystems
    }


def compact(value: object) -> str:
    """JSON without white space."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
