"""What moderators, second approvers and certifiers decide."""

import pytest

from models import commands as c
from models import events as e
from models.errors import NotAllowed
from models.findings import READABLE
from models.lifecycle import DeadlineKind, Outcome, Stage, Turn
from policies.lifecycle import tell
from policies.stages import STAGES
from tests.policies.samples import (
    CONTENT,
    DAY,
    RELEASE,
    TERMS,
    Story,
    certifying,
    command,
    publishing,
    ready,
    rejected,
    standing,
    waiting,
)

KEY = "scan.vulnerability:CVE-2024-1:pkg:pypi/django"
OTHER = "manifest.name:name"


# --- approve --------------------------------------------------------------------------------------------------------


def test_an_approval_goes_on_to_publication() -> None:
    story = ready().says("mo", c.Approve, text="")
    assert (story.state.stage, story.state.turn, story.state.deadline) == (Stage.PUBLISHING, Turn.HUB, None)
    assert story.notices == ("approved",)


def test_an_approval_goes_to_the_certifiers_first_when_certification_was_asked_for() -> None:
    story = ready(certify=True).says("mo", c.Approve)
    assert (story.state.stage, story.state.turn) == (Stage.CERTIFYING, Turn.CERTIFIER)
    assert story.notices == ("approved", "certification_started")


def test_a_second_approval_is_refused_and_told_why() -> None:
    story = publishing()
    before = story.state
    with pytest.raises(NotAllowed, match=r"approve does not apply now\. Iteration 1 is publishing, turn: hub"):
        story.says("mia", c.Approve)
    assert story.state is before


def test_the_same_approval_again_changes_nothing() -> None:
    story = ready()
    approval = command(c.Approve, "mo")
    once = tell(story.state, approval, standing("mo"), story.now)
    twice = tell(once.state, approval, standing("mo"), story.now)
    assert twice.state is once.state
    assert twice.notices == ()


def test_an_open_requirement_holds_an_item_up() -> None:
    with pytest.raises(NotAllowed, match=r"1 requirements are open \(manifest.name:name\)"):
        ready(OTHER).says("mo", c.Approve)


def test_requirements_that_are_not_listed_hold_it_up_as_well() -> None:
    story = Story(ready().state.model_copy(update={"outcome": Outcome(blocking=(OTHER,), unlisted=20)}))
    with pytest.raises(NotAllowed, match="21 requirements are open"):
        story.says("mo", c.Approve)


def test_guidelines_alone_do_not_hold_it_up() -> None:
    story = Story(ready().state.model_copy(update={"outcome": Outcome(guidelines=12, vulnerabilities=40)}))
    assert story.says("mo", c.Approve).state.stage is Stage.PUBLISHING


def test_what_was_never_pinned_cannot_be_approved() -> None:
    refused = Story().happens(e.Onboarded(terms=TERMS, policy="p", refused=Outcome()))
    refused.says("pat", c.Answer)
    with pytest.raises(NotAllowed, match="nothing to approve"):
        refused.says("mo", c.Approve)


@pytest.mark.parametrize(
    ("said", "why"),
    [({"iteration": 7}, "That was about iteration 7"), ({"release": "sha256:x"}, "which is not under review now")],
)
def test_a_decision_about_something_else_is_refused(said: dict[str, object], why: str) -> None:
    with pytest.raises(NotAllowed, match=why):
        ready().says("mo", c.Approve, **said)


def test_a_decision_about_what_is_there_is_taken() -> None:
    assert ready().says("mo", c.Approve, iteration=1, release=RELEASE).state.stage is Stage.PUBLISHING


# --- request changes ------------------------------------------------------------------------------------------------


def test_changes_are_requested_with_one_complete_review() -> None:
    story = ready(OTHER).later(days=3).says("mo", c.RequestChanges)
    deadline = story.state.deadline
    assert deadline is not None
    assert (story.state.stage, story.state.turn, deadline.kind) == (Stage.WAITING, Turn.PUBLISHER, DeadlineKind.CHANGES)
    assert (deadline.remind_at, deadline.due) == (story.now + 20 * DAY, story.now + 35 * DAY)
    assert story.notices == ("changes_requested",)


