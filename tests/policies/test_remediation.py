"""What overdue vulnerabilities do to a listing, and each way back."""

from datetime import datetime
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from models import commands as c
from models.content import Track
from models.errors import NotAllowed
from models.findings import Severity
from models.lifecycle import ProposedAct
from models.policy import Remediation, Watch
from models.products import ListingStatus, ProductState
from models.watching import ChangeKind, ExposureChange, ExposureNews
from policies import clocks, product, remediation
from tests.policies.samples import DAY, MONDAY, RELEASE, command, standing
from tests.policies.test_clocks import HOUR, NEWS, change
from tests.policies.test_product import WAIVER, live, on_hold, ordered, revoked, said, says

S = ListingStatus
OVERDUE = MONDAY + 72 * HOUR
NEXT = "sha256:next"


def news(*changes: ExposureChange, id_: str = "batch-1", release: str = RELEASE, **fields: Any) -> ExposureNews:
    return ExposureNews(id=id_, release=release, at=MONDAY, changes=changes, **fields)


def told(state: ProductState, *changes: ExposureChange, at: datetime = MONDAY, **fields: Any) -> product.Change:
    return remediation.told(state, news(*changes, **fields), at)


def exposed() -> ProductState:
    """Two critical vulnerabilities, told on Monday."""
    return told(live(), change("CVE-1"), change("CVE-2")).state


def held() -> ProductState:
    return remediation.struck(exposed(), OVERDUE).state


def kinds(found: product.Change) -> list[str]:
    return [str(kind) for kind in found.notices]


# --- news -------------------------------------------------------------------------------------------------


def test_news_are_told_once() -> None:
    once = told(live(), change()).state
    again = told(once, change(kind=ChangeKind.RETRACTED), at=MONDAY + DAY)
    assert again.state is once
    assert once.revision == 1


def test_what_has_no_clock_is_remembered_and_not_recorded() -> None:
    state = told(live(), change(severity=Severity.MINOR)).state
    assert (state.revision, state.told, state.exposures) == (0, ("batch-1",), ())


@pytest.mark.parametrize("state", [live(S.UNPUBLISHED), live()])
def test_news_of_another_version_than_the_published_one_are_too_late(state: ProductState) -> None:
    assert told(state, change(), release="sha256:older").state is state


def test_news_of_a_version_that_is_being_published_are_kept_until_it_is() -> None:
    publishing = product.order(live(), ordered("two", release=NEXT))
    kept = told(publishing, change(), release=NEXT).state
    assert (kept.exposures, len(kept.early)) == ((), 1)
    assert told(kept, change(), release=NEXT).state is kept
    after = product.published(kept, ordered("two", release=NEXT), (), MONDAY).state
    assert remediation.told(after, kept.early[0], MONDAY).state.exposures


def test_the_policy_of_the_news_is_the_one_in_force_from_then_on() -> None:
    state = told(live(), change(), clocks=Remediation(critical_hours=5, hold_days=3), watch=Watch(digest_hour=3)).state
    assert remediation.next_moment(state) == MONDAY + 5 * HOUR
    late = remediation.struck(state, MONDAY + 5 * HOUR).state
    assert late.hold_until == MONDAY + 5 * HOUR + 3 * DAY
    assert late.watch.digest_hour == 3


# --- the clocks strike ---------------------------------------------------------------------------------------


def test_the_clocks_of_a_listing_that_is_not_published_stand_still() -> None:
    for status in (S.UNPUBLISHED, S.REVOKED):
        state = exposed().model_copy(update={"status": status})
        assert remediation.next_moment(state) is None
        assert remediation.struck(state, MONDAY + 999 * DAY).state is state


def test_a_reminder_goes_out_once_and_nothing_before_it() -> None:
    state = exposed()
    assert remediation.struck(state, MONDAY + 47 * HOUR).state is state
    reminded = remediation.struck(state, MONDAY + 48 * HOUR)
    assert kinds(reminded) == ["remediation_reminder"]
    assert remediation.event(reminded) == ("remediation_reminder", "2 critical")
    assert remediation.next_moment(reminded.state) == OVERDUE


def test_what_is_overdue_puts_the_listing_on_hold_with_a_reason_that_names_none_of_it() -> None:
    change_ = remediation.struck(exposed(), OVERDUE)
    state = change_.state
    assert kinds(change_) == ["on_hold", "listing_on_hold"]
    assert (state.status, state.by_clock, state.decided_by, state.before) == (S.HOLD, True, "", None)
    assert state.hold_until == OVERDUE + 30 * DAY
    assert state.reason.startswith("2 vulnerabilities were not mended in time: 2 critical.")
    assert "CVE" not in state.reason
    assert remediation.event(change_) == ("overdue", state.reason)


