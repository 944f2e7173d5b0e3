"""The reader of archives on damaged headers: entries or a refusal, by its short way and by its long one."""

import re
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import MalformedImage
from registry.building import tar_of
from scanning import tars
from scanning.tars import BLOCK, Entry, TarReader
from tests.scanning.images import debian, member, tar_with


class Memory:
    """Bytes in memory, as a stream."""

    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    def read(self, count: int) -> bytes:
        found = self._content[self._place : self._place + count]
        self._place += len(found)
        return found

    def skip(self, count: int) -> int:
        return len(self.read(count))

    def peek(self, count: int) -> bytes:
        return self._content[self._place : self._place + count]

    def chunk(self, most: int) -> bytes:
        return self.read(min(most, 100))


SEEDS = [
    tar_of(debian()),
    tar_with(member("x" * 120 + "/" + "y" * 120), member("l", tarfile.SYMTYPE, "z" * 200), format=tarfile.GNU_FORMAT),
    tar_with(member("é" * 80), member("l", tarfile.LNKTYPE, "z" * 200), format=tarfile.PAX_FORMAT),
]


Changes = list[tuple[int, bytes]]

damaged = given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 6 * BLOCK), st.binary(min_size=1, max_size=12)), max_size=4),
    st.booleans(),
)


def with_changes(seed: bytes, changes: Changes, mend: bool) -> bytes:
    """`mend` makes the checksums right again."""
    content = bytearray(seed)
    for place, value in changes:
        content[place : place + len(value)] = value
        header = place // BLOCK * BLOCK
        if mend and any(content[header : header + BLOCK]):
            content[header + 148 : header + 156] = b" " * 8
            content[header + 148 : header + 156] = b"%06o\0 " % sum(content[header : header + BLOCK])
    return bytes(content)


def entries_of(content: bytes) -> list[Entry] | str:
    """All of them, or why there are none."""
    try:
        return list(TarReader(Memory(content), "A layer"))
    except MalformedImage as refusal:
        return str(refusal)


@damaged
def test_whatever_a_header_says_the_answer_is_entries_or_a_refusal(seed: bytes, changes: Changes, mend: bool) -> None:
    entries = entries_of(with_changes(seed, changes, mend))
    if not isinstance(entries, str):
        assert all(".." not in entry.path.split("/") and entry.size >= 0 for entry in entries)


@damaged
def test_the_short_way_of_a_plain_header_and_the_long_one_end_at_the_same_place(
    seed: bytes, changes: Changes, mend: bool
) -> None:
    content = with_changes(seed, changes, mend)
    short = entries_of(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tars, "_PLAIN", re.compile(rb"(?!)"))
        patch.setattr(tars, "_ORDINARY", frozenset())
        assert entries_of(content) == short


@given(st.text(st.sampled_from("a./"), max_size=12))
def test_a_path_has_the_parts_that_are_written_and_no_others(written: str) -> None:
    entries = entries_of(tar_with(member(written or "x")))
    parts = [part for part in (written or "x").split("/") if part not in ("", ".")]
    if ".." in parts:
        assert "leads out of the image" in str(entries)
    else:
        assert [entry.path for entry in entries if isinstance(entry, Entry)] == ["/".join(parts)]


def test_what_is_read_in_part_is_read_to_its_end() -> None:
    files = {"a": bytes(range(256)) * 5, "b": b"12345", "c": b""}
    reader = TarReader(Memory(tar_of(files)), "A layer")
    for entry in reader:
        content = files[entry.path]
        assert reader.head(4) == content[:4]
        pieces = reader.chunks()
        if entry.path == "a":
            assert next(pieces) == content[:100]
            # what is left of it, and nothing of the next one
            assert reader.content() == content[100:]
        else:
            assert b"".join(pieces) == content
        assert reader.head(4) == reader.content() == b""


def test_an_archive_that_ends_in_a_file_says_so_whoever_reads_it() -> None:
    for read in (lambda reader: b"".join(reader.chunks()), TarReader.content):
        reader = TarReader(Memory(tar_of({"a": bytes(2_000)})[:1_000]), "A layer")
        assert next(iter(reader)).size == 2_000
        with pytest.raises(MalformedImage, match="ends in the middle of a file"):
            read(reader)
