"""Which files belong to packages, as dpkg's and apk's databases say."""

import pytest

from scanning.ownership import files_of, place, tells_of_files


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/lib/x86_64-linux-gnu/libz.so.1", "usr/lib/x86_64-linux-gnu/libz.so.1"),
        ("usr/lib/x86_64-linux-gnu/libz.so.1", "usr/lib/x86_64-linux-gnu/libz.so.1"),
        ("./bin/busybox", "usr/bin/busybox"),
        ("library/bin/x", "library/bin/x"),
        ("opt/lib/x", "opt/lib/x"),
    ],
)
def test_folders_that_were_merged_into_usr_are_one_place(path: str, where: str) -> None:
    assert place(path) == where


def test_dpkg_names_the_files_of_a_package_a_line_each() -> None:
    content = b"/.\n/usr\n/usr/sbin\n/usr/sbin/nginx\n/lib/x.so\n"
    assert files_of("var/lib/dpkg/info/nginx.list", content) >= {"usr/sbin/nginx", "usr/lib/x.so"}


def test_a_distroless_image_names_files_with_their_sums() -> None:
    content = b"d41d8cd98f00b204e9800998ecf8427e  usr/lib/os-release\n0cc175b9c0f1b6a831c399e269772661  lib/a b\n"
    assert files_of("var/lib/dpkg/status.d/base.md5sums", content) == {"usr/lib/os-release", "usr/lib/a b"}


@pytest.mark.parametrize("path", ["lib/apk/db/installed", "usr/lib/apk/db/installed"])
def test_apk_names_files_after_their_folder(path: str) -> None:
    content = (
        b"P:busybox\nV:1.36.1-r0\nF:bin\nR:busybox\na:0:0:755\nZ:Q1x=\nF:etc\nR:a\nR:b\nF:\nR:c\n\nP:x\nF:lib\nR:d\n"
    )
    assert files_of(path, content) == {"usr/bin/busybox", "etc/a", "etc/b", "c", "usr/lib/d"}


def test_a_long_folder_with_very_many_files_is_not_written_out_for_each_of_them() -> None:
    content = b"F:" + b"x" * 4_000 + b"\n" + b"".join(b"R:%d\n" % number for number in range(100_000))
    assert sum(map(len, files_of("lib/apk/db/installed", content))) < 3 * len(content)


@pytest.mark.parametrize("path", ["var/lib/dpkg/status", "var/lib/dpkg/info/x.md5sums", "installed", "x.list"])
def test_other_files_tell_of_none(path: str) -> None:
    assert not tells_of_files(path)
    assert files_of(path, b"/usr/bin/x\n") == frozenset()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"F:\nR:\n", b"  \n", b"\x00\xff\n"])
def test_what_cannot_be_read_is_no_error(content: bytes) -> None:
    for path in ("var/lib/dpkg/info/x.list", "var/lib/dpkg/status.d/x.md5sums", "lib/apk/db/installed"):
        assert all(isinstance(name, str) for name in files_of(path, content))
