"""Waivers and approvals applied to findings: what was judged before is not judged again."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from models.findings import Finding, FindingStatus, Waiver, WaiverScope
from models.images import ReleaseSet


def apply_waivers(
    findings: Iterable[Finding],
    *,
    waivers: Sequence[Waiver],
    accepted: Collection[str],
    product: str,
    release: ReleaseSet | None,
    now: datetime,
) -> tuple[Finding, ...]:
    """A waiver in force sets a finding's status to waived; an approved iteration's open guideline is accepted.

    An expired waiver does nothing: the finding is open again (domain.md). A requirement is never accepted silently.
    """
    names = _names(release) | {product}
    waived = {waiver.finding for waiver in waivers if waiver.expires > now and _in_scope(waiver, names)}
    return tuple(_with_status(finding, waived, accepted) for finding in findings)


def _with_status(finding: Finding, waived: Collection[str], accepted: Collection[str]) -> Finding:
    if finding.key in waived:
        return finding.model_copy(update={"status": FindingStatus.WAIVED})
    if finding.key in accepted and not finding.blocks:
        return finding.model_copy(update={"status": FindingStatus.ACCEPTED})
    return finding


def _in_scope(waiver: Waiver, names: Collection[str]) -> bool:
    """`subject` is what the scope names: a product, a source repository, or a digest."""
    return waiver.scope is WaiverScope.PRODUCT or waiver.subject in names


def _names(release: ReleaseSet | None) -> set[str]:
    names: set[str] = set()
    for tier in release.tiers if release else ():
        names.add(tier.repository)
        for tag in tier.tags:
            names |= {tag.digest, *(image.digest for image in tag.platforms)}
    return names
