"""What publishers do, and what changes neither stage nor turn."""

import pytest

from models import commands as c
from models.errors import NotAllowed
from models.lifecycle import Outcome, Stage, Turn
from tests.policies.samples import (
    CONTENT,
    Story,
    certifying,
    checking,
    expired,
    publishing,
    ready,
    rejected,
    waiting,
)

KEY = "manifest.name:name"


def test_a_resubmission_starts_the_next_iteration_with_nothing_of_the_last_one() -> None:
    story = waiting(KEY).says("pat", c.Resubmit, content="sha256:mended")
    state = story.state
    assert (state.stage, state.turn, state.iteration, state.content) == (
        Stage.ONBOARDING,
        Turn.HUB,
        2,
        "sha256:mended",
    )
    assert (state.release, state.outcome, state.deadline, state.undoable) == ("", Outcome(), None, None)


def test_a_new_iteration_is_no_answer_and_no_appeal_and_everybody_reviews_it() -> None:
    story = rejected().says("pat", c.Appeal).says("pat", c.Resubmit, content=CONTENT).onboarded().examined()
    assert (story.state.responded, story.state.appealed, story.state.rejected_by) == (False, False, ())
    assert story.says("mo", c.Approve).state.stage is Stage.PUBLISHING


def test_a_resubmission_ends_a_last_warning() -> None:
    warned = ready().says("mo", c.Reject, delayed=True).says("sam", c.Confirm)
    assert not warned.says("pat", c.Resubmit, content=CONTENT).state.warned


def test_whoever_finds_a_mistake_resubmits_before_the_review() -> None:
    story = ready().says("mo", c.Reject).says("pat", c.Resubmit, content=CONTENT)
    assert (story.state.stage, story.state.proposal) == (Stage.ONBOARDING, None)


@pytest.mark.parametrize("story", [Story(), checking(), publishing(), certifying()])
def test_nobody_resubmits_while_the_hub_is_at_work(story: Story) -> None:
    with pytest.raises(NotAllowed, match="resubmit does not apply now"):
        story.says("pat", c.Resubmit, content=CONTENT)


@pytest.mark.parametrize(
    "story",
    [Story(), checking(), ready(), waiting(), certifying(), rejected(), expired(), ready().says("mo", c.Reject)],
)
def test_a_publisher_may_withdraw_until_it_is_being_published(story: Story) -> None:
    story = Story(story.state, story.now).says("pat", c.Withdraw, text="")
    assert (story.state.stage, story.state.turn, story.notices) == (Stage.WITHDRAWN, Turn.NOBODY, ("withdrawn",))


@pytest.mark.parametrize(("kind", "fields"), [(c.Withdraw, {}), (c.Supersede, {"by": "newer"})])
def test_while_it_is_being_published_it_cannot_be_taken_back(kind: type[c.Command], fields: dict[str, str]) -> None:
    with pytest.raises(NotAllowed, match=f"{kind.act} does not apply now. Iteration 1 is publishing, turn: hub"):
        publishing().says("pat", kind, **fields)


@pytest.mark.parametrize("story", [Story(), checking(), ready(), waiting(), certifying(), rejected(), expired()])
def test_a_newer_submission_supersedes_the_older(story: Story) -> None:
    story = Story(story.state, story.now).says("pat", c.Supersede, by="newer")
    assert (story.state.stage, story.notices) == (Stage.SUPERSEDED, ("superseded",))


@pytest.mark.parametrize("text", ["", "  "])
def test_words_that_say_nothing_change_nothing(text: str) -> None:
    for story, kind, fields in (
        (waiting(), c.Answer, {}),
        (waiting(KEY), c.AskWaiver, {"finding": KEY}),
        (rejected(), c.Appeal, {}),
    ):
        with pytest.raises(NotAllowed):
            story.says("pat", kind, text=text, **fields)


def test_a_waiver_is_asked_for_a_finding_that_holds_the_item_up() -> None:
    with pytest.raises(NotAllowed, match=r"No open requirement has the key image\.healthcheck"):
        waiting(KEY).says("pat", c.AskWaiver, finding="image.healthcheck")
    story = waiting(KEY).says("pat", c.AskWaiver, finding=KEY)
    assert (story.state.stage, story.state.turn, story.notices) == (Stage.READY, Turn.MODERATOR, ("waiver_asked",))


def test_of_what_is_not_listed_any_key_may_be_named() -> None:
    state = waiting(KEY).state.model_copy(update={"outcome": Outcome(blocking=(KEY,), unlisted=9)})
    assert Story(state).says("pat", c.AskWaiver, finding="image.x").notices == ("waiver_asked",)


