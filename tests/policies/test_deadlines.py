"""One deadline per item: it pauses when the other side acts, reminds once, and the newest message counts."""

from datetime import timedelta

import pytest

from models import commands as c
from models import events as e
from models.errors import NotAllowed
from models.lifecycle import DeadlineKind, Outcome, Stage, Turn
from models.policy import Deadlines
from policies.lifecycle import happen, tell
from tests.policies.samples import (
    CONTENT,
    DAY,
    MONDAY,
    POLICY,
    RELEASE,
    TERMS,
    Story,
    certifying,
    checking,
    command,
    expired,
    new,
    publishing,
    ready,
    rejected,
    standing,
    waiting,
)

KEY = "manifest.name:name"


def test_the_first_review_is_due_within_fourteen_days_of_the_submission() -> None:
    story = checking().later(days=3).examined()
    deadline = story.state.deadline
    assert deadline is not None
    assert (deadline.kind, deadline.due) == (DeadlineKind.FIRST_REVIEW, MONDAY + 14 * DAY)
    assert deadline.remind_at == MONDAY + 10 * DAY
    assert story.notices == ("ready_for_review", "in_review")


def test_a_review_that_nobody_gives_is_reminded_of_once_then_overdue_and_never_the_publishers_loss() -> None:
    story = ready()
    assert story.strikes().notices == ("review_reminder",)
    assert story.strikes().notices == ("review_overdue",)
    assert story.state.deadline is not None
    assert (story.state.deadline.overdue, story.state.deadline.next_moment) == (True, None)
    assert (story.state.stage, story.state.turn) == (Stage.READY, Turn.MODERATOR)
    story.later(days=100)
    assert story.happens(e.ClockStruck()).notices == ()


def test_every_later_reply_is_due_in_working_days() -> None:
    story = waiting(KEY).later(days=1).says("pat", c.Answer)
    assert story.state.deadline is not None
    assert (story.state.deadline.kind, story.state.deadline.due) == (DeadlineKind.REPLY, story.now + 2 * DAY)
    assert story.notices == ("answered",)


def test_where_no_calendar_was_asked_the_days_are_counted_as_they_are() -> None:
    story = waiting(KEY)
    answer = tell(story.state, command(c.Answer, "pat"), standing("pat"), story.now).state
    assert answer.remaining(story.now) == 2 * DAY


def test_so_is_the_second_iterations_review() -> None:
    story = waiting(KEY).says("pat", c.Resubmit, content=CONTENT).onboarded()
    reply_by = story.now + 4 * DAY
    story.happens(e.Examined(outcome=Outcome(reply_by=reply_by)))
    assert story.state.deadline is not None
    assert (story.state.deadline.kind, story.state.deadline.due) == (DeadlineKind.REPLY, reply_by)


def test_a_request_for_changes_reminds_at_twenty_days_and_expires_at_thirty_five() -> None:
    story = waiting(KEY)
    assert (story.strikes().notices, story.now) == (("changes_reminder",), MONDAY + 20 * DAY)
    assert (story.strikes().notices, story.now) == (("expired",), MONDAY + 35 * DAY)
    assert (story.state.stage, story.state.turn) == (Stage.EXPIRED, Turn.PUBLISHER)
    assert story.state.deadline is not None
    assert story.state.deadline.due == story.now + 365 * DAY


def test_the_clock_that_strikes_too_early_or_twice_does_nothing() -> None:
    story = waiting(KEY).later(days=20, seconds=-1)
    before = story.state
    assert story.happens(e.ClockStruck()).state is before
    story.later(seconds=1).happens(e.ClockStruck())
    after = story.state
    assert after.revision == before.revision + 1
    assert story.happens(e.ClockStruck()).state is after
    assert story.told.count("changes_reminder") == 1


def test_an_expiry_is_reversible_for_a_year_and_no_longer() -> None:
    story = expired().later(days=364).says("pat", c.Revive)
    assert (story.state.stage, story.state.turn, story.notices) == (Stage.READY, Turn.MODERATOR, ("revived",))
    assert story.state.deadline is not None
    assert (story.state.deadline.kind, story.state.deadline.due) == (DeadlineKind.REPLY, story.now + 2 * DAY)
    gone = expired().strikes()
    assert (gone.state.stage, gone.state.turn, gone.state.deadline) == (Stage.CLOSED, Turn.NOBODY, None)
    with pytest.raises(NotAllowed, match="closed for good"):
        gone.says("pat", c.Revive)


def test_an_expired_submission_can_be_resubmitted_at_once() -> None:
    story = expired().says("pat", c.Resubmit, content="sha256:mended")
    assert (story.state.stage, story.state.iteration, story.state.content) == (Stage.ONBOARDING, 2, "sha256:mended")


