"""What happens by itself when nobody acts. Weeks pass in no time; a day has no minute to spare for an activity."""

from datetime import timedelta

import pytest
from temporalio.testing import WorkflowEnvironment

from models import commands as c
from models.lifecycle import Stage, Turn
from store import submissions
from tests.workflows.house import House
from tests.workflows.people import Case, refused

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
async def test_an_edited_policy_holds_for_the_next_iteration_and_leaves_running_ones_alone(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    waiting = await asked_for_changes(house)
    term = (await waiting.snapshot()).due
    ready = await house.submits()
    await ready.reaches(Stage.READY)
    house.scans.gate.shut()
    checking = await house.submits()
    await house.scans.gate.arrived.wait()

    deadlines = "[deadlines]\nchanges_reminder_days = 3\nchanges_expiry_days = 5\n"
    house.policy.write_text(f'{deadlines}[rules]\nrequirement = ["image.healthcheck"]\n')
    house.scans.gate.open.set()
    assert (await waiting.snapshot()).due == term
    judged = await checking.reaches(Stage.READY)
    assert judged.outcome.blocking == (), "by the rules in force when its iteration began"
    for case in (ready, checking):
        told = await house.moderator.tells(case, c.RequestChanges, text="Add a licence.")
        assert told.due is not None
        assert term is not None
        assert told.due >= term, "35 days, as when its iteration began"
    await house.resubmits(waiting, house.manifest("1.1"))
    again = await waiting.reaches(Stage.READY, iteration=2)
    assert len(again.outcome.blocking) == 2, "a health check is a requirement now, on both platforms"
    await house.moderator.tells(waiting, c.RequestChanges, text="Once more.")
    await time_skipping.sleep(timedelta(days=6))
    await waiting.reaches(Stage.EXPIRED)
    assert [await policies_of(house, case) for case in (ready, checking)] == [await policies_of(house, waiting, 1)] * 2
    assert await policies_of(house, waiting, 1) != await policies_of(house, waiting, 2)
    assert (await ready.snapshot()).stage is Stage.WAITING


async def policies_of(house: House, case: Case, iteration: int = 1) -> str:
    """Digest of the policy that an iteration was judged by."""
    async with house.database.session() as session:
        return (await submissions.iterations(session, case.id))[iteration - 1].policy
