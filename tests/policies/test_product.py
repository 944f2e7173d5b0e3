"""Which submission counts, one publication at a time, and hold, revoke, recover by two."""

from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from models import commands as c
from models.content import Track
from models.errors import NotAllowed
from models.lifecycle import ProposedAct
from models.policy import Remediation
from models.products import ListingStatus, NewSubmission, ProductState, PublicationOrder
from policies import product
from tests.policies.samples import CONTENT, DAY, MONDAY, PEOPLE, RELEASE, command, standing

S = ListingStatus
CLOCKS = Remediation()
WAIVER = {"finding": "CVE-1", "waiver": "sha256:waiver"}


def fresh(**fields: Any) -> ProductState:
    return ProductState.model_validate({"id": "pro", "publisher": "pub"} | fields)


def live(status: ListingStatus = S.PUBLISHED, **fields: Any) -> ProductState:
    said: dict[str, Any] = {"status": status, "release": RELEASE, "content": CONTENT, "submission": "one"}
    return fresh(**(said | fields))


def submission(name: str, track: Track = Track.VERSION) -> NewSubmission:
    return NewSubmission(id=name, actor="pat", publisher="pub", product="pro", content=CONTENT, track=track)


def ordered(name: str, revision: int = 4, track: Track = Track.VERSION, release: str = RELEASE) -> PublicationOrder:
    return PublicationOrder(submission=name, track=track, content=CONTENT, release=release, revision=revision)


def said(kind: type[c.Command], person: str, **fields: Any) -> c.Command:
    """A command of a product, about a finding where it needs one."""
    about = {name: value for name, value in WAIVER.items() if name in kind.model_fields}
    return command(kind, person, **(about | fields))


def says(state: ProductState, person: str, kind: type[c.Command], **fields: Any) -> product.Change:
    return product.tell(state, said(kind, person, **fields), standing(person), MONDAY)


def on_hold() -> ProductState:
    return says(says(live(), "mo", c.Hold, text="A hole.").state, "sam", c.Confirm).state


def revoked() -> ProductState:
    return says(says(live(), "mo", c.Revoke, text="Malware.").state, "sam", c.Confirm).state


# --- submissions ----------------------------------------------------------------------------------------------------


def test_submissions_are_numbered_and_a_newer_one_of_the_track_supersedes_the_older() -> None:
    first = product.submit(fresh(), submission("one"), CLOCKS)
    second = product.submit(first.state, submission("two"), CLOCKS)
    assert (first.superseded, second.superseded) == ("", "one")
    assert [(known.id, known.number) for known in second.state.open] == [("two", 2)]
    assert second.state.revision == 2


def test_the_tracks_do_not_disturb_each_other() -> None:
    state = product.submit(fresh(), submission("version"), CLOCKS).state
    change = product.submit(state, submission("edit", Track.LISTING), CLOCKS)
    assert (change.superseded, len(change.state.open)) == ("", 2)
    assert product.submit(change.state, submission("edit2", Track.LISTING), CLOCKS).superseded == "edit"


def test_what_is_being_published_is_not_superseded() -> None:
    state = product.order(product.submit(fresh(), submission("one"), CLOCKS).state, ordered("one"))
    change = product.submit(state, submission("two"), CLOCKS)
    assert change.superseded == ""
    assert {known.id for known in change.state.open} == {"one", "two"}


def test_a_submission_handed_in_again_is_numbered_once() -> None:
    state = product.submit(fresh(), submission("one"), CLOCKS).state
    assert product.submit(state, submission("one"), CLOCKS).state is state
    with pytest.raises(NotAllowed, match="handed in before"):
        product.submit(product.closed(state, "one"), submission("one"), CLOCKS)


@pytest.mark.parametrize(("field", "why"), [("publisher", "another publisher"), ("product", "not of other")])
def test_another_publishers_product_takes_no_submission(field: str, why: str) -> None:
    with pytest.raises(NotAllowed, match=why):
        product.submit(fresh(), submission("one").model_copy(update={field: "other"}), CLOCKS)


def test_the_clocks_are_those_of_the_policy_at_the_latest_submission() -> None:
    state = product.submit(fresh(), submission("one"), Remediation(hold_days=3)).state
    state = state.model_copy(update={"status": S.PUBLISHED})
    held = says(says(state, "mo", c.Hold).state, "sam", c.Confirm).state
    assert held.hold_until == MONDAY + 3 * DAY


def test_a_closed_submission_is_superseded_by_nothing_any_more() -> None:
    state = product.closed(product.submit(fresh(), submission("one"), CLOCKS).state, "one")
    assert product.submit(state, submission("two"), CLOCKS).superseded == ""


