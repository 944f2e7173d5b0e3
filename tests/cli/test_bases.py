"""Base images on the command line, and what a scan says of an image that is built from one."""

import json
from pathlib import Path
from typing import Any

import pytest

from registry.building import ImageBuilder, write_index
from scanning.demo import DEMO_ADVISORIES
from tests.cli.conftest import Shell
from tests.parts.presence import needs
from tests.scanning.images import debian, wheel

pytestmark = [needs("trivy")]


def python(jinja: str, platform: str = "linux/amd64") -> ImageBuilder:
    """A base image with a package of this version."""
    return ImageBuilder(platform).layer(debian(), "ADD rootfs.tar /").layer(wheel("Jinja2", jinja), "RUN pip install")


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """`oci:layout:3.11` is a base of two platforms, and `:app` is built from it."""
    folder = tmp_path / "layout"
    folder.mkdir()
    platforms = ("linux/amd64", "linux/arm64")
    write_index(folder, "3.11", {name: python("2.10", name).write(folder) for name in platforms})
    app = python("2.10").layer(wheel("Django", "3.2.0"), "RUN pip install django")
    app.write(folder, "app")
    return folder


async def scan(shell: Shell, layout: Path) -> dict[str, Any]:
    document = await shell.json("scan", f"oci:{layout}:app")
    (report,) = document["platforms"]
    found: dict[str, Any] = report
    return found


async def test_an_image_is_seen_to_be_built_from_a_known_base_and_what_a_rebuild_mends(
    shell: Shell, layout: Path
) -> None:
    await shell("advisories", "import", str(DEMO_ADVISORIES))
    assert (await scan(shell, layout))["base"] is None
    added = await shell.json("bases", "add", f"oci:{layout}:3.11")
    assert [base["platform"] for base in added] == ["linux/amd64", "linux/arm64"]
    assert all(len(base["layers"]) == 2 for base in added)
    report = await scan(shell, layout)
    assert report["base"]["reference"] == f"oci:{layout}:3.11"
    assert report["base"]["rebuild"] is None
    inherited = {one["component"] for one in report["vulnerabilities"] if one["inherited"]}
    own = {one["component"] for one in report["vulnerabilities"] if not one["inherited"]}
    assert (inherited, own) == ({"Jinja2"}, {"Django"})

    # the tag moves to an image that has most of it mended, as far as the advisories know
    python("3.1.2").write(layout, "3.11")
    (moved,) = await shell.json("bases", "refresh")
    assert moved["digest"] not in {base["digest"] for base in added}
    assert await shell.json("bases", "refresh") == []
    rebuild = (await scan(shell, layout))["base"]["rebuild"]
    assert rebuild["digest"] == moved["digest"]
    jinja = [one for one in report["vulnerabilities"] if one["component"] == "Jinja2"]
    assert rebuild["inherited"] == len(jinja)
    assert 0 < rebuild["mended"] < len(jinja)
    shown = " ".join((await shell("scan", f"oci:{layout}:app")).stdout.split())
    assert f"built from oci:{layout}:3.11 (layers 0 to 1)" in shown
    assert f"mends {rebuild['mended']} of {rebuild['inherited']} inherited vulnerabilities" in shown
    assert "base, mended by the rebuild" in shown


async def test_bases_are_listed_and_forgotten_whole_or_in_part(shell: Shell, layout: Path) -> None:
    reference = f"oci:{layout}:3.11"
    assert "No base image is known yet" in (await shell("bases", "list")).stdout
    amd, arm = await shell.json("bases", "add", reference)
    assert [base["digest"] for base in await shell.json("bases", "list")] == [amd["digest"], arm["digest"]]
    (other,) = await shell.json("bases", "list", "--platform", "linux/arm64")
    assert other["digest"] == arm["digest"]
    assert "linux/arm64" in (await shell("bases", "list")).stdout
    await shell("bases", "remove", f"{reference}@{amd['digest']}")
    assert [base["digest"] for base in await shell.json("bases", "list")] == [arm["digest"]]
    assert "no base image" in await shell.refused("bases", "remove", reference, "--platform", "linux/amd64")
    assert (await shell.json("bases", "remove", reference))["removed"] == 1
    assert await shell.json("bases", "list") == []


async def test_what_cannot_be_looked_at_again_is_said_and_the_rest_done(
    shell: Shell, layout: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    python("2.10").write(other, "1")
    await shell("bases", "add", f"oci:{other}:1", f"oci:{layout}:3.11", "--platform", "linux/amd64")
    (layout / "index.json").rename(layout / "gone.json")
    python("3.1.2").write(other, "1")
    result = await shell("bases", "refresh", "--json", status=1)
    assert [base["reference"] for base in json.loads(result.stdout)] == [f"oci:{other}:1"]
    assert f"oci:{layout}:3.11" in result.stderr


async def test_a_base_that_is_not_there_cannot_be_known(shell: Shell) -> None:
    assert "There is nothing at nowhere" in await shell.refused("bases", "add", "oci:nowhere:1")
