"""From vulnerabilities to findings: the gate, one finding a matter, and words that tell what to do."""

import itertools
from datetime import UTC, date, datetime
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from models.base import digest_of
from models.findings import Level, Severity
from models.policy import Gate
from models.scans import BaseOrigin, Classing, KnownExploited, Rebuild, Score, Vulnerability
from policies.rules import LONGEST_EVIDENCE, LONGEST_KEY, LONGEST_LINE
from policies.vulnerabilities import RULE, Sighting, blocks, key_for, to_findings

LAYER = digest_of(b"layer")


def vulnerability(**fields: Any) -> Vulnerability:
    said: dict[str, Any] = {
        "id": "CVE-2024-1",
        "advisory": "GHSA-xxxx",
        "purl": "pkg:pypi/django@3.2.0",
        "component": "django",
        "version": "3.2.0",
        "layer": LAYER,
        "score": Score(score=9.8, vector="CVSS:3.1/AV:N", source="nvd", version="3.1"),
        "severity": Severity.CRITICAL,
        "fixed_version": "3.2.13",
        "summary": "SQL injection.",
        "url": "https://nvd.nist.gov/vuln/detail/CVE-2024-1",
    }
    return Vulnerability.model_validate(said | fields)


def seen(place: str = "Standard linux/amd64", **fields: Any) -> Sighting:
    return Sighting(vulnerability(**fields), place, digest_of(place.encode()))


# --- the gate -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("severity", "fixed", "gate", "holds"),
    [
        (Severity.CRITICAL, "1.1", Gate(), True),
        (Severity.CRITICAL, "", Gate(), False),
        (Severity.CRITICAL, "", Gate(critical_without_fix=True), True),
        (Severity.CRITICAL, "1.1", Gate(critical_with_fix=False), False),
        (Severity.MAJOR, "1.1", Gate(), False),
        (Severity.MAJOR, "1.1", Gate(major_with_fix=True), True),
        (Severity.MAJOR, "", Gate(major_with_fix=True), False),
        (Severity.MINOR, "1.1", Gate(major_with_fix=True), False),
        # an unclassed finding is treated as major until the security team has classed it
        (Severity.UNKNOWN, "1.1", Gate(), False),
        (Severity.UNKNOWN, "1.1", Gate(major_with_fix=True), True),
        (Severity.UNKNOWN, "1.1", Gate(major_with_fix=True, unknown_as_major=False), False),
        (Severity.UNKNOWN, "", Gate(major_with_fix=True), False),
    ],
)
def test_the_gate_is_the_policys(severity: Severity, fixed: str, gate: Gate, holds: bool) -> None:
    assert blocks(severity, fixed, gate) is holds
    (finding,) = to_findings([seen(severity=severity, fixed_version=fixed)], gate)
    assert (finding.level is Level.REQUIREMENT) is holds


def test_one_image_that_has_a_fix_holds_it_up_for_all() -> None:
    (finding,) = to_findings([seen(fixed_version=""), seen("Pro linux/amd64")], Gate())
    assert finding.level is Level.REQUIREMENT


# --- one finding a matter -------------------------------------------------------------------------------------------


def test_a_finding_says_what_where_why_and_what_to_do() -> None:
    (finding,) = to_findings([seen()], Gate())
    assert finding.key == f"{RULE}:CVE-2024-1:pkg:pypi/django"
    assert finding.title == "CVE-2024-1 in django 3.2.0"
    assert finding.why == "Critical (CVSS 3.1 score 9.8). SQL injection."
    assert finding.remedy == "Update django to 3.2.13 or later and rebuild."
    assert finding.evidence == (
        "https://nvd.nist.gov/vuln/detail/CVE-2024-1 · advisory GHSA-xxxx · pkg:pypi/django@3.2.0 · CVSS:3.1/AV:N"
    )
    assert finding.where == f"Standard linux/amd64 · layer {LAYER[7:19]}"
    assert (finding.severity, finding.fixed_version) == (Severity.CRITICAL, "3.2.13")


def test_without_a_score_or_a_fix_it_says_so() -> None:
    (finding,) = to_findings([seen(score=None, severity=Severity.UNKNOWN, fixed_version="", summary="")], Gate())
    assert finding.why == "Unknown (not scored yet)."
    assert finding.remedy.startswith("No fixed version is known: replace the component, or ask for a waiver")


