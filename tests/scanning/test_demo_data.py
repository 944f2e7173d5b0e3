"""The demo's advisories are facts only, enough for its old image, and none for its mended one."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.policy import SeverityClasses
from models.scans import Component, Vulnerability
from scanning.advisories import AdvisoryStore
from scanning.demo import DEMO_ADVISORIES
from scanning.osv import parse_record
from scripts.make_demo_advisories import PACKAGES, facts_of, made_from
from tests.scanning.real_data import real

OLD = {"Django": "3.2", "requests": "2.19.0", "urllib3": "1.24", "Jinja2": "2.10"}
MENDED = {"Django": "5.2.19", "requests": "2.34.2", "urllib3": "2.8.0", "Jinja2": "3.1.6"}
RECORDS: list[dict[str, Any]] = [json.loads(line) for line in DEMO_ADVISORIES.read_text().splitlines()]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> AdvisoryStore:
    store = AdvisoryStore(tmp_path_factory.mktemp("demo") / "advisories.sqlite")
    imported = store.import_from(DEMO_ADVISORIES)
    assert (imported.added, imported.skipped) == (len(RECORDS), 0)
    return store


def component(name: str, version: str) -> Component:
    return Component(purl=f"pkg:pypi/{name.lower()}@{version}", ecosystem="PyPI", name=name, version=version)


def found_in(store: AdvisoryStore, packages: dict[str, str]) -> list[Vulnerability]:
    return store.match([component(name, version) for name, version in packages.items()], SeverityClasses())


def test_the_file_holds_facts_only() -> None:
    assert len(RECORDS) > 150
    assert DEMO_ADVISORIES.stat().st_size < 500_000
    for record in RECORDS:
        assert record.keys() <= {"id", "modified", "aliases", "affected", "severity"}
        for entry in record["affected"]:
            assert entry.keys() <= {"package", "ranges", "versions"}
            assert entry["package"].keys() == {"ecosystem", "name"}
            assert entry["package"]["name"] in PACKAGES
            assert all(said.keys() == {"type", "events"} for said in entry["ranges"])
    assert {entry["package"]["name"] for record in RECORDS for entry in record["affected"]} == PACKAGES


def test_source_and_licence_are_told_beside_it() -> None:
    notice = (DEMO_ADVISORIES.parent / "NOTICE").read_text()
    assert "https://github.com/pypa/advisory-database" in notice
    assert "Creative Commons Attribution 4.0" in notice
    assert all(package in notice for package in PACKAGES)


def test_every_record_is_read_and_in_force() -> None:
    read = [parse_record(record) for record in RECORDS]
    assert all(said.affected and said.modified and not said.withdrawn for said in read)
    assert [said.id for said in read] == sorted({said.id for said in read})


def test_the_demos_old_image_has_what_the_demo_promises(store: AdvisoryStore) -> None:
    """Ten CVEs and more in several packages, with a fix each and vectors for many."""
    found = found_in(store, OLD)
    assert {name: len({one.id for one in found if one.component == name}) for name in OLD} == {
        "Django": 26,
        "requests": 5,
        "urllib3": 12,
        "Jinja2": 6,
    }
    assert all(one.id.startswith("CVE-") and one.fixed_version for one in found)
    assert len({one.id for one in found if one.score is not None}) >= 15
    assert len({one.component for one in found if one.score is not None}) == 4
    assert {one.severity.value for one in found} == {"critical", "major", "minor", "unknown"}


def test_the_demos_mended_image_has_none(store: AdvisoryStore) -> None:
    assert found_in(store, MENDED) == []


def test_the_packages_are_those_of_the_demos_images(store: AdvisoryStore) -> None:
    folder = Path(__file__).resolve().parents[2] / "cli" / "demo"
    for name, packages in (("packages-old.txt", OLD), ("packages-mended.txt", MENDED)):
        pinned = dict(line.split()[0].split("==") for line in (folder / name).read_text().splitlines() if "==" in line)
        assert pinned == {package.lower(): version for package, version in packages.items()}


def test_the_script_makes_this_file_of_the_exports() -> None:
    """Word by word, so that nobody edits it by hand."""
    assert made_from(real("osv")) == DEMO_ADVISORIES.read_text()


def test_the_extract_finds_what_the_whole_export_finds(store: AdvisoryStore, tmp_path: Path) -> None:
    """Lists of versions were left out where there are ranges: asked of every version that is a bound."""
    whole = AdvisoryStore(tmp_path / "whole.sqlite")
    whole.import_from(real("osv/pypi.osv.jsonl.gz"))
    every = [component(name, version) for name in PACKAGES for version in versions_of(name)]
    assert len(every) > 300
    here, there = (
        {(one.purl, one.id, one.fixed_version, one.score) for one in known.match(every, SeverityClasses())}
        for known in (store, whole)
    )
    assert here == there


def versions_of(name: str) -> list[str]:
    bounds = {
        version
        for record in RECORDS
        for entry in record["affected"]
        if entry["package"]["name"] == name
        for said in entry["ranges"]
        for event in said["events"]
        for version in event.values()
    }
    return sorted(bounds)


def test_of_a_record_only_the_facts_are_taken() -> None:
    entry = {
        "package": {"ecosystem": "PyPI", "name": "Jinja2", "purl": "pkg:pypi/jinja2"},
        "ranges": [
            {"type": "GIT", "repo": "https://g", "events": [{"introduced": "0"}]},
            {"type": "ECOSYSTEM", "events": [{"introduced": "0"}], "database_specific": {"text": "long"}},
        ],
        "versions": ["1.0"],
        "ecosystem_specific": {"text": "long"},
    }
    other = {"package": {"ecosystem": "npm", "name": "jinja2"}}
    listed = {"package": {"ecosystem": "PyPI", "name": "django"}, "versions": ["1.0"]}
    said = {"id": "PYSEC-1", "summary": "text", "details": "text", "credits": [], "affected": [entry, other, listed]}
    assert facts_of(said) == {
        "id": "PYSEC-1",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": "jinja2"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
            },
            {"package": {"ecosystem": "PyPI", "name": "django"}, "ranges": [], "versions": ["1.0"]},
        ],
    }


def test_of_several_exports_the_youngest_record_counts_also_when_it_is_withdrawn(tmp_path: Path) -> None:
    def export(name: str, **changes: object) -> None:
        package = {"ecosystem": "PyPI", "name": "django"}
        record = {"id": "PYSEC-1", "affected": [{"package": package, "versions": ["1.0"]}], **changes}
        (tmp_path / f"{name}.json").write_text(json.dumps(record))

    export("a", modified="2024-02-01T00:00:00Z", aliases=["CVE-2024-0001"])
    export("b", modified="2024-01-01T00:00:00Z")
    assert json.loads(made_from(tmp_path))["aliases"] == ["CVE-2024-0001"]
    export("c", modified="2024-02-01T00:00:00.5+00:00", withdrawn="2024-02-01T00:00:00Z")
    assert made_from(tmp_path) == ""
