"""Layers from strangers: facts or a clear error, never a crash, and never a file outside their own archive."""

import gzip
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import ImageTooLarge, MalformedImage
from models.images import LayerFacts
from models.policy import ImageLimits
from registry.building import ImageBuilder, tar_of
from scanning.analyses import Analyses
from scanning.blobs import Budget, Stopped
from scanning.image import read_image
from scanning.layers import LayersSeen, pass_over
from tests.scanning.images import (
    STATUS,
    Files,
    changed,
    debian,
    dpkg,
    gzipped,
    jar,
    layout_of,
    member,
    plain,
    pom,
    recompressed,
    tar_with,
    wheel,
    zstandard_,
)

FINE = tar_of(debian())
BLOCK = 512


def look_at(layout: Path, **limits: int) -> LayersSeen:
    bounds = ImageLimits(**limits)
    return pass_over(read_image(layout, "linux/amd64", bounds), Budget(bounds), lambda _: None)


def look(tar: bytes, folder: Path, **limits: int) -> LayerFacts:
    """The facts of one layer of these bytes; whatever comes of it, nothing is written anywhere."""
    layout = layout_of(ImageBuilder().raw_layer(tar, "ADD"), folder / "layout")
    before = sorted(folder.rglob("*"))
    try:
        return look_at(layout, **limits).layers[0]
    finally:
        assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["../etc/cron.d/evil", "a/../../etc/passwd", "a/..", "./../x", "..", "/../etc/shadow", "a/b/../c"]
)
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MalformedImage, match="leads out of the image"):
        look(tar_with(member(name), content={name: b"x"}), tmp_path)


def test_a_hard_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedImage, match="leads out of the image"):
        look(tar_with(member("shadow", tarfile.LNKTYPE, "../../etc/shadow")), tmp_path)


def test_an_absolute_path_is_one_of_the_image_as_for_a_container_engine(tmp_path: Path) -> None:
    name = "//etc//./os-release"
    layer = look(tar_with(member(name), content={name: b"ID=x\n"}), tmp_path)
    assert dict(layer.folders) == {"etc": 5}


def test_links_devices_and_pipes_are_nothing_but_names(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    layer = look(
        tar_with(
            member("link", tarfile.SYMTYPE, str(outside)),
            member("link/planted"),
            member("up", tarfile.SYMTYPE, "../../../.."),
            member("up/planted"),
            member("dev/sda", tarfile.BLKTYPE),
            member("dev/null", tarfile.CHRTYPE),
            member("pipe", tarfile.FIFOTYPE),
            member("hard", tarfile.LNKTYPE, "/etc/shadow"),
            member("vendor", b"Z"),
            content={"link/planted": b"12", "up/planted": b"123"},
        ),
        tmp_path,
    )
    assert list(outside.iterdir()) == []
    assert layer.files == 9
    assert dict(layer.folders) == {"link": 2, "up": 3}


def test_names_that_are_not_utf_8_or_hold_control_characters_are_told_apart_and_written_out(tmp_path: Path) -> None:
    names = [b"opt/\xe9", b"opt/\xe8", b"opt/\x1b[31mred", b"opt/two\nlines", "opt/é".encode()]
    content = b"".join(_headed(name, b"x" * 10, mode=b"0004755\0") for name in names) + bytes(2 * BLOCK)
    layer = look(content, tmp_path)
    assert layer.setuid == ("opt/\\x1b[31mred", "opt/\\xe8", "opt/\\xe9", "opt/two\\nlines", "opt/é")
    assert json.loads(layer.model_dump_json())["setuid"] == list(layer.setuid)


@pytest.mark.parametrize("name", [".wh...", ".wh..", ".wh.", "a/.wh...", ".wh..wh.plnk", ".wh..wh.aufs"])
def test_a_whiteout_of_nothing_in_particular_deletes_nothing(tmp_path: Path, name: str) -> None:
    builder = ImageBuilder().layer({"a/b": b"x"}).raw_layer(tar_with(member(name)))
    assert look_at(layout_of(builder, tmp_path / "layout")).layers[1].deleted == ()


def test_a_path_too_long_for_linux_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedImage, match=r"a path of 6,\d+ bytes"):
        look(tar_with(member("a/" * 3000 + "x"), format=tarfile.PAX_FORMAT), tmp_path)


def test_folders_without_end_are_no_trouble(tmp_path: Path) -> None:
    deep = "d/" * 2000 + "x"
    builder = ImageBuilder().raw_layer(tar_with(member(deep), content={deep: b"12"}, format=tarfile.GNU_FORMAT))
    layers = look_at(layout_of(builder.whiteout(["d"]), tmp_path / "layout")).layers
    assert dict(layers[0].folders)["d/d/d/d/d"] == 2
    assert layers[1].deleted == (("d", 2),)