# --- publication ----------------------------------------------------------------------------------------------------


def test_publications_are_done_in_the_order_in_which_they_were_asked_for() -> None:
    state = product.order(product.order(fresh(), ordered("two")), ordered("one"))
    assert [queued.submission for queued in state.queue] == ["two", "one"]
    assert product.snapshot_of(state).waiting == ("two", "one")


def test_an_order_is_queued_once_and_a_newer_one_takes_its_place() -> None:
    state = product.order(fresh(), ordered("one"))
    assert product.order(state, ordered("one")) is state
    newer = product.order(state, ordered("one", revision=9, release="sha256:mended"))
    assert [queued.revision for queued in newer.queue] == [9]


def test_an_undone_approval_leaves_the_queue() -> None:
    state = product.order(product.order(fresh(), ordered("one")), ordered("two"))
    assert [queued.submission for queued in product.recall(state, "one").queue] == ["two"]


def test_what_is_published_is_in_the_catalog_and_told_to_subscribers() -> None:
    state = product.order(product.submit(fresh(), submission("one"), CLOCKS).state, ordered("one"))
    change = product.published(state, ordered("one"))
    assert (change.state.status, change.state.release, change.state.content) == (S.PUBLISHED, RELEASE, CONTENT)
    assert (change.state.open, change.state.queue, change.state.submission) == ((), (), "one")
    assert [str(kind) for kind in change.notices] == ["release_published"]
    assert product.is_live(change.state, ordered("one"))


def test_a_newer_order_of_the_same_submission_outlives_the_older_ones_end() -> None:
    state = product.order(fresh(), ordered("one", revision=9))
    assert [queued.revision for queued in product.published(state, ordered("one")).state.queue] == [9]
    assert [queued.revision for queued in product.failed(state, ordered("one")).queue] == [9]
    assert product.failed(state, ordered("one", revision=9)).queue == ()


@pytest.mark.parametrize("state", [on_hold(), revoked()])
def test_a_new_version_mends_a_listing(state: ProductState) -> None:
    state = state.model_copy(update={"withdrawn": True})
    change = product.published(state, ordered("two", release="sha256:mended"))
    assert (change.state.release, change.state.withdrawn) == ("sha256:mended", False)
    assert (change.state.status, change.state.reason, change.state.hold_until) == (S.PUBLISHED, "", None)
    assert [str(kind) for kind in change.notices] == ["recovered", "release_published"]
    with pytest.raises(NotAllowed, match="undo does not apply"):
        says(change.state, "mo", c.Undo)


@pytest.mark.parametrize("state", [live(), on_hold(), revoked()])
def test_a_listing_edit_changes_the_page_and_mends_nothing(state: ProductState) -> None:
    edit = PublicationOrder(submission="edit", track=Track.LISTING, content="sha256:page", revision=4)
    change = product.published(state, edit)
    assert (change.state.content, change.state.release) == ("sha256:page", RELEASE)
    assert (change.state.status, change.state.reason, change.state.hold_until) == (
        state.status,
        state.reason,
        state.hold_until,
    )
    assert change.notices == ()


def test_a_proposal_outlives_a_publication() -> None:
    proposed = says(live(), "mo", c.Revoke).state
    after = product.published(proposed, ordered("two")).state
    assert says(after, "sam", c.Confirm).state.status is S.REVOKED


# --- hold, revoke, recover ------------------------------------------------------------------------------------------


def test_a_hold_takes_effect_when_a_second_approver_confirms() -> None:
    proposed = says(live(), "mo", c.Hold, text="A hole.")
    assert (proposed.state.status, [str(kind) for kind in proposed.notices]) == (S.PUBLISHED, ["hold_proposed"])
    held = says(proposed.state, "sam", c.Confirm)
    assert (held.state.status, held.state.reason) == (S.HOLD, "A hole.")
    assert held.state.hold_until == MONDAY + 30 * DAY
    assert [str(kind) for kind in held.notices] == ["on_hold"]


def test_a_revocation_takes_two_as_well() -> None:
    state = revoked()
    assert (state.status, state.reason, state.decided_by) == (S.REVOKED, "Malware.", "sam")
    assert says(says(on_hold(), "mo", c.Revoke).state, "sam", c.Confirm).state.status is S.REVOKED


@pytest.mark.parametrize("kind", [c.Hold, c.Revoke])
def test_a_reviewer_proposes_and_the_reason_is_never_empty(kind: type[c.Command]) -> None:
    assert says(live(), "rob", kind).state.proposal is not None
    with pytest.raises(NotAllowed, match="Say why"):
        says(live(), "mo", kind, text="  ")


