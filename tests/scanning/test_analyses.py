"""What was read of layers and kept: it says the same as reading them again, and nobody has it say something else."""

import os
from pathlib import Path
from typing import Any

import pytest

from models.errors import ImageTooLarge, MalformedImage
from models.policy import ImageLimits
from registry.building import FileSpec, ImageBuilder
from scanning.analyses import Analyses
from scanning.blobs import Budget
from scanning.contents import Contents
from scanning.image import read_image
from scanning.layers import LayersSeen, pass_over
from tests.scanning.images import (
    APK,
    STATUS,
    apk,
    changed,
    debian,
    dpkg,
    jar,
    layout_of,
    marks,
    member,
    module,
    pom,
    recompressed,
    shop,
    tar_with,
    wheel,
    zstandard_,
)

OPENSSL = b"\x7fELF" + bytes(5_000) + b'\0OpenSSL 3.0.9 30 May 2023\0OPENSSLDIR: "/usr/lib/ssl"\0' + bytes(5_000)


def look(
    layout: Path, analyses: Analyses | None, said: list[str] | None = None, limits: ImageLimits | None = None
) -> LayersSeen:
    """What it says while it reads comes into `said`."""
    bounds = limits or ImageLimits()
    says = said.append if said is not None else lambda _: None
    return pass_over(read_image(layout, "linux/amd64", bounds), Budget(bounds), says, analyses)


def everything() -> ImageBuilder:
    """All that a layer can tell."""
    builder = shop()
    twice = tar_with(member("a/package.json"), content={"a/package.json": b'{"name": "a", "version": "1"}'})
    again = tar_with(member("a/package.json"), content={"a/package.json": b'{"name": "a", "version": "2"}'})
    builder.raw_layer(twice[:1024] + again, "ADD")
    builder.layer({APK: apk("musl 1.2.4-r1"), "opt/libssl.so": OPENSSL, "opt/LICENSE": b"x"}, "COPY")
    builder.layer({"srv/x.jar": jar({"META-INF/maven/a/b/pom.properties": pom("a", "b", "1")}), **module("x", "1")})
    builder.layer({"srv/new": FileSpec(b"x", 0o4755), "srv/.wh..wh..opq": b"", **marks("opt/libssl.so", "app")})
    return builder.layer({**debian("11"), STATUS: dpkg("bash 5")}).layer(wheel("Django", "3.2.25"))


def test_what_was_kept_says_the_same_as_reading_the_layers_again(tmp_path: Path) -> None:
    layout = layout_of(everything(), tmp_path / "layout")
    analyses = Analyses(tmp_path / "kept", "1")
    first = look(layout, analyses)
    assert {one.package.kind for one in first.packages} == {"deb", "apk", "npm", "maven", "pypi"}
    assert [(one.identified.product, one.removed) for one in first.binaries] == [("openssl", True)]
    assert first.layers[0].folders
    said: list[str] = []
    assert look(layout, analyses, said) == first == look(layout, None)
    assert said == []


def test_only_the_layers_on_top_are_read(tmp_path: Path) -> None:
    analyses = Analyses(tmp_path / "kept", "1")
    look(layout_of(shop(), tmp_path / "before"), analyses)
    after = layout_of(shop().layer({"new": b"x"}, "COPY"), tmp_path / "after")
    # there is nothing to be read of the others any more
    for layer in read_image(after, "linux/amd64", ImageLimits()).layers[:5]:
        layer.path.write_bytes(b"")
    said: list[str] = []
    assert len(look(after, analyses, said).layers) == 6
    assert said == ["reading layer 6 of 6"]


def test_who_lies_about_what_a_layer_unpacks_to_finds_nothing(tmp_path: Path) -> None:
    analyses = Analyses(tmp_path / "kept", "1")
    layout = layout_of(ImageBuilder().layer(debian()), tmp_path / "layout")
    (fine,) = read_image(layout, "linux/amd64", ImageLimits()).layers
    look(layout, analyses)

    def lie(manifest: dict[str, Any], config: dict[str, Any]) -> None:
        config["rootfs"]["diff_ids"] = [fine.diff_id]

    evil = changed(layout_of(ImageBuilder().layer(wheel("Django", "3.2.0")), tmp_path / "evil"), lie)
    for _ in range(2):  # nor is the lie kept
        with pytest.raises(MalformedImage, match="does not unpack to"):
            look(evil, analyses)
    (lying,) = read_image(evil, "linux/amd64", ImageLimits()).layers
    assert analyses.find(fine.digest, fine.diff_id) is not None
    assert analyses.find(lying.digest, lying.diff_id) is None