def test_the_label_says_how_many_are_overdue_by_now_and_nobody_gets_a_second_mail() -> None:
    state = told(held(), change("CVE-3"), id_="batch-2", at=OVERDUE).state
    moment = OVERDUE + 72 * HOUR
    assert remediation.next_moment(state) == moment
    more = remediation.struck(state, moment)
    assert more.state.reason.startswith("3 vulnerabilities were not mended in time")
    assert (more.state.hold_until, kinds(more)) == (state.hold_until, [])
    assert remediation.event(more) == ("overdue", more.state.reason)
    assert remediation.next_moment(more.state) == more.state.warn_at


def test_a_hold_is_warned_of_its_end_a_week_before_and_ends_in_a_revocation() -> None:
    state = held()
    moment = OVERDUE + 23 * DAY
    assert remediation.next_moment(state) == moment
    warned = remediation.struck(state, moment)
    assert kinds(warned) == ["revoke_warning"]
    assert remediation.next_moment(warned.state) is None
    over = product.hold_over(warned.state, OVERDUE + 30 * DAY)
    assert (over.state.status, over.state.by_clock, kinds(over)) == (S.REVOKED, True, ["revoked"])


def test_a_short_hold_has_no_warning() -> None:
    state = live(clocks=Remediation(hold_days=5))
    state = says(says(state, "mo", c.Hold).state, "sam", c.Confirm).state
    assert (state.warn_at, remediation.next_moment(state)) == (None, None)


def test_a_hold_by_people_is_warned_of_as_well() -> None:
    assert remediation.next_moment(on_hold()) == MONDAY + 23 * DAY


def test_a_proposal_to_revoke_outlives_a_hold_by_the_clock_and_one_to_hold_has_what_it_asked_for() -> None:
    for kind, left in ((c.Revoke, ProposedAct.REVOKE), (c.Hold, None)):
        proposed = says(exposed(), "mo", kind).state
        state = remediation.struck(proposed, OVERDUE).state
        assert (state.proposal.act if state.proposal else None) == left


# --- each way back ---------------------------------------------------------------------------------------------


def test_a_hold_by_the_clock_ends_when_nothing_overdue_is_left() -> None:
    one_less = told(held(), change("CVE-1", kind=ChangeKind.RETRACTED), id_="batch-2", at=OVERDUE + DAY)
    assert (one_less.state.status, kinds(one_less)) == (S.HOLD, [])
    assert one_less.state.reason.startswith("1 vulnerability was not mended in time")
    assert one_less.state.hold_until == held().hold_until
    back = told(one_less.state, change("CVE-2", kind=ChangeKind.RETRACTED), id_="batch-3", at=OVERDUE + DAY)
    assert kinds(back) == ["recovered", "listing_recovered"]
    assert (back.state.status, back.state.reason, back.state.hold_until) == (S.PUBLISHED, "", None)


def test_a_revocation_by_the_clock_is_taken_back_with_its_reason() -> None:
    gone = product.hold_over(held(), OVERDUE + 30 * DAY).state
    retracted = [change(key, kind=ChangeKind.RETRACTED) for key in ("CVE-1", "CVE-2")]
    assert told(gone, *retracted, id_="batch-2", at=OVERDUE + 31 * DAY).state.status is S.PUBLISHED


@pytest.mark.parametrize("state", [on_hold(), revoked()])
def test_what_people_have_decided_stays_theirs(state: ProductState) -> None:
    known = told(state, change()).state
    after = told(known, change(kind=ChangeKind.RETRACTED), id_="batch-2").state
    assert (after.status, after.exposures) == (state.status, ())


def test_a_version_that_mends_what_is_overdue_ends_the_hold() -> None:
    mended = [change(key, kind=ChangeKind.RETRACTED) for key in ("CVE-1", "CVE-2")]
    after = product.published(held(), ordered("two", release=NEXT), mended, OVERDUE + DAY)
    assert (after.state.status, after.state.release, after.state.exposures) == (S.PUBLISHED, NEXT, ())
    assert kinds(after) == ["recovered", "release_published", "listing_recovered"]


def test_a_version_that_does_not_mend_it_all_is_published_on_hold_with_the_same_end() -> None:
    mended = [change("CVE-1", kind=ChangeKind.RETRACTED)]
    after = product.published(held(), ordered("two", release=NEXT), mended, OVERDUE + DAY)
    assert (after.state.status, after.state.release, after.state.submission) == (S.HOLD, NEXT, "two")
    assert after.state.hold_until == held().hold_until
    assert kinds(after) == ["still_on_hold", "release_published"]
    assert after.state.reason.startswith("1 vulnerability was")