@pytest.mark.parametrize("kind", [c.Confirm, c.Decline])
def test_the_approver_is_never_the_proposer(kind: type[c.Command]) -> None:
    proposed = says(live(), "sam", c.Revoke).state
    with pytest.raises(NotAllowed, match="The approver is not the proposer"):
        says(proposed, "sam", kind)
    assert says(proposed, "sue", kind).state.proposal is None


def test_a_declined_proposal_is_dropped() -> None:
    change = says(says(live(), "mo", c.Hold).state, "sam", c.Decline)
    assert (change.state.status, [str(kind) for kind in change.notices]) == (S.PUBLISHED, ["proposal_declined"])


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (fresh(), c.Hold),
        (fresh(), c.Revoke),
        (fresh(), c.Recover),
        (live(), c.Recover),
        (live(), c.Confirm),
        (live(), c.Undo),
        (on_hold(), c.Hold),
        (revoked(), c.Revoke),
        (revoked(), c.Hold),
        (says(live(), "mo", c.Hold).state, c.Revoke),
        (says(live(), "mo", c.Revoke).state, c.Hold),
        (says(on_hold(), "mo", c.Revoke).state, c.Recover),
    ],
)
def test_what_does_not_apply_is_refused_with_the_state_of_the_listing(
    state: ProductState, kind: type[c.Command]
) -> None:
    with pytest.raises(NotAllowed, match=f"{kind.act} does not apply: the listing is {state.status}"):
        says(state, "ada", kind)


def test_a_refusal_names_the_proposal_that_waits() -> None:
    with pytest.raises(NotAllowed, match=r"the listing is published, with a proposal to hold\.$"):
        says(says(live(), "mo", c.Hold).state, "mo", c.Revoke)
    with pytest.raises(NotAllowed, match=r"the listing is published\.$"):
        says(live(), "sam", c.Confirm)


@pytest.mark.parametrize("state", [on_hold(), revoked()])
def test_a_listing_is_recovered_by_one(state: ProductState) -> None:
    change = says(state, "mia", c.Recover)
    assert change.state.decided_by == "mia"
    assert (change.state.status, change.state.reason, change.state.hold_until) == (S.PUBLISHED, "", None)
    assert [str(kind) for kind in change.notices] == ["recovered"]


def test_a_decision_about_another_release_is_refused() -> None:
    with pytest.raises(NotAllowed, match="is not the published one now"):
        says(live(), "mo", c.Hold, release="sha256:older")
    assert says(live(), "mo", c.Hold, release=RELEASE).state.proposal is not None


def test_members_of_the_publisher_decide_nothing() -> None:
    for person in ("pat", "dora"):
        with pytest.raises(NotAllowed, match="hold is for"):
            says(live(), person, c.Hold)


def test_a_repeated_command_changes_nothing() -> None:
    hold = command(c.Hold, "mo")
    once = product.tell(live(), hold, standing("mo"), MONDAY)
    assert product.tell(once.state, hold, standing("mo"), MONDAY) == product.Change(once.state)


# --- undo -----------------------------------------------------------------------------------------------------------


def test_a_hold_is_undone_once_and_no_undo_puts_it_back() -> None:
    undone = says(on_hold(), "mia", c.Undo)
    assert undone.state.decided_by == "mia"
    assert (undone.state.status, [str(kind) for kind in undone.notices]) == (S.PUBLISHED, ["correction"])
    with pytest.raises(NotAllowed, match="undo does not apply"):
        says(undone.state, "mo", c.Undo)


def test_an_undone_revocation_gives_a_hold_back_its_reason_and_the_time_it_had_left() -> None:
    held = on_hold()
    proposed = product.tell(held, command(c.Revoke, "mo"), standing("mo"), MONDAY + 10 * DAY).state
    gone = product.tell(proposed, command(c.Confirm, "sam"), standing("sam"), MONDAY + 12 * DAY).state
    back = product.tell(gone, command(c.Undo, "mo"), standing("mo"), MONDAY + 50 * DAY).state
    assert (back.status, back.reason) == (S.HOLD, "A hole.")
    assert back.hold_until == MONDAY + 50 * DAY + 18 * DAY


def test_an_undone_recovery_is_on_hold_again() -> None:
    back = says(says(on_hold(), "mo", c.Recover).state, "mo", c.Undo).state
    assert (back.status, back.reason, back.hold_until) == (S.HOLD, "A hole.", MONDAY + 30 * DAY)


