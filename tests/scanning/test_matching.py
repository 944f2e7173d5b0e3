"""One vulnerability for each CVE and component: by the source package, with the best score and the last fix."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from models.findings import Severity
from models.policy import SeverityClasses
from models.scans import Component, Vulnerability
from scanning.advisories import AdvisoryStore
from scanning.matching import Knowledge, vulnerabilities_of
from scanning.osv import Advisory, by_name, parse_record
from tests.scanning.real_data import real

CLASSES = SeverityClasses()
CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
MAJOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N"
MINOR = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
OF_2 = "AV:N/AC:L/Au:N/C:C/I:C/A:C"


def record(id_: str, *events: dict[str, str], package: str = "PyPI/left", **changes: Any) -> dict[str, Any]:
    ecosystem, _, name = package.partition("/")
    ranges = [{"type": "ECOSYSTEM", "events": list(events or ({"introduced": "0"}, {"fixed": "2.0"}))}]
    return {"id": id_, "affected": [{"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges}], **changes}


def up_to(fixed: str) -> tuple[dict[str, str], dict[str, str]]:
    return {"introduced": "0"}, {"fixed": fixed}


def vectors(*found: str) -> list[dict[str, str]]:
    return [{"type": "CVSS_V2" if vector.startswith("AV") else "CVSS_V3", "score": vector} for vector in found]


def component(ecosystem: str = "PyPI", name: str = "left", version: str = "1.0", **changes: str) -> Component:
    return Component(purl=f"pkg:{name}@{version}", ecosystem=ecosystem, name=name, version=version, **changes)


def matched(
    about: Component, *found: dict[str, Any], scores: dict[str, list[tuple[str, str]]] | None = None
) -> dict[str, Vulnerability]:
    """The component's vulnerabilities by id, whatever the order of the records."""
    answers = []
    for turned in (found, found[::-1]):
        named: dict[tuple[str, str], list[Advisory]] = {}
        for advisory in map(parse_record, turned):
            for name in by_name(advisory):
                named.setdefault(name, []).append(advisory)
        knowledge = Knowledge(lambda *name, named=named: named.get(name, []), lambda cve: (scores or {}).get(cve, []))
        answers.append({one.id: one for one in vulnerabilities_of(about, knowledge, CLASSES)})
    facts = [{id_: (one.aliases, one.score, one.fixed_version) for id_, one in answer.items()} for answer in answers]
    assert facts[0] == facts[1]
    return answers[0]


def test_a_vulnerability_says_what_where_and_how_to_be_rid_of_it() -> None:
    said = record(
        "GHSA-1",
        *up_to("1.2"),
        aliases=["CVE-2024-0001"],
        summary="A path leads outside",
        severity=vectors(CRITICAL),
        references=[{"type": "ADVISORY", "url": "https://advisory/1"}],
    )
    found = matched(component(layer="sha256:1"), said)["CVE-2024-0001"]
    assert found == Vulnerability(
        id="CVE-2024-0001",
        advisory="GHSA-1",
        aliases=("GHSA-1",),
        purl="pkg:left@1.0",
        component="left",
        version="1.0",
        layer="sha256:1",
        score=found.score,
        severity=Severity.CRITICAL,
        fixed_version="1.2",
        summary="A path leads outside",
        url="https://advisory/1",
    )
    assert found.score is not None
    assert (found.score.score, found.score.source, found.score.version) == (9.8, "GHSA-1", "3.1")


def test_names_are_looked_up_in_their_one_spelling() -> None:
    said = record("PYSEC-1", package="PyPI/ruamel-yaml")
    assert matched(component(name="Ruamel.Yaml"), said).keys() == {"PYSEC-1"}
    assert matched(component(name="ruamel_yaml", version="2.0"), said) == {}


