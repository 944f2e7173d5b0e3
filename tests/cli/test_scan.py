"""`wharfinger scan` and `wharfinger advisories`: without a hub, for people and for machines."""

import asyncio
import gzip
import json
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import starter
from cli.images import Place, place_of
from cli.servers import RegistryServer
from registry.access import SourceRules
from registry.building import ImageBuilder, push_layout, write_index
from registry.client import RegistryClient, RegistryRepository
from scanning.demo import DEMO_ADVISORIES
from tests.parts.presence import needs
from tests.parts.servers import registry_server  # noqa: F401
from tests.scanning.images import shop

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("image", "repository", "reference"),
    [
        ("registry.example/team/app:1.0", "registry.example/team/app", "1.0"),
        ("127.0.0.1:5000/team/app:1.0", "127.0.0.1:5000/team/app", "1.0"),
        ("127.0.0.1:5000/team/app", "127.0.0.1:5000/team/app", ""),
        (f"127.0.0.1:5000/app@{DIGEST}", "127.0.0.1:5000/app", DIGEST),
        ("oci:some/folder:1.0", "oci:some/folder", "1.0"),
        ("oci:some/folder", "oci:some/folder", ""),
        (f"oci:some/folder@{DIGEST}", "oci:some/folder", DIGEST),
        ("oci:some@home/folder:1.0", "oci:some@home/folder", "1.0"),
        ("archive:app.tar", "archive:app.tar", ""),
        ("archive:app.tar:1.0", "archive:app.tar", "1.0"),
    ],
)
def test_an_image_is_named_as_people_name_it(image: str, repository: str, reference: str) -> None:
    assert place_of(image) == Place(repository, reference)


def test_a_folder_with_a_colon_in_its_name_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a:b").mkdir()
    monkeypatch.chdir(tmp_path)
    assert place_of("oci:a:b") == Place("oci:a:b", "")
    assert place_of("oci:a:b:1.0") == Place("oci:a:b", "1.0")


@dataclass
class Desk:
    """Runs commands in a home of its own; `folder` has an image of two platforms as oci:image:1.0."""

    folder: Path

    def __call__(self, *words: str, **more: str) -> Result:
        environment = {"WHARFINGER_HOME": str(self.folder / "home"), "COLUMNS": "120", **more}
        return CliRunner().invoke(starter.app, list(words), env=environment)

    @property
    def image(self) -> str:
        return f"oci:{self.folder / 'image'}:1.0"

    def reports(self, *words: str, **more: str) -> list[dict[str, Any]]:
        result = self("scan", *words, "--json", **more)
        assert result.exit_code == 0, result.output
        found: list[dict[str, Any]] = json.loads(result.stdout)["platforms"]
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    image = tmp_path / "image"
    image.mkdir()
    write_index(image, "1.0", {name: shop(name).write(image) for name in ("linux/amd64", "linux/arm64")})
    return Desk(tmp_path)


@pytest.fixture
def knowing(desk: Desk) -> Desk:
    """With the demo's advisories."""
    result = desk("advisories", "import", str(DEMO_ADVISORIES))
    assert result.exit_code == 0, result.output
    return desk


@needs("trivy")
def test_a_scan_shows_layers_components_and_vulnerabilities_of_every_platform(knowing: Desk) -> None:
    result = knowing("scan", knowing.image, "--components")
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert said.count("debian 12 · 5 layers") == 2
    assert "linux/amd64 sha256:" in said
    assert "linux/arm64 sha256:" in said
    assert "9 components (5 Debian:12, 3 PyPI, 1 npm, 3 of them deleted by a later layer)" in said
    assert "Vulnerabilities in layer 1: RUN pip install django jinja2" in said
    assert "CVE-2019-10906 Jinja2 2.10 2.10.1" in said
    assert "Asymmetric Private Key app/key.pem" in said
    assert "libssl3 3.0.9-1 Debian:12 0 deleted later var/lib/dpkg/status" in said


