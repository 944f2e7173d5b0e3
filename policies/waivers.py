"""Waivers and approvals applied to findings: what was judged before is not judged again."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from models.errors import Problem
from models.findings import Finding, FindingStatus, Severity, VexState, Waiver, WaiverScope
from models.images import ReleaseSet
from models.policy import Terms

#: an unclassed finding counts as major (domain.md)
_WEIGHT = {Severity.MINOR: 0, Severity.UNKNOWN: 1, Severity.MAJOR: 1, Severity.CRITICAL: 2}


def problems_of(waiver: Waiver, terms: Terms, now: datetime) -> Iterator[Problem]:
    """What keeps a waiver from being given, by field.

    OpenVEX wants a justification or an impact statement for `not_affected`: the evidence is that statement.
    """
    if not waiver.evidence.strip():
        yield Problem("evidence", "is empty: say how it is known that the finding does no harm.")
    if not waiver.owner:
        yield Problem("owner", "is missing: somebody answers for a waiver.")
    if not waiver.subject:
        yield Problem("subject", f"is missing: the {waiver.scope} that the waiver is for.")
    if waiver.justification and waiver.state is not VexState.NOT_AFFECTED:
        yield Problem("justification", f"belongs to not_affected, not to {waiver.state}.")
    if waiver.expires <= now:
        yield Problem("expires", "is in the past.")
    elif waiver.expires > now + timedelta(days=terms.waiver_days):
        yield Problem("expires", f"is too far ahead: a waiver lasts at most {terms.waiver_days} days.")


def apply_waivers(
    findings: Iterable[Finding],
    *,
    waivers: Sequence[Waiver],
    accepted: Collection[str],
    product: str,
    release: ReleaseSet | None,
    now: datetime,
    images: Mapping[str, Collection[str]] | None = None,
) -> tuple[Finding, ...]:
    """A waiver in force sets a finding's status to waived; an approved iteration's open guideline is accepted.

    An expired waiver does nothing, nor does one of a finding that has become heavier since: it is open again. A
    requirement is never accepted silently.
    `images` are the digests of the images in which a finding was seen, by its key: it is waived when all are covered.
    """
    covers = _Coverage(product, release)
    in_force: dict[str, list[Waiver]] = {}
    for waiver in waivers:
        if waiver.expires > now:
            in_force.setdefault(waiver.finding, []).append(waiver)
    seen = images or {}
    judged = []
    for finding in findings:
        given = [waiver for waiver in in_force.get(finding.key, ()) if still_holds(waiver, finding.severity)]
        waived = bool(given) and covers.all_of(seen.get(finding.key, ()), given)
        judged.append(_with_status(finding, waived, accepted))
    return tuple(judged)


def still_holds(waiver: Waiver, severity: Severity | None) -> bool:
    """Whether the finding is of no heavier class than when the waiver was given."""
    if waiver.severity is None or severity is None:
        return True
    return _WEIGHT[severity] <= _WEIGHT[waiver.severity]


def of_image(
    waivers: Iterable[Waiver], *, product: str, release: ReleaseSet | None, image: str, now: datetime
) -> dict[str, Waiver]:
    """The waivers in force that reach one image, by the finding's key; of several the one that lasts longest."""
    covers = _Coverage(product, release)
    found: dict[str, Waiver] = {}
    for waiver in waivers:
        if waiver.expires > now and covers.all_of((image,), (waiver,)):
            known = found.get(waiver.finding)
            if known is None or known.expires < waiver.expires:
                found[waiver.finding] = waiver
    return found


def _with_status(finding: Finding, waived: bool, accepted: Collection[str]) -> Finding:
    if waived:
        return finding.model_copy(update={"status": FindingStatus.WAIVED})
    if finding.key in accepted and not finding.blocks:
        return finding.model_copy(update={"status": FindingStatus.ACCEPTED})
    return finding


class _Coverage:
    """What a waiver's scope reaches. `subject` is what it names: a product, a source repository, or a digest."""

    def __init__(self, product: str, release: ReleaseSet | None) -> None:
        self._product = product
        #: name of a repository, release set, index or image -> the images below it
        self._below: dict[str, set[str]] = {release.digest: set()} if release else {}
        for tier in release.tiers if release else ():
            for tag in tier.tags:
                for image in tag.platforms:
                    for name in (tier.repository, tag.digest, image.digest):
                        self._below.setdefault(name, set()).add(image.digest)
        if release:
            self._below[release.digest] = {image.digest for _, image in release.images()}

    def all_of(self, images: Collection[str], waivers: Iterable[Waiver]) -> bool:
        """Whether the waivers together reach every image; a finding of no image, as one of the page, is in all."""
        left = set(images)
        for waiver in waivers:
            if waiver.scope is WaiverScope.PRODUCT:
                if waiver.subject == self._product:
                    return True
            elif waiver.subject in self._below:
                left -= self._below[waiver.subject]
                if not left:
                    return True
        return False
