"""Binaries in layers: each is found once, under whatever name, and belongs to the package that brought it."""

import tarfile
from pathlib import Path

import pytest

from models.policy import ImageLimits
from models.scans import ComponentState
from registry.building import ImageBuilder
from scanning.analyses import Analyses
from scanning.blobs import Budget
from scanning.identify import ShippedBinary
from scanning.image import read_image
from scanning.layers import pass_over
from tests.parts.presence import needs
from tests.scanning.conftest import Laboratory
from tests.scanning.images import APK, STATUS, Files, apk, debian, dpkg, layout_of, marks, member, shop, tar_with

INFO = "var/lib/dpkg/info"


def openssl(version: str = "3.0.9") -> bytes:
    """As libcrypto has it, among much else."""
    date = {"3.0.9": "30 May 2023", "3.0.11": "19 Sep 2023"}[version]
    told = f"\0OpenSSL {version} {date}\0{version}\0".encode(), b'OPENSSLDIR: "/usr/lib/ssl"\0'
    return b"\x7fELF" + bytes(300_000).join((b"", *told, b""))


def look(builder: ImageBuilder, folder: Path) -> list[ShippedBinary]:
    """Read, and found in what was kept: both say the same."""
    layout = layout_of(builder, folder / "layout")
    limits = ImageLimits()
    image, analyses = read_image(layout, "linux/amd64", limits), Analyses(folder / "kept", "1")
    seen = [pass_over(image, Budget(limits), lambda _: None, analyses) for _ in range(2)]
    assert seen[0] == seen[1]
    return list(seen[0].binaries)


def told(found: list[ShippedBinary]) -> list[tuple[str, str, str, bool]]:
    return [(one.identified.product, one.identified.version, one.identified.path, one.removed) for one in found]


def test_a_binary_is_found_under_any_name_and_at_its_layer(tmp_path: Path) -> None:
    builder = ImageBuilder().layer(debian()).layer({"opt/thing/engine.bin": openssl()}, "COPY")
    found = look(builder, tmp_path)
    assert told(found) == [("openssl", "3.0.9", "opt/thing/engine.bin", False)]
    assert found[0].layer == read_image(tmp_path / "layout", "linux/amd64", ImageLimits()).layers[1].diff_id


def test_text_that_speaks_of_a_product_is_no_binary(tmp_path: Path) -> None:
    assert look(ImageBuilder().layer({"README": openssl().replace(b"\x7fELF", b"Read")}), tmp_path) == []


@pytest.mark.parametrize(
    "files",
    [
        marks("opt/libcrypto.so"),
        marks("opt"),
        {"opt/.wh..wh..opq": b"", "opt/new": b"x"},
        {"opt/libcrypto.so": b"\x7fELF of something else"},
        {"opt": b"a file in the place of the folder"},
    ],
)
def test_a_binary_that_a_later_layer_deletes_or_replaces_still_ships(tmp_path: Path, files: Files) -> None:
    builder = ImageBuilder().layer({"opt/libcrypto.so": openssl()}).layer(files)
    assert told(look(builder, tmp_path)) == [("openssl", "3.0.9", "opt/libcrypto.so", True)]


def test_a_binary_that_is_replaced_by_another_version_is_both(tmp_path: Path) -> None:
    builder = ImageBuilder().layer({"opt/x": openssl()}).layer({"opt/x": openssl("3.0.11")})
    assert told(look(builder, tmp_path)) == [
        ("openssl", "3.0.9", "opt/x", True),
        ("openssl", "3.0.11", "opt/x", False),
    ]


