"""The advisory store: what is imported counts once, whatever the order, and nothing of a broken import does."""

import gzip
import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import NotFound, ToolFailed
from models.policy import SeverityClasses
from models.scans import Component, Vulnerability
from scanning import advisory_tables
from scanning.advisories import AdvisoryStore
from scanning.advisory_imports import Imported

CLASSES = SeverityClasses()
ROOT = Path(__file__).resolve().parents[2]
JANUARY, FEBRUARY, MARCH = (f"2024-0{month}-01T00:00:00Z" for month in (1, 2, 3))
names = count()


def record(id_: str, fixed: str = "2.0", modified: str = JANUARY, **changes: Any) -> dict[str, Any]:
    """An advisory for the package `left` of PyPI."""
    affected = [{"package": {"ecosystem": "PyPI", "name": "left"}, "ranges": [said(fixed)]}]
    return {"id": id_, "modified": modified, "affected": affected, **changes}


def said(fixed: str) -> dict[str, Any]:
    return {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}


def in_ecosystem(id_: str, *ecosystems: str, fixed: str = "2.0-r0", modified: str = JANUARY) -> dict[str, Any]:
    affected = [{"package": {"ecosystem": name, "name": "nginx"}, "ranges": [said(fixed)]} for name in ecosystems]
    return {"id": id_, "modified": modified, "affected": affected}


@pytest.fixture
def store(tmp_path: Path) -> AdvisoryStore:
    return AdvisoryStore(tmp_path / "hub" / "advisories.sqlite")


def export(store: AdvisoryStore, found: Iterable[object]) -> Path:
    path = store.path.parent / f"{next(names)}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in found))
    return path


def bring(store: AdvisoryStore, *found: object) -> Imported:
    return store.import_from(export(store, found))


def known(store: AdvisoryStore, version: str = "1.0", name: str = "left", ecosystem: str = "PyPI") -> dict[str, str]:
    """{vulnerability: fixed version} of a package."""
    component = Component(purl=f"pkg:{name}@{version}", ecosystem=ecosystem, name=name, version=version)
    return {found.id: found.fixed_version for found in store.match([component], CLASSES)}


def test_an_empty_store_knows_nothing_and_has_a_snapshot(store: AdvisoryStore) -> None:
    assert store.count() == 0
    assert known(store) == {}
    assert store.snapshot().startswith("sha256:")


def test_imported_again_nothing_changes(store: AdvisoryStore) -> None:
    found = [record("PYSEC-2024-1"), record("PYSEC-2024-2")]
    assert bring(store, *found) == Imported(added=2, changed=0, total=2, skipped=0)
    snapshot = store.snapshot()
    assert bring(store, *found) == Imported(added=0, changed=0, total=2, skipped=0)
    assert store.snapshot() == snapshot
    assert known(store) == {"PYSEC-2024-1": "2.0", "PYSEC-2024-2": "2.0"}


def test_a_younger_record_takes_the_place_of_the_older_and_an_older_one_does_not(store: AdvisoryStore) -> None:
    bring(store, record("PYSEC-2024-1", "2.0", FEBRUARY))
    before = store.snapshot()
    assert bring(store, record("PYSEC-2024-1", "1.5", JANUARY)) == Imported(0, 0, 1, 0)
    assert (known(store), store.snapshot()) == ({"PYSEC-2024-1": "2.0"}, before)
    assert bring(store, record("PYSEC-2024-1", "2.5", MARCH)) == Imported(0, 1, 1, 0)
    assert known(store) == {"PYSEC-2024-1": "2.5"}
    assert store.snapshot() != before


def test_times_are_compared_as_times(store: AdvisoryStore) -> None:
    """Exports of one database write both forms: as texts the first of these would be the younger."""
    bring(store, record("PYSEC-2024-1", "2.0", "2024-01-01T00:00:00Z"))
    bring(store, record("PYSEC-2024-1", "2.5", "2024-01-01T00:00:00.500000+00:00"))
    assert known(store) == {"PYSEC-2024-1": "2.5"}
    bring(store, record("PYSEC-2024-1", "3.0", "2024-01-01T01:00:00+01:00"))
    assert known(store) == {"PYSEC-2024-1": "2.5"}