@pytest.mark.parametrize(
    ("kind", "person"),
    [(c.RequestChanges, "mo"), (c.Reject, "mo"), (c.Reply, "mo"), (c.PauseClock, "olga")],
)
@pytest.mark.parametrize("text", ["", " \n\t"])
def test_what_somebody_has_to_read_is_not_empty(kind: type[c.Command], person: str, text: str) -> None:
    with pytest.raises(NotAllowed, match="empty"):
        ready().says(person, kind, text=text)


# --- reject, by two -------------------------------------------------------------------------------------------------


def test_a_rejection_takes_effect_when_a_second_approver_confirms() -> None:
    story = ready().later(days=1).says("mo", c.Reject)
    assert (story.state.stage, story.state.turn) == (Stage.READY, Turn.SECOND_APPROVER)
    assert story.notices == ("rejection_proposed",)
    story.says("sam", c.Confirm)
    assert (story.state.stage, story.state.turn) == (Stage.REJECTED, Turn.PUBLISHER)
    assert story.state.deadline is not None
    assert (story.state.deadline.kind, story.state.deadline.due) == (DeadlineKind.DORMANT, story.now + 365 * DAY)
    assert story.notices == ("rejected",)


@pytest.mark.parametrize("kind", [c.Confirm, c.Decline])
@pytest.mark.parametrize("proposer", ["sam", "ada"])
def test_the_approver_is_never_the_proposer(kind: type[c.Command], proposer: str) -> None:
    story = ready().says(proposer, c.Reject)
    with pytest.raises(NotAllowed, match="The approver is not the proposer"):
        story.says(proposer, kind)
    assert story.says("sue", kind).state.proposal is None


@pytest.mark.parametrize("kind", [c.Confirm, c.Decline])
def test_a_moderator_alone_confirms_nothing(kind: type[c.Command]) -> None:
    with pytest.raises(NotAllowed, match="is for: admin, second_approver"):
        ready().says("mo", c.Reject).says("mia", kind)


@pytest.mark.parametrize("kind", [c.Approve, c.RequestChanges, c.Reject, c.Confirm, c.Undo, c.Note])
def test_staff_who_belong_to_the_publisher_decide_nothing(kind: type[c.Command]) -> None:
    for story in (ready(), ready().says("mo", c.Reject)):
        with pytest.raises(NotAllowed, match="your roles here: admin, moderator, publisher, second_approver"):
            story.says("dora", kind)


@pytest.mark.parametrize("kind", [c.Approve, c.RequestChanges, c.Reject, c.Waive])
def test_while_a_proposal_waits_nothing_else_is_decided(kind: type[c.Command]) -> None:
    story = ready(KEY).says("mo", c.Reject)
    fields = {"finding": KEY, "waiver": "sha256:w"} if kind is c.Waive else {}
    with pytest.raises(NotAllowed, match="does not apply now"):
        story.says("mia", kind, **fields)


def test_a_declined_proposal_gives_the_moderators_their_time_back() -> None:
    story = ready().later(days=4).says("mo", c.Reject)
    left = 10 * DAY
    story.later(days=1, hours=7).says("sam", c.Decline)
    assert (story.state.stage, story.state.turn, story.state.proposal) == (Stage.READY, Turn.MODERATOR, None)
    assert story.state.remaining(story.now) == left
    assert story.state.deadline is not None
    assert story.state.deadline.kind is DeadlineKind.FIRST_REVIEW
    assert story.notices == ("proposal_declined",)


def test_a_declined_proposal_cannot_be_undone_the_other_side_has_acted() -> None:
    with pytest.raises(NotAllowed, match="undo does not apply"):
        ready().says("mo", c.Reject).says("sam", c.Decline).says("mo", c.Undo)


def test_a_reviewer_proposes_and_does_not_decide() -> None:
    assert ready().says("rob", c.Reject).says("sam", c.Confirm).state.stage is Stage.REJECTED
    with pytest.raises(NotAllowed, match="approve is for"):
        ready().says("rob", c.Approve)


# --- a last warning -------------------------------------------------------------------------------------------------


