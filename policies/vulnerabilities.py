"""From vulnerabilities to findings: which of them hold a submission up is the policy's gate."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from models.findings import Finding, Level, Severity
from models.policy import Gate
from models.scans import Vulnerability

RULE = "scan.vulnerability"

_WEIGHT = {Severity.CRITICAL: 0, Severity.MAJOR: 1, Severity.UNKNOWN: 2, Severity.MINOR: 3}
#: places that one finding names
_MOST_PLACES = 12


class Sighting(NamedTuple):
    """A vulnerability and the image in which it was seen."""

    vulnerability: Vulnerability
    place: str


def to_findings(sightings: Iterable[Sighting], gate: Gate) -> tuple[Finding, ...]:
    """One finding for each vulnerability of a component, however many images ship it; the weightiest first.

    The key has no version and no place: mended in one image and not in another, it is still the same matter.
    """
    groups: dict[tuple[str, str], list[Sighting]] = {}
    for sighting in sightings:
        groups.setdefault((sighting.vulnerability.id, _component(sighting.vulnerability)), []).append(sighting)
    findings = [_finding(seen, gate) for seen in groups.values()]
    return tuple(sorted(findings, key=lambda finding: (_WEIGHT[finding.severity or Severity.UNKNOWN], finding.key)))


def blocks(severity: Severity, fixed_version: str, gate: Gate) -> bool:
    """Whether the gate holds a submission up for it."""
    if severity is Severity.UNKNOWN and gate.unknown_as_major:
        severity = Severity.MAJOR
    if severity is Severity.CRITICAL:
        return gate.critical_with_fix if fixed_version else gate.critical_without_fix
    return severity is Severity.MAJOR and gate.major_with_fix and bool(fixed_version)


def _component(vulnerability: Vulnerability) -> str:
    """The package without its version: `pkg:pypi/django`."""
    purl = vulnerability.purl.partition("?")[0]
    name, at, _ = purl.rpartition("@")
    return name if at else purl or vulnerability.component


def _finding(seen: Sequence[Sighting], gate: Gate) -> Finding:
    first = seen[0].vulnerability
    severity = min((one.vulnerability.severity for one in seen), key=_WEIGHT.__getitem__)
    holds = any(blocks(one.vulnerability.severity, one.vulnerability.fixed_version, gate) for one in seen)
    fixed = max((one.vulnerability.fixed_version for one in seen), key=len)
    return Finding(
        key=f"{RULE}:{first.id}:{_component(first)}",
        rule=RULE,
        level=Level.REQUIREMENT if holds else Level.GUIDELINE,
        title=f"{first.id} in {first.component} {_versions(seen)}",
        why=_why(first, severity),
        remedy=_remedy(first, fixed),
        evidence=_evidence(first),
        where=_where(seen),
        severity=severity,
        fixed_version=fixed,
    )


def _versions(seen: Sequence[Sighting]) -> str:
    return ", ".join(dict.fromkeys(one.vulnerability.version for one in seen))


def _why(vulnerability: Vulnerability, severity: Severity) -> str:
    score = vulnerability.score
    said = f"CVSS {score.version} score {score.score}" if score else "not scored yet"
    return f"{severity} ({said})." + (f" {vulnerability.summary}" if vulnerability.summary else "")


def _remedy(vulnerability: Vulnerability, fixed: str) -> str:
    if fixed:
        return f"Update {vulnerability.component} to {fixed} or later and rebuild."
    return "No fixed version is known: replace the component, or ask for a waiver and say why it cannot be exploited."


def _evidence(vulnerability: Vulnerability) -> str:
    parts = [vulnerability.url, f"advisory {vulnerability.advisory}", vulnerability.purl]
    if vulnerability.score:
        parts.append(vulnerability.score.vector)
    return " · ".join(part for part in parts if part)


def _where(seen: Sequence[Sighting]) -> str:
    places = list(dict.fromkeys(_place(one) for one in seen))
    more = f" and {len(places) - _MOST_PLACES} more" if len(places) > _MOST_PLACES else ""
    return "; ".join(places[:_MOST_PLACES]) + more


def _place(sighting: Sighting) -> str:
    layer = sighting.vulnerability.layer
    return f"{sighting.place} · layer {layer.removeprefix('sha256:')[:12]}" if layer else sighting.place
