"""What was seen before is not read again, in whatever form it comes, and nothing that is new is missed for that."""

import gzip
import json
import os
import sqlite3
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import NotFound, ToolFailed
from scanning import downloads, exports, osv, osv_lists
from scanning.advisories import AdvisoryStore
from scanning.advisory_imports import Imported
from scanning.advisory_sources import SourceKind
from scanning.advisory_sync import sync
from scanning.mirror import export_url, mirror
from tests.scanning.test_advisories import FEBRUARY, JANUARY, V31, known, record
from tests.scanning.websites import Website, website

Write = Callable[[Path, Iterable[dict[str, Any]]], Path]


def as_zip(folder: Path, records: Iterable[dict[str, Any]]) -> Path:
    with zipfile.ZipFile(folder / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for one in records:
            archive.writestr(f"{one['id']}.json", json.dumps(one))
    return folder / "all.zip"


def as_lines(folder: Path, records: Iterable[dict[str, Any]]) -> Path:
    (folder / "all.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in records))
    return folder / "all.jsonl"


def as_files(folder: Path, records: Iterable[dict[str, Any]]) -> Path:
    """Those that say something else are written."""
    place = folder / "files"
    place.mkdir(exist_ok=True)
    for one in records:
        path = place / f"{one['id']}.json"
        content = json.dumps(one)
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
    return place


def as_document(folder: Path, records: Iterable[dict[str, Any]]) -> Path:
    (folder / "all.json.gz").write_bytes(gzip.compress(json.dumps(list(records)).encode(), mtime=0))
    return folder / "all.json.gz"


FORMS = pytest.mark.parametrize("write", [as_zip, as_lines, as_files, as_document])


@pytest.fixture
def store(tmp_path: Path) -> AdvisoryStore:
    return AdvisoryStore(tmp_path / "hub" / "advisories.sqlite")


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the records that are read, in order."""
    found: list[str] = []
    parse = osv.parse_record

    def seen(record: Any) -> Any:
        found.append(record["id"])
        return parse(record)

    monkeypatch.setattr(osv, "parse_record", seen)
    # what was written just now is always read
    monkeypatch.setattr(exports, "_RACY", 0)
    # a long document, also where it is a short one
    monkeypatch.setattr(exports, "_SMALL", 500)
    return found


def of(number: int, fixed: str = "2.0", modified: str = JANUARY) -> dict[str, Any]:
    return record(f"PYSEC-2024-{number}", fixed, modified)


@FORMS
def test_only_what_has_changed_is_read(store: AdvisoryStore, tmp_path: Path, write: Write, parsed: list[str]) -> None:
    place = write(tmp_path, [of(1), of(2), of(3)])
    assert store.import_from(place) == Imported(added=3, changed=0, total=3, skipped=0)
    write(tmp_path, [of(1), of(2, "3.0", FEBRUARY), of(3), of(4)])
    parsed.clear()
    assert store.import_from(place) == Imported(added=1, changed=1, total=4, skipped=0)
    assert parsed == ["PYSEC-2024-2", "PYSEC-2024-4"]
    assert known(store) == {f"PYSEC-2024-{number}": "3.0" if number == 2 else "2.0" for number in range(1, 5)}


@FORMS
def test_what_changes_back_is_read_again(store: AdvisoryStore, tmp_path: Path, write: Write) -> None:
    """What was seen is what the export has now, not all that it ever had."""
    for fixed in ("2.0", "3.0", "2.0"):
        store.import_from(write(tmp_path, [of(1, fixed), of(2)]))
        assert known(store)["PYSEC-2024-1"] == fixed


def test_a_file_that_has_not_changed_is_not_even_opened(
    store: AdvisoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_RACY", 0)
    place = as_lines(tmp_path, [of(1), of(2)])
    store.import_from(place)

    def refuse(path: Path) -> None:
        pytest.fail(f"{path} was opened")

    monkeypatch.setattr(exports, "_entries_of", refuse)
    assert store.import_from(place) == Imported(added=0, changed=0, total=2, skipped=0)


def test_what_was_written_just_now_is_read_though_its_time_is_the_same(store: AdvisoryStore, tmp_path: Path) -> None:
    place = as_lines(tmp_path, [of(1, "2.0")])
    told = place.stat()
    store.import_from(place)
    place.write_text(place.read_text().replace("2.0", "3.0"))
    os.utime(place, ns=(told.st_mtime_ns, told.st_mtime_ns))
    store.import_from(place)
    assert known(store) == {"PYSEC-2024-1": "3.0"}


def test_what_could_not_be_read_is_told_each_time(store: AdvisoryStore, tmp_path: Path) -> None:
    place = as_lines(
        tmp_path, [of(1), {"id": "BROKEN", "affected": 7}, {"id": "BROKEN", "affected": [{"package": {"name": 7}}]}]
    )
    with place.open("a") as file:
        file.write("\x1b[31mred\n" + '{"id":"' + "\\u001b" * 3 + '"}\n')
    for _ in range(2):
        imported = store.import_from(place)
        assert (imported.total, imported.skipped) == (1, 4)
        assert [problem.partition(": ")[0] for problem in imported.problems] == [
            f"all.jsonl, line {number}" for number in (2, 3, 4, 5)
        ]
        # nothing that a terminal would obey
        assert all(problem.isprintable() for problem in imported.problems)


def test_of_many_that_cannot_be_read_the_first_few_are_named(store: AdvisoryStore, tmp_path: Path) -> None:
    imported = store.import_from(as_lines(tmp_path, [{"id": ""}] * 50))
    assert (imported.skipped, len(imported.problems)) == (50, 5)


def test_two_sources_that_tell_of_one_record_do_not_take_turns(store: AdvisoryStore, tmp_path: Path) -> None:
    """The times are the same, the texts are not: an hourly import of both would change it every hour."""
    for name, fixed in (("a", "2.0"), ("b", "3.0")):
        (tmp_path / name).mkdir()
        store.import_from(as_lines(tmp_path / name, [of(1, fixed)]))
    mark = store.mark()
    for name in ("a", "b", "a"):
        store.import_from(tmp_path / name / "all.jsonl")
    assert (store.mark(), known(store)) == (mark, {"PYSEC-2024-1": "3.0"})


versions = st.dictionaries(st.integers(1, 5), st.integers(1, 4), max_size=5)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(states=st.lists(versions, min_size=1, max_size=5), form=st.sampled_from([as_zip, as_lines, as_document]))
def test_step_by_step_gives_what_a_new_store_would_have(
    tmp_path: Path, states: list[dict[int, int]], form: Write
) -> None:
    """Records come and grow younger; what an export leaves out stays known."""
    stepwise = AdvisoryStore(tmp_path / f"{time.monotonic_ns()}.sqlite")
    newest: dict[int, int] = {}
    for state in states:
        found = [of(number, f"{day}.5", f"2024-01-0{day}T00:00:00Z") for number, day in sorted(state.items())]
        # an export of nothing is none
        place = form(tmp_path, found or [of(9)])
        stepwise.import_from(place)
        newest |= {number: max(day, newest.get(number, 0)) for number, day in state.items()}
    expected = {f"PYSEC-2024-{number}": f"{day}.5" for number, day in newest.items()}
    assert {id_: fixed for id_, fixed in known(stepwise).items() if id_ != "PYSEC-2024-9"} == expected


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Website]:
    monkeypatch.setattr(downloads, "_PAUSE", 0.0)
    with website() as found:
        yield found


def published(site: Website, folder: Path, *records: dict[str, Any], etag: str) -> str:
    """An export as OSV has it, with its list of changes and every record by itself."""
    newest = sorted(records, key=lambda one: str(one["modified"]), reverse=True)
    lines = "".join(f"{one['modified']},{one['id']}\n" for one in newest)
    site.put("/PyPI/modified_id.csv", lines.encode())
    for one in records:
        site.put(f"/PyPI/{one['id']}.json", json.dumps(one).encode())
    return site.put("/PyPI/all.zip", as_zip(folder, records).read_bytes(), etag=etag)


def test_where_few_have_changed_only_those_are_fetched(site: Website, store: AdvisoryStore, tmp_path: Path) -> None:
    url = published(site, tmp_path, of(1), of(2), of(3), etag='"1"')
    assert store.import_from(url) == Imported(added=3, changed=0, total=3, skipped=0)
    published(site, tmp_path, of(1), of(2, "3.0", FEBRUARY), of(3), etag='"2"')
    site.asked.clear()
    assert store.import_from(url) == Imported(added=0, changed=1, total=3, skipped=0)
    assert [path for path, _, _ in site.asked] == ["/PyPI/modified_id.csv", "/PyPI/PYSEC-2024-2.json"]
    site.asked.clear()
    assert store.import_from(url) == Imported(added=0, changed=0, total=3, skipped=0)
    assert [path for path, _, _ in site.asked] == ["/PyPI/modified_id.csv"]
    assert known(store)["PYSEC-2024-2"] == "3.0"


def test_where_many_have_changed_or_one_cannot_be_had_the_export_is_fetched(
    site: Website, store: AdvisoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(osv_lists, "_FEW", 1)
    url = published(site, tmp_path, of(1), of(2), etag='"1"')
    store.import_from(url)
    published(site, tmp_path, of(1, "3.0", FEBRUARY), of(2, "3.0", FEBRUARY), etag='"2"')
    site.asked.clear()
    assert store.import_from(url).changed == 2
    assert [path for path, _, _ in site.asked] == ["/PyPI/modified_id.csv", "/PyPI/all.zip"]
    published(site, tmp_path, of(1, "4.0", "2024-03-01T00:00:00Z"), of(2, "3.0", FEBRUARY), etag='"3"')
    del site.pages["/PyPI/PYSEC-2024-1.json"]
    assert store.import_from(url).changed == 1
    assert known(store) == {"PYSEC-2024-1": "4.0", "PYSEC-2024-2": "3.0"}


@pytest.mark.parametrize(
    "listed", [b"nonsense", b"2024-03-01T00:00:00Z,../../etc/passwd\n", b"\xff\xfe", b"yesterday,A-1\n"]
)
def test_a_list_that_cannot_be_read_is_no_list(
    site: Website, store: AdvisoryStore, tmp_path: Path, listed: bytes
) -> None:
    url = published(site, tmp_path, of(1), etag='"1"')
    store.import_from(url)
    published(site, tmp_path, of(1, "3.0", FEBRUARY), etag='"2"')
    site.put("/PyPI/modified_id.csv", listed)
    assert store.import_from(url).changed == 1


def test_a_synchronization_tells_how_far_it_is_and_can_be_stopped(
    site: Website, store: AdvisoryStore, tmp_path: Path
) -> None:
    url = published(site, tmp_path, *(of(number) for number in range(2500)), etag='"1"')
    store.remember(url, SourceKind.OSV)
    said: list[str] = []

    class Stopped(Exception):
        pass

    def stop(words: str) -> None:
        said.append(words)
        if "2,000" in words:
            raise Stopped

    with pytest.raises(Stopped):
        sync(store, stop)
    assert (store.count(), store.mark(), said[0], said[-1]) == (0, 0, f"{url}: 0 records", f"{url}: 2,000 records")
    site.asked.clear()
    done = sync(store)
    assert (done.added, done.mark, done.problems, done.snapshot) == (2500, 1, (), store.snapshot())
    # what was fetched for the one that was stopped is used
    assert [(path, status) for path, status, _ in site.asked][-1] == ("/PyPI/all.zip", 304)


def test_all_kinds_are_synchronized_and_one_that_fails_keeps_no_other(
    site: Website, store: AdvisoryStore, tmp_path: Path
) -> None:
    exported = record("PYSEC-2024-1", aliases=["CVE-2024-0001"])
    wanted = {
        published(site, tmp_path, exported, etag='"1"'): SourceKind.OSV,
        site.put("/kev.json", b'[{"cve": "CVE-2024-0001", "added": "2024-01-01"}]', etag='"1"'): SourceKind.EXPLOITED,
        site.put("/scores.json", json.dumps({"CVE-2024-0001": [["CISA", V31]]}).encode()): SourceKind.SCORES,
        site.address + "/nvd.json": SourceKind.NVD,
    }
    for location, kind in wanted.items():
        store.remember(location, kind)
    done = sync(store)
    assert {one.source.location: bool(one.problem) for one in done.sources} == {
        location: kind is SourceKind.NVD for location, kind in wanted.items()
    }
    assert [source.problem for source in store.sources() if source.problem] == list(done.problems)
    view = store.show("CVE-2024-0001")
    assert view is not None
    assert (view.exploited is not None, [score.source for score in view.scores]) == (True, ["CISA"])
    mark = store.mark()
    sync(store)
    assert store.mark() == mark


def test_a_mirror_is_imported_as_the_exports_themselves_are(
    site: Website, store: AdvisoryStore, tmp_path: Path
) -> None:
    published(site, tmp_path, of(1), of(2), etag='"1"')
    (done,) = mirror(tmp_path / "mirror", ["PyPI"], site.address)
    assert (done.records, done.changed, done.problem) == (2, True, "")
    assert (tmp_path / "mirror" / "PyPI" / "modified_id.csv").read_text().count("\n") == 2
    assert store.import_from(tmp_path / "mirror").added == 2
    # one that cannot be had leaves the others alone
    done, missing = mirror(tmp_path / "mirror", ["PyPI", "Nowhere"], site.address)
    assert (done.changed, "nothing at" in missing.problem) == (False, True)


@pytest.mark.parametrize("name", ["", "..", "Debian:12", "a/b", "a\\b", "a\nb", ".hidden"])
def test_what_is_no_ecosystem_has_no_export(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no ecosystem"):
        mirror(tmp_path, [name])


def test_the_address_of_an_export_is_that_of_osv() -> None:
    assert export_url("Red Hat") == "https://osv-vulnerabilities.storage.googleapis.com/Red%20Hat/all.zip"


def test_a_store_of_a_newer_version_is_left_alone(store: AdvisoryStore, tmp_path: Path) -> None:
    store.import_from(as_lines(tmp_path, [of(1)]))
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ToolFailed, match="newer version"):
        store.count()