def test_a_proposal_is_taken_back_without_a_word_to_the_publisher() -> None:
    change = says(says(on_hold(), "mo", c.Revoke).state, "mo", c.Undo)
    assert (change.state.status, change.state.proposal, change.notices) == (S.HOLD, None, ())
    with pytest.raises(NotAllowed, match="undo does not apply"):
        says(change.state, "mo", c.Undo)


# --- the clock ------------------------------------------------------------------------------------------------------


def test_a_hold_that_nobody_ends_turns_into_a_revocation() -> None:
    held = on_hold()
    assert product.hold_over(held, MONDAY + 30 * DAY - timedelta(seconds=1)).state is held
    over = product.hold_over(held, MONDAY + 30 * DAY)
    assert (over.state.status, over.state.reason, over.state.decided_by) == (S.REVOKED, "A hole.", "")
    assert [str(kind) for kind in over.notices] == ["revoked"]
    assert product.hold_over(over.state, MONDAY + 90 * DAY).state is over.state


def test_what_the_clock_did_is_recovered_and_not_undone() -> None:
    over = product.hold_over(on_hold(), MONDAY + 30 * DAY).state
    with pytest.raises(NotAllowed, match="undo does not apply"):
        says(over, "mo", c.Undo)
    assert says(over, "mo", c.Recover).state.status is S.PUBLISHED


@pytest.mark.parametrize("state", [fresh(), live(), revoked()])
def test_the_clock_of_a_listing_that_is_not_on_hold_does_nothing(state: ProductState) -> None:
    assert product.hold_over(state, MONDAY + 999 * DAY).state is state


def test_the_snapshot_says_what_the_public_may_know_and_what_waits() -> None:
    held = product.order(on_hold(), ordered("two"))
    snapshot = product.snapshot_of(held)
    assert (snapshot.status, snapshot.reason, snapshot.hold_until) == (S.HOLD, "A hole.", MONDAY + 30 * DAY)
    assert (snapshot.release, snapshot.content, snapshot.submission) == (RELEASE, CONTENT, "one")
    assert (snapshot.revision, snapshot.waiting) == (held.revision, ("two",))


class Listing(RuleBasedStateMachine):
    """Whatever is said in whatever order: harm takes two, and a hold has an end."""

    @initialize()
    def is_live(self) -> None:
        self.state, self.now = live(), MONDAY
        self.proposers: set[str] = set()

    @rule(kind=st.sampled_from(c.PRODUCT_COMMANDS), person=st.sampled_from(["mo", "sam", "sue", "ada", "sec", "pat"]))
    def somebody_says(self, kind: type[c.Command], person: str) -> None:
        before = self.state
        try:
            after = product.tell(before, said(kind, person), standing(person), self.now).state
        except NotAllowed:
            return
        assert after.revision == before.revision + 1
        assert PEOPLE[person] != PEOPLE["pat"]
        worse = [S.PUBLISHED, S.HOLD, S.REVOKED]
        if worse.index(after.status) > worse.index(before.status) and kind is not c.Undo:
            assert kind is c.Confirm
            assert before.proposal is not None
            assert before.proposal.actor != person
        if kind is c.Undo and before.proposal is None:
            # never worse than what two had decided before
            assert before.before is not None
            assert after.status is before.before.status
        self.state = after

    @rule(days=st.integers(0, 40))
    def time_goes_by(self, days: int) -> None:
        self.now += timedelta(days=days)
        before = self.state
        after = product.hold_over(before, self.now).state
        assert after.revision == before.revision + (after is not before)
        self.state = after

    @rule(track=st.sampled_from(list(Track)))
    def something_is_published(self, track: Track) -> None:
        self.state = product.published(self.state, ordered("two", track=track)).state

    @invariant()
    def a_hold_has_an_end_within_its_term(self) -> None:
        assert (self.state.hold_until is not None) is (self.state.status is S.HOLD)
        if self.state.hold_until:
            assert self.state.hold_until <= self.now + 30 * DAY

    @invariant()
    def what_is_fit_has_no_reason_against_it(self) -> None:
        assert bool(self.state.reason) is (self.state.status in (S.HOLD, S.REVOKED))

    @invariant()
    def a_proposal_is_one_that_still_applies(self) -> None:
        if self.state.proposal:
            allowed = {ProposedAct.HOLD: {S.PUBLISHED}, ProposedAct.REVOKE: {S.PUBLISHED, S.HOLD}}
            assert self.state.status in allowed[self.state.proposal.act]


TestListing = Listing.TestCase
TestListing.settings = settings(max_examples=100, stateful_step_count=30)
