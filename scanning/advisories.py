"""The advisory store: what is known of vulnerabilities in a SQLite file of its own, and the matching of components.

Distinct (ecosystem, name) is the unit: an inverted index answers which records name a package.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from models.policy import SeverityClasses
from models.scans import Classing, Component, KnownExploited, Vulnerability
from scanning import advisory_sources, nvd, osv
from scanning.advisory_imports import (
    Counts,
    Imported,
    bring_in,
    bring_in_exploited,
    bring_in_scores,
    bring_in_some,
    scores_of,
)
from scanning.advisory_sources import Source, SourceKind
from scanning.advisory_tables import AdvisoryFile, Change
from scanning.advisory_views import AdvisoryView, StoreView, advisory_view, store_view
from scanning.catalogs import exploited_in, scores_in
from scanning.cpe import CPE, product_from
from scanning.exports import containers
from scanning.matching import Knowledge, vulnerabilities_of

# the client of the web is a tenth of the memory of a process that only scans: it is imported where something is fetched
if TYPE_CHECKING:
    from scanning.osv_lists import Modified

Progress = Callable[[int], None]

_URLS = ("https://", "http://")


@dataclass(frozen=True, slots=True)
class Changes:
    """What is no longer as it was at an earlier mark: a re-match asks for these names and for nothing else.

    Scores, marks of exploitation and withdrawals count like records: they are told by the names that they concern.
    """

    #: where the next look goes on
    mark: int
    #: (ecosystem, name) as `matching.looked_up` gives them, the name in its normal spelling (osv.normal_name)
    names: frozenset[tuple[str, str]]
    #: (vendor, product) of CPE, under the names of today (cpe.parse_cpe)
    products: frozenset[tuple[str, str]]
    #: ids of the records
    advisories: frozenset[str]


class AdvisoryStore:
    """Safe for several threads and processes: every call has a connection of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = AdvisoryFile(path)

    @property
    def downloads(self) -> Path:
        """Where downloads lie while they are used, and what is left of one that broke."""
        return self.path.with_name(f"{self.path.name}-downloads")

    def import_from(
        self, location: str | Path, progress: Progress | None = None, kind: SourceKind = SourceKind.OSV
    ) -> Imported:
        """Bring in an export (exports.py, catalogs.py), in one transaction: a broken import changes nothing.

        Imported again, only what changed is read and written; a record older than the stored one (`modified`) is left
        out. `progress` is told how many records were read. Errors: NotFound, ToolFailed.
        """
        counts = Counts(progress)
        if str(location).startswith(_URLS):
            return self._from_url(str(location), kind, counts)
        with self._file.writing() as change:
            self._bring_in(change, kind, Path(location), counts)
            return self._imported(change, kind, str(location), counts)

    def import_scores(self, path: Path) -> int:
        """Scores by CVE, for the many records without one: JSON of {CVE: [[source, vector, base score], ...]}, gzipped
        or not. What a source says of a CVE takes the place of what it said before; a vector that cannot be read is
        left out. Returns how many are new. Errors: NotFound, ToolFailed."""
        return self.import_from(path, kind=SourceKind.SCORES).added

    def import_exploited(self, path: Path) -> int:
        """CISA's catalog of known exploited vulnerabilities (kev.py), as a whole: what it no longer names is not in it.
        Returns how many entries are new, gone, or say something else. Errors: NotFound, ToolFailed."""
        imported = self.import_from(path, kind=SourceKind.EXPLOITED)
        return imported.added + imported.changed

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
        about 0.01 ms for a component that no advisory names, and 0.02 ms for each advisory that names one.
        """
        with self._file.reading() as connection:
            knowledge = Knowledge(
                ask_named=lambda ecosystem, name: _named(connection, ecosystem, name),
                ask_scores=lambda cve: scores_of(connection, cve),
                ask_criteria=lambda product: _criteria(connection, product),
                ask_exploited=lambda cve: _exploited(connection, cve),
                classings=classings or {},
            )
            return [found for component in components for found in vulnerabilities_of(component, knowledge, severity)]

    def remember(self, location: str, kind: SourceKind) -> None:
        """Every synchronization asks this source from now on. Errors: ToolFailed."""
        with self._file.writing() as change:
            source = advisory_sources.row_of(change.connection, kind, location)
            advisory_sources.note(change.connection, source.key, remembered=1)

    def forget(self, location: str) -> bool:
        """The source is no longer asked; what came from it stays, but for what is left of a download that broke. False
        when it was not remembered. Errors: ToolFailed, also while it is being fetched."""
        if location.startswith(_URLS):
            from scanning.downloads import discard

            discard(location, self.downloads)
        with self._file.writing() as change:
            return advisory_sources.forget(change.connection, location) > 0

    def sources(self) -> list[Source]:
        """Those that are remembered."""
        with self._file.reading() as connection:
            return advisory_sources.remembered(connection)

    def show(self, name: str) -> AdvisoryView | None:
        """What is known under the id of a CVE or of an advisory; None for nothing."""
        with self._file.reading() as connection:
            return advisory_view(connection, name)

    def overview(self) -> StoreView:
        """How much is known of what, and where it came from. Reads through the whole index."""
        with self._file.reading() as connection:
            sources = tuple(advisory_sources.remembered(connection))
            return store_view(connection, _count(connection), sources)

    def note_problem(self, location: str, kind: SourceKind, problem: str) -> None:
        """Why a source could not be imported."""
        with self._file.writing() as change:
            source = advisory_sources.row_of(change.connection, kind, location)
            advisory_sources.note(change.connection, source.key, problem=problem, looked_at=_now())

    def _from_url(self, url: str, kind: SourceKind, counts: Counts) -> Imported:
        """Nothing that others wait for is locked while something is fetched."""
        from scanning.downloads import fetched
        from scanning.osv_lists import modified_since

        with self._file.reading() as connection:
            known = advisory_sources.find(connection, kind, url)
        modified = modified_since(url, known.newest if known else "") if kind is SourceKind.OSV else None
        if known and known.version and modified and modified.ids is not None:
            some = self._some_of(url, kind, modified, modified.ids, counts)
            if some is not None:
                return some
        with (
            fetched(url, self.downloads, known.version if known else "", counts.told) as found,
            self._file.writing() as change,
        ):
            if found.path is None:
                counts.skipped += known.skipped if known else 0
            else:
                self._bring_in(change, kind, found.path, counts, url, found.version)
            newest = modified.newest if modified else ""
            return self._imported(change, kind, url, counts, newest=newest, version=found.version)

    def _some_of(
        self, url: str, kind: SourceKind, modified: "Modified", ids: tuple[str, ...], counts: Counts
    ) -> Imported | None:
        """Only the records that have changed; None where they cannot be had by themselves."""
        from scanning.osv_lists import fetched_some

        self.downloads.mkdir(parents=True, exist_ok=True)
        with fetched_some(url, ids, self.downloads) as folder:
            if folder is None:
                return None
            with self._file.writing() as change:
                for container in containers(folder) if ids else ():
                    bring_in_some(change, kind, container, counts)
                return self._imported(change, kind, url, counts, newest=modified.newest)

    def _bring_in(
        self,
        change: Change,
        kind: SourceKind,
        path: Path,
        counts: Counts,
        url: str = "",
        version: str = "",
    ) -> None:
        """`url` and `version` are where the file was fetched from, and what the server calls it."""
        if kind is SourceKind.SCORES:
            bring_in_scores(change, list(scores_in(path)), counts)
        elif kind is SourceKind.EXPLOITED:
            bring_in_exploited(change, exploited_in(path), counts)
        else:
            for container in containers(path):
                if url:
                    container = replace(container, version=version)
                bring_in(change, kind, url or str(container.path.absolute()), container, counts)

    def _imported(self, change: Change, kind: SourceKind, location: str, counts: Counts, **fields: str) -> Imported:
        """Note about the source what is known now."""
        source = advisory_sources.row_of(change.connection, kind, location)
        noted = {name: value for name, value in fields.items() if value}
        if counts.added or counts.changed:
            noted["changed_at"] = _now()
        advisory_sources.note(
            change.connection, source.key, looked_at=_now(), problem="; ".join(counts.problems), **noted
        )
        return counts.result(_count(change.connection))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


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


def _exploited(connection: sqlite3.Connection, cve: str) -> KnownExploited | None:
    row = connection.execute("SELECT said FROM exploited WHERE cve = ?", (cve,)).fetchone()
    return KnownExploited.model_validate_json(row[0]) if row else None
