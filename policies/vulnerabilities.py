"""From vulnerabilities to findings: which of them hold a submission up is the policy's gate."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from models.findings import Finding, Level, Severity
from models.policy import Gate
from models.scans import BaseOrigin, Vulnerability
from policies.rules import LONGEST_EVIDENCE, LONGEST_LINE, key_of, sayable

RULE = "scan.vulnerability"

_WEIGHT = {Severity.CRITICAL: 0, Severity.MAJOR: 1, Severity.UNKNOWN: 2, Severity.MINOR: 3}
#: places and versions that one finding names
_MOST_PLACES = 12
_MOST_VERSIONS = 8


class Sighting(NamedTuple):
    """A vulnerability, the image in which it was seen as people call it, and the image's digest."""

    vulnerability: Vulnerability
    place: str
    digest: str = ""
    #: what the image is built from, where that is known
    base: BaseOrigin | None = None


def to_findings(sightings: Iterable[Sighting], gate: Gate) -> tuple[Finding, ...]:
    """One finding for each vulnerability of a component, however many images ship it; the weightiest first.

    The key has no version and no place: mended in one image and not in another, it is still the same matter.
    """
    groups: dict[str, list[Sighting]] = {}
    for sighting in sightings:
        groups.setdefault(key_for(sighting.vulnerability), []).append(sighting)
    findings = [_finding(key, sorted(seen, key=_order), gate) for key, seen in groups.items()]
    return tuple(sorted(findings, key=lambda finding: (_WEIGHT[finding.severity or Severity.UNKNOWN], finding.key)))


def key_for(vulnerability: Vulnerability) -> str:
    return key_of(RULE, vulnerability.id, package_of(vulnerability))


def blocks(severity: Severity, fixed_version: str, gate: Gate) -> bool:
    """Whether the gate holds a submission up for it."""
    if severity is Severity.UNKNOWN and gate.unknown_as_major:
        severity = Severity.MAJOR
    if severity is Severity.CRITICAL:
        return gate.critical_with_fix if fixed_version else gate.critical_without_fix
    return severity is Severity.MAJOR and gate.major_with_fix and bool(fixed_version)


def package_of(vulnerability: Vulnerability) -> str:
    """The package without its version: `pkg:pypi/django`."""
    purl = vulnerability.purl.partition("?")[0]
    name, at, _ = purl.rpartition("@")
    return name if at else purl or vulnerability.component


def _order(sighting: Sighting) -> tuple[object, ...]:
    """The weightiest first, then by place and all that a finding repeats: the same in whatever order it was seen."""
    found = sighting.vulnerability
    score = (found.score.version, found.score.score, found.score.vector) if found.score else ()
    said = (found.version, found.layer, found.fixed_version, found.purl, found.advisory, found.component)
    return _WEIGHT[found.severity], sighting.place, *said, found.summary, found.url, score


def _finding(key: str, seen: Sequence[Sighting], gate: Gate) -> Finding:
    worst = seen[0].vulnerability
    holds = any(blocks(one.vulnerability.severity, one.vulnerability.fixed_version, gate) for one in seen)
    fixes = list(dict.fromkeys((one.vulnerability.version, one.vulnerability.fixed_version) for one in seen))
    fixed = dict.fromkeys(fix for _, fix in fixes if fix)
    return Finding(
        key=key,
        rule=RULE,
        level=Level.REQUIREMENT if holds else Level.GUIDELINE,
        title=sayable(f"{worst.id} in {worst.component} {_listed((was for was, _ in fixes), ', ')}", LONGEST_LINE),
        why=sayable(_why(worst), LONGEST_EVIDENCE),
        remedy=sayable(_rebuild(seen) or _comes_with(seen) + _remedy(worst.component, fixes), LONGEST_EVIDENCE),
        evidence=sayable(_evidence(worst), LONGEST_EVIDENCE),
        where=sayable(_listed((_place(one) for one in seen), "; ", _MOST_PLACES), LONGEST_EVIDENCE),
        severity=worst.severity,
        fixed_version=sayable(_listed(fixed, ", "), LONGEST_LINE),
        inherited=all(one.vulnerability.inherited for one in seen),
        exploited=any(one.vulnerability.exploited for one in seen),
    )


def _listed(texts: Iterable[str], between: str, most: int = _MOST_VERSIONS) -> str:
    """Each once; of many the first, and how many more."""
    names = list(dict.fromkeys(texts))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return between.join(names[:most]) + more


def _why(vulnerability: Vulnerability) -> str:
    score, classing, exploited = vulnerability.score, vulnerability.classing, vulnerability.exploited
    said = f"CVSS {score.version} score {score.score}" if score else "not scored yet"
    if classing:
        said = f"classed by the security team: {classing.reason.rstrip('.')}; {said}"
    known = f" It is known to be exploited, since {exploited.added:%Y-%m-%d} at the latest." if exploited else ""
    if exploited and exploited.ransomware:
        known += " Ransomware uses it."
    summary = f" {vulnerability.summary}" if vulnerability.summary else ""
    return f"{vulnerability.severity.capitalize()} ({said}).{known}{summary}"


def _remedy(component: str, fixes: Sequence[tuple[str, str]]) -> str:
    """`fixes` are (version, fixed version): each line of releases has a fix of its own."""
    mended = [(was, fixed) for was, fixed in fixes if fixed]
    if not mended:
        return (
            "No fixed version is known: replace the component, or ask for a waiver and say why it cannot be exploited."
        )
    if len({fixed for _, fixed in mended}) == 1:
        steps = f"to {mended[0][1]} or later"
    else:
        steps = _listed((f"{was} to {fixed}" for was, fixed in mended), ", ") + ", or later"
    return f"Update {component} {steps} and rebuild." + _without_fix(fixes)


def _rebuild(seen: Sequence[Sighting]) -> str:
    """How to be rid of what comes with a base image, where a present image of that base is; else empty."""
    base = _inherited_from(seen)
    if base is None or base.rebuild is None or not all(one.vulnerability.mended_by_rebuild for one in seen):
        return ""
    rebuild = base.rebuild
    name = "its present image" if rebuild.reference == base.reference else rebuild.reference
    return (
        f"It comes with the base image {base.reference}: rebuild on {name} ({rebuild.digest[:19]}), which mends "
        f"{rebuild.mended:,} of {rebuild.inherited:,} inherited vulnerabilities, this one among them."
    )


def _comes_with(seen: Sequence[Sighting]) -> str:
    base = _inherited_from(seen)
    return f"It comes with the base image {base.reference}. " if base else ""


def _inherited_from(seen: Sequence[Sighting]) -> BaseOrigin | None:
    """The base that brings it. What one image has of its own is mended there, whatever the others inherit."""
    if not all(one.vulnerability.inherited for one in seen):
        return None
    return next((one.base for one in seen if one.base), None)


def _without_fix(fixes: Sequence[tuple[str, str]]) -> str:
    left = [was for was, fixed in fixes if not fixed]
    return f" For {_listed(left, ', ')} no fix is known." if left else ""


def _evidence(vulnerability: Vulnerability) -> str:
    return " · ".join(_facts(vulnerability))


def _facts(vulnerability: Vulnerability) -> Iterator[str]:
    if vulnerability.url:
        yield vulnerability.url
    yield f"advisory {vulnerability.advisory}"
    yield vulnerability.purl
    if vulnerability.score:
        yield vulnerability.score.vector


def _place(sighting: Sighting) -> str:
    layer = sighting.vulnerability.layer
    return f"{sighting.place} · layer {layer.removeprefix('sha256:')[:12]}" if layer else sighting.place
