"""What people decide on a submission, and what they are not allowed to decide."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from models import commands as c
from models.content import RunsOn, Sla
from models.findings import Severity, VexState, Waiver, WaiverScope
from models.lifecycle import Stage, Turn
from models.products import ListingStatus
from tests.workflows.house import House
from tests.workflows.people import refused
from tests.workflows.stand_ins import weakness

pytestmark = pytest.mark.system


@pytest.mark.history("two-approvals-at-once")
async def test_of_two_approvals_at_once_one_succeeds_and_the_other_is_told_why_not(harbour: House) -> None:
    case = await harbour.submits()
    await case.reaches(Stage.READY)
    harbour.quay.gate.shut()
    answers = await asyncio.gather(
        harbour.moderator.tells(case, c.Approve),
        harbour.other_moderator.tells(case, c.Approve),
        return_exceptions=True,
    )
    refusals = [answer for answer in answers if isinstance(answer, ApplicationError)]
    assert len(refusals) == 1
    assert refusals[0].type == "NotAllowed"
    assert "approve does not apply now. Iteration 1 is publishing" in refusals[0].message
    harbour.quay.gate.open.set()
    await case.ends()
    assert len(harbour.quay.published) == 1
    assert [event.event for event in await case.trail()].count("approve") == 1


async def test_roles_are_looked_up_and_never_believed(house: House) -> None:
    case = await house.submits()
    await case.reaches(Stage.READY)
    with refused("approve is for: admin, moderator, second_approver; your roles here: publisher"):
        await house.member.tells(case, c.Approve)
    with refused("withdraw is for: publisher"):
        await house.moderator.tells(case, c.Withdraw)
    stranger = house.moderator.command(c.Approve, actor="nobody")
    with refused("your roles here: none"):
        await house.moderator.tells(case, c.Approve, **stranger.model_dump(include={"actor", "id"}))
    assert (await case.snapshot()).stage is Stage.READY


@pytest.mark.history("rejected-and-appealed")
async def test_a_rejection_needs_a_second_approver_and_an_appeal_another_judge(house: House) -> None:
    case = await house.submits()
    await case.reaches(Stage.READY)
    proposed = await house.moderator.tells(case, c.Reject, text="It is malware.")
    assert (proposed.stage, proposed.turn) == (Stage.READY, Turn.SECOND_APPROVER)
    with refused("confirm is for: admin, second_approver"):
        await house.moderator.tells(case, c.Confirm)
    rejected = await house.second.tells(case, c.Confirm)
    assert rejected.stage is Stage.REJECTED
    appealed = await house.member.tells(case, c.Appeal, text="It is a crane.")
    assert (appealed.stage, appealed.turn) == (Stage.READY, Turn.MODERATOR)
    with refused("judged by somebody else"):
        await house.moderator.tells(case, c.Approve)
    await house.other_moderator.tells(case, c.Approve)
    await case.ends()
    kinds = await case.notices()
    assert [kind for kind in kinds if "reject" in kind or "appeal" in kind] == [
        "rejection_proposed",
        "rejected",
        "appeal_received",
        "appealed",
    ]


async def test_a_proposal_that_is_declined_leaves_everything_as_it_was(house: House) -> None:
    case = await house.submits()
    before = await case.reaches(Stage.READY)
    await house.moderator.tells(case, c.Reject, text="It is malware.")
    declined = await house.second.tells(case, c.Decline)
    assert (declined.stage, declined.turn, declined.proposal) == (Stage.READY, Turn.MODERATOR, None)
    assert declined.due is not None
    assert before.due is not None
    assert declined.due >= before.due, "the proposal took none of the review's time"
    await house.moderator.tells(case, c.Approve)
    await case.ends()


@pytest.mark.history("delayed-rejection")
async def test_a_delayed_rejection_gives_a_last_warning_and_then_rejects(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    case = await house.submits()
    await case.reaches(Stage.READY)
    await house.moderator.tells(case, c.Reject, text="The page names another product.", delayed=True)
    warned = await house.second.tells(case, c.Confirm)
    assert (warned.stage, warned.turn) == (Stage.WAITING, Turn.PUBLISHER)
    await time_skipping.sleep(timedelta(days=8))
    await case.becomes(lambda now: now.revision > warned.revision)
    await time_skipping.sleep(timedelta(days=7))
    await case.reaches(Stage.REJECTED)
    kinds = await case.notices()
    assert [kind for kind in kinds if kind in ("last_warning", "last_warning_reminder", "rejected")] == [
        "last_warning",
        "last_warning_reminder",
        "rejected",
    ]


@pytest.mark.history("waiver")
async def test_a_waiver_of_a_critical_finding_needs_a_second_approver(house: House) -> None:
    house.scans.weaknesses = (weakness("CVE-2026-9", Severity.CRITICAL),)
    manifest = house.manifest()
    case = await house.submits(manifest)
    ready = await case.reaches(Stage.READY)
    (finding,) = ready.outcome.blocking
    waiver = Waiver(
        finding=finding,
        state=VexState.NOT_AFFECTED,
        evidence="The code is never reached.",
        owner=house.member.id,
        scope=WaiverScope.PRODUCT,
        subject=(await case.row()).product,
        expires=datetime.now(UTC) + timedelta(days=90),
    )
    digest = await house.blobs.put_message(waiver)
    await house.member.tells(case, c.AskWaiver, finding=finding, text="It is never reached.")
    proposed = await house.moderator.tells(case, c.Waive, finding=finding, waiver=digest, text="True.")
    assert proposed.turn is Turn.SECOND_APPROVER
    waived = await house.second.tells(case, c.Confirm)
    assert (waived.outcome.blocking, waived.outcome.waived) == ((), 1)
    await house.moderator.tells(case, c.Approve)
    await case.ends()
    again = await house.submits(house.manifest("1.1", manifest.name))
    judged = await again.reaches(Stage.READY)
    assert (judged.outcome.blocking, judged.outcome.waived) == ((), 1), "it holds for the next version"


@pytest.mark.history("undone-in-time")
async def test_an_approval_is_undone_before_it_is_published(house: House) -> None:
    house.quay.gate.shut()
    case = await house.submits()
    await case.reaches(Stage.READY)
    await house.moderator.tells(case, c.Approve)
    await house.quay.gate.arrived.wait()
    undone = await house.moderator.tells(case, c.Undo)
    assert (undone.stage, undone.turn) == (Stage.READY, Turn.MODERATOR)
    product = await house.product_of(case)
    await product.becomes(lambda now: not now.waiting)
    await house.moderator.tells(case, c.RequestChanges, text="On second thoughts: add a licence.")
    await case.reaches(Stage.WAITING)
    assert house.quay.published == []
    assert (await product.snapshot()).status is ListingStatus.UNPUBLISHED
    assert "correction" in await case.notices()
    house.quay.gate.open.set()


@pytest.mark.history("undone-too-late")
async def test_what_is_published_is_published_even_when_the_undo_came_a_moment_too_late(house: House) -> None:
    house.quay.gate.shut()
    house.quay.deaf = True
    case = await house.submits()
    await case.reaches(Stage.READY)
    await house.moderator.tells(case, c.Approve)
    await house.quay.gate.arrived.wait()
    await house.moderator.tells(case, c.Undo)
    assert (await case.ends()).stage is Stage.PUBLISHED
    assert len(house.quay.published) == 1


@pytest.mark.history("approved-again")
async def test_an_approval_undone_and_given_again_publishes_once(house: House) -> None:
    house.quay.gate.shut()
    case = await house.submits()
    await case.reaches(Stage.READY)
    await house.moderator.tells(case, c.Approve)
    await house.quay.gate.arrived.wait()
    await house.moderator.tells(case, c.Undo)
    await house.other_moderator.tells(case, c.Approve)
    house.quay.gate.open.set()
    assert (await case.ends()).stage is Stage.PUBLISHED
    product = await house.product_of(case)
    done = await product.becomes(lambda now: not now.waiting)
    assert done.submission == case.id
    assert [event.event for event in await product.trail()].count("published") == 1


@pytest.mark.history("words")
async def test_words_are_answered_noted_and_assigned_without_a_new_iteration(house: House) -> None:
    case = await house.submits()
    await case.reaches(Stage.READY)
    await house.moderator.tells(case, c.Assign, to=house.other_moderator.id)
    await house.moderator.tells(case, c.Note, text="Looks odd.")
    await house.moderator.tells(case, c.Reply, text="What is the second port for?")
    await house.moderator.tells(case, c.RequestChanges, text="Say what the second port is for.")
    answered = await house.member.tells(case, c.Answer, text="It is the metrics port.")
    assert (answered.stage, answered.turn, answered.iteration) == (Stage.READY, Turn.MODERATOR, 1)
    assert answered.responded
    assert answered.assignee == house.other_moderator.id
    with refused("The answer is empty|answer does not apply"):
        await house.member.tells(case, c.Answer, text="")
    await house.moderator.tells(case, c.Approve)
    await case.ends()
    kinds = await case.notices()
    assert [kind for kind in kinds if kind in ("assigned", "reply", "answered")] == ["assigned", "reply", "answered"]
    private = [event.event for event in await case.trail() if event.private]
    assert private == ["assign", "note"]


async def test_a_command_that_is_sent_again_is_one(house: House) -> None:
    case = await house.submits()
    await case.reaches(Stage.READY)
    first = await house.moderator.tells(case, c.Note, id="note-1", text="Looks odd.")
    await house.moderator.signals(case, c.Note, id="note-1", text="Looks odd.")
    again = await house.moderator.tells(case, c.Note, id="note-2", text="Still odd.")
    assert again.revision == first.revision + 1


@pytest.mark.history("without-the-badge")
async def test_certification_is_waited_for_until_the_publisher_goes_on_without_the_badge(house: House) -> None:
    sla = Sla(hours="9-17", time_zone="Europe/Berlin", first_response_hours=8)
    manifest = house.manifest(runs_on=RunsOn.ENTERPRISE, wants_certification=True)
    tiers = tuple(tier.model_copy(update={"sla": sla}) for tier in manifest.tiers)
    case = await house.submits(manifest.model_copy(update={"tiers": tiers}))
    await case.reaches(Stage.READY)
    certifying = await house.moderator.tells(case, c.Approve)
    assert (certifying.stage, certifying.turn) == (Stage.CERTIFYING, Turn.CERTIFIER)
    with refused("publish_without_badge is for: publisher"):
        await house.moderator.tells(case, c.PublishWithoutBadge)
    await house.member.tells(case, c.PublishWithoutBadge)
    assert (await case.ends()).stage is Stage.PUBLISHED
    assert "certification_started" in await case.notices()
