"""The file of the advisory store: its tables, how it is opened, and the transaction that every change goes through.

The snapshot and the mark are kept up to date with every change, so that asking for them costs nothing.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from models.errors import ToolFailed
from scanning.osv import cves_in

_SCHEMA = 2
_MODULUS = 2**256
#: how long another process may hold the file, seconds
_PATIENCE = 600.0

#: memory of a transaction that writes, KiB: pages that do not fit are written, and often more than once
_CACHE = 64 * 1024

_FIRST_TABLES = """
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
_SECOND_TABLES = """
ALTER TABLE knowledge ADD COLUMN mark INTEGER NOT NULL DEFAULT 0;
ALTER TABLE advisory ADD COLUMN mark INTEGER NOT NULL DEFAULT 0;
CREATE INDEX advisory_by_mark ON advisory (mark);
CREATE TABLE alias (
    name TEXT NOT NULL, advisory INTEGER NOT NULL, PRIMARY KEY (name, advisory)
) WITHOUT ROWID;
CREATE INDEX alias_by_advisory ON alias (advisory);
CREATE TABLE touched (
    ecosystem TEXT NOT NULL, name TEXT NOT NULL, mark INTEGER NOT NULL, PRIMARY KEY (ecosystem, name)
) WITHOUT ROWID;
CREATE INDEX touched_by_mark ON touched (mark);
CREATE TABLE exploited (cve TEXT PRIMARY KEY, said TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE source (
    key INTEGER PRIMARY KEY, kind TEXT NOT NULL, location TEXT NOT NULL, remembered INTEGER NOT NULL DEFAULT 0,
    version TEXT NOT NULL DEFAULT '', newest TEXT NOT NULL DEFAULT '', skipped INTEGER NOT NULL DEFAULT 0,
    problem TEXT NOT NULL DEFAULT '', looked_at TEXT NOT NULL DEFAULT '', changed_at TEXT NOT NULL DEFAULT '',
    UNIQUE (kind, location)
);
CREATE TABLE seen (
    source INTEGER NOT NULL, stamp BLOB NOT NULL, PRIMARY KEY (source, stamp)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Part:
    """What one advisory says within its scope, as it is stored. What is not in force has no rows and counts for
    nothing, but is known by its time: an older record of the same id does not come back."""

    id: str
    scope: str
    modified: str
    content: str
    #: every other name it goes by, and what it sums up
    aliases: frozenset[str]
    #: (ecosystem, name, entries)
    rows: tuple[tuple[str, str, str], ...]

    @property
    def fingerprint(self) -> str:
        """Empty for what is not in force."""
        if not self.rows:
            return ""
        return fingerprint(self.id, self.content, *(text for row in self.rows for text in row))


@dataclass(slots=True)
class Change:
    """A transaction that writes. Everything that it changes bears one mark, the next after that of the one before."""

    connection: sqlite3.Connection
    _sum: int
    _mark: int
    _changed: bool = False
    #: rows that say what was touched, not written yet
    _touched: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def begun(cls, connection: sqlite3.Connection) -> "Change":
        total, mark = connection.execute("SELECT sum, mark FROM knowledge").fetchone()
        return cls(connection, int(total, 16), mark + 1)

    def move(self, old: str, new: str) -> None:
        """The snapshot is the sum of fingerprints: a change takes one out and puts one in, whatever the order."""
        self._sum = (self._sum - int(old or "0", 16) + int(new or "0", 16)) % _MODULUS
        self._changed = True

    def touch(self, names: Iterable[tuple[str, str]]) -> None:
        """What is said of these (ecosystem, name) is no longer what it was."""
        self._touched.update(names)
        if len(self._touched) > 50_000:
            self._write_touched()

    def _touch_cve(self, cve: str) -> None:
        """Whatever has an advisory about the CVE: its score or its mark has changed."""
        by_alias = "SELECT advisory FROM alias WHERE name = ?"
        by_id = "SELECT key FROM advisory WHERE id = ? AND fingerprint <> ''"
        for (key,) in self.connection.execute(f"{by_alias} UNION {by_id}", (cve, cve)).fetchall():
            self.connection.execute("UPDATE advisory SET mark = ? WHERE key = ?", (self._mark, key))
            self.touch(self.connection.execute("SELECT ecosystem, name FROM affected WHERE advisory = ?", (key,)))

    def put(self, part: Part) -> str:
        """`added`, `changed`, `same`, or `older` for what does not count beside what is known. Of two with the same
        time the later one counts: Go's are all of the year 1."""
        known = self.connection.execute(
            "SELECT key, modified, fingerprint FROM advisory WHERE id = ? AND scope = ?", (part.id, part.scope)
        ).fetchone()
        key, modified, before = known or (None, "", "")
        now = part.fingerprint
        if part.modified < modified:
            return "older"
        if key is not None and before == now:
            if part.modified != modified:
                self.connection.execute("UPDATE advisory SET modified = ? WHERE key = ?", (part.modified, key))
            return "same"
        if key is not None:
            self._forget(key)
        key = self.connection.execute(
            "INSERT OR REPLACE INTO advisory VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key, part.id, part.scope, part.modified, now, part.content, self._mark),
        ).lastrowid
        self.connection.executemany(
            "INSERT INTO affected VALUES (?, ?, ?, ?)", [(*row[:2], key, row[2]) for row in part.rows]
        )
        if part.rows:
            self.connection.executemany("INSERT INTO alias VALUES (?, ?)", [(name, key) for name in part.aliases])
        self.touch(row[:2] for row in part.rows)
        if before or now:
            self.move(before, now)
        if before:
            return "changed"
        return "added" if now else "same"

    def put_scores(self, cve: str, source: str, known: set[str], vectors: set[str]) -> None:
        """`vectors` take the place of those that are `known` from the source."""
        for vector in known - vectors:
            self.connection.execute("DELETE FROM score WHERE (cve, source, vector) = (?, ?, ?)", (cve, source, vector))
            self.move(fingerprint(cve, source, vector), "")
        for vector in vectors - known:
            self.connection.execute("INSERT INTO score VALUES (?, ?, ?)", (cve, source, vector))
            self.move("", fingerprint(cve, source, vector))
        self._touch_cve(cve)

    def put_exploited(self, cve: str, known: str, said: str) -> None:
        """What the catalog says takes the place of what is known from it; empty for nothing."""
        if said:
            self.connection.execute("INSERT OR REPLACE INTO exploited VALUES (?, ?)", (cve, said))
        else:
            self.connection.execute("DELETE FROM exploited WHERE cve = ?", (cve,))
        self.move(*(fingerprint("exploited", cve, text) if text else "" for text in (known, said)))
        self._touch_cve(cve)

    def _forget(self, key: int) -> None:
        self.touch(self.connection.execute("SELECT ecosystem, name FROM affected WHERE advisory = ?", (key,)))
        self.connection.execute("DELETE FROM affected WHERE advisory = ?", (key,))
        self.connection.execute("DELETE FROM alias WHERE advisory = ?", (key,))

    def finish(self) -> None:
        """Write what was gathered; the transaction is committed by its owner."""
        self._write_touched()
        if self._changed:
            self.connection.execute("UPDATE knowledge SET sum = ?, mark = ?", (f"{self._sum:x}", self._mark))

    def _write_touched(self) -> None:
        self.connection.executemany(
            "INSERT OR REPLACE INTO touched VALUES (?, ?, ?)", [(*name, self._mark) for name in sorted(self._touched)]
        )
        self._touched.clear()


