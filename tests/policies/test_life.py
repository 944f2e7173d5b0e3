"""Whatever anybody says and whatever happens, in whatever order: what must hold of every submission's life."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from models import commands as c
from models import events as e
from models.errors import NotAllowed
from models.lifecycle import Deadline, DeadlineKind, Outcome, Stage, SubmissionState, Turn
from models.publishers import Role
from policies import lifecycle
from policies.rights import SUBMISSION_RIGHTS, may
from policies.stages import STAGES, Change, applies
from tests.policies.samples import MONDAY, PEOPLE, POLICY, RELEASE, TERMS, command, new, standing

#: who is at turn while a deadline of a kind runs
SIDE = {
    DeadlineKind.FIRST_REVIEW: Turn.MODERATOR,
    DeadlineKind.REPLY: Turn.MODERATOR,
    DeadlineKind.SECOND_APPROVAL: Turn.SECOND_APPROVER,
    DeadlineKind.CHANGES: Turn.PUBLISHER,
    DeadlineKind.LAST_WARNING: Turn.PUBLISHER,
    DeadlineKind.DORMANT: Turn.PUBLISHER,
}
DECISIONS = {"approve", "request_changes", "reject", "confirm", "waive"}
PUBLISHERS = {"ask_waiver", "resubmit", "answer", "appeal", "revive", "publish_without_badge"}
#: acts after which the side at turn is the same, with the same time left
STILL = {"note", "assign", "pause", "resume", "waive"}
JUDGING = {"approve", "request_changes", "reject", "confirm", "decline", "waive"}
KEYS = ("manifest.name:name", "scan.vulnerability:CVE-2024-1:pkg:pypi/x", "image.readable:Standard linux/amd64")
ASIDES = {"note", "assign", "reply", "pause", "resume"}
ENDS = {"withdraw", "supersede"}
ALL_BUT_ENDS = [kind for kind in c.SUBMISSION_COMMANDS if kind.act not in ENDS]

#: what has been said before a life begins, or the clock's strike
Step = tuple[type[c.Command], str] | None
NOTHING: tuple[Step, ...] = ()
_REJECTED: tuple[Step, ...] = ((c.Reject, "mo"), (c.Confirm, "sam"))
#: mia gives a last warning first
SO_FAR: tuple[tuple[Step, ...], ...] = (
    NOTHING,
    ((c.Note, "mo"),),
    ((c.RequestChanges, "mo"),),
    ((c.RequestChanges, "mo"), None, None),
    ((c.Approve, "mo"),),
    ((c.Approve, "mia"),),
    _REJECTED,
    (*_REJECTED, (c.Appeal, "pat")),
    (*_REJECTED, (c.Appeal, "pat"), (c.Reject, "mia")),
    ((c.Reject, "mia"), (c.Confirm, "sue")),
)

#: what the side at turn may say to move a submission on
SAYS: dict[Turn, tuple[type[c.Command], ...]] = {
    Turn.MODERATOR: (c.RequestChanges, c.Reject),
    Turn.SECOND_APPROVER: (c.Confirm, c.Decline),
    Turn.PUBLISHER: (c.Resubmit, c.Answer, c.Appeal, c.Revive),
    Turn.CERTIFIER: (),
    Turn.HUB: (),
}


class Life(RuleBasedStateMachine):
    state: SubmissionState
    now: datetime

    def __init__(self) -> None:
        super().__init__()
        self.said: list[c.Command] = []
        #: before the latest decision, while it can be undone
        self.before: tuple[SubmissionState, datetime] | None = None
        #: before the pending proposal
        self.proposed: tuple[SubmissionState, datetime] | None = None

    @initialize(data=st.data())
    def is_handed_in(self, data: st.DataObject) -> None:
        """Most lives begin late, since what is rare lies behind much that is not."""
        certify, so_far = data.draw(st.booleans()), data.draw(st.sampled_from(SO_FAR))
        keys = () if (c.Approve, "mo") in so_far else data.draw(st.sampled_from([(), KEYS[:1], KEYS]))
        self.before = self.proposed = None
        self.said, self.state, self.now = [], new(certify=certify), MONDAY
        if so_far is NOTHING:
            return
        self._happens(e.Onboarded(terms=TERMS, policy=POLICY, release=RELEASE))
        self._happens(e.Examined(outcome=Outcome(blocking=keys, critical=keys[1:2], requirements=len(keys))))
        for step in so_far:
            if step is None:
                self.its_deadline_comes()
            else:
                self.now += timedelta(hours=30)
                kind, person = step
                self._tell(kind, person, {"delayed": True} if person == "mia" and kind is c.Reject else {})

    @precondition(lambda self: self.state.closed)
    @rule(data=st.data())
    def another_is_handed_in(self, data: st.DataObject) -> None:
        self.is_handed_in(data)

    # --- what is said ---------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def somebody_moves_it_on(self, data: st.DataObject) -> None:
        if possible := self._possible(set(STAGES) - ASIDES - ENDS):
            kind, person = data.draw(st.sampled_from(possible))
            self._says(kind, person, data, right=True)

    @rule(data=st.data())
    def somebody_speaks_aside(self, data: st.DataObject) -> None:
        if possible := self._possible(ASIDES):
            kind, person = data.draw(st.sampled_from(possible))
            self._says(kind, person, data, right=True)

    @rule(data=st.data(), seldom=st.integers(0, 9))
    def it_is_taken_back(self, data: st.DataObject, seldom: int) -> None:
        if seldom == 9 and (possible := self._possible(ENDS)):
            kind, person = data.draw(st.sampled_from(possible))
            self._says(kind, person, data, right=True)

    def _possible(self, acts: set[str]) -> list[tuple[type[c.Command], str]]:
        return [
            (kind, person)
            for kind in c.SUBMISSION_COMMANDS
            if kind.act in acts and self.state.stage in STAGES[kind.act] and applies(kind.act, self.state)
            for person in PEOPLE
            if may(SUBMISSION_RIGHTS, kind.act, standing(person))
        ]

    @rule(kind=st.sampled_from(ALL_BUT_ENDS), person=st.sampled_from(sorted(PEOPLE)), data=st.data())
    def somebody_says_anything(self, kind: type[c.Command], person: str, data: st.DataObject) -> None:
        self._says(kind, person, data, right=data.draw(st.booleans()))

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def a_command_comes_again(self, data: st.DataObject) -> None:
        repeated = data.draw(st.sampled_from(self.said))
        if repeated.id in self.state.seen:
            person = data.draw(st.sampled_from(sorted(PEOPLE)))
            change = lifecycle.tell(self.state, repeated, standing(person), self.now)
            assert change == Change(self.state)
            assert change.state is self.state

    def _says(self, kind: type[c.Command], person: str, data: st.DataObject, *, right: bool) -> None:
        self._tell(kind, person, self._fields(kind, data, right))

    def _tell(self, kind: type[c.Command], person: str, fields: dict[str, Any]) -> None:
        told = command(kind, person, **fields)
        reply_by = self.now + timedelta(days=2)
        before = self.state
        try:
            change = lifecycle.tell(before, told, standing(person, reply_by), self.now)
        except NotAllowed:
            return
        self._check_said(told, person, before, change)
        self.state = change.state
        self.said.append(told)

    def _fields(self, kind: type[c.Command], data: st.DataObject, right: bool) -> dict[str, Any]:
        fields: dict[str, Any] = {"text": "Because of this."}
        if not right:
            fields["text"] = data.draw(st.sampled_from(["", " \n", "Because."]))
            fields["iteration"] = data.draw(st.sampled_from([None, 0, self.state.iteration, 99]))
            fields["release"] = data.draw(st.sampled_from(["", self.state.release, "sha256:other"]))
        names = kind.model_fields
        if "finding" in names:
            fields["finding"] = data.draw(st.sampled_from(self.state.outcome.blocking or KEYS))
        if "waiver" in names:
            fields["waiver"] = "sha256:waiver"
        if "content" in names:
            fields["content"] = "sha256:mended"
        if "delayed" in names:
            fields["delayed"] = data.draw(st.booleans())
        if "by" in names:
            fields["by"] = "newer"
        return fields

    def _check_said(self, told: c.Command, person: str, before: SubmissionState, change: Change) -> None:
        after, act = change.state, told.act
        assert after.revision == before.revision + 1
        assert told.id in after.seen
        assert not before.closed
        roles = {Role.PUBLISHER} if Role.PUBLISHER in PEOPLE[person] else set(PEOPLE[person])
        assert roles & SUBMISSION_RIGHTS[act]
        if before.appealed and act in JUDGING:
            assert person not in before.rejected_by
        if act == "undo" and self.before and self.before[0].appealed:
            assert person not in self.before[0].rejected_by
        if act in ("confirm", "decline"):
            assert before.proposal is not None
            assert person != before.proposal.actor
        if act in STILL and after.turn is before.turn:
            assert left(after, self.now) == left(before, self.now)
        if before.turn is Turn.SECOND_APPROVER and (after.stage, after.turn) == (Stage.READY, Turn.MODERATOR):
            # dropped, undone or waived: the moderators have as much time as they had
            assert self.proposed is not None
            assert left(after, self.now) == left(*self.proposed)
        self._check_reminder(act, before, after)
        self._remember(act, before, after)

    def _check_reminder(self, act: str, before: SubmissionState, after: SubmissionState) -> None:
        """A reminder that has gone out does not come back with the same deadline."""
        old, fresh = before.deadline, after.deadline
        if old and fresh and old.kind is fresh.kind and before.stage is after.stage and act != "reply":
            assert old.remind_at is not None or fresh.remind_at is None

    def _remember(self, act: str, before: SubmissionState, after: SubmissionState) -> None:
        if act == "undo":
            assert self.before is not None
            self._check_undone(*self.before, after)
        if after.turn is Turn.SECOND_APPROVER and before.turn is not Turn.SECOND_APPROVER:
            self.proposed = before, self.now
        if act in DECISIONS:
            # a confirmed decision goes back to where the proposal began
            self.before = self.proposed if act == "confirm" else (before, self.now)
        elif act in ("undo", "decline") or (act in PUBLISHERS and not (act == "ask_waiver" and before.proposal)):
            self.before = None

    def _check_undone(self, decided: SubmissionState, at: datetime, after: SubmissionState) -> None:
        assert (after.stage, after.turn) == (decided.stage, Turn.MODERATOR)
        assert after.outcome == decided.outcome
        assert (after.warned, after.appealed, after.rejected_by) == (False, decided.appealed, decided.rejected_by)
        assert after.proposal is None
        assert after.undoable is None
        if self.state.turn is Turn.MODERATOR:
            assert left(after, self.now) == left(self.state, self.now)
        else:
            assert left(after, self.now) == left(decided, at)

    # --- what happens ---------------------------------------------------------------------------------------------

    @rule(hours=st.integers(0, 24 * 20), to_the_moment=st.booleans())
    def time_goes_by(self, hours: int, to_the_moment: bool) -> None:
        before, earlier = self.state, self.now
        moment = self.state.deadline.next_moment if self.state.deadline else None
        if to_the_moment and moment:
            self.now = max(self.now, moment)
        else:
            self.now += timedelta(hours=hours)
        if before.paused:
            assert left(before, self.now) == left(before, earlier)

    @precondition(lambda self: self.state.deadline is not None)
    @rule()
    def its_deadline_comes(self) -> None:
        assert self.state.deadline is not None
        self.now = max(self.now, self.state.deadline.next_moment or self.now)
        self.the_clock_strikes()

    @rule()
    def the_clock_strikes(self) -> None:
        before = self.state
        self._happens(e.ClockStruck())
        if before.paused:
            assert self.state is before
        if self.state is not before:
            assert before.deadline is not None
            assert before.deadline.next_moment is not None
            assert before.deadline.next_moment <= self.now

    @rule(data=st.data())
    def a_machine_reports(self, data: st.DataObject) -> None:
        self._happens(data.draw(st.sampled_from(list(self._events()))))

    @precondition(lambda self: self.state.turn in (Turn.HUB, Turn.CERTIFIER))
    @rule(data=st.data(), fails=st.booleans())
    def the_stage_ends(self, data: st.DataObject, fails: bool) -> None:
        stage, keys = self.state.stage, data.draw(st.sampled_from([(), KEYS[:1], KEYS[:2], KEYS]))
        outcome = Outcome(blocking=keys, critical=keys[1:2], requirements=len(keys))
        match stage:
            case Stage.ONBOARDING:
                release = "" if fails else data.draw(st.sampled_from([RELEASE, "sha256:second"]))
                refused = Outcome(blocking=KEYS[2:]) if fails else None
                self._happens(e.Onboarded(terms=TERMS, policy=POLICY, release=release, refused=refused))
            case Stage.CHECKING:
                self._happens(e.Examined(outcome=outcome, refused=fails))
            case Stage.CERTIFYING:
                self._happens(e.Certified(passed=not fails))
            case _:
                done = e.PublicationFailed(reason="no") if fails else e.Published(release=self.state.release)
                self._happens(done)
        assert self.state.stage is not stage

    def _events(self) -> Iterator[e.MachineEvent]:
        """Right ones, late ones, and those that were there before."""
        outcome = Outcome(blocking=KEYS[:1], requirements=1)
        yield e.Onboarded(terms=TERMS, policy=POLICY, release=RELEASE)
        yield e.Onboarded(terms=TERMS, policy=POLICY, refused=outcome)
        yield e.Examined(outcome=outcome)
        yield e.Examined(outcome=outcome, refused=True)
        yield e.Certified(passed=True)
        yield e.Certified(passed=False)
        yield e.Published(release=RELEASE)
        yield e.Published(release="sha256:older")
        yield e.PublicationFailed(reason="The disk is full.")

    def _happens(self, event: e.MachineEvent) -> None:
        before = self.state
        change = lifecycle.happen(before, event, self.now)
        if change.state is before:
            assert change.notices == ()
            return
        assert change.state.revision == before.revision + 1
        assert not before.closed
        assert lifecycle.happen(before, event, self.now) == change
        self.state = change.state
        self._check_reminder("", before, self.state)

    # --- what holds always ----------------------------------------------------------------------------------------

    @invariant()
    def a_deadline_belongs_to_the_side_at_turn(self) -> None:
        if self.state.deadline is not None:
            assert SIDE[self.state.deadline.kind] is self.state.turn

    @invariant()
    def people_at_turn_have_a_term_and_nobody_else_has(self) -> None:
        people = self.state.turn in (Turn.MODERATOR, Turn.SECOND_APPROVER, Turn.PUBLISHER)
        assert (self.state.deadline is not None) is people

    @invariant()
    def a_proposal_is_what_a_second_approver_waits_for(self) -> None:
        assert (self.state.proposal is not None) is (self.state.turn is Turn.SECOND_APPROVER)
        assert self.state.proposal is None or self.state.stage is Stage.READY

    @invariant()
    def what_is_closed_is_nobodys_turn(self) -> None:
        assert self.state.closed is (self.state.turn is Turn.NOBODY)

    @invariant()
    def a_last_warning_is_one_with_its_deadline(self) -> None:
        kind = self.state.deadline.kind if self.state.deadline else None
        assert self.state.warned is (kind is DeadlineKind.LAST_WARNING) or self.state.closed

    @invariant()
    def nothing_is_published_that_was_not_pinned_or_has_open_requirements(self) -> None:
        if self.state.stage in (Stage.CERTIFYING, Stage.PUBLISHING):
            assert self.state.release
            assert not self.state.outcome.blocking

    @invariant()
    def undo_goes_back_to_the_latest_decision_only(self) -> None:
        possible = applies("undo", self.state) and not self.state.closed
        assert possible is (self.before is not None and not self.state.closed)

    @invariant()
    def the_side_at_turn_can_move_it_on(self) -> None:
        state = self.state
        if state.closed:
            return
        if state.turn in (Turn.HUB, Turn.CERTIFIER):
            ends = [lifecycle.happen(state, event, self.now).state for event in self._ends()]
            assert any(end.stage is not state.stage for end in ends)
            return
        assert any(self._moves(kind, person) for kind in SAYS[state.turn] for person in PEOPLE)

    def _ends(self) -> Iterator[e.MachineEvent]:
        yield from self._events()
        yield e.Published(release=self.state.release)

    def _moves(self, kind: type[c.Command], person: str) -> bool:
        fields = {"content": "sha256:mended"} if kind is c.Resubmit else {}
        try:
            change = lifecycle.tell(self.state, command(kind, person, **fields), standing(person), self.now)
        except NotAllowed:
            return False
        return (change.state.stage, change.state.turn) != (self.state.stage, self.state.turn)


def left(state: SubmissionState, now: datetime) -> timedelta | None:
    return state.remaining(now)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=200, stateful_step_count=40)


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage not in STAGES["note"]])
def test_what_is_closed_says_so_to_everybody(stage: Stage) -> None:
    state = new(stage=stage, turn=Turn.NOBODY)
    for kind in c.SUBMISSION_COMMANDS:
        fields = {"finding": "x", "waiver": "y", "content": "z", "by": "w"}
        told = command(kind, "pat", **{name: value for name, value in fields.items() if name in kind.model_fields})
        roles = standing("pat").model_copy(update={"roles": tuple(SUBMISSION_RIGHTS[kind.act])})
        with pytest.raises(NotAllowed, match=f"{stage} for good"):
            lifecycle.tell(state, told, roles, MONDAY)


def test_every_kind_of_deadline_has_a_side() -> None:
    assert set(SIDE) == set(DeadlineKind)
    assert Deadline(kind=DeadlineKind.REPLY, due=MONDAY).next_moment == MONDAY