def test_a_class_of_the_security_team_and_an_exploit_are_said_with_the_score() -> None:
    classing = Classing(severity=Severity.CRITICAL, reason="It is wormable.", at=datetime(2026, 3, 2, tzinfo=UTC))
    exploited = KnownExploited(added=date(2021, 12, 10), ransomware=True)
    (finding,) = to_findings([seen(score=None, classing=classing, exploited=exploited)], Gate())
    assert finding.why == (
        "Critical (classed by the security team: It is wormable; not scored yet). It is known to be exploited, since "
        "2021-12-10 at the latest. Ransomware uses it. SQL injection."
    )
    assert finding.exploited
    (plain,) = to_findings([seen()], Gate())
    assert not plain.exploited


BASE = BaseOrigin(
    reference="registry.example/debian:12",
    digest=digest_of(b"old"),
    layers=1,
    rebuild=Rebuild(reference="registry.example/debian:12", digest=digest_of(b"new"), mended=9, inherited=12),
)


def inherited(place: str = "Standard linux/amd64", base: BaseOrigin = BASE, **fields: Any) -> Sighting:
    return Sighting(vulnerability(**{"inherited": True, **fields}), place, digest_of(place.encode()), base)


def test_what_comes_with_the_base_is_mended_by_a_rebuild_on_a_newer_one() -> None:
    (finding,) = to_findings([inherited(mended_by_rebuild=True)], Gate())
    assert finding.inherited
    assert finding.remedy == (
        f"It comes with the base image registry.example/debian:12: rebuild on its present image "
        f"({digest_of(b'new')[:19]}), which mends 9 of 12 inherited vulnerabilities, this one among them."
    )
    other = BASE.model_copy(
        update={"rebuild": Rebuild(reference="debian:13", digest="sha256:1", mended=1, inherited=1)}
    )
    (finding,) = to_findings([inherited(base=other, mended_by_rebuild=True)], Gate())
    assert "rebuild on debian:13 (sha256:1)" in finding.remedy


@pytest.mark.parametrize("base", [BASE, BASE.model_copy(update={"rebuild": None})])
def test_where_no_rebuild_is_rid_of_it_the_component_is_updated(base: BaseOrigin) -> None:
    (finding,) = to_findings([inherited(base=base)], Gate())
    assert finding.remedy == (
        "It comes with the base image registry.example/debian:12. Update django to 3.2.13 or later and rebuild."
    )


def test_what_one_image_has_of_its_own_is_the_publishers() -> None:
    (finding,) = to_findings([inherited(mended_by_rebuild=True), seen("Pro linux/amd64")], Gate())
    assert not finding.inherited
    assert finding.remedy == "Update django to 3.2.13 or later and rebuild."


def test_a_vulnerability_of_a_component_is_one_finding_however_many_images_ship_it() -> None:
    sightings = [seen(f"Tier {number} linux/amd64") for number in range(20)]
    (finding,) = to_findings(sightings, Gate())
    assert finding.where.endswith("and 8 more")
    assert finding.where.count("Tier") == 12


def test_another_version_is_the_same_matter_with_a_remedy_of_its_own() -> None:
    (finding,) = to_findings(
        [
            seen(),
            seen("Pro linux/amd64", version="4.0.1", purl="pkg:pypi/django@4.0.1", fixed_version="4.0.4"),
            seen("Max linux/amd64", version="1.11", purl="pkg:pypi/django@1.11", fixed_version=""),
        ],
        Gate(),
    )
    assert finding.title == "CVE-2024-1 in django 1.11, 4.0.1, 3.2.0"
    assert finding.remedy == (
        "Update django 4.0.1 to 4.0.4, 3.2.0 to 3.2.13, or later and rebuild. For 1.11 no fix is known."
    )
    assert finding.fixed_version == "4.0.4, 3.2.13"


def test_twelve_places_are_all_named_and_one_without_a_layer_is_named_too() -> None:
    (finding,) = to_findings([seen(f"Tier {number:02} linux/amd64", layer="") for number in range(12)], Gate())
    assert finding.where.split("; ") == [f"Tier {number:02} linux/amd64" for number in range(12)]