@dataclass(frozen=True, slots=True)
class AdvisoryFile:
    """Safe for several threads and processes: every use has a connection of its own. Errors: ToolFailed."""

    path: Path

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with self._told(), closing(self._open()) as connection:
            # one transaction: an import that ends meanwhile does not show half of itself
            connection.execute("BEGIN")
            yield connection
            connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[Change]:
        """All of it, or nothing when it breaks."""
        with self._told(), closing(self._open()) as connection:
            connection.execute(f"PRAGMA cache_size = -{_CACHE}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                change = Change.begun(connection)
                yield change
                change.finish()
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
            schema = _schema_of(connection)
            if schema > _SCHEMA:
                raise ToolFailed(f"The advisory store {self.path} was made by a newer version of Wharfinger.")
            if schema < _SCHEMA:
                _bring_up(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection


def fingerprint(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def names_of(id_: str, aliases: Iterable[str], upstream: Iterable[str]) -> frozenset[str]:
    """Every name under which an advisory is looked for, but its own id: `DEBIAN-CVE-2024-1` is also CVE-2024-1."""
    said = (*aliases, *upstream)
    return frozenset({*said, *cves_in((id_, *said))}) - {id_}


def _schema_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _bring_up(connection: sqlite3.Connection) -> None:
    """Make what is missing; of several processes at once, one does and the others find it done."""
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
    schema = _schema_of(connection)
    if schema < 1:
        _make(connection, _FIRST_TABLES)
    if schema < 2:
        _make(connection, _SECOND_TABLES)
        _find_aliases(connection)
    connection.execute(f"PRAGMA user_version = {max(schema, _SCHEMA)}")
    connection.execute("COMMIT")


def _make(connection: sqlite3.Connection, tables: str) -> None:
    for statement in tables.strip().split(";\n"):
        connection.execute(statement)


def _find_aliases(connection: sqlite3.Connection) -> None:
    """Of a store that was filled before aliases were kept apart."""
    rows = connection.execute("SELECT key, id, content FROM advisory WHERE fingerprint <> ''").fetchall()
    for key, id_, content in rows:
        aliases, upstream, *_ = json.loads(content)
        names = names_of(id_, aliases, upstream)
        connection.executemany("INSERT INTO alias VALUES (?, ?)", [(name, key) for name in sorted(names)])
