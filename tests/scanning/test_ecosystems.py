"""Records of the ecosystems that are not compared with another scanner, in their own shape: imported, stored, matched.

Facts of real advisories, shortened. docs/agreement.md lists these ecosystems.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from models.policy import SeverityClasses
from models.scans import Component
from scanning.advisories import AdvisoryStore
from scanning.version_keys import Standing, standing_of
from scanning.versions import compare

PAGE = Path(__file__).resolve().parents[2] / "docs" / "agreement.md"

#: id; ecosystem, package; ranges as `introduced fixed ...`; an affected version and its fix; versions that are not
CASES: list[tuple[str, str, str, str, dict[str, str], tuple[str, ...]]] = [
    (
        *("GHSA-jfh8-c2jp-5v3q", "Maven", "org.apache.logging.log4j:log4j-core"),
        "2.13.0 2.15.0, 2.4 2.12.2, 2.0-beta9 2.3.1",
        {"2.14.1": "2.15.0", "2.0-beta9": "2.3.1", "2.0-rc1": "2.3.1", "2.12.1": "2.12.2"},
        ("2.15.0", "2.12.2", "2.3.1", "2.0-beta8", "1.2.17"),
    ),
    (
        *("GHSA-5x79-w82f-gw8w", "RubyGems", "rails-html-sanitizer"),
        "0 1.4.4",
        {"1.4.3": "1.4.4", "1.4.4.rc1": "1.4.4"},
        ("1.4.4", "1.10.0"),
    ),
    (
        *("RUSTSEC-2021-0078", "crates.io", "hyper"),
        "0.0.0-0 0.14.10",
        {"0.14.9": "0.14.10", "0.13.10": "0.14.10", "0.14.10-rc.1": "0.14.10"},
        ("0.14.10", "1.0.0"),
    ),
    (
        *("GHSA-5crp-9r3c-p9vr", "NuGet", "Newtonsoft.Json"),
        "0 13.0.1",
        {"12.0.3": "13.0.1", "13.0.1-beta2": "13.0.1"},
        ("13.0.1", "13.0.1.0", "13.0.3"),
    ),
    (
        *("GHSA-wxmh-65f7-jcvw", "Packagist", "guzzlehttp/psr7"),
        "0 1.9.1, 2.0.0 2.4.5",
        {"1.9.0": "1.9.1", "v2.4.4": "2.4.5", "2.0.0": "2.4.5", "1.9.1-RC1": "1.9.1"},
        ("1.9.1", "2.4.5", "v2.4.5.0"),
    ),
    (
        *("GHSA-9fm9-hp7p-53mf", "Hex", "hackney"),
        "0 1.21.0",
        {"1.20.1": "1.21.0", "1.21.0-rc.1": "1.21.0"},
        ("1.21.0",),
    ),
    (*("GHSA-4rgh-jx4f-qfcq", "Pub", "http"), "0 0.13.3", {"0.13.2+1": "0.13.3"}, ("0.13.3", "0.13.3+1", "1.0.0")),
    (
        *("GHSA-pgfx-g6rc-8cjv", "SwiftURL", "github.com/apple/swift-nio-http2"),
        "1.0.0 1.19.2",
        {"1.19.1": "1.19.2", "1.0.0": "1.19.2"},
        ("1.19.2", "1.0.0-alpha.1"),
    ),
    (*("CVE-2022-37434", "ConanCenter", "zlib"), "0 1.2.13", {"1.2.12": "1.2.13"}, ("1.2.13", "1.3")),
    (
        *("GHSA-mrrh-fwg8-r2c3", "GitHub Actions", "tj-actions/changed-files"),
        "0 46.0.1",
        {"v45": "46.0.1"},
        ("v46.0.1",),
    ),
    (
        *("RLSA-2023:3722", "Rocky Linux:9", "openssl"),
        "0 1:3.0.7-16.el9_2",
        {"1:3.0.7-6.el9_2": "1:3.0.7-16.el9_2", "1:3.0.1-47.el9": "1:3.0.7-16.el9_2"},
        ("1:3.0.7-16.el9_2", "1:3.0.7-24.el9"),
    ),
    (
        *("ALSA-2023:3722", "AlmaLinux:9", "openssl"),
        "0 1:3.0.7-16.el9_2",
        {"1:3.0.7-2.el9": "1:3.0.7-16.el9_2"},
        ("1:3.0.7-16.el9_2",),
    ),
    (
        *("RHSA-2024:0627", "Red Hat", "gnutls"),
        "0 0:3.6.16-8.el8_9.1",
        {"3.6.16-8.el8_9": "0:3.6.16-8.el8_9.1", "3.6.16-7.el8": "0:3.6.16-8.el8_9.1"},
        ("3.6.16-8.el8_9.1", "3.6.16-8.el8_9.3"),
    ),
    (*("SUSE-SU-2024:0549-1", "SUSE", "openssl-1_1"), "0 1.1.1l-150500.17.25.1", {"1.1.1l-150500.17.19.1": ""}, ()),
    (
        *("PHSA-2024-5.0-0200", "Photon OS:5.0", "curl"),
        "0 8.6.0-1.ph5",
        {"8.1.2-9.ph5": "8.6.0-1.ph5"},
        ("8.6.0-2.ph5",),
    ),
    (*("AZL-34921", "Azure Linux:3", "vim"), "0 9.1.0050-1", {"9.0.2190-1": "9.1.0050-1"}, ("9.1.0791-1",)),
    (*("MGASA-2024-0050", "Mageia:9", "bind"), "0 9.18.15-2.2.mga9", {"9.18.15-2.1.mga9": ""}, ("9.18.15-2.2.mga9",)),
    (
        *("UBUNTU-CVE-2024-2961", "Ubuntu:22.04", "glibc"),
        "0 2.35-0ubuntu3.7",
        {"2.35-0ubuntu3.6": "2.35-0ubuntu3.7"},
        ("2.35-0ubuntu3.7", "2.35-0ubuntu3.10"),
    ),
    (*("CGA-2222-2222-2222", "Wolfi", "curl"), "0 8.9.0-r0", {"8.8.0-r2": "8.9.0-r0"}, ("8.9.0-r0", "8.9.1-r1")),
    (
        *("BIT-redis-2024-31449", "Bitnami", "redis"),
        "2.6.0 6.2.16, 7.0.0 7.2.6",
        {"7.2.5-3": "7.2.6"},
        ("7.2.6-0", "6.2.16"),
    ),
    (*("JLSEC-2025-1", "Julia", "OpenSSL_jll"), "0 3.0.15+0", {"3.0.14+1": "3.0.15+0"}, ("3.0.15+0", "3.0.15+2")),
    (*("RSEC-2023-6", "CRAN", "commonmark"), "0.2 1.8", {"1.7": "1.8", "0.4": "1.8"}, ("1.8", "1.10", "0.1")),
    (*("HSEC-2023-0015", "Hackage", "cabal-install"), "1.24 3.10.2.0", {"3.10.1.0": "3.10.2.0"}, ("3.10.2.0", "1.22")),
]


def record(id_: str, ecosystem: str, name: str, said: str) -> dict[str, Any]:
    ranges = []
    for part in said.split(", "):
        introduced, fixed = part.split()
        ranges.append({"type": "ECOSYSTEM", "events": [{"introduced": introduced}, {"fixed": fixed}]})
    affected = [{"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges}]
    return {"schema_version": "1.7.0", "id": id_, "modified": "2026-01-01T00:00:00Z", "affected": affected}


@pytest.mark.parametrize(("id_", "ecosystem", "name", "said", "affected", "others"), CASES)
def test_a_record_of_the_ecosystem_is_imported_and_matched(
    id_: str, ecosystem: str, name: str, said: str, affected: dict[str, str], others: tuple[str, ...], tmp_path: Path
) -> None:
    export = tmp_path / "export.jsonl"
    export.write_text(json.dumps(record(id_, ecosystem, name, said)))
    store = AdvisoryStore(tmp_path / "advisories.sqlite")
    assert store.import_from(export).skipped == 0

    def found(version: str) -> list[tuple[str, str]]:
        component = Component(purl=f"pkg:any/{name}@{version}", ecosystem=ecosystem, name=name, version=version)
        return [(one.advisory, one.fixed_version) for one in store.match([component], SeverityClasses())]

    for version, fix in affected.items():
        assert found(version) == [(id_, fix or said.split()[-1])], version
    for version in others:
        assert found(version) == [], version


def test_pub_and_julia_have_builds_that_count_and_bitnami_has_revisions() -> None:
    for ecosystem in ("Pub", "Julia"):
        assert compare(ecosystem, "1.0.0-dev.1", "1.0.0") == -1
        assert compare(ecosystem, "1.0.0", "1.0.0+1") == -1
        assert compare(ecosystem, "1.0.0+2", "1.0.0+10") == -1
        assert compare(ecosystem, "1.0.0+a", "1.0.0+1") == 1
    assert compare("Bitnami", "1.2.3", "1.2.3-0") == -1
    assert compare("Bitnami", "1.2.3-2", "1.2.3-10") == -1
    assert compare("Bitnami", "1.2.3-rc.1", "1.2.3") == -1


@pytest.mark.parametrize(
    ("ecosystem", "version", "standing"),
    [
        ("Debian:12", "1.0-1", Standing.COMPARED),
        ("Alpine:v3.20", "1.0-r0", Standing.COMPARED),
        ("PyPI", "1.0", Standing.COMPARED),
        ("npm", "1.0.0", Standing.COMPARED),
        ("Go", "v1.0.0", Standing.COMPARED),
        ("Go", "(devel)", Standing.UNREADABLE),
        ("PyPI", "trunk", Standing.UNREADABLE),
        ("Maven", "1.0", Standing.NOT_COMPARED),
        ("Ubuntu:22.04", "1.0", Standing.NOT_COMPARED),
        ("CRAN", "1.0", Standing.GUESSED),
        ("Somewhere", "1.0", Standing.GUESSED),
        ("Somewhere", "latest", Standing.UNREADABLE),
    ],
)
def test_what_an_answer_rests_on_is_told(ecosystem: str, version: str, standing: Standing) -> None:
    assert standing_of(ecosystem, version) is standing


def test_the_page_tells_the_standing_of_every_ecosystem_here() -> None:
    """Rows of `| ecosystem, ecosystem | standing | ...`."""
    said = {
        name.strip(): standing
        for names, standing in re.findall(
            r"^\| ([A-Za-z., ]+) \| (not compared|guessed) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE
        )
        for name in names.split(",")
    }
    for _, ecosystem, *_, affected, _ in CASES:
        base = ecosystem.partition(":")[0]
        assert said[base] == standing_of(ecosystem, next(iter(affected))), base
