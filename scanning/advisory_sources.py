"""Sources of advisories: what was seen of each place that something was imported from, and those to be asked again."""

import sqlite3
from dataclasses import dataclass
from enum import StrEnum


class SourceKind(StrEnum):
    """What a source has: records of OSV or of NVD, scores by CVE, or the catalog of known exploited vulnerabilities."""

    OSV = "osv"
    NVD = "nvd"
    SCORES = "scores"
    EXPLOITED = "kev"


@dataclass(frozen=True, slots=True)
class Source:
    """A row of the table; times are UTC as ISO text, empty for never."""

    key: int
    kind: SourceKind
    location: str
    #: asked again by every synchronization
    remembered: bool
    #: what the place calls the content that was imported last: nothing has changed while it says the same
    version: str
    #: time of the newest record that its list of changes had (OSV's modified_id.csv)
    newest: str
    #: records that could not be read
    skipped: int
    #: what went wrong when it was asked last
    problem: str
    looked_at: str
    #: when it last had something new
    changed_at: str


def row_of(connection: sqlite3.Connection, kind: SourceKind, location: str) -> Source:
    """A source that is not known yet gets a row, but is not remembered by that."""
    connection.execute("INSERT OR IGNORE INTO source (kind, location) VALUES (?, ?)", (kind, location))
    found = find(connection, kind, location)
    assert found is not None  # noqa: S101
    return found


def find(connection: sqlite3.Connection, kind: SourceKind, location: str) -> Source | None:
    row = connection.execute("SELECT * FROM source WHERE kind = ? AND location = ?", (kind, location)).fetchone()
    return _source(row) if row else None


def note(connection: sqlite3.Connection, key: int, **fields: str | int) -> None:
    """Fields of the table that are other ones now."""
    for name, value in fields.items():
        connection.execute(f"UPDATE source SET {name} = ? WHERE key = ?", (value, key))  # noqa: S608


def remembered(connection: sqlite3.Connection) -> list[Source]:
    rows = connection.execute("SELECT * FROM source WHERE remembered = 1 ORDER BY kind, location")
    return [_source(row) for row in rows]


def forget(connection: sqlite3.Connection, location: str) -> int:
    """It is no longer asked; what came from it stays, and what was seen of it is known if it comes back. Returns how
    many kinds it was remembered for."""
    return connection.execute(
        "UPDATE source SET remembered = 0 WHERE location = ? AND remembered = 1", (location,)
    ).rowcount


def _source(row: tuple[object, ...]) -> Source:
    key, kind, location, is_remembered, *rest = row
    return Source(key, SourceKind(str(kind)), location, bool(is_remembered), *rest)  # type: ignore[arg-type]
