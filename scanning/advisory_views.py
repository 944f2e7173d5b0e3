"""What the advisory store knows, for people: one vulnerability with all its records, and the store as a whole."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from models.scans import KnownExploited, Score
from scanning import nvd, osv
from scanning.advisory_imports import scores_of
from scanning.advisory_sources import Source
from scanning.cpe import CPE
from scanning.scores import score_of

_SIGNS = {"introduced": ">=", "fixed": "<", "last_affected": "<=", "limit": "<"}


@dataclass(frozen=True, slots=True)
class AffectedView:
    """A package of an ecosystem, or a product (ecosystem CPE); `versions` are ranges and single ones, in words."""

    ecosystem: str
    name: str
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordView:
    """One record of one database. One that is out of force (withdrawn, rejected, not analysed) affects nothing."""

    id: str
    modified: str
    in_force: bool
    aliases: tuple[str, ...]
    upstream: tuple[str, ...]
    summary: str
    url: str
    scores: tuple[Score, ...]
    affected: tuple[AffectedView, ...]


@dataclass(frozen=True, slots=True)
class AdvisoryView:
    """Everything known under a name: the records that bear it, and what is said of their CVEs."""

    id: str
    cves: tuple[str, ...]
    records: tuple[RecordView, ...]
    scores: tuple[Score, ...]
    exploited: KnownExploited | None


@dataclass(frozen=True, slots=True)
class EcosystemView:
    """Advisories in force and the packages that they name; `newest` is the time of the youngest record, as ISO text."""

    ecosystem: str
    advisories: int
    packages: int
    newest: str


@dataclass(frozen=True, slots=True)
class StoreView:
    advisories: int
    scored: int
    exploited: int
    ecosystems: tuple[EcosystemView, ...]
    sources: tuple[Source, ...]


def advisory_view(connection: sqlite3.Connection, name: str) -> AdvisoryView | None:
    """None where nothing bears the name."""
    rows = connection.execute(
        "SELECT key, id, scope, modified, fingerprint, content FROM advisory WHERE key IN"
        " (SELECT advisory FROM alias WHERE name = :name UNION SELECT key FROM advisory WHERE id = :name)"
        " ORDER BY id, scope",
        {"name": name},
    ).fetchall()
    records = tuple(_record(connection, *row) for row in rows)
    said = [name for record in records for name in (record.id, *record.aliases)]
    cves = tuple(sorted({*osv.cves_in([name]), *osv.cves_in(said)}))
    scores = tuple(
        score for cve in cves for score in _scores((vector, source) for source, vector in scores_of(connection, cve))
    )
    marks = (connection.execute("SELECT said FROM exploited WHERE cve = ?", (cve,)).fetchone() for cve in cves)
    mark = next((row[0] for row in marks if row), None)
    if not records and not scores and mark is None:
        return None
    return AdvisoryView(name, cves, records, scores, KnownExploited.model_validate_json(mark) if mark else None)


def _record(
    connection: sqlite3.Connection, key: int, id_: str, scope: str, modified: str, fingerprint: str, content: str
) -> RecordView:
    aliases, upstream, summary, url, severity = json.loads(content)
    rows = connection.execute(
        "SELECT ecosystem, name, entries FROM affected WHERE advisory = ? ORDER BY ecosystem, name", (key,)
    )
    return RecordView(
        id=id_,
        modified=modified,
        in_force=bool(fingerprint),
        aliases=tuple(aliases),
        upstream=tuple(upstream),
        summary=summary,
        url=url,
        scores=_scores((vector, id_) for _, vector in severity),
        affected=tuple(
            AffectedView(ecosystem, name, _versions(ecosystem, name, said)) for ecosystem, name, said in rows
        ),
    )


def _scores(said: Iterable[tuple[str, str]]) -> tuple[Score, ...]:
    found = (score_of(vector, source) for vector, source in said)
    return tuple(score for score in found if score is not None)


def _versions(ecosystem: str, name: str, entries: str) -> tuple[str, ...]:
    if ecosystem == CPE:
        return tuple(_of_criterion(criterion) for criterion in nvd.criteria_from_json(entries))
    said: list[str] = []
    for entry in osv.affected_from_json(ecosystem, name, entries):
        said += [
            ", ".join(f"{_SIGNS[kind]} {bound}" for kind, bound in _paired(range_.events)) for range_ in entry.ranges
        ]
        said += [f"= {version}" for version in entry.versions]
    return tuple(said)


def _paired(events: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Where a range begins before where it ends."""
    return sorted(events, key=lambda event: event[0] != "introduced")


def _of_criterion(one: nvd.Criterion) -> str:
    bounds = [
        f"{'>=' if one.start_is_in else '>'} {one.start}" if one.start else "",
        f"{'<=' if one.end_is_in else '<'} {one.end}" if one.end else "",
    ]
    return ", ".join(filter(None, bounds)) or ("all" if one.version == "*" else f"= {one.version}")


def store_view(connection: sqlite3.Connection, advisories: int, sources: tuple[Source, ...]) -> StoreView:
    base = "CASE instr(ecosystem, ':') WHEN 0 THEN ecosystem ELSE substr(ecosystem, 1, instr(ecosystem, ':') - 1) END"
    rows = connection.execute(
        f"SELECT {base} AS base, count(DISTINCT id), count(DISTINCT name), max(modified)"  # noqa: S608
        " FROM affected JOIN advisory ON advisory.key = affected.advisory GROUP BY base ORDER BY base"
    )
    return StoreView(
        advisories=advisories,
        scored=connection.execute("SELECT count(DISTINCT cve) FROM score").fetchone()[0],
        exploited=connection.execute("SELECT count(*) FROM exploited").fetchone()[0],
        ecosystems=tuple(EcosystemView(*row) for row in rows),
        sources=sources,
    )
