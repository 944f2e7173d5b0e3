"""One examination: every rule over everything, one report. Nothing is reported in parts (domain.md)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from models.content import ContentManifest, Track
from models.errors import ToolFailed
from models.findings import READABLE, Finding, FindingStatus, Level, Severity, Verdict, Waiver
from models.images import ReleaseSet
from models.lifecycle import Outcome
from models.policy import HubPolicy
from models.publishers import PublisherProfile
from models.reports import ExaminedImage, IterationReport, RuleResult
from models.scans import ImageReport
from models.work import ImageProblem
from policies import vulnerabilities
from policies.eligibility import ELIGIBILITY, EligibilityContext
from policies.image_contents import IMAGE, ImageContext
from policies.manifest import MANIFEST, ManifestContext
from policies.profile import PROFILE, ProfileContext
from policies.release import RELEASE, ReleaseContext
from policies.rules import LONGEST_EVIDENCE, LONGEST_LINE, Checked, key_of, sayable
from policies.vulnerabilities import Sighting
from policies.waivers import apply_waivers

#: open requirements that a history names, so that it stays small; the rest are counted
_MOST_KEYS = 100


class _Place(NamedTuple):
    """An image of the release set. `label` is what people call it: `Standard linux/amd64`."""

    tier: str
    tags: tuple[str, ...]
    platform: str
    digest: str
    size: int
    label: str


def examine(
    *,
    manifest: ContentManifest,
    profile: PublisherProfile,
    pictures: Mapping[str, bytes],
    track: Track,
    product: str,
    reports: Sequence[ImageReport],
    problems: Sequence[ImageProblem],
    release: ReleaseSet | None,
    waivers: Sequence[Waiver],
    accepted: Collection[str],
    policy: HubPolicy,
    now: datetime,
) -> IterationReport:
    """Pure: the same values give the same report, in whatever order the images were scanned.

    `pictures` by digest, `accepted` keys of findings of an approved iteration. A listing edit brings no images.
    Errors: ToolFailed when an image was not looked at though nothing is wrong with it: no report in parts.
    """
    found = _Found()
    found.takes(PROFILE.run(ProfileContext(profile, pictures, policy), policy.rules))
    found.takes(ELIGIBILITY.run(EligibilityContext(manifest, profile), policy.rules))
    found.takes(MANIFEST.run(ManifestContext(manifest, pictures, policy), policy.rules))
    if track is Track.VERSION:
        if release is not None:
            found.takes(RELEASE.run(ReleaseContext(manifest, release), policy.rules))
        _look_at_images(found, release, reports, problems, policy, now)
    judged = apply_waivers(
        _once_each(found.findings),
        waivers=waivers,
        accepted=accepted,
        product=product,
        release=release,
        now=now,
        images=found.seen,
    )
    return IterationReport(
        verdict=_overall(judged, found.results),
        at=now,
        policy=policy.digest,
        release=release.digest if release else "",
        findings=judged,
        results=tuple(found.results),
        images=tuple(found.images),
    )


@dataclass
class _Found:
    """What an examination has found so far. `seen`: key of a finding -> digests of the images that have it."""

    findings: list[Finding] = field(default_factory=list)
    results: list[RuleResult] = field(default_factory=list)
    images: list[ExaminedImage] = field(default_factory=list)
    seen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def takes(self, checked: Checked, image: str = "") -> None:
        self.findings += checked.findings
        self.results += checked.results
        if image:
            for finding in checked.findings:
                self.seen[finding.key].add(image)


def _look_at_images(
    found: _Found,
    release: ReleaseSet | None,
    reports: Sequence[ImageReport],
    problems: Sequence[ImageProblem],
    policy: HubPolicy,
    now: datetime,
) -> None:
    places = _places(release)
    by_digest = {report.facts.digest: report for report in sorted(reports, key=_age)}
    if not problems:
        _demand_all(places, by_digest)
    for problem in sorted(problems, key=lambda problem: (problem.tier, problem.platform, problem.digest)):
        unreadable = _unreadable(problem)
        failed = RuleResult(rule=READABLE, verdict=Verdict.FAILED, where=unreadable.where)
        found.takes(Checked((unreadable,), (failed,)))
    sightings: list[Sighting] = []
    for place in places:
        report = by_digest.get(place.digest)
        found.images.append(_image(place, report))
        if report is not None:
            context = ImageContext(report.facts, policy, now, report.components)
            found.takes(IMAGE.run(context, policy.rules, place=place.label), place.digest)
            sightings += [Sighting(one, place.label, place.digest, report.base) for one in report.vulnerabilities]
    if vulnerabilities.RULE not in policy.rules.off:
        known = vulnerabilities.to_findings(sightings, policy.gate)
        found.takes(Checked(known, (RuleResult(rule=vulnerabilities.RULE, verdict=_verdict(known)),)))
        for sighting in sightings:
            found.seen[vulnerabilities.key_for(sighting.vulnerability)].add(sighting.digest)


def outcome_of(report: IterationReport) -> Outcome:
    """Counts and keys for the process; the findings themselves are stored."""
    findings = report.findings
    blocking = [finding for finding in findings if finding.blocks]
    return Outcome(
        blocking=tuple(finding.key for finding in blocking[:_MOST_KEYS]),
        unlisted=max(0, len(blocking) - _MOST_KEYS),
        critical=tuple(f.key for f in blocking[:_MOST_KEYS] if f.severity is Severity.CRITICAL),
        requirements=sum(f.level is Level.REQUIREMENT for f in findings),
        guidelines=sum(f.level is Level.GUIDELINE for f in findings),
        vulnerabilities=sum(f.rule == vulnerabilities.RULE for f in findings),
        waived=sum(f.status is FindingStatus.WAIVED for f in findings),
        accepted=sum(f.status is FindingStatus.ACCEPTED for f in findings),
        errors=sum(result.verdict is Verdict.ERROR for result in report.results),
    )


def _age(report: ImageReport) -> tuple[datetime, str]:
    """Of several reports of one image the newest counts."""
    return report.scanner.at, report.scanner.advisory_snapshot


def _demand_all(places: Sequence[_Place], by_digest: Mapping[str, ImageReport]) -> None:
    if not places:
        raise ToolFailed("No image of the release set was handed to the checks.")
    if missing := [place for place in places if place.digest not in by_digest]:
        raise ToolFailed(f"There is no scan report of {missing[0].label} ({missing[0].digest}): checks are not done.")


def _places(release: ReleaseSet | None) -> list[_Place]:
    """Each image once, called after the first tier that has it, in the order of the release set."""
    places: dict[str, _Place] = {}
    for tier in release.tiers if release else ():
        for tag in tier.tags:
            for image in tag.platforms:
                known = places.get(image.digest)
                if known and known.tier != tier.tier:
                    continue
                tags = (*known.tags, tag.tag) if known else (tag.tag,)
                label = f"{tier.tier} {image.platform}"
                places[image.digest] = _Place(tier.tier, tags, image.platform, image.digest, image.size, label)
    labels = [place.label for place in places.values()]
    # several versions in one tier: the tag tells them apart
    return [
        place._replace(label=f"{place.tier}:{place.tags[0]} {place.platform}")
        if labels.count(place.label) > 1
        else place
        for place in places.values()
    ]


def _image(place: _Place, report: ImageReport | None) -> ExaminedImage:
    image = ExaminedImage(
        tier=place.tier,
        tags=place.tags,
        platform=place.platform,
        digest=place.digest,
        size=place.size,
    )
    if report is None:
        return image
    classes = [found.severity for found in report.vulnerabilities]
    return image.model_copy(
        update={
            "layers": len(report.facts.layers),
            "components": len(report.components),
            "critical": classes.count(Severity.CRITICAL),
            "major": classes.count(Severity.MAJOR),
            "minor": classes.count(Severity.MINOR),
            "inherited": sum(found.inherited for found in report.vulnerabilities),
            "exploited": sum(found.exploited is not None for found in report.vulnerabilities),
            "base": report.base.reference if report.base else "",
            "unknown": classes.count(Severity.UNKNOWN),
            "scanner": report.scanner,
        }
    )


def _unreadable(problem: ImageProblem) -> Finding:
    where = " ".join(part for part in (problem.tier, problem.platform or problem.digest) if part)
    return Finding(
        key=key_of(READABLE, where),
        rule=READABLE,
        level=Level.REQUIREMENT,
        title="The image cannot be read",
        why="What cannot be read cannot be checked.",
        remedy="See the evidence; then push the image again and resubmit.",
        evidence=sayable(problem.message, LONGEST_EVIDENCE),
        where=sayable(where, LONGEST_LINE),
    )


def _once_each(findings: Iterable[Finding]) -> list[Finding]:
    """A key names one finding: the first one counts."""
    return list({finding.key: finding for finding in reversed(list(findings))}.values())[::-1]


def _verdict(findings: Iterable[Finding]) -> Verdict:
    levels = {finding.level for finding in findings}
    if Level.REQUIREMENT in levels:
        return Verdict.FAILED
    return Verdict.WARNING if levels else Verdict.PASSED


def _overall(findings: Iterable[Finding], results: Iterable[RuleResult]) -> Verdict:
    """A rule that broke makes the whole an ERROR of the hub's, unless the publisher has to mend something anyway."""
    open_ = [finding for finding in findings if finding.status is FindingStatus.OPEN]
    if any(finding.blocks for finding in open_):
        return Verdict.FAILED
    if any(result.verdict is Verdict.ERROR for result in results):
        return Verdict.ERROR
    return Verdict.WARNING if open_ else Verdict.PASSED
