"""The advisory store: OSV records in a SQLite file of its own, and the matching of components against them.

Distinct (ecosystem, name) is the unit: an inverted index answers which records name a package. The snapshot is kept up
to date with every change, so that asking for it costs nothing.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.errors import ToolFailed
from models.policy import SeverityClasses
from models.scans import Component, Vulnerability
from scanning import osv
from scanning.exports import fetched, records, scores_in
from scanning.matching import Knowledge, vulnerabilities_of

_SCHEMA = 1
_TABLES = """
CREATE TABLE advisory (
    key INTEGER PRIMARY KEY, id TEXT NOT NULL, scope TEXT NOT NULL, modified TEXT NOT NULL, fingerprint TEXT NOT NULL,
    content TEXT NOT NULL, UNIQUE (id, scope)
);
CREATE TABLE affected (
    ecosystem TEXT NOT NULL, name TEXT NOT NULL, advisory INTEGER NOT NULL, entries TEXT NOT NULL,
    PRIMARY KEY (ecosystem, name, advisory)
) WITHOUT ROWID;
CREATE INDEX affected_by_advisory ON affected (advisory);
CREATE TABLE score (
    cve TEXT NOT NULL, source TEXT NOT NULL, vector TEXT NOT NULL, PRIMARY KEY (cve, source, vector)
) WITHOUT ROWID;
CREATE TABLE knowledge (one INTEGER PRIMARY KEY CHECK (one = 1), sum TEXT NOT NULL);
INSERT INTO knowledge VALUES (1, '0');
"""
_MODULUS = 2**256
#: how long another process may hold the file, seconds
_PATIENCE = 60.0
#: records between two calls of `progress`
_EVERY = 1000


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did; `total` is what is in force now, `skipped` what could not be read."""

    added: int
    changed: int
    total: int
    skipped: int


