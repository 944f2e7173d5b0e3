"""Files known by their bits: wherever the text stands, however the file is cut, and at a bounded price."""

import hashlib
import tracemalloc

import pytest

from scanning.identify import AROUND, WINDOW, Identified, Identifier

ELF = b"\x7fELF\x02\x01\x01" + bytes(9)
NGINX = b'invalid option: "%c"\0nginx version: nginx/1.22.1\n\0'
ZLIB = b"\0 deflate 1.2.13 Copyright 1995-2022 Jean-loup Gailly and Mark Adler \0"
OPENSSL = b"\0OpenSSL 3.0.22 25 Aug 2026\0"
IDENTIFIER = Identifier.load()


def noise(size: int) -> bytes:
    return hashlib.shake_256(b"noise").digest(size)


def told(*pieces: bytes) -> list[str]:
    return [f"{one.product} {one.version}" for one in IDENTIFIER.identify("opt/x", pieces)]


def test_a_find_has_product_version_platform_name_and_the_text_that_told() -> None:
    assert IDENTIFIER.identify("opt/web", [ELF + NGINX]) == (
        Identified(
            product="nginx",
            version="1.22.1",
            cpe="cpe:2.3:a:f5:nginx:1.22.1:*:*:*:*:*:*:*",
            confidence=0.98,
            evidence="nginx version: nginx/1.22.1",
            path="opt/web",
        ),
    )


def test_binaries_and_static_libraries_are_wanted_whatever_they_are_called() -> None:
    assert IDENTIFIER.wants("opt/x.txt", 10**10, ELF)
    assert IDENTIFIER.wants("usr/lib/libz.a", 100, b"!<arch>\n/               0")
    assert not IDENTIFIER.wants("usr/bin/nginx", 100, b"#!/bin/sh\nnginx version: nginx/1.22.1\n")
    assert not IDENTIFIER.wants("usr/bin/nginx", 0, b"")


def test_texts_are_wanted_by_their_name_when_they_are_small() -> None:
    assert IDENTIFIER.wants("opt/jdk/release", 900, b'JAVA_VERSION="17.0.9"\n')
    assert not IDENTIFIER.wants("opt/jdk/release", 900, b'\0JAVA_VERSION="17.0.9"\n')
    assert not IDENTIFIER.wants("opt/jdk/release", 2**30, b'JAVA_VERSION="17.0.9"\n')
    assert not IDENTIFIER.wants("opt/jdk/release.txt", 900, b'JAVA_VERSION="17.0.9"\n')


@pytest.mark.parametrize(
    ("content", "version", "cpe"),
    [
        (b'IMPLEMENTOR="X"\nJAVA_VERSION="17.0.9"\n', "17.0.9", "17.0.9:*"),
        (b'JAVA_VERSION="21"\n', "", ""),
        (b'JAVA_VERSION="1.8.0_382"\nOS_NAME="Linux"\n', "8u382", "8:update382"),
        (b'MY_JAVA_VERSION="17.0.9"\n', "", ""),
    ],
)
def test_a_release_file_tells_of_its_java(content: bytes, version: str, cpe: str) -> None:
    found = IDENTIFIER.identify("opt/jdk/release", [content])
    assert [one.version for one in found] == ([version] if version else [])
    assert [one.cpe for one in found] == ([f"cpe:2.3:a:oracle:openjdk:{cpe}:*:*:*:*:*:*"] if cpe else [])


def test_a_library_inside_another_program_is_found_beside_it() -> None:
    assert told(ELF + noise(5_000) + NGINX + noise(9_000) + ZLIB) == ["nginx 1.22.1", "zlib 1.2.13"]


def test_a_program_that_names_the_library_it_loads_is_not_the_library() -> None:
    assert told(ELF + NGINX + OPENSSL) == ["nginx 1.22.1"]
    assert told(ELF + NGINX + OPENSSL + b'OPENSSLDIR: "/usr/lib/ssl"\0') == ["nginx 1.22.1", "openssl 3.0.22"]


