"""Waivers and approvals: in force or expired, in scope or not, and never a requirement accepted silently."""

from typing import Any

import pytest

from models.base import digest_of
from models.findings import (
    Finding,
    FindingStatus,
    Level,
    Severity,
    VexJustification,
    VexState,
    Waiver,
    WaiverScope,
)
from models.images import ReleaseSet
from models.policy import Terms
from policies.exposures import waived
from policies.waivers import apply_waivers, problems_of
from tests.policies.samples import DAY, MONDAY, pinned_tag, pinned_tier, release_set

KEY = "scan.vulnerability:CVE-2024-1:pkg:pypi/django"
AMD64, ARM64 = digest_of(b"amd64"), digest_of(b"arm64")
PRO = digest_of(b"pro")
RELEASE = release_set(pinned_tier("Standard"), pinned_tier("Pro", pinned_tag("2.0", amd64=b"pro")))


def finding(key: str = KEY, level: Level = Level.REQUIREMENT) -> Finding:
    return Finding(key=key, rule=key.partition(":")[0], level=level, title="T", why="W.", remedy="R.")


def waiver(**fields: Any) -> Waiver:
    said: dict[str, Any] = {
        "finding": KEY,
        "state": VexState.NOT_AFFECTED,
        "justification": VexJustification.VULNERABLE_CODE_NOT_IN_EXECUTE_PATH,
        "evidence": "The template engine is never given a user's text.",
        "owner": "mo",
        "scope": WaiverScope.PRODUCT,
        "subject": "pro",
        "expires": MONDAY + 90 * DAY,
    }
    return Waiver.model_validate(said | fields)


def status(
    *waivers: Waiver,
    images: tuple[str, ...] = (AMD64,),
    release: ReleaseSet | None = RELEASE,
    accepted: frozenset[str] = frozenset(),
    of: Finding | None = None,
) -> FindingStatus:
    asked = of or finding()
    (judged,) = apply_waivers(
        [asked],
        waivers=waivers,
        accepted=accepted,
        product="pro",
        release=release,
        now=MONDAY,
        images={asked.key: images},
    )
    assert judged.model_copy(update={"status": FindingStatus.OPEN}) == asked
    return judged.status


def test_a_waiver_in_force_lifts_the_finding_and_an_expired_one_opens_it_again() -> None:
    assert status(waiver()) is FindingStatus.WAIVED
    assert status(waiver(expires=MONDAY)) is FindingStatus.OPEN
    assert status(waiver(expires=MONDAY - DAY)) is FindingStatus.OPEN
    assert status(waiver(expires=MONDAY - DAY), waiver()) is FindingStatus.WAIVED


@pytest.mark.parametrize(
    ("given_for", "now", "holds"),
    [
        (Severity.MAJOR, Severity.CRITICAL, False),
        (Severity.UNKNOWN, Severity.CRITICAL, False),
        (Severity.MINOR, Severity.UNKNOWN, False),
        # an unclassed one counts as major
        (Severity.UNKNOWN, Severity.MAJOR, True),
        (Severity.CRITICAL, Severity.MINOR, True),
        (Severity.CRITICAL, Severity.CRITICAL, True),
        (None, Severity.CRITICAL, True),
        (Severity.MAJOR, None, True),
    ],
)
def test_what_has_become_heavier_than_it_was_is_open_again(
    given_for: Severity | None, now: Severity | None, holds: bool
) -> None:
    found = status(waiver(severity=given_for), of=finding().model_copy(update={"severity": now}))
    assert (found is FindingStatus.WAIVED) is holds


def test_the_watch_counts_a_waived_exposure_again_when_it_has_become_heavier() -> None:
    given = [waiver(severity=Severity.MAJOR)]
    for now, expected in ((Severity.MAJOR, {KEY}), (Severity.CRITICAL, set())):
        found = waived({KEY: now}, waivers=given, product="pro", release=RELEASE, images={KEY: {AMD64}}, now=MONDAY)
        assert found == expected


def test_a_waived_requirement_does_not_block() -> None:
    (judged,) = apply_waivers(
        [finding()], waivers=[waiver()], accepted=(), product="pro", release=RELEASE, now=MONDAY, images={}
    )
    assert not judged.blocks
    assert finding().blocks


@pytest.mark.parametrize("state", list(VexState))
def test_every_state_of_vex_that_was_granted_counts(state: VexState) -> None:
    assert status(waiver(state=state, justification=None)) is FindingStatus.WAIVED


def test_a_waiver_is_for_its_finding_only() -> None:
    assert status(waiver(finding=f"{KEY}2")) is FindingStatus.OPEN


def test_a_waiver_for_a_product_is_for_that_product() -> None:
    assert status(waiver(subject="other")) is FindingStatus.OPEN
    assert status(waiver(), images=(AMD64, ARM64, PRO)) is FindingStatus.WAIVED


