"""How a product stands to a vulnerability of a package, and what a new look at the advisories changes in that."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from urllib.parse import unquote

from models.exposures import Known
from models.findings import Finding, FindingStatus, Level, Severity, Waiver
from models.images import ReleaseSet
from models.scans import Vulnerability
from models.watching import ChangeKind, Exposure, ExposureChange
from policies.vulnerabilities import RULE, key_for
from policies.waivers import apply_waivers

#: heavier is higher; what nobody has classed yet is between what has a clock and what has none
_WEIGHT = {Severity.MINOR: 0, Severity.UNKNOWN: 1, Severity.MAJOR: 2, Severity.CRITICAL: 3}
#: versions and fixes that are named
_MOST_VERSIONS = 8

#: classes with a term (domain.md): products are told of these alone
WITH_A_CLOCK = frozenset({Severity.CRITICAL, Severity.MAJOR})


class Hit(NamedTuple):
    """An affected component in one image of a product."""

    version: str
    known: Known
    inherited: bool


class Standing(NamedTuple):
    """All hits of one vulnerability and one package in a product, as one: the worst of them counts."""

    severity: Severity
    fixed_version: str = ""
    #: in every image it comes with the base
    inherited: bool = False
    exploited: bool = False
    versions: str = ""
    url: str = ""


def exposure_key(vulnerability: str, package: str) -> str:
    """As findings have it: what was waived in a submission stays waived."""
    return key_for(Vulnerability(id=vulnerability, advisory="", purl=package, component=package, version=""))


def standing_of(hits: Sequence[Hit]) -> Standing:
    worst = max(
        hits, key=lambda hit: (_WEIGHT[hit.known.severity], hit.known.fixed_version, hit.version, hit.known.url)
    )
    if all(hit == hits[0] for hit in hits):
        fixes, versions = hits[0].known.fixed_version, hits[0].version
    else:
        fixes = _listed(hit.known.fixed_version for hit in hits)
        versions = _listed(hit.version for hit in hits)
    return Standing(
        severity=worst.known.severity,
        fixed_version=fixes,
        inherited=all(hit.inherited for hit in hits),
        exploited=any(hit.known.exploited for hit in hits),
        versions=versions,
        url=worst.known.url,
    )


def compared(before: Standing | None, now: Standing | None) -> ChangeKind | None:
    """None when there is nothing to tell. Retracted: gone, or lighter in all that has changed.

    Escalated: heavier, or there is a fix now, or it is the publisher's own now, or it is used in attacks.
    """
    if before is None or now is None:
        return ChangeKind.NEW if now else ChangeKind.RETRACTED if before else None
    pairs = list(zip(_weights(before), _weights(now), strict=True))
    if any(new > old for old, new in pairs):
        return ChangeKind.ESCALATED
    return ChangeKind.RETRACTED if any(new < old for old, new in pairs) else None


def _weights(standing: Standing) -> tuple[int, bool, bool, bool]:
    return _WEIGHT[standing.severity], bool(standing.fixed_version), not standing.inherited, standing.exploited


def changes_to_tell(
    kind: ChangeKind, key: str, was: Severity | None, standing: Standing, *, stands: bool
) -> tuple[ExposureChange, ...]:
    """What a product's process is told: nothing of what has no clock and had none.

    `standing` is what holds now, or (`stands` is False) what held until now. What has become lighter and still has a
    clock is told as it is now: its clock goes on.
    """
    now = Exposure(
        key=key, severity=standing.severity, fix_exists=bool(standing.fixed_version), inherited=standing.inherited
    )
    if stands and now.severity in WITH_A_CLOCK:
        told = ChangeKind.NEW if kind is ChangeKind.RETRACTED else kind
        return (ExposureChange(kind=told, exposure=now),)
    before = was or now.severity
    if before in WITH_A_CLOCK and (kind is ChangeKind.RETRACTED or not stands):
        return (ExposureChange(kind=ChangeKind.RETRACTED, exposure=now.model_copy(update={"severity": before})),)
    return ()


def waived(
    severities: Mapping[str, Severity],
    *,
    waivers: Sequence[Waiver],
    product: str,
    release: ReleaseSet | None,
    images: dict[str, set[str]],
    now: datetime,
) -> set[str]:
    """Which of the exposures (key -> class) are waived. `images` are the digests of the images that have each."""
    findings = [
        Finding(key=key, rule=RULE, level=Level.GUIDELINE, title=key, why="", remedy="", severity=severity)
        for key, severity in sorted(severities.items())
    ]
    judged = apply_waivers(
        findings, waivers=waivers, accepted=(), product=product, release=release, now=now, images=images
    )
    return {finding.key for finding in judged if finding.status is FindingStatus.WAIVED}


def component_of(package: str) -> str:
    """As people call it: `libssl3` of `pkg:deb/debian/libssl3`, `@babel/core` of `pkg:npm/%40babel/core`."""
    kind, _, name = package.removeprefix("pkg:").partition("/")
    if not name:
        return package
    return unquote(name.rpartition("/")[2] if kind in ("deb", "apk", "rpm") else name)


def _listed(texts: Iterable[str]) -> str:
    names = sorted(set(filter(None, texts)))
    more = f" and {len(names) - _MOST_VERSIONS} more" if len(names) > _MOST_VERSIONS else ""
    return ", ".join(names[:_MOST_VERSIONS]) + more