class AdvisoryStore:
    """Safe for several threads and processes: every call has a connection of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def import_from(self, location: str | Path, progress: Callable[[int], None] | None = None) -> Imported:
        """Bring in an OSV export (exports.py), in one transaction: a broken import changes nothing.

        Imported again, only what changed is written; a record older than the stored one (`modified`) is left out.
        `progress` is told how many records were read. Errors: NotFound, ToolFailed.
        """
        added = changed = skipped = 0
        with fetched(location) as path, self._writing() as connection:
            for place, record in enumerate(records(path), 1):
                try:
                    outcome = _put(connection, osv.parse_record(record))
                except osv.InvalidAdvisory:
                    skipped += 1
                else:
                    added += outcome == "added"
                    changed += outcome == "changed"
                if progress is not None and place % _EVERY == 0:
                    progress(place)
            total = _count(connection)
        return Imported(added, changed, total, skipped)

    def import_scores(self, path: Path) -> int:
        """Scores by CVE, for the many records without one: JSON of {CVE: [[source, vector, base score], ...]}, gzipped
        or not. What a source says of a CVE takes the place of what it said before; a vector that cannot be read is
        left out. Returns how many are new. Errors: NotFound, ToolFailed."""
        said = list(scores_in(path))
        new = 0
        with self._writing() as connection:
            for cve, source, vectors in said:
                known = {vector for other, vector in _scores(connection, cve) if other == source}
                for vector in known - vectors:
                    connection.execute(
                        "DELETE FROM score WHERE (cve, source, vector) = (?, ?, ?)", (cve, source, vector)
                    )
                    _move(connection, _fingerprint(cve, source, vector), "")
                for vector in vectors - known:
                    connection.execute("INSERT INTO score VALUES (?, ?, ?)", (cve, source, vector))
                    _move(connection, "", _fingerprint(cve, source, vector))
                new += len(vectors - known)
        return new

    def snapshot(self) -> str:
        """Names what is in force: equal knowledge has an equal snapshot, in whatever order it came."""
        with self._reading() as connection:
            total = connection.execute("SELECT sum FROM knowledge").fetchone()[0]
        return "sha256:" + hashlib.sha256(total.encode()).hexdigest()

    def count(self) -> int:
        """Advisories in force; withdrawn ones are not."""
        with self._reading() as connection:
            return _count(connection)

    def match(self, components: Iterable[Component], severity: SeverityClasses) -> list[Vulnerability]:
        """What is known against the components, one for each CVE and component, in the components' order."""
        with self._reading() as connection:
            knowledge = Knowledge(
                lambda ecosystem, name: _named(connection, ecosystem, name), lambda cve: _scores(connection, cve)
            )
            return [found for component in components for found in vulnerabilities_of(component, knowledge, severity)]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._told(), closing(self._open()) as connection:
            # one transaction: an import that ends meanwhile does not show half of itself
            connection.execute("BEGIN")
            yield connection
            connection.rollback()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._told(), closing(self._open()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the database cannot do (another process writes for long, the disk is full, it is no database)."""
        try:
            yield
        except sqlite3.Error as error:
            raise ToolFailed(f"The advisory store {self.path} cannot be used: {error}.") from error

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ToolFailed(f"The advisory store {self.path} cannot be used: {error}.") from error
        connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] != _SCHEMA:
                _create(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection


def _create(connection: sqlite3.Connection) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            # the change of journal does not wait for another process by itself
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            break
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    if connection.execute("PRAGMA user_version").fetchone()[0] != _SCHEMA:
        for statement in _TABLES.strip().split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_SCHEMA}")
    connection.execute("COMMIT")


def _put(connection: sqlite3.Connection, advisory: osv.Advisory) -> str:
    """`added`, `changed` or `same`."""
    outcomes = {_put_part(connection, scope, part) for scope, part in osv.by_scope(advisory).items()}
    return outcomes.pop() if len(outcomes) == 1 else "changed" if outcomes else "same"


def _put_part(connection: sqlite3.Connection, scope: str, advisory: osv.Advisory) -> str:
    """What is not in force has no fingerprint and no index, but is known by its time: an older record of the same id
    does not come back. Of two with the same time the later import counts: Go's are all of the year 1."""
    in_force = bool(advisory.affected) and not advisory.withdrawn
    entries = osv.by_name(advisory) if in_force else {}
    rows = sorted((*name, osv.affected_to_json(found)) for name, found in entries.items())
    content = osv.to_json(advisory)
    fingerprint = _fingerprint(advisory.id, content, *(text for row in rows for text in row)) if in_force else ""
    known = connection.execute(
        "SELECT key, modified, fingerprint FROM advisory WHERE id = ? AND scope = ?", (advisory.id, scope)
    ).fetchone()
    key, modified, before = known or (None, "", "")
    if advisory.modified < modified:
        return "same"
    if known is not None and before == fingerprint:
        connection.execute("UPDATE advisory SET modified = ? WHERE key = ?", (advisory.modified, key))
        return "same"
    key = connection.execute(
        "INSERT OR REPLACE INTO advisory VALUES (?, ?, ?, ?, ?, ?)",
        (key, advisory.id, scope, advisory.modified, fingerprint, content),
    ).lastrowid
    connection.execute("DELETE FROM affected WHERE advisory = ?", (key,))
    connection.executemany("INSERT INTO affected VALUES (?, ?, ?, ?)", [(*row[:2], key, row[2]) for row in rows])
    _move(connection, before, fingerprint)
    if before:
        return "changed"
    return "added" if in_force else "same"


def _move(connection: sqlite3.Connection, old: str, new: str) -> None:
    """The snapshot is the sum of fingerprints: a change takes one out and puts one in, whatever the order."""
    total = int(connection.execute("SELECT sum FROM knowledge").fetchone()[0], 16)
    total = (total - int(old or "0", 16) + int(new or "0", 16)) % _MODULUS
    connection.execute("UPDATE knowledge SET sum = ?", (f"{total:x}",))


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(DISTINCT id) FROM advisory WHERE fingerprint <> ''").fetchone()[0])


def _named(connection: sqlite3.Connection, ecosystem: str, name: str) -> list[osv.Advisory]:
    rows = connection.execute(
        "SELECT advisory.id, modified, content, entries FROM affected JOIN advisory ON advisory.key = affected.advisory"
        " WHERE ecosystem = ? AND name = ? ORDER BY advisory.id, scope",
        (ecosystem, name),
    )
    return [
        osv.from_json(id_, modified, content, osv.affected_from_json(ecosystem, name, entries))
        for id_, modified, content, entries in rows
    ]


def _scores(connection: sqlite3.Connection, cve: str) -> list[tuple[str, str]]:
    return connection.execute("SELECT source, vector FROM score WHERE cve = ?", (cve,)).fetchall()