def test_another_component_is_another_matter() -> None:
    findings = to_findings([seen(), seen(purl="pkg:deb/debian/python-django@3.2.0?arch=all")], Gate())
    assert {finding.key for finding in findings} == {
        f"{RULE}:CVE-2024-1:pkg:pypi/django",
        f"{RULE}:CVE-2024-1:pkg:deb/debian/python-django",
    }


@pytest.mark.parametrize(
    ("purl", "key"),
    [
        ("pkg:deb/debian/zlib1g@1:1.2?arch=amd64", f"{RULE}:CVE-2024-1:pkg:deb/debian/zlib1g"),
        ("pkg:npm/%40angular/core@1.0", f"{RULE}:CVE-2024-1:pkg:npm/%40angular/core"),
        ("pkg:generic/busybox", f"{RULE}:CVE-2024-1:pkg:generic/busybox"),
        ("", f"{RULE}:CVE-2024-1:django"),
    ],
)
def test_the_key_has_no_version(purl: str, key: str) -> None:
    assert key_for(vulnerability(purl=purl)) == key


def test_the_weightiest_comes_first_and_tells_its_own_score() -> None:
    findings = to_findings(
        [
            seen(id="CVE-4", severity=Severity.MINOR),
            seen(id="CVE-3", severity=Severity.UNKNOWN),
            seen(id="CVE-2", severity=Severity.MAJOR),
            seen(id="CVE-1", severity=Severity.CRITICAL),
            seen(id="CVE-0", severity=Severity.CRITICAL),
        ],
        Gate(),
    )
    assert [finding.title[:5] for finding in findings] == ["CVE-0", "CVE-1", "CVE-2", "CVE-3", "CVE-4"]
    low = Score(score=3.1, vector="v", source="s", version="3.1")
    (mixed,) = to_findings([seen(severity=Severity.MINOR, score=low), seen("Pro linux/amd64")], Gate())
    assert mixed.why.startswith("Critical (CVSS 3.1 score 9.8)")


def test_the_order_in_which_images_were_scanned_does_not_matter() -> None:
    sightings = [
        seen(),
        seen("Pro linux/amd64", version="4.0.1", purl="pkg:pypi/django@4.0.1", fixed_version="4.0.4"),
        seen(severity=Severity.MAJOR, layer=digest_of(b"other")),
        seen(id="CVE-2024-2", summary="Another."),
    ]
    expected = to_findings(sightings, Gate())
    for order in itertools.permutations(sightings):
        assert to_findings(order, Gate()) == expected


def test_hostile_names_stay_bounded() -> None:
    million = "x" * 1_000_000
    (finding,) = to_findings(
        [seen(component=million, purl=f"pkg:npm/{million}@1", version=million, summary=million, fixed_version=million)],
        Gate(),
    )
    assert len(finding.key) <= LONGEST_KEY
    assert max(len(finding.title), len(finding.fixed_version)) <= LONGEST_LINE
    assert max(len(finding.why), len(finding.remedy), len(finding.evidence)) <= LONGEST_EVIDENCE
    many = [seen(version=f"1.{number}", purl=f"pkg:pypi/django@1.{number}") for number in range(1_000)]
    (finding,) = to_findings(many, Gate())
    assert "and 992 more" in finding.title
    (odd,) = to_findings([seen(component="a\ud800", purl="pkg:npm/a\ud800@1")], Gate())
    assert odd.model_dump_json()


@given(
    st.lists(
        st.builds(
            seen,
            st.sampled_from(["Standard linux/amd64", "Standard linux/arm64", "Pro linux/amd64"]),
            id=st.sampled_from(["CVE-1", "CVE-2"]),
            version=st.sampled_from(["1.0", "2.0"]),
            severity=st.sampled_from(Severity),
            fixed_version=st.sampled_from(["", "1.1", "2.1"]),
        ),
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_whatever_was_seen_the_findings_are_the_same_in_any_order(sightings: list[Sighting], random: Any) -> None:
    findings = to_findings(sightings, Gate())
    shuffled = list(sightings)
    random.shuffle(shuffled)
    assert to_findings(shuffled, Gate()) == findings
    assert {finding.key for finding in findings} == {key_for(sighting.vulnerability) for sighting in sightings}
    holding = {
        key_for(s.vulnerability)
        for s in sightings
        if blocks(s.vulnerability.severity, s.vulnerability.fixed_version, Gate())
    }
    assert {finding.key for finding in findings if finding.level is Level.REQUIREMENT} == holding
