"""Advisories come from files, zips, folders and URLs; what is broken or hostile gets a sentence, and little memory."""

import gzip
import io
import json
import os
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from models.errors import NotFound
from scanning import catalogs, exports, json_streams
from scanning.catalogs import scores_in
from scanning.exports import Unreadable, records

ONE, TWO, THREE = ({"id": f"PYSEC-2024-{number}", "modified": "2024-01-01T00:00:00Z"} for number in (1, 2, 3))
LINES = b"".join(json.dumps(record).encode() + b"\n" for record in (ONE, TWO, THREE))


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def read(path: Path) -> list[Any]:
    """Records; None for one that is unreadable."""
    return [None if isinstance(record, Unreadable) else record for record in records(path)]


ALL = zipped({f"{record['id']}.json": json.dumps(record).encode() for record in (ONE, TWO, THREE)})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("all.jsonl", LINES),
        ("all.jsonl", LINES.replace(b"\n", b"\r\n\n")),
        ("all.jsonl", LINES.rstrip()),
        ("all.jsonl.gz", gzip.compress(LINES)),
        ("all.jsonl.gz", LINES),
        ("all.jsonl", gzip.compress(LINES)),
        ("all.json", json.dumps([ONE, TWO, THREE]).encode()),
        ("all.json.gz", gzip.compress(json.dumps([ONE, TWO, THREE]).encode())),
        ("all.zip", ALL),
        ("all.zip", zipped({"a/b.json": json.dumps([ONE, TWO, THREE]).encode(), "README.md": b"text"})),
    ],
)
def test_every_kind_of_export_gives_its_records(tmp_path: Path, name: str, content: bytes) -> None:
    assert read(written(tmp_path / name, content)) == [ONE, TWO, THREE]


