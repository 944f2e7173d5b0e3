"""From an export into the store: what was seen before is passed over, and only what says something else is written."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from models.scans import KnownExploited
from scanning import advisory_sources as sources
from scanning import nvd, osv
from scanning.advisory_sources import SourceKind
from scanning.advisory_tables import Change, Part, names_of
from scanning.cpe import CPE
from scanning.exports import Container, Entry, Unreadable

#: records between two calls of `progress`
_EVERY = 1000
#: reasons that are told of all that was skipped, and characters of each
_MOST_NAMED = 5
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did; `total` is what is in force now, `skipped` what could not be read."""

    added: int = 0
    changed: int = 0
    total: int = 0
    skipped: int = 0
    #: where the first of the skipped ones stand, and why
    problems: tuple[str, ...] = field(default=(), compare=False)


@dataclass(slots=True)
class Counts:
    """What an import has done so far, over all files of an export."""

    progress: Callable[[int], None] | None = None
    added: int = 0
    changed: int = 0
    skipped: int = 0
    read: int = 0
    problems: list[str] = field(default_factory=list)

    def goes_on(self, records: int = 1) -> None:
        before, self.read = self.read, self.read + records
        if self.progress is not None and before // _EVERY != self.read // _EVERY:
            self.progress(self.read)

    def told(self, _: int) -> None:
        """While something is fetched: whoever watches sees that it goes on, and may stop it by raising."""
        if self.progress is not None:
            self.progress(self.read)

    def skips(self, file: str, place: str, reason: str) -> None:
        self.skipped += 1
        if len(self.problems) < _MOST_NAMED:
            where = ", ".join(filter(None, (file, place)))
            text = "".join(sign for sign in f"{where}: {reason}" if sign.isprintable())
            self.problems.append(text[:_LONGEST_REASON])

    def result(self, total: int) -> Imported:
        return Imported(self.added, self.changed, total, self.skipped, tuple(self.problems))


def bring_in(change: Change, kind: SourceKind, location: str, container: Container, counts: Counts) -> None:
    """All that is new in the container, which has been seen before at its location. Errors: NotFound for one that is
    damaged."""
    connection = change.connection
    source = sources.row_of(connection, kind, location)
    if container.version and source.version == container.version and not source.skipped:
        return
    seen = {stamp for (stamp,) in connection.execute("SELECT stamp FROM seen WHERE source = ?", (source.key,))}
    gone = set(seen)
    fresh: set[bytes] = set()
    before = counts.skipped
    for entry in container.entries():
        if entry.stamp and entry.stamp in seen:
            gone.discard(entry.stamp)
            counts.goes_on()
        elif _read(change, kind, container, entry, counts) and entry.stamp:
            fresh.add(entry.stamp)
    connection.executemany("DELETE FROM seen WHERE source = ? AND stamp = ?", [(source.key, stamp) for stamp in gone])
    connection.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", [(source.key, stamp) for stamp in fresh])
    sources.note(connection, source.key, version=container.version, skipped=counts.skipped - before)


def bring_in_some(change: Change, kind: SourceKind, container: Container, counts: Counts) -> None:
    """A few records of an export: what was seen of the rest stays so."""
    for entry in container.entries():
        _read(change, kind, container, entry, counts)


def bring_in_scores(change: Change, found: Iterable[tuple[str, str, set[str]]], counts: Counts) -> None:
    """(CVE, source, its vectors): they take the place of what the source said of the CVE before."""
    for cve, source, vectors in found:
        known = {vector for other, vector in scores_of(change.connection, cve) if other == source}
        if known != vectors:
            change.put_scores(cve, source, known, vectors)
        counts.added += len(vectors - known)
        counts.changed += bool(known - vectors)
        counts.goes_on()


def bring_in_exploited(change: Change, found: Iterable[tuple[str, KnownExploited]], counts: Counts) -> None:
    """The whole catalog: what it no longer names is not in it."""
    said = {cve: entry.model_dump_json() for cve, entry in found}
    known = dict(change.connection.execute("SELECT cve, said FROM exploited").fetchall())
    for cve in sorted(known.keys() | said.keys()):
        if known.get(cve) != said.get(cve):
            change.put_exploited(cve, known.get(cve, ""), said.get(cve, ""))
            counts.added += cve not in known
            counts.changed += cve in known
        counts.goes_on()


def scores_of(connection: sqlite3.Connection, cve: str) -> list[tuple[str, str]]:
    """(source, vector) of what is known of a CVE beside its records."""
    return connection.execute("SELECT source, vector FROM score WHERE cve = ?", (cve,)).fetchall()


def _read(change: Change, kind: SourceKind, container: Container, entry: Entry, counts: Counts) -> bool:
    """Whether all of it could be read."""
    before = counts.skipped
    for record in entry.read():
        if isinstance(record, Unreadable):
            counts.skips(container.path.name, entry.place, record.reason)
        else:
            try:
                _put(change, kind, record, counts)
            except osv.InvalidAdvisory as error:
                counts.skips(container.path.name, entry.place, str(error))
        counts.goes_on()
    return counts.skipped == before


def _put(change: Change, kind: SourceKind, record: Any, counts: Counts) -> None:
    outcomes = set(_of_nvd(change, record) if kind is SourceKind.NVD else _of_osv(change, record))
    counts.added += outcomes == {"added"}
    counts.changed += outcomes != {"added"} and bool(outcomes & {"added", "changed"})


def _of_osv(change: Change, record: Any) -> Iterator[str]:
    if isinstance(record, dict) and "cve" in record and "id" not in record:
        raise osv.InvalidAdvisory("it has NVD's form: import it as what it is (nvd)")
    advisory = osv.parse_record(record)
    names = names_of(advisory.id, advisory.aliases, advisory.upstream)
    for scope, part in osv.by_scope(advisory).items():
        rows = () if part.withdrawn else _rows(part)
        yield change.put(Part(part.id, scope, part.modified, osv.to_json(part), names, rows))


def _rows(advisory: osv.Advisory) -> tuple[tuple[str, str, str], ...]:
    """Of CPE names only NVD has a say here."""
    named = osv.by_name(advisory).items()
    return tuple(sorted((*name, osv.affected_to_json(found)) for name, found in named if name[0] != CPE))


def _of_nvd(change: Change, record: Any) -> Iterator[str]:
    """NVD's scores are also those of what others say of the CVE."""
    cve = nvd.parse_cve(record)
    rows = tuple((CPE, name, nvd.criteria_to_json(criteria)) for name, criteria in cve.products.items())
    content = osv.compact([(), (), cve.summary, cve.url, ()])
    outcome = change.put(Part(cve.id, CPE, cve.modified, content, frozenset(), rows))
    yield outcome
    if outcome == "older":
        return
    known: dict[str, set[str]] = {}
    for source, vector in scores_of(change.connection, cve.id):
        if nvd.is_of_nvd(source):
            known.setdefault(source, set()).add(vector)
    for source in known.keys() | cve.scores.keys():
        if known.get(source) != cve.scores.get(source):
            change.put_scores(cve.id, source, known.get(source, set()), cve.scores.get(source, set()))