def test_a_delayed_rejection_gives_a_last_warning_and_ends_in_rejected() -> None:
    story = ready().says("mo", c.Reject, delayed=True).later(hours=5).says("sam", c.Confirm)
    deadline = story.state.deadline
    assert deadline is not None
    assert (story.state.stage, deadline.kind, story.state.warned) == (Stage.WAITING, DeadlineKind.LAST_WARNING, True)
    assert (deadline.remind_at, deadline.due) == (story.now + 7 * DAY, story.now + 14 * DAY)
    assert story.notices == ("last_warning",)
    assert story.strikes().notices == ("last_warning_reminder",)
    assert story.strikes().notices == ("rejected",)
    assert (story.state.stage, story.state.warned) == (Stage.REJECTED, False)
    assert story.state.rejected_by == ("mo", "sam")


def test_a_last_warning_can_be_the_answer_to_an_appeal() -> None:
    story = rejected().says("pat", c.Appeal).says("mia", c.Reject, delayed=True).says("sue", c.Confirm)
    assert (story.state.warned, story.state.responded, story.state.appealed) == (True, False, False)
    assert story.state.rejected_by == ("mia", "sue")


def test_an_answer_stops_a_last_warning() -> None:
    story = ready().says("mo", c.Reject, delayed=True).says("sam", c.Confirm).says("pat", c.Answer)
    assert (story.state.stage, story.state.turn, story.state.warned) == (Stage.READY, Turn.MODERATOR, False)
    assert story.state.rejected_by == ()
    assert story.says("mo", c.Approve).state.stage is Stage.PUBLISHING


@pytest.mark.parametrize("kind", [c.Resubmit, c.Withdraw])
def test_so_do_a_resubmission_and_a_withdrawal(kind: type[c.Command]) -> None:
    story = ready().says("mo", c.Reject, delayed=True).says("sam", c.Confirm)
    story.says("pat", kind, **({"content": CONTENT} if kind is c.Resubmit else {}))
    assert story.state.stage in (Stage.ONBOARDING, Stage.WITHDRAWN)
    assert not story.state.warned or story.state.closed


def test_a_last_warning_does_not_begin_anew_with_every_word() -> None:
    story = ready().says("mo", c.Reject, delayed=True).says("sam", c.Confirm)
    before = story.state.deadline
    assert story.later(days=6).says("mia", c.Reply).state.deadline == before


# --- waive ----------------------------------------------------------------------------------------------------------


def test_a_waived_finding_does_not_hold_the_item_up_any_more() -> None:
    story = ready(OTHER, KEY).says("mo", c.Waive, finding=OTHER, waiver="sha256:w")
    assert story.state.outcome.blocking == (KEY,)
    assert story.state.outcome.waived == 1
    assert (story.waiver, story.notices) == ("sha256:w", ("waiver_granted",))
    assert (story.state.stage, story.state.turn) == (Stage.READY, Turn.MODERATOR)


def test_the_waiver_of_a_critical_finding_waits_for_a_second_approver() -> None:
    story = ready(KEY, critical=(KEY,)).says("mo", c.Waive, finding=KEY, waiver="sha256:w")
    assert (story.state.turn, story.state.outcome.blocking, story.waiver) == (Turn.SECOND_APPROVER, (KEY,), "")
    assert story.notices == ("waiver_proposed",)
    story.says("sam", c.Confirm)
    assert (story.state.turn, story.state.outcome.blocking) == (Turn.MODERATOR, ())
    assert story.state.outcome.critical == ()
    assert (story.waiver, story.notices) == ("sha256:w", ("waiver_granted",))


def test_a_reviewers_waiver_waits_for_a_second_approver_whatever_it_is_for() -> None:
    assert ready(OTHER).says("rob", c.Waive, finding=OTHER, waiver="w").state.turn is Turn.SECOND_APPROVER


def test_the_security_team_waives_too() -> None:
    assert ready(OTHER).says("sec", c.Waive, finding=OTHER, waiver="w").state.outcome.blocking == ()


@pytest.mark.parametrize(
    ("finding", "why"),
    [
        ("manifest.icon", "No open requirement has the key manifest.icon"),
        (f"{READABLE}:Standard linux/amd64", "cannot be waived"),
    ],
)
def test_a_waiver_is_for_an_open_requirement_that_was_checked(finding: str, why: str) -> None:
    with pytest.raises(NotAllowed, match=why):
        ready(OTHER, f"{READABLE}:Standard linux/amd64").says("mo", c.Waive, finding=finding, waiver="sha256:w")