@pytest.mark.parametrize(
    ("subject", "images", "waived"),
    [
        ("registry.example/harbour/standard", (AMD64, ARM64), True),
        ("registry.example/harbour/standard", (AMD64, PRO), False),
        ("registry.example/harbour/pro", (PRO,), True),
        ("registry.example/harbour/stand", (AMD64,), False),
    ],
)
def test_a_waiver_for_a_repository_reaches_the_images_of_its_tier(
    subject: str, images: tuple[str, ...], waived: bool
) -> None:
    found = status(waiver(scope=WaiverScope.REPOSITORY, subject=subject), images=images)
    assert (found is FindingStatus.WAIVED) is waived


@pytest.mark.parametrize(
    ("subject", "images", "waived"),
    [
        (AMD64, (AMD64,), True),
        (AMD64, (AMD64, ARM64), False),
        # the index covers its platforms, the release set all of them
        (RELEASE.tiers[0].tags[0].digest, (AMD64, ARM64), True),
        (RELEASE.tiers[0].tags[0].digest, (AMD64, PRO), False),
        (RELEASE.digest, (AMD64, ARM64, PRO), True),
        (digest_of(b"an older image"), (AMD64,), False),
    ],
)
def test_a_waiver_for_a_digest_is_for_what_has_that_digest(subject: str, images: tuple[str, ...], waived: bool) -> None:
    found = status(waiver(scope=WaiverScope.DIGEST, subject=subject), images=images)
    assert (found is FindingStatus.WAIVED) is waived


def test_several_waivers_reach_what_they_reach_together() -> None:
    both = [waiver(scope=WaiverScope.DIGEST, subject=subject) for subject in (AMD64, ARM64)]
    assert status(*both, images=(AMD64, ARM64)) is FindingStatus.WAIVED
    assert status(both[0], both[0], images=(AMD64, ARM64)) is FindingStatus.OPEN


def test_a_finding_of_the_page_belongs_to_no_image() -> None:
    page = finding("manifest.documentation:documentation")
    given = waiver(finding=page.key, scope=WaiverScope.DIGEST, subject=RELEASE.digest)
    assert status(given, images=(), of=page) is FindingStatus.WAIVED
    assert status(given, images=(), of=page, release=None) is FindingStatus.OPEN
    assert status(waiver(finding=page.key), images=(), of=page, release=None) is FindingStatus.WAIVED


def test_what_was_approved_before_is_accepted_unless_it_holds_the_item_up() -> None:
    guideline = finding("image.size:Standard linux/amd64", Level.GUIDELINE)
    assert status(accepted=frozenset({guideline.key}), of=guideline) is FindingStatus.ACCEPTED
    assert status(accepted=frozenset({KEY})) is FindingStatus.OPEN
    assert status(accepted=frozenset({"image.other"}), of=guideline) is FindingStatus.OPEN
    # a waiver says more than an approval
    assert status(waiver(finding=guideline.key), accepted=frozenset({guideline.key}), of=guideline) is (
        FindingStatus.WAIVED
    )


def test_the_order_of_waivers_does_not_matter() -> None:
    given = [
        waiver(expires=MONDAY - DAY),
        waiver(scope=WaiverScope.DIGEST, subject=AMD64),
        waiver(finding="image.x"),
        waiver(scope=WaiverScope.DIGEST, subject=ARM64),
    ]
    for order in (given, given[::-1]):
        assert status(*order, images=(AMD64, ARM64)) is FindingStatus.WAIVED


# --- whether a waiver may be given ----------------------------------------------------------------------------------


def test_a_whole_waiver_may_be_given() -> None:
    assert list(problems_of(waiver(), Terms(), MONDAY)) == []
    assert list(problems_of(waiver(expires=MONDAY + 180 * DAY), Terms(), MONDAY)) == []
    # the evidence is the impact statement that OpenVEX asks for where there is no justification
    assert list(problems_of(waiver(justification=None), Terms(), MONDAY)) == []
    assert list(problems_of(waiver(justification=None, state=VexState.AFFECTED), Terms(), MONDAY)) == []


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"evidence": " \n"}, "evidence", "is empty"),
        ({"owner": ""}, "owner", "is missing"),
        ({"subject": ""}, "subject", "the product that the waiver is for"),
        ({"state": VexState.AFFECTED}, "justification", "belongs to not_affected, not to affected"),
        ({"expires": MONDAY}, "expires", "is in the past"),
        ({"expires": MONDAY + 181 * DAY}, "expires", "at most 180 days"),
    ],
)
def test_what_a_waiver_lacks_is_named(fields: dict[str, object], field: str, says: str) -> None:
    (problem,) = problems_of(waiver(**fields), Terms(), MONDAY)
    assert problem.field == field
    assert says in problem.message


def test_all_that_it_lacks_is_named_at_once() -> None:
    bad = waiver(evidence="", owner="", subject="", expires=MONDAY - DAY, state=VexState.FIXED)
    assert [problem.field for problem in problems_of(bad, Terms(), MONDAY)] == [
        "evidence",
        "owner",
        "subject",
        "justification",
        "expires",
    ]
