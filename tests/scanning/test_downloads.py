"""A download is kept only while it is used, goes on where it broke, and is not repeated for what has not changed."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.errors import NotFound, ToolFailed
from scanning import downloads
from scanning.advisories import AdvisoryStore
from scanning.advisory_imports import Imported
from scanning.advisory_sources import SourceKind
from scanning.downloads import fetched
from tests.scanning.test_advisories import record
from tests.scanning.websites import Website, website

LINES = b"".join(json.dumps(record(f"PYSEC-2024-{number}")).encode() + b"\n" for number in range(1, 4))


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Website]:
    monkeypatch.setattr(downloads, "_PAUSE", 0.0)
    monkeypatch.setattr(downloads, "_SECONDS", 10.0)
    with website() as found:
        yield found


def content(url: str, folder: Path, version: str = "") -> bytes | None:
    """What is fetched; None where nothing has changed."""
    with fetched(url, folder, version) as found:
        return found.path.read_bytes() if found.path else None


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.endswith(".lock")]


def test_what_is_fetched_is_gone_when_it_has_been_used(site: Website, tmp_path: Path) -> None:
    url = site.put("/PyPI/all.jsonl?x=1", LINES, etag='"1"')
    with fetched(url, tmp_path) as found:
        assert found.path is not None
        assert (found.path.read_bytes(), found.version) == (LINES, '"1"')
        assert found.path.name.endswith(".jsonl")
    assert left_in(tmp_path) == []


def test_a_redirect_is_followed_and_what_was_packed_on_the_way_is_unpacked(site: Website, tmp_path: Path) -> None:
    site.put("/there", LINES)
    assert content(site.put("/here", b"", status=302, headers={"Location": "/there"}), tmp_path) == LINES
    packed = site.put("/all.jsonl", gzip.compress(LINES), headers={"Content-Encoding": "gzip"}, etag='"1"')
    assert content(packed, tmp_path) == LINES


def test_what_has_not_changed_is_not_fetched_again(site: Website, tmp_path: Path) -> None:
    url = site.put("/all.jsonl", LINES, etag='"1"')
    assert content(url, tmp_path, '"1"') is None
    assert content(url, tmp_path, '"0"') == LINES
    assert [status for _, status, _ in site.asked] == [304, 200]


def test_a_download_that_breaks_goes_on_where_it_ended(site: Website, tmp_path: Path) -> None:
    url = site.put("/all.jsonl", LINES, etag='"1"', breaks_after=[100, 50, 70])
    assert content(url, tmp_path) == LINES
    assert [asked for _, _, asked in site.asked] == ["", "bytes=100-", "bytes=150-", "bytes=220-"]


def test_what_is_left_of_a_broken_download_is_used_the_next_time(
    site: Website, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_ATTEMPTS", 1)
    url = site.put("/all.jsonl", LINES, etag='"1"', breaks_after=[100])
    with pytest.raises(ToolFailed, match="could not be fetched"):
        content(url, tmp_path)
    assert content(url, tmp_path) == LINES
    assert [asked for _, _, asked in site.asked] == ["", "bytes=100-"]
    # the content has changed meanwhile: its beginning is of no use
    site.put("/all.jsonl", LINES, etag='"1"', breaks_after=[100])
    with pytest.raises(ToolFailed):
        content(url, tmp_path)
    site.put("/all.jsonl", LINES * 2, etag='"2"')
    assert content(url, tmp_path) == LINES * 2


def test_a_server_that_gives_no_names_is_asked_from_the_beginning(site: Website, tmp_path: Path) -> None:
    url = site.put("/all.jsonl", LINES, breaks_after=[100])
    with pytest.raises(ToolFailed):
        content(url, tmp_path)
    assert content(url, tmp_path) == LINES
    assert [asked for _, _, asked in site.asked] == ["", ""]


def test_a_server_that_sends_nothing_new_is_given_up(site: Website, tmp_path: Path) -> None:
    url = site.put("/all.jsonl", LINES, etag='"1"', breaks_after=[100] + [0] * 20)
    with pytest.raises(ToolFailed, match="could not be fetched"):
        content(url, tmp_path)
    assert len(site.asked) == downloads._ATTEMPTS


def test_a_part_that_is_not_the_one_asked_for_is_never_joined(site: Website, tmp_path: Path) -> None:
    """Such a server answers the rest with the beginning."""
    url = site.put("/all.jsonl", LINES, etag='"1"', breaks_after=[100])
    site.pages["/all.jsonl"].headers["Content-Range"] = "bytes 0-10/11"
    page = site.pages["/all.jsonl"]

    def wrong() -> bytes:
        if len(site.asked) == 1:
            page.status, page.etag = 206, ""
        elif len(site.asked) == 2:
            page.status = 200
        return LINES

    page.body = wrong
    assert content(url, tmp_path) == LINES


def test_an_import_that_fails_keeps_the_download_but_not_a_damaged_one(site: Website, tmp_path: Path) -> None:
    url = site.put("/all.jsonl", LINES, etag='"1"')

    def use(error: Exception) -> None:
        with fetched(url, tmp_path) as found:
            assert found.path is not None
            assert found.path.read_bytes() == LINES
            raise error

    with pytest.raises(ToolFailed):
        use(ToolFailed("the disk is full"))
    with pytest.raises(NotFound):
        use(NotFound("it cannot be read"))
    assert left_in(tmp_path) == []
    assert [status for _, status, _ in site.asked] == [200, 304]


def test_two_do_not_fetch_the_same_at_once(site: Website, tmp_path: Path) -> None:
    url = site.put("/all.jsonl", LINES)
    with fetched(url, tmp_path), pytest.raises(ToolFailed, match="by another process"), fetched(url, tmp_path):
        pytest.fail("it was fetched twice")


def test_a_url_that_is_wrong_is_told_from_one_that_does_not_answer(
    site: Website, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_LARGEST", 4999)
    for path, error, page in (
        ("/missing.zip", NotFound, {"body": b"", "status": 404}),
        ("/elsewhere", NotFound, {"body": b"", "status": 302, "headers": {"Location": "file:///etc/passwd"}}),
        ("/broken", ToolFailed, {"body": b"", "status": 500}),
        ("/cut.zip", ToolFailed, {"body": LINES, "headers": {"Content-Length": "9999"}}),
        ("/large.zip", ToolFailed, {"body": b"0" * 5000, "etag": '"1"'}),
    ):
        with pytest.raises(error, match=path), fetched(site.put(path, **page), tmp_path):
            pytest.fail("nothing was there to read")
    for url, error in (("http://[::1", NotFound), ("http://127.0.0.1:1/all.zip", ToolFailed)):
        with pytest.raises(error), fetched(url, tmp_path):
            pytest.fail("nothing was there to read")


@pytest.fixture
def store(tmp_path: Path) -> AdvisoryStore:
    return AdvisoryStore(tmp_path / "hub" / "advisories.sqlite")


def test_while_an_export_is_fetched_others_may_write(site: Website, store: AdvisoryStore, tmp_path: Path) -> None:
    """The server itself imports before it answers: a store that was locked meanwhile would never let it."""

    def answer() -> bytes:
        first = tmp_path / "first.json"
        first.write_text(json.dumps(record("PYSEC-2024-1")))
        store.import_from(first)
        return json.dumps(record("PYSEC-2024-2")).encode()

    url = site.put("/second.json", answer)
    assert store.import_from(url) == Imported(added=1, changed=0, total=2, skipped=0)


def test_an_export_at_a_url_is_imported_once_however_often_it_is_asked_for(site: Website, store: AdvisoryStore) -> None:
    url = site.put("/all.jsonl", LINES + b"no json\n", etag='"1"')
    assert store.import_from(url) == Imported(added=3, changed=0, total=3, skipped=1)
    assert store.import_from(url) == Imported(added=0, changed=0, total=3, skipped=1)
    site.put("/all.jsonl", LINES.replace(b'"2.0"', b'"3.0"', 1), etag='"2"')
    assert store.import_from(url) == Imported(added=0, changed=1, total=3, skipped=0)
    assert [status for _, status, _ in site.asked] == [200, 304, 200]


def test_what_is_left_of_a_download_goes_with_its_source(site: Website, store: AdvisoryStore) -> None:
    url = site.put("/all.jsonl", LINES, etag='"1"', breaks_after=[100] + [0] * 9)
    store.remember(url, SourceKind.OSV)
    with pytest.raises(ToolFailed):
        store.import_from(url)
    assert left_in(store.downloads) != []
    assert store.forget(url)
    assert (left_in(store.downloads), store.sources()) == ([], [])
    assert not store.forget(url)
