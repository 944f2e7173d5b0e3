"""The security team's classes over a report that was made under others."""

from collections.abc import Callable, Mapping

from models.findings import Severity
from models.scans import Classing, ImageReport, Score


def with_classes(
    report: ImageReport, classings: Mapping[str, Classing], by_score: Callable[[Score | None], Severity]
) -> ImageReport:
    """The report as it would be if it was made now: classes by vulnerability go before those of the scores.

    A class that was taken back leaves the one of the score, which `by_score` gives.
    """
    vulnerabilities = tuple(
        found
        if found.classing == (classing := classings.get(found.id))
        else found.model_copy(
            update={"classing": classing, "severity": classing.severity if classing else by_score(found.score)}
        )
        for found in report.vulnerabilities
    )
    return report.model_copy(update={"vulnerabilities": vulnerabilities})
