"""Long documents: what the standard library reads of them as a whole, record by record, and no more than one held."""

import io
import itertools
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanning import json_streams
from scanning.json_streams import objects_in

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
objects = st.lists(st.dictionaries(st.text(max_size=8), plain, max_size=4), max_size=6)


def read(content: bytes, largest: int = 10_000) -> list[Any]:
    return [found for found, _ in objects_in(io.BytesIO(content), largest)]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_streams, "_CHUNK", 7)


@settings(max_examples=150, deadline=None)
@given(found=objects, indent=st.sampled_from([None, 2]), ascii_=st.booleans())
def test_a_list_gives_its_objects_and_each_with_its_text(
    found: list[dict[str, Any]], indent: int | None, ascii_: bool
) -> None:
    content = json.dumps(found, indent=indent, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
    if "\ud800" not in content.decode("utf-8", "surrogatepass"):
        got = list(objects_in(io.BytesIO(content), 10_000))
        assert [one for one, _ in got] == found
        assert [json.loads(text) for _, text in got] == found


@settings(max_examples=100, deadline=None)
@given(found=objects, other=st.dictionaries(st.text(max_size=8), plain, max_size=3))
def test_a_document_of_nvd_gives_its_records_wherever_they_stand(
    found: list[dict[str, Any]], other: dict[str, Any]
) -> None:
    document = {"format": "NVD_CVE", "vulnerabilities": found, "totalResults": len(found)}
    assert read(json.dumps({**other, **document}).encode()) == found
    alone = {key: value for key, value in other.items() if key != "vulnerabilities"}
    assert read(json.dumps(alone).encode()) == [alone]


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"7", b'"text"', b"[1, 2]", b"[[]]", b'[{"a": 1}', b'[{"a": 1} {"b": 2}]', b'{"a": 1', b'{"a" 1}'),
        *(b"{7: 1}", b"[{}]x", b"\xff\xfe", b'[{"a": "\xff"}]', b"[" * 100_000, b'{"a":' * 100_000),
        *(b'{"vulnerabilities": [1]}', b'{"vulnerabilities": [{}', b"NaN" * 3),
    ],
    ids=lambda content: repr(content[:20]),
)
def test_what_is_no_such_document_is_an_error(content: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        read(content)


def test_what_stands_before_the_damage_is_given() -> None:
    found = objects_in(io.BytesIO(b'[{"a": 1}, {"b": 2}, {"c": ]'), 10_000)
    assert [next(found)[0], next(found)[0]] == [{"a": 1}, {"b": 2}]
    with pytest.raises(ValueError, match="Expecting"):
        next(found)


@pytest.mark.parametrize("content", [b'[{"a": "%s"}]', b'{"a": "%s"}', b'{"vulnerabilities": [{"a": "%s"}]}'])
def test_a_record_beyond_all_measure_is_an_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="larger than"):
        read(content % (b"x" * 50_000))


def test_of_a_long_document_no_more_than_a_record_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_streams, "_CHUNK", 2**14)

    class Long:
        """A list of 20 MB, that is nowhere as a whole."""

        pieces = itertools.chain([b"["], itertools.repeat(b'{"a": "' + b"x" * 2**14 + b'"},', 1200), [b"{}]"])

        def read(self, _: int, /) -> bytes:
            return next(self.pieces, b"")

    tracemalloc.start()
    count = sum(1 for _ in objects_in(Long(), 2**20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 1201
    assert peak < 2**21