@needs("trivy")
def test_a_scan_for_machines_is_one_document(knowing: Desk) -> None:
    result = knowing("scan", knowing.image, "--json", "--platform", "linux/arm64")
    document = json.loads(result.stdout)
    assert document["image"] == knowing.image
    (report,) = document["platforms"]
    assert report["facts"]["platform"] == "linux/arm64"
    assert document["digest"] != report["facts"]["digest"]
    assert {"id", "component", "fixed_version", "layer", "instruction"} <= report["vulnerabilities"][0].keys()


_MAJOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N"
_CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
_MINOR = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"


@needs("trivy")
@pytest.mark.parametrize(
    ("vector", "failing"),
    [
        (_CRITICAL, {"critical", "major", "minor"}),
        (_MAJOR, {"major", "minor"}),
        ("", {"major", "minor"}),  # not scored yet counts as major, as at the hub's gate
        (_MINOR, {"minor"}),
    ],
)
def test_a_scan_fails_on_the_class_that_it_is_told_and_weightier_ones(
    desk: Desk, vector: str, failing: set[str]
) -> None:
    advisory = {
        "id": "PYSEC-2099-1",
        "modified": "2099-01-01T00:00:00Z",
        "severity": [{"type": "CVSS_V3", "score": vector}] if vector else [],
        "affected": [{"package": {"ecosystem": "PyPI", "name": "jinja2"}, "versions": ["2.10"]}],
    }
    path = desk.folder / "one.json"
    path.write_text(json.dumps(advisory))
    assert desk("advisories", "import", str(path)).exit_code == 0
    words = ("scan", desk.image, "--platform", "linux/amd64", "--json", "--fail-on")
    assert {name for name in ("critical", "major", "minor") if desk(*words, name).exit_code == 1} == failing


@needs("trivy")
def test_without_advisories_the_scan_says_how_to_get_some(desk: Desk) -> None:
    result = desk("scan", desk.image)
    assert result.exit_code == 0
    assert "wharfinger advisories import" in result.stderr
    assert "No known vulnerabilities." in result.stdout
    assert json.loads(desk("scan", desk.image, "--json").stdout)["platforms"]


@needs("trivy")
def test_an_image_with_nothing_in_it_is_shown(desk: Desk, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    ImageBuilder().write(empty, "latest")
    result = desk("scan", f"oci:{empty}", "--components")
    assert result.exit_code == 0, result.output
    for words in ("no distribution", "It has no layers.", "No components were found.", "No known vulnerabilities."):
        assert words in result.stdout


@needs("trivy", "skopeo")
def test_archives_are_scanned_by_their_only_tag(desk: Desk, tmp_path: Path) -> None:
    single = tmp_path / "single"
    single.mkdir()
    shop().write(single, "7")
    archive = tmp_path / "app.tar"
    subprocess.run(
        ["skopeo", "copy", "--quiet", f"oci:{single}:7", f"docker-archive:{archive}:example.org/app:7"], check=True
    )
    (by_tag,) = desk.reports(f"archive:{archive}:7")
    (by_nothing,) = desk.reports(f"archive:{archive}")
    assert by_tag["components"] == by_nothing["components"]
    assert len(by_tag["components"]) == 9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("oci:nowhere:1.0",), "There is nothing at nowhere"),
        (("oci:{image}:2.0",), "no tag 2.0"),
        (("oci:{image}:1.0", "--platform", "linux/s390x"), "no image for linux/s390x: it has linux/amd64, linux/arm64"),
        (("ubuntu",), "write it with its registry"),
    ],
)
def test_what_is_wrong_with_the_name_is_one_line(desk: Desk, words: tuple[str, ...], said: str) -> None:
    arguments = [word.format(image=desk.folder / "image") for word in words]
    result = desk("scan", *arguments)
    assert result.exit_code == 1
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.output
    document = json.loads(desk("scan", *arguments, "--json").stdout)
    assert said in document["message"]


def test_of_several_tags_one_has_to_be_named(desk: Desk) -> None:
    shop().write(desk.folder / "image", "2.0")
    result = desk("scan", f"oci:{desk.folder / 'image'}")
    assert result.exit_code == 1
    assert "it has 1.0, 2.0" in " ".join(result.stderr.split())