def test_a_rejected_submission_is_appealed_and_not_revived_or_resubmitted() -> None:
    for kind, fields in ((c.Revive, {}), (c.Resubmit, {"content": CONTENT})):
        with pytest.raises(NotAllowed, match="does not apply now"):
            rejected().says("pat", kind, **fields)
    assert rejected().strikes().state.stage is Stage.CLOSED


def test_a_second_approver_is_reminded_and_the_proposal_stays() -> None:
    story = ready().says("mo", c.Reject)
    assert story.strikes().notices == ("proposal_reminder",)
    assert story.now == MONDAY + 2 * DAY
    assert story.state.proposal is not None
    assert story.later(days=90).happens(e.ClockStruck()).notices == ()


def test_the_moderators_clock_stands_still_while_a_second_approver_is_at_turn() -> None:
    story = ready().later(days=13).says("mo", c.Reject).later(days=30).says("sam", c.Decline)
    assert story.state.deadline is not None
    assert story.state.remaining(story.now) == DAY
    assert story.happens(e.ClockStruck()).notices == ("review_reminder",)


# --- the newest message counts --------------------------------------------------------------------------------------


def test_what_the_publisher_writes_meanwhile_is_answered_within_the_term_of_the_newest_message() -> None:
    story = waiting(KEY).says("pat", c.Answer).later(days=1).says("pat", c.AskWaiver, finding=KEY)
    assert story.state.deadline is not None
    assert story.state.deadline.due == story.now + 2 * DAY


def test_but_the_first_review_is_due_when_it_was_promised() -> None:
    story = ready(KEY).later(days=1).says("pat", c.AskWaiver, finding=KEY)
    assert story.state.deadline is not None
    assert (story.state.deadline.kind, story.state.deadline.due) == (DeadlineKind.FIRST_REVIEW, MONDAY + 14 * DAY)
    assert story.state.responded


def test_a_reply_gives_the_publisher_the_whole_term_to_act_on_it() -> None:
    story = waiting(KEY).strikes().later(days=10).says("mo", c.Reply)
    assert story.state.deadline is not None
    assert (story.state.stage, story.state.turn) == (Stage.WAITING, Turn.PUBLISHER)
    assert (story.state.deadline.remind_at, story.state.deadline.due) == (story.now + 20 * DAY, story.now + 35 * DAY)


def test_a_reply_does_not_move_the_moderators_own_deadline() -> None:
    story = ready()
    before = story.state.deadline
    assert story.later(days=2).says("mo", c.Reply).state.deadline == before


def test_changes_requested_again_after_an_answer_begin_a_new_term() -> None:
    story = waiting(KEY).later(days=30).says("pat", c.Answer).later(days=1).says("mo", c.RequestChanges)
    assert story.state.deadline is not None
    assert (story.state.responded, story.state.deadline.due) == (False, story.now + 35 * DAY)


# --- pause and resume -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("story", [ready(KEY), waiting(KEY), rejected(), ready(KEY).says("mo", c.Reject)])
def test_a_paused_clock_never_strikes_and_resumes_with_exactly_the_time_that_was_left(story: Story) -> None:
    story = Story(story.state, story.now).later(hours=7)
    left = story.state.remaining(story.now)
    story.says("olga", c.PauseClock)
    assert story.notices == ("paused",)
    paused = story.state
    story.later(days=400)
    assert story.happens(e.ClockStruck()).state is paused
    assert story.state.remaining(story.now) == left
    story.says("olga", c.ResumeClock)
    assert (story.state.remaining(story.now), story.notices) == (left, ("resumed",))
    assert left is not None
    story.later(seconds=left.total_seconds())
    assert story.happens(e.ClockStruck()).state is not paused


def test_a_pause_goes_on_when_the_other_side_acts_and_counts_for_the_new_deadline() -> None:
    story = waiting(KEY).later(days=5).says("olga", c.PauseClock).later(days=50).says("pat", c.Answer)
    assert story.state.paused is not None
    story.later(days=10).says("olga", c.ResumeClock)
    assert story.state.deadline is not None
    assert story.state.remaining(story.now) == 2 * DAY


def test_a_pause_while_a_proposal_comes_and_goes_costs_nobody_time() -> None:
    story = ready().later(days=4).says("olga", c.PauseClock).later(days=5).says("mo", c.Reject)
    assert story.state.remaining(story.now) == 2 * DAY
    story.later(days=6).says("sam", c.Decline).later(days=7).says("olga", c.ResumeClock)
    assert story.state.remaining(story.now) == 10 * DAY