def _headed(name: bytes, content: bytes = b"", *, kind: bytes = b"0", **fields: bytes) -> bytes:
    """A member written by hand; `fields` are those of its header as they stand in it."""
    places = {"mode": (100, 8), "uid": (108, 8), "size": (124, 12), "mtime": (136, 12), "magic": (257, 8)}
    header = bytearray(BLOCK)
    header[: len(name)] = name
    said = {"mode": b"0000644\0", "uid": b"0000000\0", "mtime": b"00000000000\0", "magic": b"ustar\x0000"}
    said["size"] = b"%011o\0" % len(content)
    for field, value in {**said, **fields}.items():
        begin, length = places[field]
        header[begin : begin + length] = value.ljust(length, b"\0")
    header[156:157] = kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + content + bytes(-len(content) % BLOCK)


def pax(*records: tuple[str, bytes]) -> bytes:
    content = b""
    for key, value in records:
        rest = b" " + key.encode() + b"=" + value + b"\n"
        length = len(rest) + len(str(len(rest) + 3))
        while len(str(length)) + len(rest) != length:
            length += 1
        content += str(length).encode() + rest
    return _headed(b"PaxHeader", content, kind=b"x")


@pytest.mark.parametrize(
    ("tar", "said"),
    [
        (FINE[: 2 * BLOCK + 20], "ends in the middle of a file"),
        (FINE[:300], "ends in the middle of a header"),
        (b"this is no archive at all" * 100, "checksum"),
        (_headed(b"x", size=b"77777777777\0"), "ends in the middle of a file"),
        (_headed(b"x", size=b"-0000000001\0"), "size is no number"),
        (_headed(b"x", size=b"\xff" * 12), "size is out of range"),
        (_headed(b"x", size=b"\x80" + b"\xff" * 11), "size is out of range"),
        (_headed(b"x", size=b"0_0\0"), "size is no number"),
        (_headed(b"x", uid=b"nobody\0"), "uid is no number"),
        (_headed(b"x", mtime=b"yesterday\0"), "mtime is no number"),
        (_headed(b"x", mode=b"rwxr-xr\0"), "mode is no number"),
        (b"\1" + FINE[1:], "checksum"),
        (bytes(BLOCK) + FINE, "broken end"),
        (pax(("size", b"99999999999999")) + _headed(b"x"), "ends in the middle of a file"),
        (pax(("size", b"-1")) + _headed(b"x"), "negative size"),
        (pax(("size", b"many")) + _headed(b"x"), "size is no number"),
        (pax(("uid", b"9" * 40)) + _headed(b"x"), "uid is no number"),
        (pax(("mtime", b"yesterday")) + _headed(b"x"), "mtime is no time"),
        (pax(("path", b"a\0b")) + _headed(b"x"), "NUL in its path"),
        (_headed(b"P", b"no record\n", kind=b"x") + _headed(b"x"), "pax header that cannot be read"),
        (_headed(b"P", b"999 path=x\n", kind=b"x") + _headed(b"x"), "pax header that cannot be read"),
        (_headed(b"P", b"6 a=b\n0 x=y\n", kind=b"g") + _headed(b"x"), "pax header that cannot be read"),
        (_headed(b"P", b"x" * (2**20 + 1), kind=b"x") + _headed(b"x"), "a header of 1,048,577 bytes"),
        (_headed(b"L", b"x" * (2**20 + 1), kind=b"L") + _headed(b"x"), "a header of 1,048,577 bytes"),
        (_headed(b"P", size=b"77777777777\0", kind=b"x"), "a header of 8,589,934,591 bytes"),
        (pax(("path", b"../up")) + _headed(b"x"), "leads out"),
        (_headed(b"L", b"../up\0", kind=b"L") + _headed(b"x"), "leads out"),
        (_headed(b"K", b"../up\0", kind=b"K") + _headed(b"x", kind=b"1"), "leads out"),
        (_headed(b"x", kind=b"S"), "sparse file that is not of the GNU format"),
        (pax(("GNU.sparse.name", b"../up")) + _headed(b"x"), "leads out"),
    ],
)
def test_a_broken_archive_is_refused_with_the_reason(tmp_path: Path, tar: bytes, said: str) -> None:
    with pytest.raises(MalformedImage, match=said):
        look(tar, tmp_path)


