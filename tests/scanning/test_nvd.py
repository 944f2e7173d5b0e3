"""CVEs of NVD: which versions of a product they are about, what AND means, and what of them is not in force."""

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from models.findings import Severity
from models.policy import SeverityClasses
from models.scans import Component, Vulnerability
from scanning.advisories import AdvisoryStore
from scanning.advisory_imports import Imported
from scanning.advisory_sources import SourceKind
from scanning.nvd import Criterion, first_fix, is_about, parse_cve
from scanning.osv import InvalidAdvisory
from tests.scanning.real_data import real
from tests.scanning.test_advisories import in_ecosystem

CVE = "CVE-2024-0001"
V31, V2 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "AV:N/AC:L/Au:N/C:P/I:P/A:P"
numbers = count()


def match(name: str, version: str = "*", vulnerable: bool = True, **bounds: str) -> dict[str, Any]:
    """`name` is part:vendor:product."""
    return {"vulnerable": vulnerable, "criteria": f"cpe:2.3:{name}:{version}:*:*:*:*:*:*:*", **bounds}


def node(*matches: dict[str, Any], negate: bool = False) -> dict[str, Any]:
    return {"operator": "OR", "negate": negate, "cpeMatch": list(matches)}


def cve(*nodes: dict[str, Any], operator: str = "OR", **fields: Any) -> dict[str, Any]:
    """One configuration of the nodes."""
    configuration = {"operator": operator, "nodes": list(nodes)}
    return {"cve": {"id": CVE, "configurations": [configuration] if nodes else [], **fields}}


NGINX = node(match("a:f5:nginx", versionStartIncluding="1.5.13", versionEndExcluding="1.26.2"))
WINDOWS = node(match("o:microsoft:windows", "-", vulnerable=False))
DEBIAN = node(match("o:debian:debian_linux", "12.0", vulnerable=False))


@pytest.fixture
def store(tmp_path: Path) -> AdvisoryStore:
    return AdvisoryStore(tmp_path / "advisories.sqlite")


def bring(store: AdvisoryStore, *records: dict[str, Any]) -> Imported:
    path = store.path.parent / f"nvd-{next(numbers)}.json"
    path.write_text(json.dumps({"format": "NVD_CVE", "version": "2.0", "vulnerabilities": list(records)}))
    return store.import_from(path, kind=SourceKind.NVD)


def found_in(store: AdvisoryStore, product: str, version: str, **changes: str) -> list[Vulnerability]:
    cpe = f"cpe:2.3:a:{product}:{version}:*:*:*:*:*:*:*"
    fields = {
        "purl": f"pkg:generic/x@{version}",
        "ecosystem": "",
        "name": "x",
        "version": version,
        "cpe": cpe,
        **changes,
    }
    return store.match([Component(**fields)], SeverityClasses())


def test_a_binary_has_the_cves_of_its_product_and_version(store: AdvisoryStore) -> None:
    metrics = {"cvssMetricV31": [{"source": "nvd@nist.gov", "cvssData": {"vectorString": V31}}]}
    words = [{"lang": "es", "value": "No."}, {"lang": "en", "value": "nginx can be\nmade to wait."}]
    assert bring(store, cve(NGINX, metrics=metrics, descriptions=words)) == Imported(1, 0, 1, 0)
    [found] = found_in(store, "nginx:nginx", "1.22.1")
    assert (found.id, found.advisory, found.fixed_version) == (CVE, CVE, "1.26.2")
    assert (found.purl, found.version, found.severity) == ("pkg:generic/x@1.22.1", "1.22.1", Severity.CRITICAL)
    assert found.score is not None
    assert (found.score.score, found.score.source, found.score.vector) == (9.8, "NVD", V31)
    assert (found.summary, found.url) == ("nginx can be made to wait.", f"https://nvd.nist.gov/vuln/detail/{CVE}")
    for version in ("1.5.12", "1.26.2", "1.27.0"):
        assert found_in(store, "f5:nginx", version) == []
    assert found_in(store, "openssl:openssl", "1.22.1") == []


