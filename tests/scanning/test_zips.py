"""Zips of a million members, zips that lie, and zips as other programs write them: little memory, and a clear end."""

import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import NotFound
from scanning import zips
from scanning.advisories import AdvisoryStore
from scanning.exports import records
from scanning.zips import Member, MemberReader, members_of


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit, f"{peak:,} bytes"


def contents(path: Path) -> dict[str, bytes]:
    with path.open("rb") as file:
        return {member.name: MemberReader(file, member).read(2**24) for member in members_of(file)}


def members(path: Path) -> list[Member]:
    with path.open("rb") as file:
        return list(members_of(file))


names = st.text("abc/é", min_size=1, max_size=20)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    found=st.dictionaries(names, st.binary(max_size=3000), min_size=1, max_size=8),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    before=st.binary(max_size=30),
    comment=st.binary(max_size=30),
)
def test_what_the_standard_library_writes_is_read(
    tmp_path: Path, found: dict[str, bytes], method: int, before: bytes, comment: bytes
) -> None:
    path = tmp_path / "all.zip"
    with path.open("wb") as file:
        file.write(before)
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.comment = comment
            for name, content in found.items():
                archive.writestr(name, content)
    assert contents(path) == found


def test_a_member_whose_sizes_are_told_in_64_bits_is_read(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open("1.json", "w", force_zip64=True) as file:
        file.write(b"{}")
    content = bytearray(path.read_bytes())
    # as programs write it that do not know the sizes before: in the directory, too
    at = content.rfind(b"PK\x01\x02")
    name = content[at + 46 : at + 52]
    fields = list(struct.unpack_from("<4s6H3L5H2L", content, at))
    _, packed, size, offset = fields[7], fields[8], fields[9], fields[16]
    fields[8] = fields[9] = fields[16] = 0xFFFFFFFF
    extra = struct.pack("<2H3Q", 1, 24, size, packed, offset)
    fields[11] = len(extra)
    directory = struct.pack("<4s6H3L5H2L", *fields) + bytes(name) + extra
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), at, 0)
    path.write_bytes(bytes(content[:at]) + directory + end)
    assert contents(path) == {"1.json": b"{}"}


def written(path: Path, found: Iterable[tuple[str, bytes]], fields: dict[str, int] | None = None) -> None:
    """A zip of stored members, quicker than the standard library writes one; `fields` are lies of its directory."""
    lies = fields or {}
    directory, count = io.BytesIO(), 0
    with path.open("wb") as file:
        for name, content in found:
            label, crc = name.encode(), zlib.crc32(content)
            offset = lies.get("offset", file.tell())
            packed, size = lies.get("packed", len(content)), lies.get("size", len(content))
            told = (20, 0, 0, 0, 0, crc, packed, size, len(label), 0)
            file.write(struct.pack("<4s5H3L2H", b"PK\x03\x04", *told) + label + content)
            directory.write(struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, *told, 0, 0, 0, 0, offset) + label)
            count += 1
        start, size = file.tell(), directory.tell()
        file.write(directory.getvalue())
        file.write(struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start))
        file.write(struct.pack("<4sLQL", b"PK\x06\x07", 0, start + size, 1))
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, size, start, 0))


def test_a_million_members_are_listed_and_few_are_held(tmp_path: Path) -> None:
    """More than 16 bits count; each is empty, so that they do not lie upon each other."""
    path = tmp_path / "all.zip"
    shared(path, b"", 1_000_000)
    with path.open("rb") as file:
        assert sum(1 for _ in members_of(file)) == 1_000_000
    shared(path, b"", 70_000)
    with memory_below(4 * 2**20), path.open("rb") as file:
        assert sum(1 for _ in members_of(file)) == 70_000


def test_an_export_of_very_many_members_that_are_no_records_is_imported_with_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    written(path, ((f"{number}.json", b"[1]") for number in range(8_000)))
    store = AdvisoryStore(tmp_path / "advisories.sqlite")
    with memory_below(4 * 2**20):
        imported = store.import_from(path)
    assert (imported.skipped, len(imported.problems), imported.total) == (8_000, 5, 0)


@pytest.mark.parametrize(
    ("lies", "words"),
    [
        ({"offset": 0}, "lie upon each other"),
        ({"size": 5}, "larger than the directory says"),
        ({"offset": 12}, "not where the directory says"),
        ({"packed": 2**31}, "lie upon each other"),
    ],
    ids=["one upon the other", "larger than it says", "elsewhere", "longer than the file"],
)
def test_a_directory_that_lies_is_found_out(tmp_path: Path, lies: dict[str, int], words: str) -> None:
    """Members that share their content are how a few megabytes become petabytes."""
    path = tmp_path / "all.zip"
    count = 400 if lies == {"offset": 0} else 1
    content = b"{}" + b" " * 3000
    if count == 1:
        written(path, [("1.json", content)], lies)
    else:
        shared(path, content, count)
    with pytest.raises(BadZipFile, match=words):
        contents(path)
    with pytest.raises(NotFound, match=words):
        list(records(path))


def shared(path: Path, content: bytes, count: int) -> None:
    """One content, named by very many entries."""
    written(path, [("1.json", content)])
    whole = path.read_bytes()
    start = whole.rfind(b"PK\x01\x02")
    entry = whole[start : start + 46 + 6]
    directory = entry * count
    said = min(count, 2**16 - 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, said, said, len(directory), start, 0)
    path.write_bytes(whole[:start] + directory + end)


def test_more_members_than_any_export_has_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "_MOST_MEMBERS", 10)
    path = tmp_path / "all.zip"
    written(path, ((f"{number}.json", b"{}") for number in range(11)))
    with pytest.raises(BadZipFile, match="more than 10 members"):
        members(path)


def sample() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"{number}.json", b'{"id": 7}' * 20)
    return file.getvalue()


SAMPLE = sample()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    changes=st.dictionaries(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255), max_size=6), cut=st.integers(0, 40)
)
def test_a_damaged_archive_is_read_or_refused_and_nothing_else(
    tmp_path: Path, changes: dict[int, int], cut: int
) -> None:
    content = bytearray(SAMPLE)
    for place, value in changes.items():
        content[place] = value
    path = tmp_path / "all.zip"
    path.write_bytes(bytes(content[: len(content) - cut]))
    try:
        found = len(list(records(path)))
    except NotFound:
        found = 0
    assert found <= 3
