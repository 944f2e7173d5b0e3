"""Whose turn it is, what comes next, by when: in words for every state that there is."""

import pytest

from models import commands as c
from models import events as e
from models.lifecycle import Outcome, Proposal, ProposedAct, Snapshot, Stage, Turn
from models.products import ListingStatus, ProductSnapshot
from models.publishers import ApplicationSnapshot, ApplicationStatus
from policies import words
from tests.policies.samples import (
    DAY,
    MONDAY,
    RELEASE,
    Story,
    certifying,
    checking,
    expired,
    publishing,
    ready,
    rejected,
    waiting,
)

#: status words of domain.md, and the one for what has been dormant for its whole term
STATUS_WORDS = {
    *("unpublished", "submitted", "in review", "changes requested", "approved", "certifying", "publishing"),
    *("published", "hold", "revoked", "rejected", "withdrawn", "superseded", "expired", "closed"),
}
ITERATION_WORDS = {"checking", "ready", "waiting", "responded", "approved", "rejected"}


def snapshot(stage: Stage = Stage.READY, turn: Turn = Turn.MODERATOR, **fields: object) -> Snapshot:
    said: dict[str, object] = {"id": "sub", "revision": 3, "stage": stage, "turn": turn, "iteration": 1}
    return Snapshot.model_validate(said | fields)


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("turn", list(Turn))
def test_every_stage_and_turn_has_words(stage: Stage, turn: Turn) -> None:
    situation = words.of_submission(snapshot(stage, turn, due=MONDAY))
    assert situation.status in STATUS_WORDS
    assert situation.turn.endswith("'s") or situation.turn.endswith("s'")
    assert situation.next.endswith(".")
    assert situation.by == MONDAY


@pytest.mark.parametrize("act", list(ProposedAct))
def test_a_proposal_says_what_a_second_approver_is_asked(act: ProposedAct) -> None:
    proposal = Proposal(act=act, actor="mo", text="Because.")
    asked = words.of_submission(snapshot(turn=Turn.SECOND_APPROVER, proposal=proposal))
    assert asked.next.startswith("A second approver confirms or declines the proposal to ")
    assert "_" not in asked.next
    listing = ProductSnapshot(id="pro", revision=1, status=ListingStatus.PUBLISHED, proposal=proposal)
    assert words.of_product(listing).turn == "a second approver's"
    assert words.of_product(listing).next == asked.next


@pytest.mark.parametrize(
    ("story", "status", "turn", "says"),
    [
        (Story(), "submitted", "the hub's", "resolved to digests"),
        (checking(), "submitted", "the hub's", "all checks run"),
        (ready(), "in review", "the moderators'", "in one review"),
        (waiting(), "changes requested", "the publisher's", "resubmits, or answers"),
        (waiting().says("pat", c.Answer), "in review", "the moderators'", "reads the publisher's answer"),
        (rejected().says("pat", c.Appeal), "in review", "the moderators'", "Somebody else than who rejected"),
        (rejected(), "rejected", "the publisher's", "may appeal"),
        (expired(), "expired", "the publisher's", "may revive"),
        (certifying(), "certifying", "the certifiers'", "test every platform"),
        (certifying().happens(e.Certified(passed=False)), "changes requested", "the publisher's", "without the badge"),
        (
            ready().says("mo", c.Reject, delayed=True).says("sam", c.Confirm),
            "changes requested",
            "the publisher's",
            "otherwise it is rejected",
        ),
        (publishing(), "publishing", "the hub's", "tags last"),
        (publishing().happens(e.Published(release=RELEASE)), "published", "nobody's", "in the catalog"),
        (ready().says("pat", c.Withdraw), "withdrawn", "nobody's", "a new submission"),
        (ready().says("pat", c.Supersede, by="newer"), "superseded", "nobody's", "newer submission"),
        (expired().strikes(), "closed", "nobody's", "is over"),
    ],
)
def test_a_submission_says_where_it_stands(story: Story, status: str, turn: str, says: str) -> None:
    shown = words.snapshot_of(story.state)
    situation = words.of_submission(shown)
    assert (situation.status, situation.turn) == (status, turn)
    assert says in situation.next
    assert situation.by == (story.state.deadline.due if story.state.deadline else None)
    word = words.iteration_word(shown)
    assert word in ITERATION_WORDS or story.state.closed


