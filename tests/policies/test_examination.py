"""One examination: every rule over everything, one report, the same in whatever order, and nothing in parts."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from models.base import digest_of
from models.content import Track
from models.errors import ToolFailed
from models.findings import READABLE, FindingStatus, Severity, Verdict, VexState, Waiver, WaiverScope
from models.images import PinnedTier, ReleaseSet
from models.policy import Gate, HubPolicy, Rules
from models.reports import IterationReport
from models.scans import BaseOrigin, Component, ImageReport, KnownExploited, Scanner, Vulnerability
from models.work import ImageProblem
from policies import image_practices
from policies.examination import examine, outcome_of
from policies.rulebook import known_ids
from policies.vulnerabilities import RULE
from tests.policies.samples import (
    DAY,
    MONDAY,
    PICTURES,
    PROFILE,
    facts,
    layer,
    manifest,
    pinned_tag,
    pinned_tier,
    release_set,
)

POLICY = HubPolicy()
SCANNER = Scanner(name="trivy", version="0.76", advisory_snapshot=digest_of(b"advisories"), at=MONDAY)
RELEASE = release_set()


def report(content: bytes, *found: Vulnerability, scanner: Scanner = SCANNER, **fields: Any) -> ImageReport:
    """Of the image whose digest is made of `content`."""
    return ImageReport(
        scanner=scanner,
        facts=facts(digest=digest_of(content), platform=f"linux/{content.decode()}", **fields),
        components=(Component(purl="pkg:pypi/django@3.2.0", ecosystem="PyPI", name="django", version="3.2.0"),),
        vulnerabilities=found,
    )


def vulnerability(number: int, severity: Severity = Severity.CRITICAL, fixed: str = "9.9") -> Vulnerability:
    return Vulnerability(
        id=f"CVE-2024-{number}",
        advisory=f"GHSA-{number}",
        purl="pkg:pypi/django@3.2.0",
        component="django",
        version="3.2.0",
        severity=severity,
        fixed_version=fixed,
    )


REPORTS = (report(b"amd64"), report(b"arm64"))


def examined(
    reports: Sequence[ImageReport] = REPORTS, release: ReleaseSet | None = RELEASE, **fields: Any
) -> IterationReport:
    said: dict[str, Any] = {
        "manifest": manifest(),
        "profile": PROFILE,
        "pictures": PICTURES,
        "track": Track.VERSION,
        "product": "pro",
        "problems": (),
        "waivers": (),
        "accepted": (),
        "policy": POLICY,
        "now": MONDAY,
    }
    return examine(reports=reports, release=release, **(said | fields))


# --- all of it ------------------------------------------------------------------------------------------------------


def test_of_what_is_right_nothing_is_found_and_every_rule_has_spoken() -> None:
    result = examined()
    assert (result.verdict, result.findings) == (Verdict.PASSED, ())
    assert {rule.rule for rule in result.results} == {*known_ids(), RULE}
    places = {rule.where for rule in result.results if rule.rule == "image.non-root"}
    assert places == {"Standard linux/amd64", "Standard linux/arm64"}
    assert (result.policy, result.release, result.at) == (POLICY.digest, RELEASE.digest, MONDAY)


def test_one_report_returns_all_that_is_wrong() -> None:
    result = examined(
        (report(b"amd64", vulnerability(1), user="root"), report(b"arm64", created=None)),
        manifest=manifest(short_description="", tiers=()),
        profile=PROFILE.model_copy(update={"phone": "1"}),
    )
    assert [finding.rule for finding in result.findings] == [
        "profile.phone",
        "manifest.short-description",
        "manifest.tiers",
        "image.non-root",
        "image.rebuilt",
        RULE,
    ]
    assert result.verdict is Verdict.FAILED


def test_each_image_is_shown_with_who_looked_at_it_and_what_was_found() -> None:
    found = (
        vulnerability(1).model_copy(update={"exploited": KnownExploited(added=MONDAY.date())}),
        vulnerability(2, Severity.MAJOR).model_copy(update={"inherited": True}),
        vulnerability(3, Severity.MINOR),
        vulnerability(4, Severity.UNKNOWN),
    )
    base = BaseOrigin(reference="registry.example/debian:12", digest=digest_of(b"base"), layers=1)
    amd64, arm64 = examined((report(b"amd64", *found).model_copy(update={"base": base}), report(b"arm64"))).images
    assert (amd64.tier, amd64.tags, amd64.platform) == ("Standard", ("1.0",), "linux/amd64")
    assert (amd64.critical, amd64.major, amd64.minor, amd64.unknown) == (1, 1, 1, 1)
    assert (amd64.layers, amd64.components, amd64.size, amd64.scanner) == (1, 1, 30_000_000, SCANNER)
    assert (amd64.base, amd64.inherited, amd64.exploited) == ("registry.example/debian:12", 1, 1)
    assert (arm64.platform, arm64.critical, arm64.base) == ("linux/arm64", 0, "")


def test_a_listing_edit_is_examined_without_images() -> None:
    result = examined((), None, track=Track.LISTING, manifest=manifest(track=Track.LISTING))
    assert (result.verdict, result.images, result.release) == (Verdict.PASSED, (), "")
    assert not any(rule.rule.startswith(("image.", "scan.")) for rule in result.results)


def test_a_rule_that_is_switched_off_finds_nothing_and_says_nothing() -> None:
    off = HubPolicy(rules=Rules(off=("image.non-root", RULE)))
    result = examined((report(b"amd64", vulnerability(1), user="root"), report(b"arm64")), policy=off)
    assert result.findings == ()
    assert not {"image.non-root", RULE} & {rule.rule for rule in result.results}


def test_a_rule_that_breaks_is_the_hubs_failure_and_never_the_publishers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_practices, "_LABELS", None)
    result = examined()
    assert (result.verdict, result.findings) == (Verdict.ERROR, ())
    outcome = outcome_of(result)
    assert (outcome.errors, outcome.blocking) == (2, ())
    # what the publisher has to mend is to be mended all the same
    both = examined((report(b"amd64", user="root"), report(b"arm64")))
    assert (both.verdict, outcome_of(both).errors) == (Verdict.FAILED, 2)


def test_guidelines_alone_are_a_warning() -> None:
    assert examined((report(b"amd64", created=None), report(b"arm64"))).verdict is Verdict.WARNING


# --- nothing in parts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reports", "release", "says"),
    [
        (REPORTS[:1], RELEASE, "no scan report of Standard linux/arm64"),
        ((), RELEASE, "no scan report of Standard linux/amd64"),
        ((), None, "No image of the release set"),
        (REPORTS, ReleaseSet(tiers=(PinnedTier(tier="Standard", repository="r", tags=()),)), "No image"),
    ],
)
def test_an_image_that_was_not_looked_at_makes_no_report(
    reports: tuple[ImageReport, ...], release: ReleaseSet | None, says: str
) -> None:
    with pytest.raises(ToolFailed, match=says):
        examined(reports, release)


def test_what_cannot_be_read_is_the_publishers_to_mend_and_holds_it_up() -> None:
    problem = ImageProblem(
        digest=digest_of(b"arm64"),
        platform="linux/arm64",
        tier="Standard",
        error="MalformedImage",
        message="The layer lies about its digest." + "x" * 5_000,
    )
    result = examined(REPORTS[:1], problems=(problem,))
    (finding,) = result.findings
    assert (finding.rule, finding.where, finding.blocks) == (READABLE, "Standard linux/arm64", True)
    assert finding.evidence.startswith("The layer lies about its digest.")
    assert len(finding.evidence) == 1_000
    assert [rule.verdict for rule in result.results if rule.rule == READABLE] == [Verdict.FAILED]
    assert outcome_of(result).blocking == (f"{READABLE}:Standard linux/arm64",)


def test_a_tag_that_cannot_be_pinned_is_named_by_its_tag() -> None:
    problems = [
        ImageProblem(digest=tag, platform="", tier="Standard", error="ImageNotFound", message="No such tag.")
        for tag in ("2.0", "1.0")
    ]
    keys = [finding.key for finding in examined((), None, problems=problems).findings]
    assert keys == [f"{READABLE}:Standard 1.0", f"{READABLE}:Standard 2.0"]


# --- the same in whatever order -------------------------------------------------------------------------------------


def test_the_order_in_which_images_were_scanned_does_not_matter() -> None:
    release = release_set(pinned_tier("Standard"), pinned_tier("Pro", pinned_tag("1.0", amd64=b"s390x")))
    reports = (
        report(b"amd64", vulnerability(1), vulnerability(2, Severity.MAJOR), user="root"),
        report(b"arm64", vulnerability(2, Severity.MAJOR), vulnerability(1)),
        report(b"s390x", vulnerability(3), layers=(layer(licence_files=()),)),
    )
    problems = (
        ImageProblem(digest="x", platform="linux/a", tier="Pro", error="E", message="m"),
        ImageProblem(digest="y", platform="linux/b", tier="Standard", error="E", message="m"),
    )
    expected = examined(reports, release, problems=problems)
    for order in itertools.permutations(reports):
        assert examined(order, release, problems=problems[::-1]) == expected
    assert [finding.key for finding in expected.findings if finding.rule == RULE] == [
        f"{RULE}:CVE-2024-1:pkg:pypi/django",
        f"{RULE}:CVE-2024-3:pkg:pypi/django",
        f"{RULE}:CVE-2024-2:pkg:pypi/django",
    ]


def test_of_two_scans_of_one_image_the_newer_counts() -> None:
    newer = report(b"amd64", vulnerability(1), scanner=SCANNER.model_copy(update={"at": MONDAY + DAY}))
    for order in ((*REPORTS, newer), (newer, *REPORTS)):
        assert [finding.rule for finding in examined(order).findings] == [RULE]


# --- names of images ------------------------------------------------------------------------------------------------


def test_an_image_of_several_tags_and_tiers_is_examined_once() -> None:
    same = pinned_tag("1.0"), pinned_tag("1.0.0")
    release = release_set(pinned_tier("Standard", *same), pinned_tier("Pro", pinned_tag("1.0")))
    images = examined(release=release).images
    assert [(image.tier, image.tags, image.platform) for image in images] == [
        ("Standard", ("1.0", "1.0.0"), "linux/amd64"),
        ("Standard", ("1.0", "1.0.0"), "linux/arm64"),
    ]


def test_several_versions_of_a_tier_are_told_apart_by_their_tags() -> None:
    release = release_set(pinned_tier("Big: one", pinned_tag("1.0", amd64=b"amd64"), pinned_tag("2.0", amd64=b"arm64")))
    result = examined((report(b"amd64", user="root"), report(b"arm64", user="root")), release)
    assert [finding.where for finding in result.findings if finding.rule == "image.non-root"] == [
        "Big: one:1.0 linux/amd64",
        "Big: one:2.0 linux/amd64",
    ]
    assert {image.tier for image in result.images} == {"Big: one"}


# --- waivers and what was approved before ---------------------------------------------------------------------------


def waiver(finding: str, **fields: Any) -> Waiver:
    said: dict[str, Any] = {
        "finding": finding,
        "state": VexState.NOT_AFFECTED,
        "evidence": "Never called.",
        "owner": "mo",
        "scope": WaiverScope.PRODUCT,
        "subject": "pro",
        "expires": MONDAY + DAY,
    }
    return Waiver.model_validate(said | fields)


def test_a_waiver_lifts_a_finding_until_it_expires() -> None:
    reports = (report(b"amd64", vulnerability(1)), report(b"arm64"))
    given = waiver(f"{RULE}:CVE-2024-1:pkg:pypi/django")
    result = examined(reports, waivers=(given,))
    assert (result.verdict, outcome_of(result).blocking, outcome_of(result).waived) == (Verdict.PASSED, (), 1)
    later = examined(reports, waivers=(given,), now=MONDAY + 2 * DAY)
    assert (later.verdict, len(outcome_of(later).blocking)) == (Verdict.FAILED, 1)


def test_a_waiver_for_one_image_does_not_speak_for_another() -> None:
    given = waiver(f"{RULE}:CVE-2024-1:pkg:pypi/django", scope=WaiverScope.DIGEST, subject=digest_of(b"amd64"))
    alone = examined((report(b"amd64", vulnerability(1)), report(b"arm64")), waivers=(given,))
    assert alone.findings[0].status is FindingStatus.WAIVED
    both = examined((report(b"amd64", vulnerability(1)), report(b"arm64", vulnerability(1))), waivers=(given,))
    assert both.findings[0].blocks
    root = waiver("image.non-root:Standard linux/arm64", scope=WaiverScope.DIGEST, subject=digest_of(b"amd64"))
    assert examined((REPORTS[0], report(b"arm64", user="")), waivers=(root,)).findings[0].blocks


def test_what_an_approved_iteration_had_is_carried_forward() -> None:
    reports = (report(b"amd64", vulnerability(1, Severity.MAJOR), healthcheck=None), report(b"arm64"))
    before = examined(reports)
    accepted = frozenset(finding.key for finding in before.findings)
    after = examined(reports, accepted=accepted)
    assert {finding.status for finding in after.findings} == {FindingStatus.ACCEPTED}
    assert (after.verdict, outcome_of(after).accepted) == (Verdict.PASSED, 2)


def test_a_requirement_is_never_carried_forward_silently() -> None:
    reports = (report(b"amd64", vulnerability(1), user="root"), report(b"arm64"))
    accepted = frozenset(finding.key for finding in examined(reports).findings)
    assert len(outcome_of(examined(reports, accepted=accepted)).blocking) == 2


# --- what the process is told ---------------------------------------------------------------------------------------


def test_the_outcome_counts_and_names_what_holds_it_up() -> None:
    found = vulnerability(1), vulnerability(2, Severity.MINOR)
    result = examined((report(b"amd64", *found, user="root", healthcheck=None, created=None), REPORTS[1]))
    outcome = outcome_of(result)
    key = f"{RULE}:CVE-2024-1:pkg:pypi/django"
    assert outcome.blocking == ("image.non-root:Standard linux/amd64", key)
    assert outcome.critical == (key,)
    assert (outcome.requirements, outcome.guidelines, outcome.vulnerabilities) == (2, 3, 2)
    assert (outcome.waived, outcome.accepted, outcome.unlisted, outcome.errors) == (0, 0, 0, 0)


def test_a_thousand_open_requirements_stay_small_in_a_history() -> None:
    found = [vulnerability(number) for number in range(1_000)]
    outcome = outcome_of(examined((report(b"amd64", *found), REPORTS[1])))
    assert (len(outcome.blocking), outcome.unlisted, outcome.requirements) == (100, 900, 1_000)
    assert len(outcome.model_dump_json()) < 12_000


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ((), Verdict.PASSED),
        ((vulnerability(1, Severity.MINOR),), Verdict.WARNING),
        ((vulnerability(1, Severity.MINOR), vulnerability(2)), Verdict.FAILED),
    ],
)
def test_the_scan_has_a_verdict_like_every_rule(found: tuple[Vulnerability, ...], verdict: Verdict) -> None:
    result = examined((report(b"amd64", *found), REPORTS[1]))
    assert [said.verdict for said in result.results if said.rule == RULE] == [verdict]


def test_the_gate_is_that_of_the_policy() -> None:
    reports = (report(b"amd64", vulnerability(1, Severity.MAJOR)), REPORTS[1])
    assert examined(reports).verdict is Verdict.WARNING
    assert examined(reports, policy=HubPolicy(gate=Gate(major_with_fix=True))).verdict is Verdict.FAILED
