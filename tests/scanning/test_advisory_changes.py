"""What changed since a mark: a re-match asks for what is named there: nothing may be missing, and little too much."""

import json
import sqlite3
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from models.findings import Severity
from models.policy import SeverityClasses
from models.scans import Classing, Component, KnownExploited, Vulnerability
from scanning.advisories import AdvisoryStore
from tests.scanning.test_advisories import FEBRUARY, JANUARY, MARCH, V31, bring, in_ecosystem, record, scores

LEFT = ("PyPI", "left")
numbers = count()


@pytest.fixture
def store(tmp_path: Path) -> AdvisoryStore:
    return AdvisoryStore(tmp_path / "hub" / "advisories.sqlite")


def names_after(store: AdvisoryStore, mark: int) -> set[tuple[str, str]]:
    return set(store.changes_after(mark).names)


def exploited(store: AdvisoryStore, *cves: str, **changes: Any) -> int:
    entries = [
        {"cve": cve, "added": "2024-02-01", "due": "2024-02-22", "ransomware": "Known"} | changes for cve in cves
    ]
    path = store.path.parent / f"kev-{next(numbers)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries))
    return store.import_exploited(path)


def found_in(store: AdvisoryStore, **classings: Classing) -> list[Vulnerability]:
    component = Component(purl="pkg:pypi/left@1.0", ecosystem="PyPI", name="left", version="1.0")
    named = {name.replace("_", "-"): classing for name, classing in classings.items()}
    return store.match([component], SeverityClasses(), named)


def test_what_an_import_touches_is_named_and_bears_a_higher_mark(store: AdvisoryStore) -> None:
    assert store.mark() == 0
    bring(store, record("PYSEC-2024-1"), in_ecosystem("CVE-2024-1111", "Debian:12", "Alpine:v3.20"))
    first = store.mark()
    assert names_after(store, 0) == {LEFT, ("Debian:12", "nginx"), ("Alpine:v3.20", "nginx")}
    assert store.changes_after(0).advisories == {"PYSEC-2024-1", "CVE-2024-1111"}
    assert store.changes_after(first).names == frozenset()
    bring(store, in_ecosystem("CVE-2024-1111", "Debian:12", fixed="3.0", modified=FEBRUARY))
    changes = store.changes_after(first)
    assert changes.names == {("Debian:12", "nginx")}
    assert changes.advisories == {"CVE-2024-1111"}
    assert changes.mark == store.mark() > first


def test_what_says_the_same_touches_nothing(store: AdvisoryStore) -> None:
    bring(store, record("PYSEC-2024-1", aliases=["CVE-2024-0001"]))
    scores(store, {"CVE-2024-0001": [["CISA", V31]]})
    exploited(store, "CVE-2024-0001")
    before = store.mark()
    bring(store, record("PYSEC-2024-1", aliases=["CVE-2024-0001"]))
    bring(store, record("PYSEC-2024-1", aliases=["CVE-2024-0001"], modified=MARCH))
    scores(store, {"CVE-2024-0001": [["CISA", V31]]})
    assert exploited(store, "CVE-2024-0001") == 0
    assert store.mark() == before
    assert store.changes_after(before).names == frozenset()


def test_a_withdrawal_and_a_package_that_is_no_longer_named_are_changes(store: AdvisoryStore) -> None:
    bring(store, record("PYSEC-2024-1"), record("PYSEC-2024-2"))
    before = store.mark()
    bring(store, record("PYSEC-2024-1", modified=FEBRUARY, withdrawn=FEBRUARY))
    assert names_after(store, before) == {LEFT}
    before = store.mark()
    elsewhere = [{"package": {"ecosystem": "PyPI", "name": "right"}, "versions": ["1.0"]}]
    bring(store, record("PYSEC-2024-2", modified=MARCH, affected=elsewhere))
    assert names_after(store, before) == {LEFT, ("PyPI", "right")}


