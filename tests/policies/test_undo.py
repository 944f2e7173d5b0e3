"""Undo: the latest decision, until its effect is published or the other side has acted."""

import pytest

from models import commands as c
from models import events as e
from models.errors import NotAllowed
from models.lifecycle import Stage, Turn
from tests.policies.samples import CONTENT, DAY, MONDAY, RELEASE, publishing, ready, rejected, waiting

KEY = "scan.vulnerability:CVE-2024-1:pkg:pypi/django"
OTHER = "manifest.name:name"


@pytest.mark.parametrize("kind", [c.Approve, c.RequestChanges])
def test_a_decision_is_undone_with_a_correction_and_the_time_that_was_left(kind: type[c.Command]) -> None:
    story = ready().later(days=5).says("mo", kind).later(days=2).says("mia", c.Undo)
    assert (story.state.stage, story.state.turn) == (Stage.READY, Turn.MODERATOR)
    assert story.state.remaining(story.now) == 9 * DAY
    assert story.notices == ("correction",)


def test_an_undone_rejection_can_be_approved() -> None:
    story = rejected().later(days=300).says("mo", c.Undo)
    assert story.state.rejected_by == ()
    assert story.says("mo", c.Approve).state.stage is Stage.PUBLISHING


def test_undo_of_a_last_warning_takes_the_warning_back() -> None:
    story = ready().says("mo", c.Reject, delayed=True).says("sam", c.Confirm).later(days=8).says("mo", c.Undo)
    assert (story.state.stage, story.state.warned) == (Stage.READY, False)


def test_undo_of_a_proposal_tells_the_publisher_nothing() -> None:
    story = ready().says("mo", c.Reject).later(days=3).says("mo", c.Undo)
    assert (story.state.turn, story.state.proposal, story.notices) == (Turn.MODERATOR, None, ())
    assert story.state.remaining(story.now) == 14 * DAY


def test_undo_of_a_waiver_takes_the_waiver_out_of_force_and_leaves_the_clock_alone() -> None:
    story = ready(OTHER).says("mo", c.Waive, finding=OTHER, waiver="sha256:w")
    # the reminder goes out between the waiver and its undoing: it does not go out again
    assert story.strikes().notices == ("review_reminder",)
    story.says("mo", c.Undo)
    assert (story.state.outcome.blocking, story.waiver) == ((OTHER,), "sha256:w")
    assert story.state.deadline is not None
    assert (story.state.deadline.remind_at, story.state.deadline.due) == (None, MONDAY + 14 * DAY)


def test_undo_of_a_confirmed_waiver_takes_it_back_too() -> None:
    story = ready(KEY, critical=(KEY,)).says("mo", c.Waive, finding=KEY, waiver="sha256:w").says("sam", c.Confirm)
    story.says("sam", c.Undo)
    assert (story.state.outcome.blocking, story.state.outcome.critical, story.waiver) == ((KEY,), (KEY,), "sha256:w")


@pytest.mark.parametrize(
    ("kind", "fields"),
    [(c.Resubmit, {"content": CONTENT}), (c.Answer, {}), (c.AskWaiver, {"finding": OTHER})],
)
def test_the_publishers_act_ends_the_chance_to_undo(kind: type[c.Command], fields: dict[str, str]) -> None:
    story = waiting(OTHER).says("pat", kind, **fields)
    with pytest.raises(NotAllowed, match="undo does not apply now"):
        story.says("mo", c.Undo)


def test_a_waiver_cannot_be_undone_after_the_publisher_has_written() -> None:
    story = ready(OTHER, KEY).says("mo", c.Waive, finding=OTHER, waiver="w").says("pat", c.AskWaiver, finding=KEY)
    with pytest.raises(NotAllowed, match="undo does not apply now"):
        story.says("mo", c.Undo)


def test_a_proposal_that_the_publisher_does_not_know_of_can_be_undone_whatever_he_writes() -> None:
    story = ready(KEY).says("mo", c.Reject).says("pat", c.AskWaiver, finding=KEY)
    assert story.state.turn is Turn.SECOND_APPROVER
    assert story.says("mo", c.Undo).state.turn is Turn.MODERATOR


def test_what_the_publisher_has_written_stays_written() -> None:
    answered = waiting(KEY).says("pat", c.Answer)
    assert answered.says("mo", c.RequestChanges).says("mo", c.Undo).state.responded
    asked = ready(KEY).says("mo", c.Reject).says("pat", c.AskWaiver, finding=KEY).says("mo", c.Undo)
    assert asked.state.responded
    assert not ready().says("mo", c.Reject).says("mo", c.Undo).state.responded


def test_only_the_latest_decision_is_undone() -> None:
    story = ready(OTHER).says("mo", c.Waive, finding=OTHER, waiver="w").says("mo", c.Approve).says("mo", c.Undo)
    assert story.state.outcome.blocking == ()
    with pytest.raises(NotAllowed, match="undo does not apply now"):
        story.says("mo", c.Undo)


def test_what_is_published_cannot_be_undone() -> None:
    story = publishing().happens(e.Published(release=RELEASE))
    with pytest.raises(NotAllowed, match="published for good"):
        story.says("mo", c.Undo)


def test_a_publication_that_was_recalled_too_late_is_published() -> None:
    for story in (publishing().says("mo", c.Undo), publishing().says("mo", c.Undo).says("mo", c.RequestChanges)):
        assert story.happens(e.Published(release=RELEASE)).state.stage is Stage.PUBLISHED


def test_but_not_in_the_name_of_the_next_iteration() -> None:
    story = publishing().says("mo", c.Undo).says("pat", c.Resubmit, content=CONTENT)
    for release in (RELEASE, ""):
        assert story.happens(e.Published(release=release)).state.stage is Stage.ONBOARDING
    story.onboarded("sha256:second").examined()
    assert story.happens(e.Published(release=RELEASE)).state.stage is Stage.READY