def test_a_pause_before_there_is_a_deadline_makes_the_first_review_due_later() -> None:
    story = Story().says("olga", c.PauseClock).later(days=20).onboarded().later(days=1).examined()
    assert story.state.remaining(story.now) == 14 * DAY
    story.later(days=2).says("olga", c.ResumeClock)
    assert story.state.deadline is not None
    assert story.state.deadline.due == MONDAY + (14 + 23) * DAY


def test_a_pause_that_has_ended_before_the_review_counts_as_well() -> None:
    story = checking().says("olga", c.PauseClock).later(days=3).says("olga", c.ResumeClock).later(days=1).examined()
    assert story.state.deadline is not None
    assert story.state.deadline.due == MONDAY + 17 * DAY


@pytest.mark.parametrize("story", [Story(), checking(), publishing(), certifying()])
def test_a_pause_where_nothing_runs_is_told_and_ended_like_any_other(story: Story) -> None:
    story = Story(story.state, story.now).says("olga", c.PauseClock).later(days=2)
    assert story.happens(e.ClockStruck()).state.deadline is None
    assert story.says("olga", c.ResumeClock).state.paused is None


def test_nobody_pauses_twice_or_resumes_what_runs() -> None:
    story = ready()
    with pytest.raises(NotAllowed, match="resume does not apply now"):
        story.says("olga", c.ResumeClock)
    story.says("olga", c.PauseClock)
    with pytest.raises(NotAllowed, match="pause does not apply now"):
        story.says("ada", c.PauseClock)


def test_people_go_on_while_the_clock_stands_still() -> None:
    story = ready().says("olga", c.PauseClock).later(days=1).says("mo", c.Approve)
    assert story.happens(e.Published(release=RELEASE)).state.stage is Stage.PUBLISHED


# --- the policy in force --------------------------------------------------------------------------------------------


def test_an_iteration_takes_the_terms_in_force_when_it_begins() -> None:
    shorter = Deadlines(changes_reminder_days=1, changes_expiry_days=2)
    story = Story().onboarded(terms=shorter).examined(KEY).says("mo", c.RequestChanges)
    assert story.state.remaining(story.now) == 2 * DAY
    story.says("pat", c.Resubmit, content=CONTENT).onboarded(terms=TERMS).examined(KEY).says("mo", c.RequestChanges)
    assert story.state.remaining(story.now) == 35 * DAY


def test_what_onboarding_found_is_known_from_then_on() -> None:
    shorter = Deadlines(dormant_days=1)
    state = Story().onboarded("sha256:pinned", shorter).state
    assert (state.release, state.policy, state.terms) == ("sha256:pinned", POLICY, shorter)


def test_an_iteration_that_is_refused_at_once_waits_for_the_publisher_by_the_same_terms() -> None:
    outcome = Outcome(blocking=("image.readable:Standard 1.0",), requirements=1)
    story = Story().happens(e.Onboarded(terms=TERMS, policy="p", refused=outcome))
    assert (story.state.stage, story.state.release, story.notices) == (Stage.WAITING, "", ("submission_refused",))
    assert (story.state.outcome, story.state.policy, story.state.terms) == (outcome, "p", TERMS)
    assert story.state.remaining(story.now) == 35 * DAY
    unread = checking().happens(e.Examined(outcome=outcome, refused=True))
    assert (unread.state.stage, unread.state.outcome, unread.notices) == (
        Stage.WAITING,
        outcome,
        ("submission_refused",),
    )


def test_the_longest_terms_of_a_policy_still_fit_into_the_calendar() -> None:
    terms = Deadlines(dormant_days=36_500, changes_expiry_days=36_500, last_warning_days=36_500)
    story = Story().onboarded(terms=terms).examined(KEY).says("mo", c.RequestChanges).strikes().strikes()
    assert story.state.stage is Stage.EXPIRED
    assert story.strikes().state.stage is Stage.CLOSED


def test_late_machine_events_find_a_submission_that_has_moved_on() -> None:
    for story in (waiting(KEY), expired(), rejected(), ready().says("pat", c.Withdraw)):
        for event in (
            e.Examined(outcome=Outcome()),
            e.Onboarded(terms=TERMS, policy="p", release=RELEASE),
            e.Certified(passed=True),
            e.PublicationFailed(reason="late"),
        ):
            assert happen(story.state, event, story.now).state is story.state


def test_the_clock_of_a_submission_without_deadline_strikes_in_vain() -> None:
    state = new()
    assert happen(state, e.ClockStruck(), MONDAY + timedelta(days=900)).state is state
