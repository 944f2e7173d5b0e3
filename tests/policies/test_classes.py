"""The security team's classes go before those of the scores, and leave them when they are taken back."""

from datetime import UTC, datetime

from models.findings import Severity
from models.scans import Classing, Score
from policies.classes import with_classes
from tests.policies.test_bases import image, layer

CLASSING = Classing(severity=Severity.CRITICAL, reason="It is wormable.", at=datetime(2026, 3, 2, tzinfo=UTC))


def by_score(score: Score | None) -> Severity:
    return Severity.MINOR if score is None else Severity.MAJOR


def test_a_class_is_put_in_force_and_taken_back() -> None:
    report = image("os", found={"openssl": "os"})
    classed = with_classes(report, {"CVE-2024-1": CLASSING}, by_score)
    (found,) = classed.vulnerabilities
    assert (found.severity, found.classing, found.layer) == (Severity.CRITICAL, CLASSING, layer("os"))
    assert with_classes(classed, {"CVE-2024-1": CLASSING}, by_score) == classed
    (found,) = with_classes(classed, {"CVE-2024-2": CLASSING}, by_score).vulnerabilities
    assert (found.severity, found.classing) == (Severity.MINOR, None)


def test_where_nothing_is_classed_the_report_stays_as_it_was_made() -> None:
    report = image("os", found={"openssl": "os"})
    assert with_classes(report, {"CVE-2024-2": CLASSING}, by_score) == report