# --- appeal ---------------------------------------------------------------------------------------------------------


def test_an_appeal_brings_a_rejected_submission_back_to_the_moderators() -> None:
    story = rejected().later(days=200).says("pat", c.Appeal)
    assert (story.state.stage, story.state.turn, story.state.appealed) == (Stage.READY, Turn.MODERATOR, True)
    assert story.notices == ("appealed", "appeal_received")


@pytest.mark.parametrize("person", ["mo", "sam"])
@pytest.mark.parametrize("kind", [c.Approve, c.RequestChanges, c.Reject])
def test_an_appeal_is_judged_by_neither_of_the_two_who_rejected(person: str, kind: type[c.Command]) -> None:
    story = rejected().says("pat", c.Appeal)
    with pytest.raises(NotAllowed, match="judged by somebody else"):
        story.says(person, kind)
    assert story.says("mia", kind).state.turn is not Turn.MODERATOR


@pytest.mark.parametrize("kind", [c.Confirm, c.Decline])
def test_nor_is_its_second_rejection_confirmed_by_one_of_them(kind: type[c.Command]) -> None:
    story = rejected().says("pat", c.Appeal).says("mia", c.Reject)
    with pytest.raises(NotAllowed, match="judged by somebody else"):
        story.says("sam", kind)
    assert story.says("sue", kind).state.proposal is None


def test_nor_do_they_undo_what_the_judge_decided() -> None:
    again = rejected().says("pat", c.Appeal).says("mia", c.Reject).says("sue", c.Confirm)
    for story in (
        *(rejected().says("pat", c.Appeal).says("mia", kind) for kind in (c.Approve, c.RequestChanges)),
        again,
    ):
        for person in ("mo", "sam"):
            with pytest.raises(NotAllowed, match="judged by somebody else"):
                story.says(person, c.Undo)
        assert story.says("mia", c.Undo).state.appealed
        assert story.state.rejected_by == ("mo", "sam")


def test_who_rejected_may_still_note_what_the_judge_should_know() -> None:
    assert rejected().says("pat", c.Appeal).says("mo", c.Note).state.stage is Stage.READY


def test_a_second_rejection_can_be_appealed_again_and_has_other_judges() -> None:
    story = rejected().says("pat", c.Appeal).says("mia", c.Reject).says("sue", c.Confirm)
    assert (story.state.stage, story.state.rejected_by, story.state.appealed) == (
        Stage.REJECTED,
        ("mia", "sue"),
        False,
    )
    story.says("pat", c.Appeal)
    with pytest.raises(NotAllowed, match="judged by somebody else"):
        story.says("sue", c.Approve)
    assert story.says("mo", c.Approve).state.stage is Stage.PUBLISHING


def test_after_a_decided_appeal_everybody_reviews_again() -> None:
    story = rejected().says("pat", c.Appeal).says("mia", c.RequestChanges).says("pat", c.Answer)
    assert (story.state.appealed, story.state.rejected_by) == (False, ())
    assert story.says("mo", c.Approve).state.stage is Stage.PUBLISHING


# --- aside ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("story", [Story(), checking(), ready(), waiting(), publishing(), rejected(), expired()])
def test_notes_and_assignments_move_nothing(story: Story) -> None:
    before = story.state
    after = Story(before, story.now).later(days=1).says("mo", c.Note).says("mo", c.Assign, to="mia").state
    same = before.model_dump(exclude={"revision", "seen", "assignee"})
    assert after.model_dump(exclude={"revision", "seen", "assignee"}) == same
    assert (after.assignee, after.revision) == ("mia", before.revision + 2)


def test_an_assignment_tells_the_assignee_and_its_end_nobody() -> None:
    assert ready().says("mo", c.Assign, to="mia").notices == ("assigned",)
    assert ready().says("mo", c.Assign, to="").notices == ()


def test_a_note_is_told_to_nobody() -> None:
    assert ready().says("rob", c.Note).notices == ()


def test_a_reply_is_mailed_and_leaves_the_turn() -> None:
    story = ready().says("mo", c.Reply)
    assert (story.state.turn, story.notices) == (Turn.MODERATOR, ("reply",))


def test_a_publisher_who_does_not_wait_for_the_badge_goes_on_without_it() -> None:
    story = certifying().says("pat", c.PublishWithoutBadge)
    assert (story.state.stage, story.state.certify, story.state.undoable) == (Stage.PUBLISHING, False, None)
    with pytest.raises(NotAllowed, match="publish_without_badge does not apply"):
        waiting().says("pat", c.PublishWithoutBadge)