@pytest.mark.parametrize(
    ("ecosystem", "fixed", "old", "mended"),
    [
        ("Debian:12", "3.0.15-1~deb12u1", "3.0.14-1~deb12u2", "3.0.15-1~deb12u1"),
        ("Ubuntu:22.04", "3.0.2-0ubuntu1.18", "3.0.2-0ubuntu1.9", "3.0.2-0ubuntu1.18"),
        ("Alpine:v3.20", "3.3.2-r1", "3.3.2-r0", "3.3.2-r1"),
        ("Wolfi", "3.3.2-r1", "3.3.2-r0", "3.3.10-r0"),
    ],
)
def test_distributions_advise_by_source_package_and_its_version(
    ecosystem: str, fixed: str, old: str, mended: str
) -> None:
    said = record("X-CVE-2024-0001", *up_to(fixed), package=f"{ecosystem}/openssl")
    library = {"source_name": "openssl", "name": "libssl3", "version": "9:9.9"}
    found = matched(component(ecosystem, **library, source_version=old), said)["CVE-2024-0001"]
    assert (found.component, found.version, found.fixed_version) == ("libssl3", "9:9.9", fixed)
    assert matched(component(ecosystem, **library, source_version=mended), said) == {}
    # a package that is built from a source of its own name
    assert matched(component(ecosystem, "openssl", old), said).keys() == {"CVE-2024-0001"}
    # the release counts: what mends one says nothing about another
    assert matched(component("Debian:11", **library, source_version="0"), said) == {}


def test_elsewhere_the_package_itself_is_looked_up() -> None:
    said = record("ALSA-1", *up_to("3.0.7-6.el9"), package="AlmaLinux:9/openssl-libs")
    about = component("AlmaLinux:9", "openssl-libs", "1:3.0.1-1.el9", source_name="openssl")
    assert matched(about, said) == {}
    said = record("ALSA-1", *up_to("1:3.0.7-6.el9"), package="AlmaLinux:9/openssl-libs")
    assert matched(about, said).keys() == {"ALSA-1"}


def test_what_has_no_version_or_no_ecosystem_has_no_vulnerabilities() -> None:
    said = record("PYSEC-1", {"introduced": "0"})
    assert matched(component(version=""), said) == {}
    assert matched(component(ecosystem=""), said) == {}
    assert matched(component(version="not readable"), said).keys() == {"PYSEC-1"}


def test_records_of_several_databases_about_one_cve_are_one_vulnerability() -> None:
    """The latest of their fixes is the one that all accounts agree on."""
    found = matched(
        component(),
        record("GHSA-1", *up_to("1.2"), aliases=["CVE-2024-0001", "PYSEC-1"], severity=vectors(MAJOR)),
        record("PYSEC-1", *up_to("1.10"), aliases=["CVE-2024-0001"], severity=vectors(CRITICAL)),
        record("OTHER-1", {"introduced": "0"}, aliases=["CVE-2024-0001"]),
    )
    assert found.keys() == {"CVE-2024-0001"}
    one = found["CVE-2024-0001"]
    assert one.aliases == ("GHSA-1", "OTHER-1", "PYSEC-1")
    assert one.fixed_version == "1.10"
    assert one.score is not None
    assert (one.score.score, one.score.source) == (9.8, "PYSEC-1")


def test_a_record_without_a_cve_joins_those_it_is_an_alias_of() -> None:
    found = matched(
        component(),
        record("PYSEC-1", aliases=["GHSA-1", "CVE-2024-0001"]),
        # knows only its neighbour, which knows the CVE
        record("GHSA-1"),
        record("SNYK-1", aliases=["GHSA-1"]),
        record("SNYK-2", aliases=["SNYK-3"]),
        record("SNYK-4", aliases=["SNYK-5"]),
        # joins the two
        record("SNYK-6", aliases=["SNYK-3", "SNYK-5"]),
        record("SNYK-7"),
    )
    assert {id_: one.aliases for id_, one in found.items()} == {
        "CVE-2024-0001": ("GHSA-1", "PYSEC-1", "SNYK-1"),
        "SNYK-2": ("SNYK-3", "SNYK-4", "SNYK-5", "SNYK-6"),
        "SNYK-7": (),
    }