def test_sparse_files_of_every_format_are_passed_over(tmp_path: Path) -> None:
    old = bytearray(_headed(b"holes", b"data", kind=b"S", magic=b"ustar  \0"))
    old[482] = 1  # one more block of the map follows the header
    old[148:156] = b" " * 8
    old[148:156] = b"%06o\0 " % sum(old[:BLOCK])
    gnu = bytes(old[:BLOCK]) + bytes(BLOCK) + bytes(old[BLOCK:])
    posix = pax(("GNU.sparse.major", b"1"), ("GNU.sparse.name", b"var/lib/dpkg/status")) + _headed(b"x", b"0\n")
    layer = look(gnu + posix + FINE, tmp_path)
    assert layer.files == 4
    assert dict(layer.folders)["var/lib/dpkg"] == 2


def test_formats_of_old_are_read(tmp_path: Path) -> None:
    old = _headed(b"folder/", kind=b"\0", magic=b"") + _headed(b"folder/file", b"1234", kind=b"\0", magic=b"")
    large = _headed(b"folder/base256", b"12", size=b"\x80" + bytes(10) + b"\x02", magic=b"ustar  \0")
    layer = look(old + large, tmp_path)
    assert (layer.files, dict(layer.folders)) == (2, {"folder": 6})


def test_an_empty_layer_is_a_layer(tmp_path: Path) -> None:
    assert look(bytes(2 * BLOCK), tmp_path / "zeros").files == 0
    assert look(b"", tmp_path / "nothing").uncompressed == 0


def test_a_layer_that_lies_about_what_it_unpacks_to_is_refused(tmp_path: Path) -> None:
    def lie(manifest: dict[str, Any], config: dict[str, Any]) -> None:
        config["rootfs"]["diff_ids"][0] = "sha256:" + "0" * 64

    layout = changed(layout_of(ImageBuilder().layer(debian()), tmp_path / "layout"), lie)
    with pytest.raises(MalformedImage, match="does not unpack to sha256:0000"):
        look_at(layout)


def test_a_blob_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    layout = layout_of(ImageBuilder().layer(debian()), tmp_path / "layout")
    digest = read_image(layout, "linux/amd64", ImageLimits()).layers[0].digest
    path = layout / "blobs" / "sha256" / digest.removeprefix("sha256:")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 9, mtime=1))
    with pytest.raises(MalformedImage, match="other bytes than its digest says"):
        look_at(layout)


@pytest.mark.parametrize(
    "way",
    [
        lambda tar: gzipped(tar)[:-20],
        lambda tar: gzipped(tar)[:-4] + b"\0\0\0\0",
        lambda tar: gzipped(tar) + b"something else",
        lambda tar: b"\x1f\x8b" + b"\xff" * 100,
        lambda tar: zstandard_(tar)[:-5],
        lambda tar: b"\x28\xb5\x2f\xfd" + b"\xff" * 100,
    ],
)
def test_a_compressed_stream_that_breaks_off_or_goes_wrong_is_refused(
    tmp_path: Path, way: Callable[[bytes], bytes]
) -> None:
    layout = recompressed(layout_of(ImageBuilder().layer(debian()), tmp_path / "layout"), way)
    with pytest.raises(MalformedImage):
        look_at(layout)


@pytest.mark.parametrize("way", [gzipped, zstandard_])
def test_a_bomb_is_noticed_before_it_goes_off(tmp_path: Path, way: Callable[[bytes], bytes]) -> None:
    bomb = _headed(b"zeros", size=b"%011o\0" % 2**32) + bytes(34 * 2**20)
    layout = recompressed(layout_of(ImageBuilder().raw_layer(bomb), tmp_path / "layout"), way)
    budget = Budget(ImageLimits())
    image = read_image(layout, "linux/amd64", budget.limits)
    with pytest.raises(ImageTooLarge, match="more than 200 times its size"):
        pass_over(image, budget, lambda _: None)
    assert budget.uncompressed <= max(200 * image.layers[0].size, 32 * 2**20) + 2**20


def test_a_small_layer_may_compress_as_well_as_it_can(tmp_path: Path) -> None:
    layer = look(tar_of({"zeros": bytes(8 * 2**20)}), tmp_path)
    assert layer.uncompressed > 500 * layer.size


def test_all_layers_together_have_one_limit_of_bytes_and_one_of_files(tmp_path: Path) -> None:
    builder = ImageBuilder().layer({"a": b"1" * 60_000}).layer({"b": b"2" * 60_000})
    layout = layout_of(builder, tmp_path / "layout")
    with pytest.raises(ImageTooLarge, match="more than 100,000 bytes"):
        look_at(layout, uncompressed_bytes=100_000)
    with pytest.raises(ImageTooLarge, match="more than 1 files"):
        look_at(layout, files=1)
    with pytest.raises(ImageTooLarge, match="2 layers; at most 1"):
        look_at(layout, layers=1)
    assert len(look_at(layout, uncompressed_bytes=200_000, files=2, layers=2).layers) == 2


