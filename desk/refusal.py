"""Refusing at once: every reason, field by field."""

from collections.abc import Sequence

from models.errors import InvalidManifest, Problem
from models.findings import Finding


def problems_of(findings: Sequence[Finding], problems: Sequence[Problem] = ()) -> list[Problem]:
    """What has to be mended: the problems of the form, and the requirements that are not met in other fields.

    Guidelines are left to the review. A rule that stumbles over the neutral value of a field, or of one within it or
    around it, that could not be read says nothing new.
    """
    known = [problem.field for problem in problems]
    return [
        *problems,
        *(
            Problem(finding.where or finding.rule, _sentence(finding))
            for finding in findings
            if finding.blocks and not any(_overlap(finding.where, field) for field in known)
        ),
    ]


def refuse_unfit(findings: Sequence[Finding], problems: Sequence[Problem] = ()) -> None:
    """Raises InvalidManifest when anything has to be mended."""
    if reasons := problems_of(findings, problems):
        raise InvalidManifest(reasons)


def _sentence(finding: Finding) -> str:
    evidence = f": {finding.evidence}" if finding.evidence else "."
    return f"{finding.title}{evidence} {finding.remedy}".strip()


def _overlap(one: str, other: str) -> bool:
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
