"""Our own pass over the layers: facts, whiteouts, and packages that only lower layers still have."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from models.policy import ImageLimits
from registry.building import FileSpec, ImageBuilder
from scanning.blobs import Budget
from scanning.image import read_image
from scanning.layers import LayersSeen, pass_over
from tests.scanning.images import (
    APK,
    SITE,
    STATUS,
    Files,
    apk,
    debian,
    dpkg,
    gzipped,
    gzipped_in_two,
    layout_of,
    marks,
    member,
    module,
    plain,
    recompressed,
    tar_with,
    wheel,
    zstandard_,
)


def look(builder: ImageBuilder, folder: Path) -> LayersSeen:
    return look_at(layout_of(builder, folder / "layout"))


def look_at(layout: Path) -> LayersSeen:
    limits = ImageLimits()
    return pass_over(read_image(layout, "linux/amd64", limits), Budget(limits), lambda _: None)


def removed(seen: LayersSeen) -> set[str]:
    return {f"{one.package.name} {one.package.version}" for one in seen.packages if one.removed}


def test_a_layers_bytes_are_counted_for_every_folder_above_them_down_to_the_fifth(tmp_path: Path) -> None:
    files: Files = {"a/b/c/d/e/f/g/deep": b"1234567", "a/b/x": b"12", "top": b"123", "var/lib/apt/lists/x": b"12345"}
    (layer,) = look(ImageBuilder().layer(files, "COPY"), tmp_path).layers
    assert dict(layer.folders) == {
        "a": 9,
        "a/b": 9,
        "a/b/c": 7,
        "a/b/c/d": 7,
        "a/b/c/d/e": 7,
        "var": 5,
        "var/lib": 5,
        "var/lib/apt": 5,
        "var/lib/apt/lists": 5,
    }
    assert layer.bytes_under("var/lib/apt/lists", "root/.npm") == 5
    assert layer.files == 4


def test_a_layer_names_its_setuid_and_licence_files(tmp_path: Path) -> None:
    files: Files = {
        "usr/bin/su": FileSpec(b"x", 0o4755),
        "usr/bin/wall": FileSpec(b"x", 0o2755),
        "usr/bin/ls": FileSpec(b"x", 0o755),
        "licenses/anything.txt": b"x",
        "app/LICENSE": b"x",
        "app/licence.md": b"x",
        "app/COPYING.LESSER": b"x",
        "app/licensed.py": b"x",
    }
    (layer,) = look(ImageBuilder().layer(files), tmp_path).layers
    assert layer.setuid == ("usr/bin/su", "usr/bin/wall")
    assert layer.licence_files == ("app/COPYING.LESSER", "app/LICENSE", "app/licence.md", "licenses/anything.txt")


def test_what_a_later_layer_deletes_still_ships_with_all_its_former_versions(tmp_path: Path) -> None:
    builder = ImageBuilder()
    builder.layer({"root/.cache/pip/a": b"a" * 100, "root/.cache/pip/b": b"b" * 10, "etc/motd": b"old"}, "RUN pip")
    builder.layer({"root/.cache/pip/a": b"a" * 50, "etc/motd": b"longer"}, "RUN pip again")
    builder.whiteout(["root/.cache/pip", "etc/motd", "never/there"], "RUN rm")
    layers = look(builder, tmp_path).layers
    assert [layer.deleted for layer in layers] == [(), (), (("root/.cache/pip", 160), ("etc/motd", 9))]
    assert [layer.instruction for layer in layers] == ["RUN pip", "RUN pip again", "RUN rm"]


def test_an_opaque_folder_hides_what_was_in_it_but_not_what_comes_with_it(tmp_path: Path) -> None:
    builder = ImageBuilder()
    builder.layer({"app/old.js": b"12345", "app/lib/x": b"1", **module("minimist", "1.2.0")}, "COPY one")
    # the mark may stand behind the new files in the archive
    builder.layer({"app/new.js": b"1", **module("axios", "0.21.0"), "app/.wh..wh..opq": b""}, "COPY two")
    seen = look(builder, tmp_path)
    assert dict(seen.layers[1].deleted)["app/old.js"] == 5
    assert {path for path, _ in seen.layers[1].deleted} == {"app/old.js", "app/lib", "app/node_modules"}
    assert removed(seen) == {"minimist 1.2.0"}


def test_a_file_that_is_deleted_and_comes_again_is_no_longer_deleted(tmp_path: Path) -> None:
    builder = ImageBuilder().layer(wheel("Django", "3.2.0")).whiteout([SITE])
    builder.layer({**wheel("Django", "3.2.0"), "x": b""}).whiteout(["x"])
    seen = look(builder, tmp_path)
    assert removed(seen) == set()
    assert seen.layers[3].deleted == (("x", 0),)


def test_packages_of_every_database_are_found_when_a_later_layer_deletes_them(tmp_path: Path) -> None:
    builder = ImageBuilder()
    builder.layer(
        {
            STATUS: dpkg("kept 1", "upgraded 1:1.0-1 source", "purged 2", "deinstalled 3 origin 3.5"),
            "var/lib/dpkg/status.d/base": dpkg("distroless 4"),
            APK: apk("busybox 1.36.1-r2", "libcrypto3 3.1.3-r0 openssl"),
            **wheel("Django", "3.2.0"),
            f"{SITE}/old.egg-info": b"Name: old\nVersion: 0.1\n",
            f"{SITE}/older.egg-info/PKG-INFO": b"Name: older\nVersion: 0.2\n",
            **module("@scope/lodash", "4.17.15"),
        },
        "ADD everything",
    )
    gone = (f"{SITE}/Django-3.2.0.dist-info", f"{SITE}/old.egg-info", f"{SITE}/older.egg-info", "app/node_modules")
    builder.layer(
        {
            STATUS: dpkg("kept 1", "upgraded 1:1.0-2 source", "-deinstalled 3 origin 3.5"),
            APK: apk("busybox 1.36.1-r2"),
            **marks(*gone, "var/lib/dpkg/status.d"),
        },
        "RUN clean",
    )
    seen = look(builder, tmp_path)
    assert removed(seen) == {
        "upgraded 1:1.0-1",
        "purged 2",
        "deinstalled 3",
        "distroless 4",
        "libcrypto3 3.1.3-r0",
        "Django 3.2.0",
        "old 0.1",
        "older 0.2",
        "@scope/lodash 4.17.15",
    }
    assert {one.layer for one in seen.packages if one.removed} == {seen.layers[0].diff_id}
    found = {one.package.name: one.package for one in seen.packages if one.removed}
    assert (found["upgraded"].source_name, found["upgraded"].source_version) == ("source", "1:1.0-1")
    assert (found["deinstalled"].source_name, found["deinstalled"].source_version) == ("origin", "3.5")
    assert (found["libcrypto3"].source_name, found["libcrypto3"].source_version) == ("openssl", "3.1.3-r0")


def test_a_file_that_its_own_archive_holds_twice_ships_twice(tmp_path: Path) -> None:
    name = f"{SITE}/Django.dist-info/METADATA"
    first = tar_with(member(name), content={name: b"Name: Django\nVersion: 3.2.0\n\n"})
    second = tar_with(member(name), content={name: b"Name: Django\nVersion: 5.0.0\n\n"})
    # without the zeros that end the first archive, the second continues it
    seen = look(ImageBuilder().raw_layer(first[:1024] + second), tmp_path)
    assert removed(seen) == {"Django 3.2.0"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_package_hidden_by_something_else_in_its_place_still_ships(tmp_path: Path, kind: bytes) -> None:
    name = f"{SITE}/Django-3.2.0.dist-info/METADATA"
    builder = ImageBuilder().layer(wheel("Django", "3.2.0"))
    builder.raw_layer(tar_with(member(name, kind, "etc/motd")), "RUN ln -sf")
    assert removed(look(builder, tmp_path / "file")) == {"Django 3.2.0"}
    builder = ImageBuilder().layer(wheel("Django", "3.2.0"))
    builder.raw_layer(tar_with(member(SITE, kind, "elsewhere")), "RUN ln -s")
    assert removed(look(builder, tmp_path / "folder")) == {"Django 3.2.0"}


def test_the_last_os_release_counts_and_that_of_etc_comes_first(tmp_path: Path) -> None:
    builder = ImageBuilder()
    builder.layer(
        {"usr/lib/os-release": b"ID=wolfi\nVERSION_ID=1\n", "etc/os-release": b"ID=alpine\nVERSION_ID=3.17\n"}
    )
    builder.layer({"etc/os-release": b"\nID='alpine'\nVERSION_ID=\"3.18.4\"\nBROKEN\n"})
    assert look(builder, tmp_path / "1").os_release["VERSION_ID"] == "3.18.4"
    builder.whiteout(["etc/os-release"])
    assert look(builder, tmp_path / "2").os_release == {"ID": "wolfi", "VERSION_ID": "1"}
    assert look(ImageBuilder().layer({"x": b""}), tmp_path / "3").os_release == {}


@pytest.mark.parametrize(
    ("way", "media_type"),
    [
        (gzipped, "application/vnd.oci.image.layer.v1.tar+gzip"),
        (gzipped_in_two, "application/vnd.oci.image.layer.v1.tar+gzip"),
        (zstandard_, "application/vnd.oci.image.layer.v1.tar+zstd"),
        (lambda tar: zstandard_(tar[:700]) + zstandard_(tar[700:]), "application/vnd.oci.image.layer.v1.tar+zstd"),
        (plain, "application/vnd.oci.image.layer.v1.tar"),
    ],
)
def test_a_layer_is_what_its_bytes_are_and_not_what_the_manifest_calls_it(
    tmp_path: Path, way: Callable[[bytes], bytes], media_type: str
) -> None:
    layout = layout_of(ImageBuilder().layer(debian()).layer(wheel("Django", "3.2.0")), tmp_path / "layout")
    before = look_at(layout)
    after = look_at(recompressed(layout, way, way))
    assert [layer.media_type for layer in after.layers] == [media_type] * 2
    for old, new in zip(before.layers, after.layers, strict=True):
        assert (old.diff_id, old.uncompressed, old.folders) == (new.diff_id, new.uncompressed, new.folders)
    assert after.packages == before.packages


def test_of_many_paths_the_weightiest_are_named_and_the_bytes_of_the_rest_are_not_lost(tmp_path: Path) -> None:
    builder = ImageBuilder().layer({f"f{number}": b"x" * (number % 7) for number in range(1_200)})
    builder.whiteout([f"f{number}" for number in range(1_200)])
    deleted = look(builder, tmp_path).layers[1].deleted
    assert len(deleted) == 1_001
    assert deleted[0][1] == 6
    assert deleted[-1][0] == "200 more"
    assert sum(size for _, size in deleted) == sum(number % 7 for number in range(1_200))