def test_a_zstandard_frame_that_wants_all_memory_is_refused(tmp_path: Path) -> None:
    # frame header: no single segment, window descriptor for 2 GiB
    layout = recompressed(
        layout_of(ImageBuilder().layer(debian()), tmp_path / "layout"),
        lambda tar: b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x01\x00\x00",
    )
    with pytest.raises(MalformedImage, match="cannot be unpacked"):
        look_at(layout)


def test_a_package_database_of_nonsense_tells_of_no_packages(tmp_path: Path) -> None:
    nonsense: Files = {
        "var/lib/dpkg/status": b"\xff\xfe: \n\n:::\nPackage\n Version: 1\n\nPackage: x\n\n" * 3,
        "lib/apk/db/installed": b"P\nV:\n\n\0\xff\n\nP:onlyname\n\n",
        "a/package.json": b"[" * 100_000,
        "b/package.json": b'{"name": 1, "version": {}}',
        "c/package.json": b'"\\ud800"',
        "d/x.dist-info/METADATA": b"\xff\n" * 100,
        "etc/os-release": b"\xff=\xfe\n=\nID",
    }
    builder = ImageBuilder().layer(nonsense).whiteout(["a", "b", "c", "d", "lib", "var"])
    seen = look_at(layout_of(builder, tmp_path / "layout"))
    assert seen.packages == ()


def test_a_pass_that_nobody_waits_for_ends(tmp_path: Path) -> None:
    layout = layout_of(ImageBuilder().layer(debian()), tmp_path / "layout")
    budget = Budget(ImageLimits())
    budget.stop.set()
    with pytest.raises(Stopped):
        pass_over(read_image(layout, "linux/amd64", budget.limits), budget, lambda _: None)


def test_the_hostile_bytes_stay_the_same_when_they_are_not_compressed(tmp_path: Path) -> None:
    layout = recompressed(layout_of(ImageBuilder().raw_layer(FINE), tmp_path / "layout"), plain)
    assert look_at(layout).layers[0].size == len(FINE)


def test_a_package_database_too_large_to_be_read_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    bomb = _headed(STATUS.encode(), size=b"%011o\0" % 2**30) + bytes(1024)
    with pytest.raises(ImageTooLarge, match=r"var/lib/dpkg/status has 1,073,741,824 bytes"):
        look(bomb, tmp_path)


def test_an_image_that_names_packages_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanning.blobs._MOST_PACKAGES", 5)
    builder = ImageBuilder().layer({STATUS: dpkg("a 1", "b 1", "c 1")}).layer({STATUS: dpkg("a 2", "b 2")})
    assert len(look_at(layout_of(builder, tmp_path / "5")).packages) == 5
    layout = layout_of(builder.layer(wheel("c", "1")), tmp_path / "6")
    image, analyses = read_image(layout, "linux/amd64", ImageLimits()), Analyses(tmp_path / "kept", "1")
    for _ in range(2):  # what was read before counts as well
        with pytest.raises(ImageTooLarge, match="names more than 5 packages"):
            pass_over(image, Budget(ImageLimits()), lambda _: None, analyses)


def test_package_databases_that_name_files_without_end_are_refused(tmp_path: Path) -> None:
    names = b"".join(b"/usr/%d\n" % number for number in range(60))
    layers: Files = {"var/lib/dpkg/info/a.list": names, "var/lib/dpkg/info/b.list": names.replace(b"usr", b"opt")}
    layout = layout_of(ImageBuilder().layer(layers), tmp_path / "layout")
    with pytest.raises(ImageTooLarge, match="name more than 100 files"):
        look_at(layout, files=100)
    assert len(look_at(layout, files=120).layers) == 1


def test_an_application_of_java_may_be_larger_than_any_package_database(tmp_path: Path) -> None:
    archive = jar({"META-INF/maven/a/b/pom.properties": pom("a", "b", "1")})
    for megabytes, names in ((66, ["a:b"]), (129, [])):
        # what stands before an archive is no part of it: so do programs that begin with a shell script
        builder = ImageBuilder().layer({"app.jar": bytes(megabytes * 2**20) + archive})
        layout = layout_of(builder, tmp_path / str(megabytes))
        assert [one.package.name for one in look_at(layout, decompression_ratio=2_000).packages] == names