def test_the_same_layer_in_other_bytes_is_read(tmp_path: Path) -> None:
    analyses = Analyses(tmp_path / "kept", "1")
    layout = layout_of(ImageBuilder().layer(debian()), tmp_path / "layout")
    look(layout, analyses)
    said: list[str] = []
    (layer,) = look(recompressed(layout, zstandard_), analyses, said).layers
    assert said == ["reading layer 1 of 1"]
    assert layer.media_type.endswith("zstd")


def test_an_image_that_has_a_layer_twice_has_it_read_once(tmp_path: Path) -> None:
    said: list[str] = []
    builder = ImageBuilder().layer({"x": b"1"}).layer({"x": b"1"}).layer({"x": b"1"})
    look(layout_of(builder, tmp_path / "layout"), Analyses(tmp_path / "kept", "1"), said)
    assert said == ["reading layer 1 of 3"]


def test_what_others_knew_is_not_believed(tmp_path: Path) -> None:
    layout = layout_of(ImageBuilder().layer(debian()), tmp_path / "layout")
    look(layout, Analyses(tmp_path / "kept", "1"))
    said: list[str] = []
    look(layout, Analyses(tmp_path / "kept", "2"), said)
    assert said == ["reading layer 1 of 1"]


def kept(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("cut", [0, 10, 40, -1])
def test_what_is_damaged_was_never_there(tmp_path: Path, cut: int) -> None:
    analyses = Analyses(tmp_path / "kept", "1")
    layout = layout_of(ImageBuilder().layer(debian()), tmp_path / "layout")
    first = look(layout, analyses)
    (path,) = kept(tmp_path / "kept")
    path.write_bytes(path.read_bytes()[:cut])
    (layer,) = read_image(layout, "linux/amd64", ImageLimits()).layers
    assert analyses.find(layer.digest, layer.diff_id) is None
    assert kept(tmp_path / "kept") == []
    assert look(layout, analyses) == first
    assert kept(tmp_path / "kept") == [path]


def test_layers_that_are_known_count_against_the_limits_all_the_same(tmp_path: Path) -> None:
    analyses = Analyses(tmp_path / "kept", "1")
    builder = ImageBuilder().layer({"a": bytes(40 * 2**20)}).layer({"b": b"2" * 60_000})
    layout = layout_of(builder, tmp_path / "layout")
    look(layout, analyses, limits=ImageLimits(decompression_ratio=2_000))
    for limits in (ImageLimits(uncompressed_bytes=100_000), ImageLimits(files=1), ImageLimits(decompression_ratio=200)):
        with pytest.raises(ImageTooLarge):
            look(layout, analyses, limits=limits)


def files_of(analyses: Analyses, digest: str) -> int | None:
    found = analyses.find(digest, "sha256:x")
    return found.files if found else None


def test_no_more_is_kept_than_is_allowed_and_what_was_used_last_stays(tmp_path: Path) -> None:
    analyses = Analyses(tmp_path, "1")
    for number in range(5):
        analyses.keep(f"sha256:{number}", "sha256:x", Contents(files=number))
    for number, path in enumerate(kept(tmp_path)):
        os.utime(path, (number, number))
    sizes = [path.stat().st_size for path in kept(tmp_path)]
    assert files_of(analyses, "sha256:3") == 3
    Analyses(tmp_path, "1", most_bytes=sum(sizes)).trim()
    assert len(kept(tmp_path)) == 5
    Analyses(tmp_path, "1", most_bytes=max(sizes) * 2).trim()
    assert len(kept(tmp_path)) == 2
    assert files_of(analyses, "sha256:3") == 3


def test_folders_without_end_are_read_each_time(tmp_path: Path) -> None:
    deep = "d/" * 1_999 + "x"
    builder = ImageBuilder().raw_layer(tar_with(member(deep), content={deep: b"12"}))
    layout, analyses = layout_of(builder, tmp_path / "layout"), Analyses(tmp_path / "kept", "1")
    first = look(layout, analyses)
    said: list[str] = []
    assert look(layout, analyses, said) == first
    assert said == ["reading layer 1 of 1"]


def test_a_scan_does_not_fail_for_want_of_a_place_to_keep_things(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("no folder")
    layout = layout_of(shop(), tmp_path / "layout")
    assert look(layout, Analyses(tmp_path / "kept", "1")) == look(layout, None)