def test_a_record_about_two_cves_is_two_vulnerabilities_neither_of_them_a_name_of_the_other() -> None:
    found = matched(component(), record("GHSA-1", aliases=["CVE-2024-0001", "CVE-2024-0002"]))
    assert {id_: one.aliases for id_, one in found.items()} == {
        "CVE-2024-0001": ("GHSA-1",),
        "CVE-2024-0002": ("GHSA-1",),
    }


def test_a_bulletin_is_the_cves_that_it_sums_up_and_their_own_records_have_the_say() -> None:
    """The second CVE has a record that does not hold for this version: the bulletin does not bring it back."""
    package = "Debian:12/nginx"
    bulletin = record(
        "DSA-1-1", *up_to("1.5"), package=package, upstream=[f"CVE-2024-000{number}" for number in (1, 2, 3)]
    )
    found = matched(
        component("Debian:12", "nginx"),
        bulletin,
        record("DEBIAN-CVE-2024-0001", *up_to("1.4"), package=package, upstream=["CVE-2024-0001"]),
        record("DEBIAN-CVE-2024-0002", *up_to("0.9"), package=package, upstream=["CVE-2024-0002"]),
    )
    assert {id_: (one.advisory, one.fixed_version) for id_, one in found.items()} == {
        "CVE-2024-0001": ("DEBIAN-CVE-2024-0001", "1.4"),
        "CVE-2024-0003": ("DSA-1-1", "1.5"),
    }
    unnamed = record("DSA-2-1", *up_to("1.5"), package=package, upstream=[])
    assert matched(component("Debian:12", "nginx"), unnamed).keys() == {"DSA-2-1"}


def test_several_entries_of_a_record_have_one_fix_that_none_of_them_affects() -> None:
    said = record("PYSEC-1", {"introduced": "0"}, {"fixed": "1.5"})
    said["affected"] += record("PYSEC-1", {"introduced": "1.4"}, {"fixed": "1.9"})["affected"]
    assert matched(component(version="1.0"), said)["PYSEC-1"].fixed_version == "1.9"


def test_a_score_source_fills_in_what_the_record_does_not_say_and_is_named() -> None:
    said = record("DEBIAN-CVE-2024-0001", package="Debian:12/nginx")
    about = component("Debian:12", "nginx")
    assert matched(about, said)["CVE-2024-0001"].severity is Severity.UNKNOWN
    found = matched(about, said, scores={"CVE-2024-0001": [("CISA", MAJOR), ("NVD", OF_2)]})["CVE-2024-0001"]
    assert found.score is not None
    assert (found.severity, found.score.source, found.score.version) == (Severity.MAJOR, "CISA", "3.1")
    elsewhere = matched(about, said, scores={"CVE-2024-0009": [("CISA", MAJOR)]})["CVE-2024-0001"]
    assert (elsewhere.score, elsewhere.severity) == (None, Severity.UNKNOWN)


def test_without_a_readable_score_the_class_stays_unknown() -> None:
    """Ubuntu writes its priority where others write a vector."""
    said = record(
        "PYSEC-1", severity=[{"type": "Ubuntu", "score": "high"}, {"type": "CVSS_V3", "score": "CVSS:3.1/oops"}]
    )
    found = matched(component(), said)["PYSEC-1"]
    assert (found.score, found.severity) == (None, Severity.UNKNOWN)


def test_the_highest_of_equal_scores_counts_and_3_x_before_2() -> None:
    said = record("PYSEC-1", severity=vectors(MINOR, OF_2, MAJOR))
    found = matched(component(), said)["PYSEC-1"]
    assert found.score is not None
    assert (found.score.vector, found.severity) == (MAJOR, Severity.MAJOR)