@pytest.mark.parametrize(
    "names",
    [
        {"id": "PYSEC-2024-1", "aliases": ["CVE-2024-0001"]},
        {"id": "DEBIAN-CVE-2024-0001"},
        {"id": "CVE-2024-0001"},
        {"id": "DSA-1-1", "upstream": ["CVE-2024-0002", "CVE-2024-0001"]},
    ],
    ids=["alias", "in its name", "itself", "summed up"],
)
def test_a_score_and_a_mark_of_exploitation_touch_what_has_the_cve(store: AdvisoryStore, names: dict[str, Any]) -> None:
    bring(store, record(**{"id_": names.pop("id"), **names}))
    bring(store, in_ecosystem("CVE-2023-9999", "Debian:12"))
    before = store.mark()
    scores(store, {"CVE-2024-0001": [["CISA", V31]]})
    assert names_after(store, before) == {LEFT}
    before = store.mark()
    assert exploited(store, "CVE-2024-0001") == 1
    assert names_after(store, before) == {LEFT}
    before = store.mark()
    exploited(store, "CVE-2000-0001")
    assert names_after(store, before) == {LEFT}


def test_a_reader_who_asks_after_every_import_misses_nothing(store: AdvisoryStore) -> None:
    """As the watch does: what it knows by asking for the changes alone is what is known by asking for everything."""
    mark = 0
    seen: set[tuple[str, str]] = set()
    for number in range(5):
        bring(store, in_ecosystem(f"CVE-2024-{1000 + number}", f"Debian:{number}"))
        if number % 2:
            changes = store.changes_after(mark)
            seen |= changes.names
            mark = changes.mark
    assert seen | store.changes_after(mark).names == {(f"Debian:{number}", "nginx") for number in range(5)}


def test_an_exploited_vulnerability_says_so_until_the_catalog_no_longer_names_it(store: AdvisoryStore) -> None:
    bring(store, record("PYSEC-2024-1", aliases=["CVE-2024-0001"]))
    before = store.snapshot()
    assert exploited(store, "CVE-2024-0001", "CVE-2024-0002") == 2
    assert [found.exploited for found in found_in(store)] == [
        KnownExploited.model_validate({"added": "2024-02-01", "due": "2024-02-22", "ransomware": True})
    ]
    assert store.snapshot() != before
    assert exploited(store, "CVE-2024-0001", due=None, ransomware="Unknown") == 2
    assert [found.exploited for found in found_in(store)] == [KnownExploited.model_validate({"added": "2024-02-01"})]
    exploited(store, "CVE-2000-0001")
    assert [found.exploited for found in found_in(store)] == [None]


def test_the_security_teams_class_goes_before_that_of_the_score(store: AdvisoryStore) -> None:
    bring(store, record("PYSEC-2024-1", aliases=["CVE-2024-0001"]), record("PYSEC-2024-2", aliases=["CVE-2024-0002"]))
    scores(store, {"CVE-2024-0001": [["CISA", V31]]})
    team = Classing.model_validate({"severity": "minor", "reason": "not reachable", "at": JANUARY})
    first, second = found_in(store, CVE_2024_0001=team)
    assert (first.severity, first.classing, first.score and first.score.score) == (Severity.MINOR, team, 9.8)
    assert (second.severity, second.classing) == (Severity.UNKNOWN, None)


def test_a_store_of_the_version_before_is_brought_up_with_what_it_has(store: AdvisoryStore) -> None:
    bring(store, record("PYSEC-2024-1", aliases=["CVE-2024-0001"]))
    before = store.snapshot()
    connection = sqlite3.connect(store.path, isolation_level=None)
    for statement in (
        *(f"DROP TABLE {name}" for name in ("alias", "touched", "exploited", "source", "seen")),
        "DROP INDEX advisory_by_mark",
        "ALTER TABLE advisory DROP COLUMN mark",
        "ALTER TABLE knowledge DROP COLUMN mark",
        "PRAGMA user_version = 1",
    ):
        connection.execute(statement)
    connection.close()
    assert (store.mark(), store.count(), store.snapshot()) == (0, 1, before)
    scores(store, {"CVE-2024-0001": [["CISA", V31]]})
    assert names_after(store, 0) == {LEFT}