def test_a_package_is_known_by_its_ecosystem_and_what_has_no_version_by_nothing(store: AdvisoryStore) -> None:
    bring(store, cve(NGINX))
    assert found_in(store, "f5:nginx", "1.22.1", ecosystem="Debian:12") == []
    assert found_in(store, "f5:nginx", "1.22.1", cpe="cpe:/a:f5:nginx:1.22.1") == []
    assert found_in(store, "f5:nginx", "", cpe="cpe:2.3:a:f5:nginx") == []
    # where the name has no version, that of the component counts
    assert len(found_in(store, "f5:nginx", "1.22.1", cpe="cpe:2.3:a:f5:nginx")) == 1


@pytest.mark.parametrize(
    ("criterion", "affected", "not_affected"),
    [
        (Criterion("*"), "1.0 0.1 nonsense", ""),
        (Criterion("*", end="9.8"), "9.7p1 1.0", "9.8 9.8p1 10.0 nonsense"),
        (Criterion("*", start="8.5p1", end="9.8"), "8.5p1 9.2-p1 9.7", "8.5 8.4p1 9.8p1"),
        (Criterion("*", start="2.4", start_is_in=False, end="2.6", end_is_in=True), "2.4.1 2.5 2.6", "2.4 2.6.1"),
        (Criterion("*", start="2.30"), "2.30 2.41", "2.29"),
        (Criterion("1.1.1n"), "1.1.1n", "1.1.1 1.1.1m 1.1.1o"),
        (Criterion("9.2-p1"), "9.2p1", "9.2 9.2p2"),
        (Criterion("2.0"), "2 2.0.0", "2.0.1 2.0-rc1"),
        (Criterion("beta"), "beta", "1.0"),
        # a bound that cannot be read is open
        (Criterion("*", start="trunk", end="3.0"), "1.0 2.9", "3.0"),
        (Criterion("*", start="2.0", end="unknown"), "2.0 99", "1.9"),
    ],
)
def test_a_criterion_is_about_versions(criterion: Criterion, affected: str, not_affected: str) -> None:
    for version in affected.split():
        assert is_about("a:b", version, criterion), version
    for version in not_affected.split():
        assert not is_about("a:b", version, criterion), version


def test_the_first_fix_is_the_next_end_that_is_not_affected_itself() -> None:
    branches = [Criterion("*", start="3.0.0", end="3.0.7"), Criterion("*", start="1.1.1", end="1.1.1s")]
    assert first_fix("openssl:openssl", "1.1.1n", branches) == "1.1.1s"
    assert first_fix("openssl:openssl", "3.0.2", branches) == "3.0.7"
    joined = [Criterion("*", end="2.0"), Criterion("*", start="2.0", end="2.5")]
    assert first_fix("a:b", "1.0", joined) == "2.5"
    # what is known up to a version says nothing of the one behind it
    assert first_fix("a:b", "1.0", [Criterion("*", end="2.0", end_is_in=True)]) == ""
    assert first_fix("a:b", "1.0", [Criterion("1.0")]) == ""


def test_what_holds_only_on_a_system_that_is_not_linux_is_left_out(store: AdvisoryStore) -> None:
    bring(store, cve(NGINX, WINDOWS, operator="AND"))
    assert (found_in(store, "f5:nginx", "1.22.1"), store.count()) == ([], 0)
    edition = match("a:f5:nginx") | {"criteria": "cpe:2.3:a:f5:nginx:*:*:*:*:*:windows:*:*"}
    bring(store, cve(node(edition), lastModified="2024-01-01T00:00:00.000"))
    assert found_in(store, "f5:nginx", "1.22.1") == []