def test_vulnerabilities_come_in_the_order_of_components_and_then_of_ids(tmp_path: Path) -> None:
    store = AdvisoryStore(tmp_path / "advisories.sqlite")
    assert store.match([component(), component(name="right")], CLASSES) == []
    export = tmp_path / "all.json"
    numbers = random.Random(1).sample(range(1000, 1020), 20)  # noqa: S311
    found = [
        record(f"PYSEC-{n}", aliases=[f"CVE-2024-{n}"], package=f"PyPI/{name}") for n in numbers for name in ("left",)
    ]
    export.write_text(json.dumps(found))
    store.import_from(export)
    about = [component(name="left", version="1.1"), component(name="right"), component(name="left", version="1.0")]
    said = [(one.version, one.id) for one in store.match(about, CLASSES)]
    assert said == [(version, f"CVE-2024-{n}") for version in ("1.1", "1.0") for n in range(1000, 1020)]


def test_a_package_with_thousands_of_advisories_is_matched_in_a_moment() -> None:
    """Every pair of them compared with each other would take minutes."""
    apart = [record(f"MAL-{number}") for number in range(3000)]
    chained = [record(f"SNYK-{number}", aliases=[f"SNYK-{number + 1}"]) for number in range(3000)]
    assert len(matched(component(), *apart)) == 3000
    assert len(matched(component(), *chained)) == 1


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> AdvisoryStore:
    store = AdvisoryStore(tmp_path_factory.mktemp("world") / "advisories.sqlite")
    for name in ("debian-11", "debian-12", "alpine-2020", "npm-2021", "go"):
        store.import_from(real(f"osv/{name}.osv.jsonl.gz"))
    return store


@pytest.mark.parametrize(
    ("about", "cve", "fixed"),
    [
        (component("Debian:11", "libssl1.1", "1.1.1k-1", source_name="openssl"), "CVE-2022-0778", "1.1.1k-1+deb11u2"),
        (component("Alpine:v3.11", "libssl1.1", "1.1.1d-r2", source_name="openssl"), "CVE-2019-1551", "1.1.1d-r3"),
        (component("Alpine:v3.11", "mariadb", "10.4.10-r0"), "CVE-2020-2574", "10.4.12-r0"),
        (component("npm", "lodash", "4.17.4"), "CVE-2018-16487", "4.17.11"),
        (component("npm", "express", "4.0.0"), "CVE-2014-6393", "4.5.0"),
        (component("Go", "stdlib", "v1.20.0"), "CVE-2023-24534", "1.20.3"),
        (component("Go", "stdlib", "go1.25.0"), "CVE-2025-58187", "1.25.3"),
        (component("Go", "golang.org/x/net", "v0.0.0-20200101000000-aaaaaaaaaaaa"), "CVE-2022-41717", "0.4.0"),
        (component("Go", "github.com/gin-gonic/gin", "v1.5.0"), "CVE-2020-36567", "1.6.0"),
    ],
    ids=lambda value: value.purl if isinstance(value, Component) else "",
)
def test_real_old_packages_have_the_vulnerabilities_that_the_world_knows(
    world: AdvisoryStore, about: Component, cve: str, fixed: str
) -> None:
    found = {one.id: one.fixed_version for one in world.match([about], CLASSES)}
    assert found[cve] == fixed
    # the same, with what mends it
    mended = about.model_copy(update={"version": fixed})
    assert cve not in {one.id for one in world.match([mended], CLASSES)}


@pytest.mark.parametrize(
    "about",
    [
        component("Debian:11", "libssl1.1", "1.1.1w-0+deb11u9", source_name="openssl"),
        component("Alpine:v3.11", "libssl1.1", "1.1.1g-r0", source_name="openssl"),
        component("Alpine:v3.11", "mariadb", "10.4.13-r0"),
        component("npm", "lodash", "4.17.21"),
    ],
    ids=lambda about: about.purl,
)
def test_real_mended_packages_have_none(world: AdvisoryStore, about: Component) -> None:
    assert world.match([about], CLASSES) == []
