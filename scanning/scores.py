"""CVSS vectors into scores, and scores into the policy's classes."""

from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache

from cvss import CVSS2, CVSS3, CVSS4, CVSSError

from models.findings import Severity
from models.policy import SeverityClasses
from models.scans import Score

#: which score is taken where there are several: the classes are cut for the scale of 3.x; 2 is the last resort
_PREFERENCE = {"3.1": 0, "3.0": 1, "4.0": 2, "2": 3}
#: metrics of the base score of CVSS 4.0
_BASE = frozenset({"AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"})


@lru_cache(maxsize=20_000)
def score_of(vector: str, source: str) -> Score | None:
    """The base score of a vector; None for one that cannot be read."""
    try:
        if vector.startswith("CVSS:4"):
            return Score(score=float(_base_of(vector)), vector=vector, source=source, version="4.0")
        if vector.startswith("CVSS:3"):
            version = vector.split("/", 1)[0].removeprefix("CVSS:")
            return Score(score=float(CVSS3(vector).base_score), vector=vector, source=source, version=version)
        return Score(score=float(CVSS2(vector).base_score), vector=vector, source=source, version="2")
    except (CVSSError, ValueError, KeyError, IndexError, ArithmeticError):
        return None


def _base_of(vector: str) -> Decimal:
    """In 4.0 how mature the exploits are moves the one score that there is: left out, as in 3.x."""
    CVSS4(vector)
    prefix, *metrics = vector.split("/")
    score: Decimal = CVSS4(
        "/".join([prefix, *(metric for metric in metrics if metric.split(":")[0] in _BASE)])
    ).base_score
    return score


def best(scores: Iterable[Score | None]) -> Score | None:
    """The newest 3.x score; of equals the highest, as several sources seldom agree."""
    known = [score for score in scores if score is not None]
    return min(known, key=lambda score: (_PREFERENCE.get(score.version, 9), -score.score), default=None)


def severity_of(score: Score | None, classes: SeverityClasses) -> Severity:
    """The policy's class. No score is a state of its own; a score of zero is minor."""
    if score is None:
        return Severity.UNKNOWN
    value = Decimal(str(score.score))
    if value >= classes.critical:
        return Severity.CRITICAL
    if value >= classes.major:
        return Severity.MAJOR
    return Severity.MINOR