def test_a_waiver_that_was_never_stored_is_none() -> None:
    story = ready(OTHER)
    empty = command(c.Waive, "mo", finding=OTHER, waiver="sha256:w").model_copy(update={"waiver": ""})
    with pytest.raises(NotAllowed, match="The waiver itself is missing"):
        tell(story.state, empty, standing("mo"), story.now)


# --- certification --------------------------------------------------------------------------------------------------


def test_a_failed_certification_lets_the_publisher_mend_or_publish_without_the_badge() -> None:
    story = certifying().happens(e.Certified(passed=False))
    assert (story.state.stage, story.state.turn, story.notices) == (
        Stage.WAITING,
        Turn.PUBLISHER,
        ("certification_failed",),
    )
    without = Story(story.state, story.now).says("pat", c.PublishWithoutBadge)
    assert (without.state.stage, without.state.certify) == (Stage.PUBLISHING, False)
    mended = Story(story.state, story.now).says("pat", c.Resubmit, content=CONTENT)
    assert (mended.state.stage, mended.state.certify, mended.state.uncertified) == (Stage.ONBOARDING, True, False)


def test_once_changes_are_requested_a_failed_certification_is_no_way_past_them() -> None:
    story = certifying().happens(e.Certified(passed=False)).says("pat", c.Answer).says("mo", c.RequestChanges)
    with pytest.raises(NotAllowed, match="publish_without_badge does not apply"):
        story.says("pat", c.PublishWithoutBadge)


def test_a_last_warning_is_none_either() -> None:
    story = certifying().happens(e.Certified(passed=False)).says("mo", c.Undo).says("mo", c.Reject, delayed=True)
    story.says("sam", c.Confirm)
    with pytest.raises(NotAllowed, match="publish_without_badge does not apply"):
        story.says("pat", c.PublishWithoutBadge)


def test_an_undone_approval_forgets_that_the_certification_failed() -> None:
    story = certifying().happens(e.Certified(passed=False)).says("mo", c.Undo)
    assert (story.state.stage, story.state.turn, story.state.uncertified) == (Stage.READY, Turn.MODERATOR, False)


def test_a_passed_certification_is_published() -> None:
    story = certifying().happens(e.Certified(passed=True))
    assert (story.state.stage, story.state.turn) == (Stage.PUBLISHING, Turn.HUB)


def test_a_publication_that_cannot_succeed_comes_back_to_the_publisher() -> None:
    story = publishing().happens(e.PublicationFailed(reason="The source is gone."))
    assert (story.state.stage, story.state.turn) == (Stage.WAITING, Turn.PUBLISHER)
    assert story.notices == ("publication_failed", "submission_refused")


# --- what a refusal says --------------------------------------------------------------------------------------------


def test_a_refusal_says_what_is_possible_for_the_one_who_asked() -> None:
    with pytest.raises(NotAllowed) as refusal:
        waiting().says("pat", c.Revive)
    assert str(refusal.value).endswith(
        "Iteration 1 is waiting, turn: publisher. Possible for you now: answer, ask_waiver, resubmit, withdraw."
    )
    with pytest.raises(NotAllowed) as refusal:
        waiting().says("mo", c.Approve)
    assert str(refusal.value).endswith("Possible for you now: assign, note, reply, undo.")
    with pytest.raises(NotAllowed) as refusal:
        waiting().says("olga", c.ResumeClock)
    assert str(refusal.value).endswith("Possible for you now: note, pause.")


def test_a_refusal_tells_a_publisher_nothing_of_a_proposal() -> None:
    proposed = ready().says("mo", c.Reject)
    with pytest.raises(NotAllowed, match="turn: moderator"):
        proposed.says("pat", c.Answer)
    with pytest.raises(NotAllowed, match="turn: second_approver"):
        proposed.says("mia", c.Approve)


def test_every_command_has_its_stages() -> None:
    assert set(STAGES) == {kind.act for kind in c.SUBMISSION_COMMANDS}


def test_long_ago_ids_are_forgotten_and_recent_ones_are_not() -> None:
    story = ready()
    first, recent = command(c.Note, "mo"), None
    story.state = tell(story.state, first, standing("mo"), story.now).state
    for _ in range(100):
        recent = command(c.Note, "mo")
        story.state = tell(story.state, recent, standing("mo"), story.now).state
    assert recent is not None
    assert tell(story.state, recent, standing("mo"), story.now).state is story.state
    assert first.id not in story.state.seen
    assert len(story.state.seen) == 100