def test_a_binary_that_its_own_archive_holds_twice_ships_twice(tmp_path: Path) -> None:
    first = tar_with(member("opt/x"), content={"opt/x": openssl()})
    second = tar_with(member("opt/x"), content={"opt/x": openssl("3.0.11")})
    end = 512 + -(-len(openssl()) // 512) * 512
    assert told(look(ImageBuilder().raw_layer(first[:end] + second), tmp_path)) == [
        ("openssl", "3.0.9", "opt/x", True),
        ("openssl", "3.0.11", "opt/x", False),
    ]


def test_links_are_other_names_and_not_other_binaries(tmp_path: Path) -> None:
    links = tar_with(
        member("opt/x"),
        member("opt/hard", tarfile.LNKTYPE, "opt/x"),
        member("opt/soft", tarfile.SYMTYPE, "x"),
        content={"opt/x": openssl()},
    )
    builder = ImageBuilder().raw_layer(links)
    assert told(look(builder, tmp_path / "1")) == [("openssl", "3.0.9", "opt/x", False)]
    # it is there as long as one of its names is
    builder.whiteout(["opt/x"])
    assert told(look(builder, tmp_path / "2")) == [("openssl", "3.0.9", "opt/x", False)]
    builder.whiteout(["opt/hard"])
    assert told(look(builder, tmp_path / "3")) == [("openssl", "3.0.9", "opt/x", True)]


def packaged(path: str, content: bytes) -> Files:
    """A file that dpkg has brought."""
    listed = f"/.\n/usr\n/usr/lib\n/{path}\n".encode()
    return {path: content, STATUS: dpkg("libssl3 3.0.9-1 openssl"), f"{INFO}/libssl3:amd64.list": listed}


@pytest.mark.parametrize("path", ["usr/lib/libcrypto.so.3", "lib/libcrypto.so.3"])
def test_a_binary_of_a_package_belongs_to_it(tmp_path: Path, path: str) -> None:
    assert look(ImageBuilder().layer(packaged(path, openssl())), tmp_path) == []


def test_a_binary_of_an_alpine_or_distroless_package_belongs_to_it(tmp_path: Path) -> None:
    installed = apk("libcrypto3 3.1.3-r0 openssl").rstrip() + b"\nF:lib\nR:libcrypto.so.3\n\n"
    alpine = ImageBuilder().layer({APK: installed, "lib/libcrypto.so.3": openssl()})
    assert look(alpine, tmp_path / "alpine") == []
    sums = b"0123456789abcdef0123456789abcdef  usr/lib/libcrypto.so.3\n"
    status = {"var/lib/dpkg/status.d/libssl3": dpkg("libssl3 3.0.9-1"), "var/lib/dpkg/status.d/libssl3.md5sums": sums}
    distroless = ImageBuilder().layer({"usr/lib/libcrypto.so.3": openssl(), **status})
    assert look(distroless, tmp_path / "distroless") == []


def test_what_is_copied_over_a_packages_file_is_not_the_packages(tmp_path: Path) -> None:
    path = "usr/lib/libcrypto.so.3"
    builder = ImageBuilder().layer(packaged(path, openssl())).layer({path: openssl("3.0.11")}, "COPY")
    assert told(look(builder, tmp_path)) == [("openssl", "3.0.11", path, False)]


def test_a_packages_file_that_only_changes_its_owner_is_the_packages_still(tmp_path: Path) -> None:
    path = "usr/lib/libcrypto.so.3"
    builder = ImageBuilder().layer(packaged(path, openssl()))
    builder.layer({path: openssl()}, "RUN chown -R app /usr").layer({path: openssl()}, "RUN chmod -R go-w /usr")
    assert look(builder, tmp_path) == []


def test_a_binary_that_goes_with_its_package_is_told_of_by_the_package_alone(tmp_path: Path) -> None:
    files = packaged("usr/lib/libcrypto.so.3", openssl())
    builder = ImageBuilder().layer(files).layer({**marks("usr/lib/libcrypto.so.3", f"{INFO}/libssl3:amd64.list")})
    assert look(builder, tmp_path) == []


def test_hidden_package_data_does_not_hide_the_binary(tmp_path: Path) -> None:
    files = packaged("usr/lib/libcrypto.so.3", openssl())
    del files[STATUS], files[f"{INFO}/libssl3:amd64.list"]
    assert told(look(ImageBuilder().layer(files), tmp_path)) == [("openssl", "3.0.9", "usr/lib/libcrypto.so.3", False)]


@needs("trivy")
async def test_a_report_names_binaries_that_no_package_tells_of(laboratory: Laboratory) -> None:
    builder = shop().layer({"opt/engine": openssl("3.0.11"), "opt/old": openssl()}, "COPY").whiteout(["opt/old"])
    report = await laboratory.scan(builder)
    found = {one.version: one for one in report.components if one.name == "openssl" and one.path.startswith("opt/")}
    assert found.keys() == {"3.0.9", "3.0.11"}
    assert (found["3.0.9"].state, found["3.0.11"].state) == (ComponentState.REMOVED, ComponentState.PRESENT)
    assert found["3.0.11"].purl == "pkg:generic/openssl@3.0.11"
    assert found["3.0.11"].cpe.startswith("cpe:2.3:a:openssl:openssl:3.0.11:")
    assert found["3.0.11"].layer == report.facts.layers[5].diff_id
    assert "binary signature" in found["3.0.11"].evidence