@pytest.mark.parametrize("size", [1, 7, 64, 1_000, 65_536])
def test_the_way_a_file_is_cut_does_not_matter(size: int) -> None:
    content = ELF + noise(500) + NGINX + noise(300) + ZLIB + noise(20)
    assert told(*(content[place : place + size] for place in range(0, len(content), size))) == [
        "nginx 1.22.1",
        "zlib 1.2.13",
    ]


@pytest.mark.parametrize("before", [0, 1, 30, 60, AROUND, AROUND + 30, 2 * AROUND, 2 * AROUND + 25])
def test_a_text_across_the_end_of_a_window_is_found(before: int) -> None:
    content = ELF + bytes(WINDOW - len(ELF) - before) + ZLIB + bytes(2 * WINDOW)
    chunks = [content[place : place + 4_096] for place in range(0, len(content), 4_096)]
    assert told(*chunks) == ["zlib 1.2.13"]


@pytest.mark.parametrize("distance", [-3 * WINDOW, 3 * WINDOW])
def test_what_a_find_needs_may_stand_far_away_before_or_after_it(distance: int) -> None:
    needed = b'OPENSSLDIR: "/usr/lib/ssl"\0'
    parts = [OPENSSL, bytes(abs(distance)), needed]
    assert told(ELF, *(parts if distance > 0 else reversed(parts))) == ["openssl 3.0.22"]


def test_a_version_that_stands_by_itself_counts_where_it_is_the_only_one() -> None:
    sqlite = b"SQLite format 3\0"
    assert told(ELF, sqlite, b"\xff3.40.1\0") == ["sqlite 3.40.1"]
    assert told(ELF, sqlite, b"\xff3.40.1\0\xff3.41.0\0") == []
    assert told(ELF, sqlite, b"GLIBC_3.40.1\0") == []


def test_a_version_that_stands_by_itself_may_end_with_letters() -> None:
    assert told(ELF, b"%.80s (%.80s) %.80s\0", b"\x003.13.0rc1\0") == ["python 3.13.0rc1"]


def test_a_version_of_another_product_does_not_hide_the_one_that_stands_by_itself() -> None:
    python = b"\x003.11.2\0%.80s (%.80s) %.80s\0PYTHONINSPECT\0"
    assert told(ELF, python, b"SQLite format 3\0", b"\xff3.40.1\0") == ["python 3.11.2", "sqlite 3.40.1"]


@pytest.mark.parametrize("content", [b"", ELF, b"\x7fELF", noise(3 * WINDOW), b"." * WINDOW, b"1.1" * WINDOW])
def test_nonsense_tells_of_nothing(content: bytes) -> None:
    assert told(content) == []


@pytest.mark.parametrize(
    "unit", [b"1.1\0", b"OpenSSL 1.1", b"\x003.11.2\0", b" deflate 1.2.1 Copyright 1995-2022 Jean-loup Gailly\0"]
)
def test_a_file_of_nothing_but_versions_has_a_bounded_answer(unit: bytes) -> None:
    content = ELF + unit * (4 * WINDOW // len(unit))
    assert len(told(content)) <= 1
    many = b"".join(b" deflate 1.2.%d Copyright 1995-2022 Jean-loup Gailly\0" % number for number in range(99))
    assert len(told(ELF + many)) <= 20


def test_memory_does_not_grow_with_the_file() -> None:
    def chunks(count: int) -> int:
        tracemalloc.start()
        IDENTIFIER.identify("opt/x", (ELF + bytes(2**20) for _ in range(count)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert chunks(60) < chunks(30) * 1.1


def test_what_a_text_says_is_made_fit_for_reports() -> None:
    (one,) = IDENTIFIER.identify("opt/x", [ELF + b"BusyBox v1.35.0 (\x1b[31m)\0"])
    assert one.version == "1.35.0"
    assert one.evidence.isprintable()