def test_a_version_that_does_not_mend_it_all_turns_a_revocation_into_a_hold_of_a_new_term() -> None:
    gone = product.hold_over(held(), OVERDUE + 30 * DAY).state.model_copy(update={"withdrawn": True})
    now = OVERDUE + 40 * DAY
    after = product.published(gone, ordered("two", release=NEXT), (), now).state
    assert (after.status, after.hold_until, after.withdrawn) == (S.HOLD, now + 30 * DAY, False)


def test_a_new_version_that_brings_vulnerabilities_starts_their_clocks() -> None:
    after = product.published(live(), ordered("two", release=NEXT), [change()], MONDAY)
    assert kinds(after) == ["release_published"], "the mails of what it brings are the watch's"
    assert remediation.next_moment(after.state) == MONDAY + 48 * HOUR


def test_a_listing_edit_mends_nothing() -> None:
    edit = ordered("edit", track=Track.LISTING)
    after = product.published(held(), edit, (), OVERDUE + DAY)
    assert (after.state.status, after.state.by_clock, kinds(after)) == (S.HOLD, True, [])


def test_somebody_who_recovers_a_listing_gives_the_publisher_the_whole_term_again() -> None:
    recover = command(c.Recover, "mo")
    after = product.tell(held(), recover, standing("mo"), OVERDUE + 9 * DAY)
    assert (after.state.status, after.state.by_clock) == (S.PUBLISHED, False)
    assert kinds(after) == ["recovered", "listing_recovered"]
    assert remediation.struck(after.state, OVERDUE + 9 * DAY).state is after.state
    assert clocks.next_due(after.state.exposures) == OVERDUE + 9 * DAY + 72 * HOUR
    undone = product.tell(after.state, command(c.Undo, "mo"), standing("mo"), OVERDUE + 9 * DAY).state
    assert (undone.status, undone.by_clock, undone.hold_until) == (S.HOLD, True, held().hold_until)


def test_the_clocks_stand_still_while_people_have_revoked_the_listing() -> None:
    gone = says(says(exposed(), "mo", c.Revoke).state, "sam", c.Confirm).state
    now = MONDAY + 50 * DAY
    after = product.published(gone, ordered("two", release=NEXT), (), now).state
    assert (after.status, clocks.next_due(after.exposures)) == (S.PUBLISHED, now + 72 * HOUR)


# --- waivers -------------------------------------------------------------------------------------------------------


def test_a_major_one_is_waived_by_a_moderator_and_its_clock_ends() -> None:
    state = told(live(), change(severity=Severity.MAJOR), change("CVE-2")).state
    waived = says(state, "sec", c.Waive)
    assert kinds(waived) == ["waiver_granted"]
    assert waived.waiver == WAIVER["waiver"]
    assert [clock.key for clock in waived.state.exposures] == ["CVE-2"]
    undone = says(waived.state, "mo", c.Undo)
    assert (kinds(undone), undone.waiver) == (["correction"], WAIVER["waiver"])
    assert (undone.state.status, undone.state.before) == (S.PUBLISHED, None)


@pytest.mark.parametrize(("person", "severity"), [("mo", Severity.CRITICAL), ("rob", Severity.MAJOR)])
def test_a_critical_one_and_what_a_reviewer_says_need_a_second_approver(person: str, severity: Severity) -> None:
    state = told(live(), change(severity=severity)).state
    proposed = says(state, person, c.Waive)
    assert (kinds(proposed), proposed.waiver, proposed.state.exposures) == (["waiver_proposed"], "", state.exposures)
    if person == "mo":
        with pytest.raises(NotAllowed, match="confirm is for"):
            says(proposed.state, "mo", c.Confirm)
    confirmed = says(proposed.state, "sam", c.Confirm)
    assert (confirmed.waiver, confirmed.state.exposures) == (WAIVER["waiver"], ())
    assert says(proposed.state, "sam", c.Decline).state.exposures == state.exposures


def test_a_hold_ends_with_the_waiver_of_the_last_that_is_overdue() -> None:
    def waived(state: ProductState, key: str) -> product.Change:
        now = OVERDUE + DAY
        proposed = product.tell(state, said(c.Waive, "mo", finding=key), standing("mo"), now).state
        return product.tell(proposed, command(c.Confirm, "sam"), standing("sam"), now)

    one = waived(held(), "CVE-1")
    assert (one.state.status, one.state.reason.startswith("1 vulnerability was")) == (S.HOLD, True)
    both = waived(one.state, "CVE-2")
    assert (both.state.status, both.state.by_clock) == (S.PUBLISHED, False)
    assert kinds(both) == ["waiver_granted", "recovered", "listing_recovered"]


def test_a_publisher_asks_for_a_waiver_of_what_has_a_clock() -> None:
    asked = says(exposed(), "pat", c.AskWaiver)
    assert (kinds(asked), asked.state.revision) == (["waiver_asked"], exposed().revision + 1)
    for kind, person in ((c.AskWaiver, "pat"), (c.Waive, "mo")):
        with pytest.raises(NotAllowed, match="only what has a clock needs a waiver"):
            says(exposed(), person, kind, finding="CVE-9")
    with pytest.raises(NotAllowed, match="waive is for"):
        says(exposed(), "pat", c.Waive)