def test_of_two_records_with_one_time_the_later_import_counts(store: AdvisoryStore) -> None:
    """All records of Go are of the year 1."""
    bring(store, record("GO-2024-1", "2.0", "0001-01-01T00:00:00Z"))
    assert bring(store, record("GO-2024-1", "2.5", "0001-01-01T00:00:00Z")).changed == 1
    assert known(store) == {"GO-2024-1": "2.5"}


def test_a_record_that_says_the_same_at_a_later_time_is_no_change_but_older_ones_stay_out(store: AdvisoryStore) -> None:
    bring(store, record("PYSEC-2024-1", "2.0", JANUARY))
    snapshot = store.snapshot()
    assert bring(store, record("PYSEC-2024-1", "2.0", MARCH)) == Imported(0, 0, 1, 0)
    assert bring(store, record("PYSEC-2024-1", "1.5", FEBRUARY)) == Imported(0, 0, 1, 0)
    assert (known(store), store.snapshot()) == ({"PYSEC-2024-1": "2.0"}, snapshot)


def test_what_is_withdrawn_is_no_longer_known_and_may_come_back(store: AdvisoryStore) -> None:
    empty = store.snapshot()
    bring(store, record("PYSEC-2024-1", modified=JANUARY))
    assert bring(store, record("PYSEC-2024-1", modified=FEBRUARY, withdrawn=FEBRUARY)) == Imported(0, 1, 0, 0)
    assert (known(store), store.count(), store.snapshot()) == ({}, 0, empty)
    bring(store, record("PYSEC-2024-1", modified=JANUARY))
    assert store.count() == 0
    assert bring(store, record("PYSEC-2024-1", modified=MARCH)) == Imported(1, 0, 1, 0)
    assert known(store) == {"PYSEC-2024-1": "2.0"}


def test_what_was_withdrawn_before_it_was_seen_does_not_come_in_by_an_older_export(store: AdvisoryStore) -> None:
    empty = store.snapshot()
    assert bring(store, record("PYSEC-2024-1", modified=FEBRUARY, withdrawn=FEBRUARY)) == Imported(0, 0, 0, 0)
    assert bring(store, record("PYSEC-2024-1", modified=JANUARY)) == Imported(0, 0, 0, 0)
    assert (known(store), store.snapshot()) == ({}, empty)


def test_a_package_that_a_record_no_longer_names_is_forgotten(store: AdvisoryStore) -> None:
    bring(store, record("PYSEC-2024-1"))
    elsewhere = [{"package": {"ecosystem": "PyPI", "name": "right"}, "ranges": [said("2.0")]}]
    bring(store, record("PYSEC-2024-1", modified=MARCH, affected=elsewhere))
    assert known(store) == {}
    assert known(store, name="right") == {"PYSEC-2024-1": "2.0"}


def test_databases_that_write_under_the_cve_itself_do_not_overwrite_each_other(store: AdvisoryStore) -> None:
    """shared/data has Debian 11, Debian 12 and Alpine so; what a younger record adds for Alpine takes nothing away."""
    cve = "CVE-2019-9511"
    bring(store, in_ecosystem(cve, "Debian:11", fixed="1.18.0-6"), in_ecosystem(cve, "Debian:12", fixed="1.22.1-9"))
    bring(store, in_ecosystem(cve, "Alpine:v3.10", "Alpine:v3.11"))
    assert store.count() == 1
    more = in_ecosystem(cve, "Alpine:v3.10", "Alpine:v3.11", "Alpine:v3.12", fixed="2.1-r0", modified=FEBRUARY)
    assert bring(store, more) == Imported(added=0, changed=1, total=1, skipped=0)
    for ecosystem, fixed in {
        "Debian:11": "1.18.0-6",
        "Debian:12": "1.22.1-9",
        "Alpine:v3.10": "2.1-r0",
        "Alpine:v3.11": "2.1-r0",
        "Alpine:v3.12": "2.1-r0",
    }.items():
        assert known(store, "1.0", "nginx", ecosystem) == {cve: fixed}


def test_what_cannot_be_read_is_skipped_and_counted(store: AdvisoryStore) -> None:
    path = export(store, [record("PYSEC-2024-1"), {"no": "id"}, 7, None, record("PYSEC-2024-2", summary="\ud800")])
    path.write_text(path.read_text() + "not json\n" + json.dumps(record("PYSEC-2024-3")))
    assert store.import_from(path) == Imported(added=2, changed=0, total=2, skipped=5)


def test_progress_is_told_by_the_thousand(store: AdvisoryStore) -> None:
    told: list[int] = []
    store.import_from(export(store, (record(f"PYSEC-2024-{number}") for number in range(2500))), told.append)
    assert told == [1000, 2000]