def test_the_words_of_an_iteration_are_the_domains() -> None:
    said = {
        "checking": (Story(), checking()),
        "ready": (ready(),),
        "waiting": (waiting(), expired()),
        "responded": (waiting().says("pat", c.Answer),),
        "approved": (certifying(), publishing(), publishing().happens(e.Published(release=RELEASE))),
        "rejected": (rejected(),),
    }
    assert set(said) == ITERATION_WORDS
    for word, stories in said.items():
        for story in stories:
            assert words.iteration_word(words.snapshot_of(story.state)) == word


def test_while_the_clock_stands_still_there_is_a_reason_and_no_date() -> None:
    story = ready().says("olga", c.PauseClock, text="The mail server is down")
    situation = words.of_submission(words.snapshot_of(story.state))
    assert situation.by is None
    assert situation.next == (
        "Paused: The mail server is down. The clock stands still. "
        "Then: A moderator approves, or returns everything that is wrong in one review."
    )


@pytest.mark.parametrize("status", list(ApplicationStatus))
def test_every_status_of_an_application_has_words(status: ApplicationStatus) -> None:
    situation = words.of_application(ApplicationSnapshot(id="p", revision=1, status=status, profile="x", due=MONDAY))
    assert all((situation.status, situation.turn, situation.next))
    assert situation.by == MONDAY


@pytest.mark.parametrize("status", list(ListingStatus))
def test_every_status_of_a_listing_has_words(status: ListingStatus) -> None:
    situation = words.of_product(ProductSnapshot(id="p", revision=1, status=status, hold_until=MONDAY))
    assert situation.status in STATUS_WORDS
    assert situation.turn in ("the publisher's", "nobody's")
    assert situation.next.endswith(".")
    assert situation.by == MONDAY


def test_the_snapshot_shows_all_that_pages_and_mails_need() -> None:
    story = ready("manifest.name:name").says("mo", c.Assign, to="mia").says("mo", c.Reject)
    shown = words.snapshot_of(story.state)
    state = story.state
    for name in Snapshot.model_fields:
        if name in ("due", "overdue", "paused"):
            continue
        assert getattr(shown, name) == getattr(state, name), name
    assert state.deadline is not None
    assert (shown.due, shown.overdue, shown.paused) == (state.deadline.due, False, "")
    assert words.snapshot_of(ready().strikes().strikes().state).overdue
    assert words.snapshot_of(ready().says("olga", c.PauseClock, text="Fire.").state).paused == "Fire."


def test_a_publisher_is_told_nothing_of_a_proposal() -> None:
    before = ready().strikes().strikes()
    shown = words.snapshot_of(before.state)
    proposed = words.snapshot_of(before.says("mo", c.Reject).state)
    told = words.as_told(proposed)
    assert (told.turn, told.proposal, told.due, told.overdue) == (shown.turn, None, shown.due, True)
    assert words.of_submission(told) == words.of_submission(shown)
    assert words.as_told(shown) is shown


def test_the_status_page_reads_like_one() -> None:
    outcome = Outcome(
        blocking=("a", "b"), unlisted=3, requirements=6, guidelines=4, vulnerabilities=2, waived=1, errors=1
    )
    story = checking().happens(e.Examined(outcome=outcome)).says("mo", c.Reject, delayed=True)
    assert words.status_page(story.state).splitlines() == [
        "**in review** · iteration 1 · revision 3",
        "- turn: **a second approver's**, by 2024-03-06 09:00 UTC",
        "- next: A second approver confirms or declines the proposal to reject it after a last warning.",
        f"- release set: `{RELEASE}`",
        "- findings: 6 requirements (5 open), 4 guidelines, 2 vulnerabilities, 1 waived",
        "- checks of the hub that broke: 1",
        "- proposed: reject it after a last warning",
    ]
    assert words.status_page(Story().state).splitlines() == [
        "**submitted** · iteration 1 · revision 0",
        "- turn: **the hub's**",
        "- next: The sources are resolved to digests, then every check runs.",
    ]
    assert story.now < MONDAY + DAY
