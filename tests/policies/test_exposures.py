"""How a product stands to a vulnerability, and what a new look changes in that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.exposures import Known
from models.findings import Severity
from models.scans import Vulnerability
from models.watching import ChangeKind
from policies.exposures import (
    Hit,
    Standing,
    changes_to_tell,
    compared,
    component_of,
    exposure_key,
    standing_of,
)
from policies.vulnerabilities import key_for

SEVERITIES = list(Severity)
standings = st.builds(
    Standing,
    severity=st.sampled_from(SEVERITIES),
    fixed_version=st.sampled_from(["", "2.0"]),
    inherited=st.booleans(),
    exploited=st.booleans(),
)


def hit(severity: Severity = Severity.MAJOR, fixed: str = "", version: str = "1.0", *, inherited: bool = False) -> Hit:
    return Hit(version, Known("CVE-2026-0001", severity, fixed), inherited)


@pytest.mark.parametrize(
    "purl",
    [
        "pkg:deb/debian/libssl3@3.0.9-1?arch=amd64&distro=debian-12",
        "pkg:npm/%40babel/core@7.0.0",
        "pkg:golang/github.com/foo/bar@v1.2.3",
        "pkg:generic/openssl@1.1.1n",
    ],
)
def test_an_exposure_has_the_key_of_its_finding(purl: str) -> None:
    """What was waived in a submission stays waived after publication."""
    finding = key_for(Vulnerability(id="CVE-2026-0001", advisory="a", purl=purl, component="c", version="1"))
    assert exposure_key("CVE-2026-0001", purl.partition("?")[0].rpartition("@")[0]) == finding


def test_the_worst_of_all_images_counts() -> None:
    found = standing_of(
        [
            hit(Severity.MINOR, "2.0", "1.0", inherited=True),
            hit(Severity.CRITICAL, "", "0.9"),
            hit(Severity.UNKNOWN, "3.0", "1.0"),
        ]
    )
    assert found == Standing(Severity.CRITICAL, "2.0, 3.0", inherited=False, versions="0.9, 1.0")


def test_only_what_every_image_has_from_its_base_is_inherited() -> None:
    assert standing_of([hit(inherited=True), hit(inherited=True)]).inherited
    assert not standing_of([hit(inherited=True), hit()]).inherited


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        (None, Standing(Severity.MINOR), ChangeKind.NEW),
        (Standing(Severity.MINOR), None, ChangeKind.RETRACTED),
        (None, None, None),
        (Standing(Severity.MAJOR), Standing(Severity.CRITICAL), ChangeKind.ESCALATED),
        (Standing(Severity.UNKNOWN), Standing(Severity.MAJOR), ChangeKind.ESCALATED),
        (Standing(Severity.UNKNOWN), Standing(Severity.MINOR), ChangeKind.RETRACTED),
        (Standing(Severity.MAJOR), Standing(Severity.MAJOR, "2.0"), ChangeKind.ESCALATED),
        (Standing(Severity.MAJOR, "2.0"), Standing(Severity.MAJOR), ChangeKind.RETRACTED),
        (Standing(Severity.MAJOR, inherited=True), Standing(Severity.MAJOR), ChangeKind.ESCALATED),
        (Standing(Severity.MAJOR), Standing(Severity.MAJOR, exploited=True), ChangeKind.ESCALATED),
        (Standing(Severity.MAJOR, "2.0"), Standing(Severity.MAJOR, "2.1"), None),
        (Standing(Severity.MAJOR, versions="1"), Standing(Severity.MAJOR, versions="2"), None),
    ],
)
def test_new_escalated_and_retracted(before: Standing | None, now: Standing | None, kind: ChangeKind | None) -> None:
    assert compared(before, now) is kind


@given(standings, standings)
def test_there_is_no_way_up_and_no_way_down_without_a_word(before: Standing, now: Standing) -> None:
    kind, back = compared(before, now), compared(now, before)
    assert (kind is None) is (back is None)
    if kind is ChangeKind.RETRACTED:
        assert back is ChangeKind.ESCALATED


def told(kind: ChangeKind, was: Severity | None, now: Severity, *, stands: bool) -> list[tuple[ChangeKind, Severity]]:
    changes = changes_to_tell(kind, "key", was, Standing(now), stands=stands)
    return [(change.kind, change.exposure.severity) for change in changes]


def test_a_process_is_told_of_what_has_a_clock_and_of_nothing_else() -> None:
    new, retracted, escalated = ChangeKind.NEW, ChangeKind.RETRACTED, ChangeKind.ESCALATED
    critical, major, minor, unknown = SEVERITIES
    assert told(new, None, critical, stands=True) == [(new, critical)]
    assert told(new, None, unknown, stands=True) == []
    assert told(escalated, unknown, major, stands=True) == [(escalated, major)]
    assert told(escalated, minor, unknown, stands=True) == []
    # lighter, but still with a clock
    assert told(retracted, critical, major, stands=True) == [(new, major)]
    # lighter, and without one
    assert told(retracted, major, minor, stands=True) == [(retracted, major)]
    assert told(retracted, major, major, stands=False) == [(retracted, major)]
    assert told(retracted, minor, minor, stands=False) == []
    # it was new in this batch, and a later one has mended it before it was told
    assert told(new, None, critical, stands=False) == [(retracted, critical)]


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("pkg:deb/debian/libssl3", "libssl3"),
        ("pkg:npm/%40babel/core", "@babel/core"),
        ("pkg:golang/github.com/foo/bar", "github.com/foo/bar"),
        ("pkg:pypi/django", "django"),
        ("libcrypto.so.3", "libcrypto.so.3"),
    ],
)
def test_packages_by_the_names_that_people_call_them(package: str, name: str) -> None:
    assert component_of(package) == name