def test_an_import_that_breaks_changes_nothing(store: AdvisoryStore, tmp_path: Path) -> None:
    bring(store, record("PYSEC-2024-1"))
    snapshot = store.snapshot()
    lines = "".join(json.dumps(record(f"PYSEC-2025-{number}")) + "\n" for number in range(2000))
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(lines.encode())[:-20])
    with pytest.raises(NotFound, match=r"cut\.jsonl\.gz cannot be read"):
        store.import_from(cut)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    cut.write_bytes(gzip.compress(lines.encode()))
    with pytest.raises(KeyboardInterrupt):
        store.import_from(cut, stop)
    assert (known(store), store.count(), store.snapshot()) == ({"PYSEC-2024-1": "2.0"}, 1, snapshot)
    assert store.import_from(cut).added == 2000


IMPORT = """
import sys
from pathlib import Path
from scanning import advisory_tables
from scanning.advisories import AdvisoryStore

advisory_tables._CACHE = 2 * 1024

def progress(place):
    print(place, flush=True)

print(AdvisoryStore(Path(sys.argv[1])).import_from(sys.argv[2], progress if sys.argv[3] == "aloud" else None))
"""


def large(id_: str) -> dict[str, Any]:
    found = record(id_, "3.0", MARCH)
    found["affected"][0]["versions"] = [f"0.{number}" for number in range(300)]
    return found


def importing(store: AdvisoryStore, path: Path, how: str = "") -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", IMPORT, str(store.path), str(path), how]
    return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_kill_9_in_the_middle_of_an_import_leaves_what_was_before(store: AdvisoryStore) -> None:
    bring(store, record("PYSEC-2024-1"))
    snapshot = store.snapshot()
    path = export(store, (large(f"PYSEC-2025-{number}") for number in range(6000)))
    with importing(store, path, "aloud") as process:
        assert process.stdout is not None
        # enough to have left memory for the write-ahead log
        while process.stdout.readline() != "4000\n":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert (store.path.parent / "advisories.sqlite-wal").stat().st_size > 2**20
    assert (known(store), store.count(), store.snapshot()) == ({"PYSEC-2024-1": "2.0"}, 1, snapshot)
    assert store.import_from(path) == Imported(added=6000, changed=0, total=6001, skipped=0)


def test_two_processes_and_a_thread_may_import_at_once_into_a_store_that_is_not_there_yet(store: AdvisoryStore) -> None:
    found = [[record(f"PYSEC-2024-{number}", "2.0") for number in range(start, start + 600)] for start in (0, 400, 800)]
    paths = [export(store, records) for records in found]
    with importing(store, paths[0]) as first, importing(store, paths[1]) as second:
        store.import_from(paths[2])
        for process in (first, second):
            assert process.wait() == 0, process.stderr and process.stderr.read()
    assert store.count() == 1400
    assert len(known(store)) == 1400
    alone = AdvisoryStore(store.path.parent / "alone.sqlite")
    for path in paths:
        alone.import_from(path)
    assert store.snapshot() == alone.snapshot()


def test_readers_see_all_of_an_import_or_nothing_of_it(store: AdvisoryStore) -> None:
    bring(store, record("PYSEC-2024-0"))
    path = export(store, (record(f"PYSEC-2024-{number}") for number in range(3000)))
    half_way, seen = threading.Event(), threading.Event()

    def wait(_: int) -> None:
        half_way.set()
        assert seen.wait(30)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(store.import_from, path, wait)
        assert half_way.wait(30)
        assert (len(known(store)), store.count()) == (1, 1)
        seen.set()
        assert done.result().added == 2999
    assert len(known(store)) == 3000


def test_who_waits_too_long_for_another_import_is_told(store: AdvisoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(store, record("PYSEC-2024-1"))
    monkeypatch.setattr(advisory_tables, "_PATIENCE", 0.05)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ToolFailed, match="cannot be used: database is locked"):
        bring(store, record("PYSEC-2024-2"))
    assert store.count() == 1
    other.rollback()
    other.close()
    assert bring(store, record("PYSEC-2024-2")).added == 1


