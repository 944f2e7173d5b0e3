"""The advisory store: what is known of vulnerabilities in a SQLite file of its own, and the matching of components.

Distinct (ecosystem, name) is the unit: an inverted index answers which records name a package.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.policy import SeverityClasses
from models.scans import Classing, Component, KnownExploited, Vulnerability
from scanning import nvd, osv
from scanning.advisory_tables import AdvisoryFile, Part, names_of
from scanning.cpe import CPE, product_from
from scanning.exports import catalog_in, fetched, records, scores_in
from scanning.matching import Knowledge, vulnerabilities_of

#: records between two calls of `progress`
_EVERY = 1000


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did; `total` is what is in force now, `skipped` what could not be read."""

    added: int
    changed: int
    total: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What is no longer as it was at an earlier mark: a re-match asks for these names and for nothing else.

    Scores, marks of exploitation and withdrawals count like records: they are told by the names that they concern.
    """

    #: where the next look goes on
    mark: int
    #: (ecosystem, name) as `matching.looked_up` gives them, the name in its normal spelling (osv.normal_name)
    names: frozenset[tuple[str, str]]
    #: (vendor, product) of CPE
    products: frozenset[tuple[str, str]]
    #: ids of the records
    advisories: frozenset[str]


class AdvisoryStore:
    """Safe for several threads and processes: every call has a connection of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = AdvisoryFile(path)

    def import_from(self, location: str | Path, progress: Callable[[int], None] | None = None) -> Imported:
        """Bring in an OSV export (exports.py), in one transaction: a broken import changes nothing.

        Imported again, only what changed is written; a record older than the stored one (`modified`) is left out.
        `progress` is told how many records were read. Errors: NotFound, ToolFailed.
        """
        added = changed = skipped = 0
        with fetched(location) as path, self._file.writing() as change:
            for place, record in enumerate(records(path), 1):
                try:
                    outcomes = {change.put(part) for part in _parts(osv.parse_record(record))}
                except osv.InvalidAdvisory:
                    skipped += 1
                else:
                    outcome = outcomes.pop() if len(outcomes) == 1 else "changed" if outcomes else "same"
                    added += outcome == "added"
                    changed += outcome == "changed"
                if progress is not None and place % _EVERY == 0:
                    progress(place)
            total = _count(change.connection)
        return Imported(added, changed, total, skipped)

    def import_scores(self, path: Path) -> int:
        """Scores by CVE, for the many records without one: JSON of {CVE: [[source, vector, base score], ...]}, gzipped
        or not. What a source says of a CVE takes the place of what it said before; a vector that cannot be read is
        left out. Returns how many are new. Errors: NotFound, ToolFailed."""
        said = list(scores_in(path))
        new = 0
        with self._file.writing() as change:
            for cve, source, vectors in said:
                known = {vector for other, vector in _scores(change.connection, cve) if other == source}
                if known != vectors:
                    change.put_scores(cve, source, known, vectors)
                new += len(vectors - known)
        return new

    def import_exploited(self, path: Path) -> int:
        """CISA's catalog of known exploited vulnerabilities (kev.py), as a whole: what it no longer names is not in it.
        Returns how many entries are new or say something else. Errors: NotFound, ToolFailed."""
        said = {cve: entry.model_dump_json() for cve, entry in catalog_in(path)}
        with self._file.writing() as change:
            known = dict(change.connection.execute("SELECT cve, said FROM exploited").fetchall())
            for cve in known.keys() | said.keys():
                if known.get(cve) != said.get(cve):
                    change.put_exploited(cve, known.get(cve, ""), said.get(cve, ""))
        return sum(known.get(cve) != entry for cve, entry in said.items())

    def snapshot(self) -> str:
        """Names what is in force: equal knowledge has an equal snapshot, in whatever order it came."""
        with self._file.reading() as connection:
            total = connection.execute("SELECT sum FROM knowledge").fetchone()[0]
        return "sha256:" + hashlib.sha256(total.encode()).hexdigest()

    def mark(self) -> int:
        """Where the store is now: higher with every import that changes anything. 0 for one that is empty."""
        with self._file.reading() as connection:
            return _mark(connection)

    def changes_after(self, mark: int) -> Changes:
        """Everything that has changed since `mark()` was that. Costs as much as there are names that were touched."""
        with self._file.reading() as connection:
            touched = connection.execute("SELECT ecosystem, name FROM touched WHERE mark > ?", (mark,)).fetchall()
            ids = connection.execute("SELECT id FROM advisory WHERE mark > ?", (mark,))
            return Changes(
                mark=_mark(connection),
                names=frozenset((ecosystem, name) for ecosystem, name in touched if ecosystem != CPE),
                products=frozenset(product_from(name) for ecosystem, name in touched if ecosystem == CPE),
                advisories=frozenset(id_ for (id_,) in ids),
            )

    def count(self) -> int:
        """Advisories in force; withdrawn ones are not."""
        with self._file.reading() as connection:
            return _count(connection)

    def match(
        self,
        components: Iterable[Component],
        severity: SeverityClasses,
        classings: Mapping[str, Classing] | None = None,
    ) -> list[Vulnerability]:
        """What is known against the components, one for each CVE and component, in the components' order.

        `classings` are the security team's own classes by vulnerability: they go before those of the scores. Costs
        about 0.1 ms a component that has no advisory, and as much again for each advisory that names it.
        """
        with self._file.reading() as connection:
            knowledge = Knowledge(
                ask_named=lambda ecosystem, name: _named(connection, ecosystem, name),
                ask_scores=lambda cve: _scores(connection, cve),
                ask_criteria=lambda product: _criteria(connection, product),
                ask_exploited=lambda cve: _exploited(connection, cve),
                classings=classings or {},
            )
            return [found for component in components for found in vulnerabilities_of(component, knowledge, severity)]


