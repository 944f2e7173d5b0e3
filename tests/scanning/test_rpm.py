"""rpm's database: packages and files of it, beside what trivy reads there, and none of a database that is none."""

import sqlite3
import struct
import time
from contextlib import closing

import pytest

from models.scans import ComponentState
from registry.building import ImageBuilder
from scanning.ownership import files_of
from scanning.package_files import Package, packages_in
from scanning.rpm import files_in
from tests.parts.presence import needs
from tests.scanning.conftest import Laboratory
from tests.scanning.images import Files
from tests.scanning.rpms import DATABASE, database, header

OPENSSL = header(
    "openssl-libs",
    "3.0.7",
    "24.el9",
    epoch=1,
    source="openssl-3.0.7-24.el9.src.rpm",
    files=["/usr/lib64/libcrypto.so.3", "/usr/lib64/libssl.so.3", "/etc/pki/tls/openssl.cnf"],
)
ZLIB = header("zlib", "1.2.11", "40.el9", files=["/lib64/libz.so.1"])
KEY = header("gpg-pubkey", "350d275d", "6279464b")


def test_a_package_has_its_epoch_and_its_source() -> None:
    assert packages_in(DATABASE, database(OPENSSL, KEY, ZLIB)) == (
        Package("rpm", "openssl-libs", "1:3.0.7-24.el9", "openssl", "1:3.0.7-24.el9", "x86_64"),
        Package("rpm", "zlib", "1.2.11-40.el9", "zlib", "1.2.11-40.el9", "x86_64"),
    )


def test_a_package_owns_its_files() -> None:
    assert files_of("usr/lib/sysimage/rpm/rpmdb.sqlite", database(OPENSSL, ZLIB)) == {
        "usr/lib64/libcrypto.so.3",
        "usr/lib64/libssl.so.3",
        "etc/pki/tls/openssl.cnf",
        "usr/lib64/libz.so.1",
    }


def rocky(*headers: bytes) -> Files:
    return {
        "etc/os-release": b'ID="rocky"\nVERSION_ID="9.3"\n',
        "etc/rocky-release": b"Rocky Linux release 9.3 (Blue Onyx)\n",
        DATABASE: database(*headers),
    }


@needs("trivy")
async def test_what_a_later_layer_removed_is_found_beside_what_trivy_finds(laboratory: Laboratory) -> None:
    builder = ImageBuilder("linux/amd64").layer(rocky(OPENSSL, ZLIB), "ADD rootfs.tar.xz /")
    builder.layer({DATABASE: database(OPENSSL)}, "RUN dnf remove zlib")
    report = await laboratory.scan(builder)
    found = {(one.name, one.version, one.source_name, one.source_version, one.state) for one in report.components}
    assert found == {
        ("openssl-libs", "1:3.0.7-24.el9", "openssl", "1:3.0.7-24.el9", ComponentState.PRESENT),
        ("zlib", "1.2.11-40.el9", "zlib", "1.2.11-40.el9", ComponentState.REMOVED),
    }
    assert {one.purl.partition("?")[0] for one in report.components} == {
        "pkg:rpm/rocky/openssl-libs@3.0.7-24.el9",
        "pkg:rpm/rocky/zlib@1.2.11-40.el9",
    }


def entry(tag: int, kind: int, place: int, count: int, data: bytes = b"x\0") -> bytes:
    return struct.pack(">2I4I", 1, len(data), tag, kind, place, count) + data


BROKEN = [
    b"",
    b"SQLite format 3\0",
    b"SQLite format 3\0" + bytes(5_000),
    database(OPENSSL)[:5_000],
    database(),
    database(b"", b"\0" * 7, b"\xff" * 100),
    database(entry(1000, 6, 10**9, 1)),
    database(entry(1000, 4, 0, 10**6)),
    database(entry(1000, 6, 0, 2**32 - 1)),
    database(entry(1000, 4, 0, 0)),
    database(entry(1000, 99, 0, 1)),
    database(struct.pack(">2I", 2**31, 2**31)),
    database(schema="CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob TEXT)"),
    database(OPENSSL).replace(b"CREATE TABLE", b"CREATE\xff\xfeBLE"),
    b"\x00\x05\x31\x62" * 2_000,
]


@pytest.mark.parametrize("content", BROKEN, ids=[str(number) for number in range(len(BROKEN))])
def test_a_broken_database_has_neither_packages_nor_files(content: bytes) -> None:
    assert packages_in(DATABASE, content) == ()
    assert list(files_in(content)) == []


def test_files_of_folders_that_are_not_there_are_passed_over() -> None:
    broken = OPENSSL.replace(struct.pack(">3I", 0, 0, 1), struct.pack(">3I", 0, 9, 1))
    assert broken != OPENSSL
    assert set(files_in(database(broken))) == {b"/usr/lib64/libcrypto.so.3", b"/etc/pki/tls/openssl.cnf"}


def test_a_long_folder_with_very_many_files_is_not_written_out_for_each_of_them() -> None:
    content = database(header("x", "1", "1", files=[f"/{'y' * 4_000}/{number}" for number in range(50_000)]))
    assert sum(map(len, files_of(DATABASE, content))) < 3 * len(content)


def test_a_view_that_computes_for_ever_is_not_asked() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(
            "CREATE VIEW Packages AS WITH RECURSIVE endless(hnum, blob) AS"
            " (SELECT 1, x'00' UNION ALL SELECT hnum + 1, x'00' FROM endless) SELECT * FROM endless"
        )
        content = connection.serialize()
    begin = time.monotonic()
    assert packages_in(DATABASE, content) == ()
    assert time.monotonic() - begin < 5