@needs("trivy")
def test_a_scan_leaves_nothing_but_its_cache(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    place = desk.folder / "tmp"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    assert desk("scan", desk.image).exit_code == 0
    assert list(place.iterdir()) == []
    assert {path.name for path in (desk.folder / "home").iterdir()} <= {
        "scanner",
        "advisories.sqlite",
        "advisories.sqlite-wal",
        "advisories.sqlite-shm",
    }


@pytest.mark.system
@needs("trivy", "docker-registry")
async def test_an_image_of_a_registry_is_scanned_by_tag_and_digest_and_with_credentials(
    desk: Desk,
    registry_server: RegistryServer,  # noqa: F811
    tmp_path: Path,
) -> None:
    bcrypt = pytest.importorskip("bcrypt")
    htpasswd = tmp_path / "htpasswd"
    htpasswd.write_text(f"pat:{bcrypt.hashpw(b'hunter2', bcrypt.gensalt(4)).decode()}\n")
    name = f"cli/{uuid.uuid4().hex}"
    async with RegistryServer(tmp_path / "guarded", htpasswd=htpasswd) as guarded:
        client = RegistryClient(registry_server.address, SourceRules(plain_http_hosts=(registry_server.address,)))
        digest = await push_layout(desk.folder / "image", "1.0", RegistryRepository(client, name))
        await client.close()
        hosts = {"WHARFINGER_PLAIN_HTTP_HOSTS": json.dumps([registry_server.address, guarded.address])}
        place = f"{registry_server.address}/{name}"
        tagged = await asyncio.to_thread(desk.reports, f"{place}:1.0", "--platform", "linux/amd64", **hosts)
        pinned = await asyncio.to_thread(desk.reports, f"{place}@{digest}", "--platform", "linux/amd64", **hosts)
        assert tagged[0]["components"] == pinned[0]["components"]
        refused = await asyncio.to_thread(desk, "scan", f"{guarded.address}/x:1", **hosts)
        assert "give a user name and password" in " ".join(refused.stderr.split())
        secret = {"WHARFINGER_SOURCE_PASSWORD": "hunter2", **hosts}
        gone = await asyncio.to_thread(desk, "scan", f"{guarded.address}/x:1", "--username", "pat", **secret)
        assert gone.exit_code == 1
        assert "hunter2" not in gone.output
        assert "user name and password" not in gone.output


def test_advisories_are_imported_with_their_scores_and_counted(desk: Desk, tmp_path: Path) -> None:
    assert "No advisories yet" in desk("advisories", "status").stdout
    scores = tmp_path / "scores.json.gz"
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    scores.write_bytes(gzip.compress(json.dumps({"CVE-2019-10906": [["NVD", vector, 9.8]]}).encode()))
    result = desk("advisories", "import", str(DEMO_ADVISORIES), "--scores", str(scores), "--json")
    document = json.loads(result.stdout)
    assert document["added"] == document["total"] > 100
    assert (document["changed"], document["skipped"], document["scores"]) == (0, 0, 1)
    again = desk("advisories", "import", str(DEMO_ADVISORIES))
    assert again.stdout.startswith("0 added, 0 changed, ")
    status = json.loads(desk("advisories", "status", "--json").stdout)
    assert (status["advisories"], status["snapshot"]) == (document["total"], document["snapshot"])
    assert document["snapshot"] in desk("advisories", "status").stdout


def test_an_import_of_nothing_says_what_it_wants(desk: Desk, tmp_path: Path) -> None:
    assert "Say what to import" in " ".join(desk("advisories", "import").stderr.split())
    missing = desk("advisories", "import", str(tmp_path / "nothing.jsonl"))
    assert missing.exit_code == 1
    assert "Traceback" not in missing.output


# --- reports --------------------------------------------------------------------------------------------------------


@needs("trivy")
@pytest.mark.parametrize(
    ("shape", "begins"),
    [
        ("json", b'{\n  "schema": "wharfinger-scan/1"'),
        ("cyclonedx", b'{\n  "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json"'),
        ("spdx", b'{\n  "spdxVersion": "SPDX-2.3"'),
        ("sarif", b'{\n  "$schema": "https://json.schemastore.org/sarif-2.1.0.json"'),
        ("csv", b"image,platform,platform digest,class,vulnerability"),
        ("html", b"<!doctype html>"),
    ],
)
def test_a_report_goes_to_a_file_or_to_the_next_program(knowing: Desk, shape: str, begins: bytes) -> None:
    words = ("scan", knowing.image, "--platform", "linux/amd64", "--format", shape)
    path = knowing.folder / "report"
    to_file = shape in ("spdx", "html")
    result = knowing(*words, *(("--output", str(path)) if to_file else ()))
    assert result.exit_code == 0, result.output
    written = path.read_bytes() if to_file else result.stdout_bytes
    assert written.startswith(begins)
    assert b"CVE-2019-10906" in written or shape == "spdx"
    assert result.stdout == "" or not to_file


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--output", "report"), "--format json, cyclonedx, spdx, sarif, csv, html"),
        (("--json", "--format", "csv"), "do not go together"),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_is_fetched(
    desk: Desk, words: tuple[str, ...], said: str
) -> None:
    result = desk("scan", "oci:nowhere:1.0", *words)
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())


