"""Trivy as it is really run, and what becomes of its report."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from models.errors import MalformedImage, ToolFailed
from registry.building import ImageBuilder
from scanning import trivy, trivy_cache
from scanning.components import System
from tests.parts.presence import needs
from tests.scanning.images import APK, KEY, STATUS, apk, debian, dpkg, layout_of, module, shop, wheel

pytestmark = needs("trivy")


async def listing(layout: Path, folder: Path, known: System | None = None) -> trivy.Listing:
    (folder / "work").mkdir(exist_ok=True)
    with trivy_cache.claimed(folder / "cache", ["sha256:any"]) as claimed:
        report = await trivy.examine(layout, work=folder / "work", cache=claimed.folder, seconds=60)
        claimed.is_true_of(["sha256:any"])
    return trivy.read_report(report, known or System())


async def test_every_component_is_one_that_trivy_itself_names_at_that_layer(tmp_path: Path) -> None:
    layout = layout_of(shop(), tmp_path / "layout")
    command = [trivy.program(), "image", "--quiet", "--scanners=secret", "--skip-version-check"]
    command += ["--disable-telemetry", "--skip-db-update", "--offline-scan", "--format=json", "--list-all-pkgs"]
    done = await asyncio.to_thread(
        subprocess.run,
        [*command, f"--cache-dir={tmp_path / 'other'}", f"--input={layout}"],
        check=True,
        capture_output=True,
    )
    packages = [package for result in json.loads(done.stdout)["Results"] for package in result.get("Packages", ())]
    own = {(package["Name"], package["Version"], package["Layer"]["DiffID"]) for package in packages}
    found = await listing(layout, tmp_path)
    # trivy keeps a Debian version in three pieces
    assert {(one.name, _upstream(one.version), one.layer) for one in found.components} == own
    assert len(own) == 6


def _upstream(version: str) -> str:
    return version.partition(":")[2].partition("-")[0] or version.partition("-")[0]


async def test_versions_are_whole_and_sources_are_named(tmp_path: Path) -> None:
    status = dpkg("bash 1:5.2.15-2+b2 bash 1:5.2.15-2", "libssl3 3.0.9-1 openssl", "native 12.4+deb12u5")
    layout = layout_of(ImageBuilder().layer({**debian(), STATUS: status}), tmp_path / "layout")
    found = {component.name: component for component in (await listing(layout, tmp_path)).components}
    assert (found["bash"].version, found["bash"].source_version) == ("1:5.2.15-2+b2", "1:5.2.15-2")
    assert (found["libssl3"].source_name, found["libssl3"].source_version) == ("openssl", "3.0.9-1")
    assert (found["native"].version, found["native"].source_name) == ("12.4+deb12u5", "native")
    assert {component.ecosystem for component in found.values()} == {"Debian:12"}
    assert found["bash"].purl == "pkg:deb/debian/bash@5.2.15-2%2Bb2?arch=amd64&distro=debian-12.5&epoch=1"


async def test_ecosystems_are_named_as_the_advisories_name_them(tmp_path: Path) -> None:
    alpine = {"etc/alpine-release": b"3.18.4\n", "etc/os-release": b"ID=alpine\nVERSION_ID=3.18.4\n"}
    builder = ImageBuilder().layer({**alpine, APK: apk("libcrypto3 3.1.3-r0 openssl")})
    builder.layer({**wheel("Django", "3.2.0"), **module("lodash", "4.17.15")})
    found = await listing(layout_of(builder, tmp_path / "layout"), tmp_path)
    named = {component.name: component.ecosystem for component in found.components}
    assert named == {"libcrypto3": "Alpine:v3.18", "Django": "PyPI", "lodash": "npm"}
    assert {component.name: component.path for component in found.components}["lodash"] == (
        "app/node_modules/lodash/package.json"
    )


async def test_a_distribution_that_trivy_does_not_recognise_is_that_of_the_os_release(tmp_path: Path) -> None:
    builder = ImageBuilder().layer({STATUS: dpkg("bash 1:5.2.15-2")})
    found = await listing(layout_of(builder, tmp_path / "layout"), tmp_path, System("debian", "12"))
    assert [(one.ecosystem, one.purl) for one in found.components] == [
        ("Debian:12", "pkg:deb/debian/bash@5.2.15-2?arch=amd64&distro=debian-12&epoch=1")
    ]


async def test_an_arm_image_is_scanned_as_such_and_not_as_this_machines(tmp_path: Path) -> None:
    found = await listing(layout_of(shop("linux/arm64"), tmp_path / "layout"), tmp_path)
    assert {component.name for component in found.components} >= {"bash", "Jinja2", "lodash"}


async def test_a_secret_is_told_by_its_kind_and_place_and_never_shown(tmp_path: Path) -> None:
    password = b"hunter2-and-more"
    lines = b"AWS_ACCESS_KEY_ID=AKIAQYLPMN5HHHFPZAM2\nneighbour=" + password + b"\n"
    builder = ImageBuilder().layer({"app/key.pem": KEY, "app/aws.env": lines}, "COPY").whiteout(["app/aws.env"])
    found = await listing(layout_of(builder, tmp_path / "layout"), tmp_path)
    (secrets,) = found.secrets.values()
    assert {(secret.rule, secret.path) for secret in secrets} == {
        ("private-key", "app/key.pem"),
        ("aws-access-key-id", "app/aws.env"),
    }
    assert password.decode() not in repr(found)
    assert list((tmp_path / "work").iterdir()) == []


async def test_a_report_with_secrets_stands_in_no_repr(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    layout = layout_of(ImageBuilder().layer({"app/key.pem": KEY}), tmp_path / "layout")
    report = await trivy.examine(layout, work=tmp_path / "work", cache=tmp_path / "cache", seconds=60)
    assert repr(report) == "Report()"


async def test_several_scans_share_one_cache_folder_without_waiting_for_each_other(tmp_path: Path) -> None:
    layouts = [
        layout_of(shop(platform), tmp_path / platform) for platform in ("linux/amd64", "linux/arm64", "linux/arm")
    ]
    found = await asyncio.gather(*(listing(layout, tmp_path) for layout in layouts))
    assert [len(one.components) for one in found] == [6, 6, 6]
    assert sorted(path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()) == ["0", "1", "2"]


async def test_a_cache_that_was_cut_short_begins_anew(tmp_path: Path) -> None:
    layout = layout_of(shop(), tmp_path / "layout")
    await listing(layout, tmp_path)
    (database,) = (tmp_path / "cache").rglob("fanal.db")
    database.write_bytes(b"\0" * 5_000)
    assert len((await listing(layout, tmp_path)).components) == 6
    assert len((await listing(layout, tmp_path)).components) == 6


async def test_a_cache_that_has_grown_too_large_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = layout_of(shop(), tmp_path / "layout")
    await listing(layout, tmp_path)
    stray = tmp_path / "cache" / "0" / "stray"
    stray.write_text("x")
    await listing(layout, tmp_path)
    assert stray.exists()
    monkeypatch.setattr(trivy_cache, "_LARGEST", 1_000)
    await listing(layout, tmp_path)
    assert not stray.exists()


@pytest.mark.parametrize(
    "report",
    [
        b"",
        b"{}",
        b"[]",
        b'{"SchemaVersion": 3, "Metadata": {}}',
        b'{"SchemaVersion": 2, "Metadata": {}, "Results": [{"Class": "os-pkgs", "Packages": [{"Name": 7}]}]}',
        b'{"SchemaVersion": 2, "Metadata": {}, "Results": [{"Class": "x", "Packages": ["hunter2"]}]}',
        b'{"SchemaVersion": 2, "Metadata": {}, "Results": [{"Secrets": [{"RuleID": ["hunter2"]}]}]}',
        b"[" * 100_000,
    ],
)
def test_a_report_that_is_none_is_a_failure_of_the_tool(report: bytes) -> None:
    with pytest.raises(ToolFailed) as failure:
        trivy.read_report(trivy.Report(report), System())
    assert "hunter2" not in str(failure.value)


def test_an_image_with_nothing_in_it_has_an_empty_listing() -> None:
    report = trivy.Report(b'{"SchemaVersion": 2, "Metadata": {"OS": null}, "Results": null}')
    assert trivy.read_report(report, System()) == trivy.Listing(System(), (), {})


async def test_a_failure_of_trivy_is_the_hubs_and_says_what_trivy_said(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    empty = tmp_path / "layout"
    empty.mkdir()
    with pytest.raises(ToolFailed, match=r"trivy ended with status 1: .*unable to open"):
        await trivy.examine(empty, work=tmp_path / "work", cache=tmp_path / "cache", seconds=60)
    assert list((tmp_path / "work").iterdir()) == []


async def test_an_archive_that_only_trivy_cannot_read_is_the_publishers(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    layout = layout_of(ImageBuilder().raw_layer(b"no archive" * 100), tmp_path / "layout")
    with pytest.raises(MalformedImage, match="no tar archive"):
        await trivy.examine(layout, work=tmp_path / "work", cache=tmp_path / "cache", seconds=60)


async def test_the_version_is_asked_once() -> None:
    assert (await trivy.version()).count(".") == 2
    trivy._version.cache_clear()
    await asyncio.gather(trivy.version())
    before = trivy._version.cache_info().misses
    await trivy.version()
    assert trivy._version.cache_info().misses == before == 1