class Watched(RuleBasedStateMachine):
    """Whatever the advisories say and whoever decides: no hold before its time, and always a way back."""

    @initialize()
    def is_live(self) -> None:
        self.state, self.now = live(), MONDAY
        self.batches = 0

    @rule(changes=st.lists(NEWS, min_size=1, max_size=3), release=st.sampled_from(["", "sha256:older"]))
    def advisories_change(self, changes: list[ExposureChange], release: str) -> None:
        self.batches += 1
        said = news(*changes, id_=f"batch-{self.batches}", release=release or self.state.release)
        before = self.state
        change_ = remediation.told(before, said, self.now)
        assert remediation.told(change_.state, said, self.now).state is change_.state, "told twice is told once"
        if change_.state.status is not before.status:
            assert before.by_clock
            assert change_.state.status is S.PUBLISHED
        self.state = change_.state

    @rule(hours=st.integers(1, 24 * 12))
    def time_goes_by(self, hours: int) -> None:
        """As the process does it: from moment to moment."""
        end = self.now + hours * HOUR
        while True:
            moments = filter(None, (remediation.next_moment(self.state), self.state.hold_until))
            moment = min(moments, default=end)
            if moment > end:
                break
            self.now = max(self.now, moment)
            before = self.state
            change_ = remediation.struck(before, self.now)
            if change_.state.status is S.HOLD and before.status is S.PUBLISHED:
                assert clocks.overdue(before.exposures, self.now), "no hold before its time"
            self.state = product.hold_over(change_.state, self.now).state
            if self.state is before:
                break
        self.now = end

    @rule(kind=st.sampled_from(c.PRODUCT_COMMANDS), person=st.sampled_from(["mo", "sam", "sue", "sec", "pat"]))
    def somebody_says(self, kind: type[c.Command], person: str) -> None:
        try:
            change_ = product.tell(self.state, said(kind, person), standing(person), self.now)
        except NotAllowed:
            return
        after = change_.state
        if change_.waiver and kind is not c.Undo:
            assert {clock.key for clock in self.state.exposures} - {clock.key for clock in after.exposures} <= {"CVE-1"}
            assert kind is c.Confirm or "CVE-1" in {
                clock.key for clock in self.state.exposures if clock.severity is Severity.MAJOR
            }
        if after.status is S.PUBLISHED and self.state.status is not S.PUBLISHED:
            assert not clocks.overdue(after.exposures, self.now), "a decision holds for more than a moment"
        self.state = after

    @rule(changes=st.lists(NEWS, max_size=3))
    def a_version_is_published(self, changes: list[ExposureChange]) -> None:
        self.batches += 1
        order = ordered(f"version-{self.batches}", release=f"sha256:{self.batches}")
        self.state = product.published(self.state, order, changes, self.now).state
        assert (self.state.status is S.HOLD) is bool(clocks.overdue(self.state.exposures, self.now))

    @invariant()
    def no_clock_runs_while_it_is_not_published(self) -> None:
        if self.state.status in (S.UNPUBLISHED, S.REVOKED):
            assert remediation.next_moment(self.state) is None

    @invariant()
    def what_is_published_is_not_overdue(self) -> None:
        if self.state.status is S.PUBLISHED:
            assert not clocks.overdue(self.state.exposures, self.now)

    @invariant()
    def what_the_clock_did_has_a_way_back(self) -> None:
        if not self.state.by_clock:
            return
        assert self.state.status in (S.HOLD, S.REVOKED)
        assert self.state.decided_by == ""
        gone = [change(clock.key, kind=ChangeKind.RETRACTED) for clock in self.state.exposures]
        mended = product.published(self.state, ordered("mended", release=NEXT), gone, self.now).state
        retracted = told(self.state, *gone, id_="way-back", release=self.state.release, at=self.now).state
        recovered = (
            product.tell(self.state, command(c.Recover, "mo"), standing("mo"), self.now)
            if (self.state.proposal is None)
            else None
        )
        for state in (mended, retracted, *([recovered.state] if recovered else [])):
            assert (state.status, state.by_clock, state.hold_until) == (S.PUBLISHED, False, None)

    @invariant()
    def a_hold_has_an_end_and_a_warning_before_it(self) -> None:
        assert (self.state.hold_until is not None) is (self.state.status is S.HOLD)
        if self.state.warn_at is not None:
            assert self.state.hold_until is not None
            assert self.state.warn_at < self.state.hold_until


TestWatched = Watched.TestCase
TestWatched.settings = settings(max_examples=150, stateful_step_count=30)