@needs("trivy")
def test_only_what_was_asked_for_is_shown_and_counts(knowing: Desk) -> None:
    (whole,) = knowing.reports(knowing.image, "--platform", "linux/amd64")
    (part,) = knowing.reports(knowing.image, "--platform", "linux/amd64", "--fixable", "--severity", "critical")
    wanted = [one for one in whole["vulnerabilities"] if one["fixed_version"] and one["severity"] == "critical"]
    assert part["vulnerabilities"] == wanted != whole["vulnerabilities"]
    assert part["components"] == whole["components"]
    assert knowing("scan", knowing.image, "--severity", "minor", "--fail-on", "critical").exit_code == 0
    assert knowing("scan", knowing.image, "--fail-on", "critical").exit_code == 1


@needs("trivy")
def test_what_a_vex_document_says_is_harmless_is_shown_with_it_and_does_not_fail_the_scan(desk: Desk) -> None:
    advisory = {
        "id": "PYSEC-2099-1",
        "modified": "2099-01-01T00:00:00Z",
        "severity": [{"type": "CVSS_V3", "score": _CRITICAL}],
        "affected": [{"package": {"ecosystem": "PyPI", "name": "jinja2"}, "versions": ["2.10"]}],
    }
    path = desk.folder / "one.json"
    path.write_text(json.dumps(advisory))
    assert desk("advisories", "import", str(path)).exit_code == 0
    vex = desk.folder / "vex.json"
    statement = {
        "vulnerability": {"name": "PYSEC-2099-1"},
        "products": [{"@id": desk.image, "subcomponents": [{"@id": "pkg:pypi/jinja2"}]}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_in_execute_path",
        "impact_statement": "No template comes from outside.",
    }
    document = {"@context": "https://openvex.dev/ns/v0.2.0", "@id": "x", "author": "x", "version": 1}
    words = ("scan", desk.image, "--platform", "linux/amd64", "--fail-on", "critical", "--vex", str(vex))
    vex.write_text(json.dumps({**document, "statements": [{**statement, "status": "affected"}]}))
    assert desk(*words).exit_code == 1
    vex.write_text(json.dumps({**document, "statements": [statement]}))
    harmless = desk(*words)
    assert harmless.exit_code == 0, harmless.output
    assert "vex: not_affected" in harmless.stdout
    said = json.loads(desk(*words, "--json").stdout)["vex"]
    assert [one["statement"]["words"] for one in said] == ["No template comes from outside."]
    # of another image it says nothing
    vex.write_text(json.dumps({**document, "statements": [{**statement, "products": [{"@id": "pkg:oci/other"}]}]}))
    assert desk(*words).exit_code == 1
    vex.write_text("{}")
    refused = desk(*words)
    assert refused.exit_code == 1
    assert "neither OpenVEX" in " ".join(refused.stderr.split())
