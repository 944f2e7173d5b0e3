"""What happens by itself when nobody acts. Weeks pass in no time; a day has no minute to spare for an activity."""

from datetime import timedelta

import pytest
from temporalio.testing import WorkflowEnvironment

from models import commands as c
from models.lifecycle import Stage, Turn
from tests.workflows.house import Case, House, refused

pytestmark = pytest.mark.system


async def asked_for_changes(house: House) -> Case:
    case = await house.submits()
    await case.reaches(Stage.READY)
    await house.moderator.tells(case, c.RequestChanges, text="Add a licence.")
    await case.reaches(Stage.WAITING)
    return case


@pytest.mark.history("expired-and-revived")
async def test_an_unanswered_request_for_changes_is_reminded_of_once_expires_and_can_be_revived(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    case = await asked_for_changes(house)
    await time_skipping.sleep(timedelta(days=21))
    kinds = await case.notices()
    assert kinds[-1] == "changes_reminder"
    await time_skipping.sleep(timedelta(days=10))
    assert (await case.notices()).count("changes_reminder") == 1
    await time_skipping.sleep(timedelta(days=5))
    expired = await case.reaches(Stage.EXPIRED)
    assert expired.turn is Turn.PUBLISHER, "it can still act"
    assert (await case.notices())[-1] == "expired"
    with refused("answer does not apply now"):
        await house.member.tells(case, c.Answer, text="Sorry.")
    revived = await house.member.tells(case, c.Revive)
    assert (revived.stage, revived.turn) == (Stage.READY, Turn.MODERATOR)
    await house.moderator.tells(case, c.Approve)
    assert (await case.ends()).stage is Stage.PUBLISHED


@pytest.mark.history("closed-for-good")
async def test_an_expired_submission_that_nobody_revives_is_closed_after_a_year(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    case = await asked_for_changes(house)
    await time_skipping.sleep(timedelta(days=36))
    await case.reaches(Stage.EXPIRED)
    product = await house.product_of(case)
    assert case.id in await product.details()
    await time_skipping.sleep(timedelta(days=366))
    assert (await case.ends()).stage is Stage.CLOSED
    assert case.id not in await product.details(), "nothing supersedes it any more"


@pytest.mark.history("paused")
async def test_a_pause_stops_the_clock_with_a_reason_that_everybody_sees(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    case = await asked_for_changes(house)
    await time_skipping.sleep(timedelta(days=5))
    with refused("pause is for: admin, ops"):
        await house.moderator.tells(case, c.PauseClock, text="Holidays.")
    paused = await house.ops.tells(case, c.PauseClock, text="The registry is being moved.")
    assert paused.paused == "The registry is being moved."
    assert "The registry is being moved." in await case.details()
    await time_skipping.sleep(timedelta(days=60))
    still = await case.snapshot()
    assert (still.stage, still.revision) == (Stage.WAITING, paused.revision)
    resumed = await house.ops.tells(case, c.ResumeClock)
    assert paused.due is not None
    assert resumed.due is not None
    assert resumed.due - paused.due >= timedelta(days=60)
    await time_skipping.sleep(timedelta(days=16))
    await case.becomes(lambda now: now.revision > resumed.revision)
    assert (await case.notices())[-1] == "changes_reminder"
    await time_skipping.sleep(timedelta(days=15))
    await case.reaches(Stage.EXPIRED)


@pytest.mark.history("overdue-review")
async def test_a_review_that_nobody_gives_is_reminded_of_and_marked_overdue_but_never_lost(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    case = await house.submits()
    await case.reaches(Stage.READY)
    await time_skipping.sleep(timedelta(days=11))
    assert "review_reminder" in await case.notices()
    await time_skipping.sleep(timedelta(days=4))
    late = await case.becomes(lambda now: now.overdue)
    assert (late.stage, late.turn) == (Stage.READY, Turn.MODERATOR)
    assert (await case.notices())[-1] == "review_overdue"
    await time_skipping.sleep(timedelta(days=100))
    assert (await case.snapshot()).revision == late.revision, "told once"
    await house.moderator.tells(case, c.Approve)
    assert (await case.ends()).stage is Stage.PUBLISHED


@pytest.mark.history("overdue-proposal")
async def test_a_proposal_that_nobody_confirms_is_reminded_of(house: House, time_skipping: WorkflowEnvironment) -> None:
    case = await house.submits()
    await case.reaches(Stage.READY)
    await house.moderator.tells(case, c.Reject, text="It is malware.")
    await time_skipping.sleep(timedelta(days=3))
    late = await case.becomes(lambda now: now.overdue)
    assert late.turn is Turn.SECOND_APPROVER
    assert (await case.notices())[-1] == "proposal_reminder"
    await house.second.tells(case, c.Confirm)
    await case.reaches(Stage.REJECTED)


@pytest.mark.history("policy-edited")
async def test_an_edited_policy_holds_for_the_next_iteration_and_leaves_running_deadlines_alone(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    waiting = await asked_for_changes(house)
    before = await waiting.snapshot()
    ready = await house.submits()
    await ready.reaches(Stage.READY)
    expired = await asked_for_changes(house)
    await time_skipping.sleep(timedelta(days=36))
    await expired.reaches(Stage.EXPIRED)
    second = await asked_for_changes(house)
    term = (await second.snapshot()).due
    house.scans.gate.shut()
    checking = await house.submits()
    await house.scans.gate.arrived.wait()

    house.policy.write_text("[deadlines]\nchanges_reminder_days = 3\nchanges_expiry_days = 5\n")
    house.scans.gate.open.set()
    assert (await waiting.snapshot()).stage is Stage.EXPIRED
    assert (await second.snapshot()).due == term
    await checking.reaches(Stage.READY)
    for case in (ready, checking):
        told = await house.moderator.tells(case, c.RequestChanges, text="Add a licence.")
        assert told.policy == before.policy, "the iteration began under the older policy"
    manifest = house.manifest("1.1")
    again = await house.resubmits(second, manifest)
    assert again.iteration == 2
    judged = await second.reaches(Stage.READY, iteration=2)
    assert judged.policy != before.policy
    newer = await house.moderator.tells(second, c.RequestChanges, text="Once more.")
    await time_skipping.sleep(timedelta(days=6))
    assert (await second.reaches(Stage.EXPIRED)).revision > newer.revision
    assert (await ready.snapshot()).stage is Stage.WAITING, "35 days, as when its iteration began"