def test_a_folder_gives_what_is_in_all_its_files(tmp_path: Path) -> None:
    written(tmp_path / "a" / "1.json", json.dumps(ONE).encode())
    written(tmp_path / "b.jsonl.gz", gzip.compress(json.dumps(TWO).encode()))
    written(tmp_path / "c" / "d" / "e.zip", zipped({"3.json": json.dumps(THREE).encode()}))
    written(tmp_path / "README.md", b"not an advisory")
    assert read(tmp_path) == [ONE, TWO, THREE]


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b'{"id": ',
        b"\xff\xfe\xfa",
        b'{"id": "\xff"}',
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"1" * 10_000,
        b"NaN" * 3,
    ],
    ids=["text", "cut", "bytes", "invalid UTF-8", "deep lists", "deep objects", "a long number", "no number"],
)
def test_a_record_that_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path: Path, line: bytes) -> None:
    lines = [json.dumps(ONE).encode(), line, json.dumps(TWO).encode()]
    assert read(written(tmp_path / "all.jsonl", b"\n".join(lines))) == [ONE, None, TWO]
    members = {f"{place}.json": content for place, content in enumerate(lines)}
    assert read(written(tmp_path / "all.zip", zipped(members))) == [ONE, None, TWO]


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit, f"{peak:,} bytes"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Limits a thousandth of the real ones, so that a line beyond all measure is one of megabytes."""
    monkeypatch.setattr(exports, "_LARGEST", 2**15)
    monkeypatch.setattr(exports, "_SMALL", 2**14)
    monkeypatch.setattr(json_streams, "_CHUNK", 2**14)
    monkeypatch.setattr(catalogs, "_LARGEST", 2**18)
    return 2**20


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz"])
def test_a_line_beyond_all_measure_is_one_unreadable_record_and_is_never_held(
    tmp_path: Path, name: str, small: int
) -> None:
    opened = gzip.open if name.endswith(".gz") else open
    with opened(tmp_path / name, "wb") as file:
        file.write(LINES[: LINES.index(b"\n") + 1])
        for _ in range(64):
            file.write(b" " * small)
        # what stands behind the limit is a record by itself: no reason to take it for one
        file.write(json.dumps(TWO).encode() + b"\n" + json.dumps(THREE).encode())
    with memory_below(small):
        assert read(tmp_path / name) == [ONE, None, THREE]


def test_a_gibibyte_without_a_line_is_one_unreadable_record(tmp_path: Path) -> None:
    with (tmp_path / "all.jsonl").open("wb") as file:
        file.truncate(2**30)
    with memory_below(2**27):
        assert read(tmp_path / "all.jsonl") == [None]


def test_members_and_documents_that_unpack_without_end_are_not_unpacked(tmp_path: Path, small: int) -> None:
    bomb = b"[" + b"0," * (20 * small) + b"0]"
    packed, alone = zipped({"1.json": json.dumps(ONE).encode(), "bomb.json": bomb}), gzip.compress(bomb)
    with memory_below(2 * small):
        assert read(written(tmp_path / "all.zip", packed)) == [ONE, None]
        assert read(written(tmp_path / "all.json.gz", alone)) == [None]


def encrypted() -> bytes:
    """The first bit of the general purpose flags says so, in both headers."""
    content = bytearray(ALL)
    for header, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := content.find(header, at + 1)) >= 0:
            content[at + place] |= 1
    return bytes(content)


def of_method(method: int) -> bytes:
    content = bytearray(ALL)
    for header, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = -1
        while (at := content.find(header, at + 1)) >= 0:
            content[at + place] = method
    return bytes(content)


def damaged(content: bytes, at: int) -> bytes:
    changed = bytearray(content)
    changed[at : at + 8] = b"\xaa" * 8
    return bytes(changed)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("all.zip", b"no zip"),
        ("all.zip", ALL[: len(ALL) // 2]),
        ("all.zip", zipped({"README.md": b"nothing"})),
        ("all.zip", encrypted()),
        ("all.zip", of_method(99)),
        ("all.zip", of_method(14)),
        ("all.zip", damaged(ALL, 45)),
        ("all.jsonl.gz", gzip.compress(LINES)[:-12]),
        ("all.jsonl.gz", damaged(gzip.compress(LINES), 12)),
        ("all.jsonl.gz", gzip.compress(LINES)[:3]),
        ("all.tar", b"text"),
    ],
    ids=[
        *("no zip", "half a zip", "no advisories", "encrypted", "unknown method", "other method", "damaged zip"),
        *("cut gzip", "damaged gzip", "beginning of a gzip", "unknown kind"),
    ],
)
def test_a_broken_export_is_an_error_that_names_it(tmp_path: Path, name: str, content: bytes) -> None:
    path = written(tmp_path / name, content)
    with pytest.raises(NotFound, match=str(path)):
        read(path)


def test_a_place_without_advisories_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing at"):
        read(tmp_path / "missing")
    with pytest.raises(NotFound, match="no advisories in"):
        read(tmp_path)
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(NotFound, match="nothing at"):
        read(tmp_path / "pipe.json")


V3, V2 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "AV:N/AC:L/Au:N/C:P/I:P/A:P"


@pytest.mark.parametrize("packed", [True, False])
def test_scores_are_read_by_cve_and_source(tmp_path: Path, packed: bool) -> None:
    said = {"CVE-2024-1": [["NVD", V3, 9.8], ["NVD", V2], [None, V2, 7.5], ["CISA", "nonsense", 1]]}
    content = json.dumps(said).encode()
    path = written(tmp_path / "scores.json", gzip.compress(content) if packed else content)
    assert list(scores_in(path)) == [
        ("CVE-2024-1", "NVD", {V3, V2}),
        ("CVE-2024-1", "unnamed", {V2}),
        ("CVE-2024-1", "CISA", set()),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"7",
        b'{"CVE-2024-1": 7}',
        b'{"CVE-2024-1": ["x"]}',
        b'{"CVE-2024-1": [["NVD"]]}',
        b'{"CVE-2024-1": [[7, "AV:N/AC:L/Au:N/C:P/I:P/A:P"]]}',
        b'{"CVE-2024-1": [["NVD", ["x"]]]}',
        b'{"CVE-\\ud800": [["NVD", "AV:N/AC:L/Au:N/C:P/I:P/A:P"]]}',
        b"\xff\xff",
        b"{" * 100_000,
        b"\x1f\x8b\x08",
        gzip.compress(b"0" * 2**19),
    ],
)
def test_what_has_no_scores_is_an_error_that_names_it(tmp_path: Path, content: bytes, small: int) -> None:
    path = written(tmp_path / "scores.json", content)
    with pytest.raises(NotFound, match=f"{path} has no scores"):
        list(scores_in(path))
    with pytest.raises(NotFound, match="has no scores"):
        list(scores_in(tmp_path))