def test_what_else_has_to_be_there_is_said_and_not_looked_for(store: AdvisoryStore) -> None:
    module = node(match("a:example:module", vulnerable=False))
    either = node(match("o:microsoft:windows", "-", vulnerable=False), match("o:linux:linux_kernel", vulnerable=False))
    for others, said in (
        ((DEBIAN,), "(only together with debian:debian_linux)"),
        ((module, DEBIAN), "(only together with debian:debian_linux, example:module)"),
        ((either,), "(only together with linux:linux_kernel, microsoft:windows)"),
    ):
        bring(store, cve(NGINX, *others, operator="AND"))
        [found] = found_in(store, "f5:nginx", "1.22.1")
        assert found.summary == said


def test_an_and_of_vulnerable_products_counts_for_each_of_them(store: AdvisoryStore) -> None:
    """In the data of today the nodes of such a configuration are one product under several names."""
    nodes = [node(match(f"a:{name}", versionEndExcluding="1.6.0_26")) for name in ("oracle:openjdk", "oracle:jre")]
    bring(store, cve(*nodes, operator="AND"))
    for product in ("oracle:openjdk", "sun:openjdk", "oracle:jre"):
        assert len(found_in(store, product, "1.6.0_20")) == 1
        assert found_in(store, product, "8u292") == []


def test_a_node_that_says_where_it_does_not_hold_makes_nothing_vulnerable() -> None:
    assert parse_cve(cve(node(match("a:f5:nginx"), negate=True))).products == {}


def test_of_systems_and_devices_nothing_is_kept() -> None:
    kept = parse_cve(cve(node(match("o:debian:debian_linux"), match("h:intel:cpu"), match("a:f5:nginx", "-"))))
    assert kept.products == {}


def test_a_rejected_cve_is_not_in_force_and_neither_are_its_scores(store: AdvisoryStore) -> None:
    metrics = {"cvssMetricV31": [{"source": "nvd@nist.gov", "cvssData": {"vectorString": V31}}]}
    empty = store.snapshot()
    bring(store, cve(NGINX, metrics=metrics, lastModified="2024-01-01T00:00:00.123"))
    before = store.mark()
    assert bring(store, cve(NGINX, metrics=metrics, vulnStatus="Rejected", lastModified="2024-02-01T00:00:00.123")) == (
        Imported(added=0, changed=1, total=0, skipped=0)
    )
    assert (found_in(store, "f5:nginx", "1.22.1"), store.snapshot()) == ([], empty)
    assert store.changes_after(before).products == {("f5", "nginx")}
    # an older feed does not bring it back
    bring(store, cve(NGINX, metrics=metrics, lastModified="2024-01-01T00:00:00.123"))
    assert (store.count(), store.snapshot()) == (0, empty)


def test_scores_of_nvd_are_laid_over_packages_too_and_name_who_gave_them(store: AdvisoryStore, tmp_path: Path) -> None:
    path = tmp_path / "osv.json"
    path.write_text(json.dumps(in_ecosystem(CVE, "Debian:12", fixed="3.0")))
    store.import_from(path)
    before = store.mark()
    metrics = {
        "cvssMetricV31": [{"source": "134c704f-9b21-4f2e-91b3-4a467353bcc0", "cvssData": {"vectorString": V31}}],
        "cvssMetricV2": [{"source": "nvd@nist.gov", "cvssData": {"vectorString": V2}}],
        "cvssMetricV40": [{"source": "other", "cvssData": {"vectorString": "CVSS:4.0/nonsense"}}],
    }
    bring(store, cve(metrics=metrics))
    component = Component(purl="pkg:deb/nginx@1", ecosystem="Debian:12", name="nginx", version="1")
    [found] = store.match([component], SeverityClasses())
    assert found.score is not None
    assert (found.score.score, found.score.source) == (9.8, "CISA-ADP (NVD)")
    assert store.changes_after(before).names == {("Debian:12", "nginx")}
    bring(store, cve(metrics={}))
    [found] = store.match([component], SeverityClasses())
    assert found.score is None


