"""The advisory store over real exports of PyPI, two years apart, where they are beside the checkout."""

import gzip
import json

import pytest

from models.policy import SeverityClasses
from models.scans import Component
from scanning.advisories import AdvisoryStore
from scanning.advisory_imports import Imported
from tests.scanning.real_data import real


@pytest.fixture(scope="module")
def real_store(tmp_path_factory: pytest.TempPathFactory) -> tuple[AdvisoryStore, list[Imported]]:
    store = AdvisoryStore(tmp_path_factory.mktemp("real") / "advisories.sqlite")
    exports = ("pypi-2024", "pypi", "pypi", "pypi-2024")
    return store, [store.import_from(real(f"osv/{name}.osv.jsonl.gz")) for name in exports]


def test_a_real_export_of_2024_grows_into_that_of_2026(real_store: tuple[AdvisoryStore, list[Imported]]) -> None:
    """2,661 records of which 10 are withdrawn, then 7,080 with 269: what is new, what changed, and nothing lost."""
    old, new, again, older = real_store[1]
    assert (old.added, old.total, old.skipped) == (2651, 2651, 0)
    assert (new.total, new.skipped) == (6811, 0)
    assert new.added > 4000
    assert 500 < new.changed < 1500
    assert again == Imported(added=0, changed=0, total=6811, skipped=0)
    # back to the older export: no older record counts, one of the same time does
    times = [modified_in(name) for name in ("pypi-2024", "pypi")]
    assert older.added + older.changed <= sum(times[0][id_] == times[1].get(id_) for id_ in times[0])


def modified_in(export: str) -> dict[str, str]:
    with gzip.open(real(f"osv/{export}.osv.jsonl.gz")) as file:
        return {record["id"]: record["modified"] for record in map(json.loads, file)}


def test_real_old_packages_have_the_vulnerabilities_that_the_world_knows(
    real_store: tuple[AdvisoryStore, list[Imported]],
) -> None:
    store, _ = real_store
    for name, version, cves in (
        ("Django", "3.2", {"CVE-2021-35042", "CVE-2022-28346", "CVE-2022-34265", "CVE-2023-24580"}),
        ("requests", "2.19.0", {"CVE-2018-18074", "CVE-2023-32681"}),
        ("urllib3", "1.24", {"CVE-2019-11324", "CVE-2020-26137", "CVE-2023-43804"}),
        ("Jinja2", "2.10", {"CVE-2019-10906", "CVE-2020-28493"}),
        ("PyYAML", "5.3", {"CVE-2020-1747", "CVE-2020-14343"}),
        ("cryptography", "3.2", {"CVE-2020-36242"}),
        ("Flask", "0.12", {"CVE-2018-1000656", "CVE-2023-30861"}),
    ):
        found = fixed_by_cve(store, name, version)
        assert cves <= found.keys(), name
        assert all(found[cve] for cve in cves), name
    for name, version in (("Django", "5.2.19"), ("requests", "2.34.2"), ("urllib3", "2.8.0"), ("Jinja2", "3.1.6")):
        assert fixed_by_cve(store, name, version) == {}


def fixed_by_cve(store: AdvisoryStore, name: str, version: str) -> dict[str, str]:
    component = Component(purl=f"pkg:pypi/{name}@{version}", ecosystem="PyPI", name=name, version=version)
    return {found.id: found.fixed_version for found in store.match([component], SeverityClasses())}