def _parts(advisory: osv.Advisory) -> list[Part]:
    """As they are stored: one for each scope."""
    names = names_of(advisory.id, advisory.aliases, advisory.upstream)
    return [
        Part(
            id=part.id,
            scope=scope,
            modified=part.modified,
            content=osv.to_json(part),
            aliases=names,
            rows=() if part.withdrawn else _rows(part),
        )
        for scope, part in osv.by_scope(advisory).items()
    ]


def _rows(advisory: osv.Advisory) -> tuple[tuple[str, str, str], ...]:
    return tuple(sorted((*name, osv.affected_to_json(found)) for name, found in osv.by_name(advisory).items()))


def _mark(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT mark FROM knowledge").fetchone()[0])


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(DISTINCT id) FROM advisory WHERE fingerprint <> ''").fetchone()[0])


def _about(connection: sqlite3.Connection, ecosystem: str, name: str) -> sqlite3.Cursor:
    return connection.execute(
        "SELECT advisory.id, modified, content, entries FROM affected JOIN advisory ON advisory.key = affected.advisory"
        " WHERE ecosystem = ? AND name = ? ORDER BY advisory.id, scope",
        (ecosystem, name),
    )


def _named(connection: sqlite3.Connection, ecosystem: str, name: str) -> list[osv.Advisory]:
    return [
        osv.from_json(id_, modified, content, osv.affected_from_json(ecosystem, name, entries))
        for id_, modified, content, entries in _about(connection, ecosystem, name)
    ]


def _criteria(connection: sqlite3.Connection, product: str) -> list[tuple[osv.Advisory, tuple[nvd.Criterion, ...]]]:
    return [
        (osv.from_json(id_, modified, content, ()), nvd.criteria_from_json(criteria))
        for id_, modified, content, criteria in _about(connection, CPE, product)
    ]


def _scores(connection: sqlite3.Connection, cve: str) -> list[tuple[str, str]]:
    return connection.execute("SELECT source, vector FROM score WHERE cve = ?", (cve,)).fetchall()


def _exploited(connection: sqlite3.Connection, cve: str) -> KnownExploited | None:
    row = connection.execute("SELECT said FROM exploited WHERE cve = ?", (cve,)).fetchone()
    return KnownExploited.model_validate_json(row[0]) if row else None