def test_what_is_no_store_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "advisories.sqlite"
    path.write_bytes(b"This is a text, and a long one at that: no database begins like it does." * 20)
    for ask in (AdvisoryStore(path).count, AdvisoryStore(path).snapshot, lambda: bring(AdvisoryStore(path))):
        with pytest.raises(ToolFailed, match="cannot be used"):
            ask()
    assert path.read_bytes().startswith(b"This is a text")
    with pytest.raises(ToolFailed):
        AdvisoryStore(tmp_path / "advisories.sqlite" / "below").count()


record_texts = st.builds(
    lambda number, fixed, day, withdrawn: record(
        f"PYSEC-2024-{number}",
        f"{fixed + 1}.0",
        # a record changes its time with its content
        f"2024-01-{1 + day * 8 + fixed * 2 + withdrawn:02}T00:00:00Z",
        **({"withdrawn": JANUARY} if withdrawn else {}),
    ),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(0, 2),
    st.booleans(),
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(record_texts, min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_equal_knowledge_has_an_equal_snapshot_in_whatever_order_it_came(
    tmp_path: Path, found: list[dict[str, Any]], seed: int
) -> None:
    one, other = (AdvisoryStore(tmp_path / f"{next(names)}.sqlite") for _ in range(2))
    shuffled = random.Random(seed).sample(found, len(found))  # noqa: S311
    snapshots: dict[str, str] = {}
    for place in found:
        bring(one, place)
        state = json.dumps(known(one, "0.1"), sort_keys=True)
        # neither one name for two states, nor two for one
        assert snapshots.setdefault(state, one.snapshot()) == one.snapshot()
    assert len(set(snapshots.values())) == len(snapshots)
    bring(other, *shuffled)
    assert (known(other, "0.1"), other.snapshot()) == (known(one, "0.1"), one.snapshot())


V31, OTHER, V2 = (
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N",
    "AV:N/AC:L/Au:N/C:P/I:P/A:P",
)


def scores(store: AdvisoryStore, said: dict[str, list[list[object]]]) -> int:
    path = store.path.parent / f"{next(names)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said))
    return store.import_scores(path)


def scored(store: AdvisoryStore) -> dict[str, str]:
    component = Component(purl="pkg:pypi/left@1.0", ecosystem="PyPI", name="left", version="1.0")
    found: list[Vulnerability] = store.match([component], CLASSES)
    return {one.id: f"{one.score.score} {one.score.source}" if one.score else "none" for one in found}


def test_scores_of_a_source_are_laid_over_what_has_none_and_name_it(store: AdvisoryStore) -> None:
    bring(store, record("PYSEC-2024-1", aliases=["CVE-2024-0001"]), record("PYSEC-2024-2", aliases=["CVE-2024-0002"]))
    before = store.snapshot()
    assert scored(store) == {"CVE-2024-0001": "none", "CVE-2024-0002": "none"}
    assert scores(store, {"CVE-2024-0001": [["CISA", V31, 9.8], ["CISA", V2]], "CVE-2023-9999": [["NVD", V2]]}) == 3
    assert scored(store) == {"CVE-2024-0001": "9.8 CISA", "CVE-2024-0002": "none"}
    assert store.snapshot() != before


def test_what_a_source_says_takes_the_place_of_what_it_said(store: AdvisoryStore) -> None:
    bring(store, record("PYSEC-2024-1", aliases=["CVE-2024-0001"]))
    empty = store.snapshot()
    scores(store, {"CVE-2024-0001": [["CISA", V31]]})
    first = store.snapshot()
    assert scores(store, {"CVE-2024-0001": [["CISA", V31]]}) == 0
    assert store.snapshot() == first
    assert scores(store, {"CVE-2024-0001": [["CISA", OTHER]]}) == 1
    assert scored(store) == {"CVE-2024-0001": "1.8 CISA"}
    scores(store, {"CVE-2024-0001": [["NVD", V2]]})
    assert scored(store) == {"CVE-2024-0001": "1.8 CISA"}
    scores(store, {"CVE-2024-0001": [["CISA", "withdrawn"], ["NVD", "withdrawn"]]})
    assert (scored(store), store.snapshot()) == ({"CVE-2024-0001": "none"}, empty)


def test_scores_that_cannot_be_read_change_nothing(store: AdvisoryStore) -> None:
    scores(store, {"CVE-2024-0001": [["CISA", V31]]})
    before = store.snapshot()
    with pytest.raises(NotFound, match="has no scores"):
        scores(store, {"CVE-2024-0001": [["CISA", V2]], "CVE-2024-0002": [[7, 8]]})
    assert store.snapshot() == before