def test_an_ecosystem_of_osv_cannot_pass_for_nvd(store: AdvisoryStore, tmp_path: Path) -> None:
    bring(store, cve(NGINX))
    record = in_ecosystem("EVIL-1", "CPE")
    record["affected"][0]["package"]["name"] = "f5:nginx"
    path = tmp_path / "osv.json"
    path.write_text(json.dumps(record))
    store.import_from(path)
    assert [found.id for found in found_in(store, "f5:nginx", "1.22.1")] == [CVE]


@pytest.mark.parametrize(
    "record",
    [
        *(None, 7, {}, {"cve": None}, {"cve": {}}, {"cve": {"id": "GHSA-1"}}, {"cve": {"id": 7}}),
        {"cve": {"id": "CVE-2024-0001\n"}},
        cve(node({"criteria": "nonsense", "vulnerable": True})),
        cve(node({"criteria": "cpe:2.3:a:b:c"})),
        cve(node(match("a:b:c", versionEndExcluding=7))),  # type: ignore[arg-type]
        cve({"operator": "OR"}),
        cve(lastModified="yesterday"),
        cve(metrics={"cvssMetricV31": [{}]}),
        cve(metrics=7),
        cve(descriptions=[{"lang": "en"}]),
    ],
    ids=str,
)
def test_what_is_no_cve_of_nvd_is_refused(record: Any) -> None:
    with pytest.raises(InvalidAdvisory, match="not a CVE of NVD's"):
        parse_cve(record)


@pytest.fixture(scope="module")
def real_store(tmp_path_factory: pytest.TempPathFactory) -> AdvisoryStore:
    store = AdvisoryStore(tmp_path_factory.mktemp("real") / "advisories.sqlite")
    imported = store.import_from(real("nvd-products.json.gz"), kind=SourceKind.NVD)
    assert (imported.skipped, imported.added > 1500) == (0, True)
    return store


@pytest.mark.parametrize(
    ("product", "version", "has", "has_not"),
    [
        ("openbsd:openssh", "9.2p1", {"CVE-2024-6387": "9.8", "CVE-2025-32728": "10.0"}, {"CVE-2025-26466"}),
        ("openbsd:openssh", "9.9p1", {"CVE-2025-26466": "9.9p2"}, {"CVE-2024-6387"}),
        ("openssl:openssl", "1.1.1n", {"CVE-2026-45447": "1.1.1zh"}, set()),
        ("openssl:openssl", "3.0.0", {"CVE-2026-45447": "3.0.21"}, set()),
        ("nginx:nginx", "1.22.1", {"CVE-2024-7347": "1.26.2", "CVE-2023-44487": "1.25.3"}, {"CVE-2024-24989"}),
        ("python:python", "3.9.1", {"CVE-2021-3177": "3.9.2"}, set()),
        ("python:python", "3.11.2", {}, {"CVE-2021-3177"}),
        ("oracle:openjdk", "1.8.0_292", {"CVE-2022-21349": "1.8.0_322"}, {"CVE-2007-3716"}),
        ("oracle:openjdk", "17.0.9", {}, {"CVE-2022-21349", "CVE-2007-3716"}),
        ("redis:redis", "7.0.11", {"CVE-2025-49844": "7.2.11"}, set()),
        ("git-scm:git", "2.39.2", {"CVE-2025-48384": "2.43.7"}, {"CVE-2018-11235"}),
        ("musl-libc:musl", "1.2.4", {"CVE-2025-26519": "1.2.6", "CVE-2026-40200": ""}, set()),
        ("gnu:glibc", "2.36", {"CVE-2024-2961": "2.40", "CVE-2025-15281": ""}, {"CVE-2025-5702"}),
    ],
)
def test_real_ranges_are_about_the_versions_that_the_world_knows(
    real_store: AdvisoryStore, product: str, version: str, has: dict[str, str], has_not: set[str]
) -> None:
    found = {one.id: one.fixed_version for one in found_in(real_store, product, version)}
    assert {id_: found.get(id_) for id_ in has} == has
    assert not has_not & found.keys()
