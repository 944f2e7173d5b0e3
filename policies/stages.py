"""Where a submission can go: which act applies in which stage, and the moves between the stages."""

from datetime import datetime, timedelta
from typing import NamedTuple

from models.errors import NotAllowed
from models.lifecycle import CLOSED_STAGES, Deadline, DeadlineKind, Stage, SubmissionState, Turn, Undoable
from models.notices import NoticeKind as N
from models.publishers import Role, Standing
from policies.rights import SUBMISSION_RIGHTS, may

_OPEN = frozenset(Stage) - CLOSED_STAGES
_BEFORE_PUBLICATION = _OPEN - {Stage.PUBLISHING}

#: act -> the stages in which it applies; the message of a refusal is read off this table
STAGES: dict[str, frozenset[Stage]] = {
    "approve": frozenset({Stage.READY}),
    "request_changes": frozenset({Stage.READY}),
    "reject": frozenset({Stage.READY}),
    "confirm": frozenset({Stage.READY}),
    "decline": frozenset({Stage.READY}),
    "waive": frozenset({Stage.READY}),
    "ask_waiver": frozenset({Stage.READY, Stage.WAITING}),
    "resubmit": frozenset({Stage.READY, Stage.WAITING, Stage.EXPIRED}),
    "answer": frozenset({Stage.WAITING}),
    "withdraw": _BEFORE_PUBLICATION,
    "appeal": frozenset({Stage.REJECTED}),
    "revive": frozenset({Stage.EXPIRED}),
    "supersede": _BEFORE_PUBLICATION,
    "pause": _OPEN,
    "resume": _OPEN,
    "undo": _OPEN,
    "assign": _OPEN,
    "note": _OPEN,
    "reply": _OPEN,
    "publish_without_badge": frozenset({Stage.CERTIFYING, Stage.WAITING}),
}


class Change(NamedTuple):
    """A new state, who is to be told, and the waiver that came into force or was taken back."""

    state: SubmissionState
    notices: tuple[N, ...] = ()
    waiver: str = ""


class Told(NamedTuple):
    """A command in its circumstances."""

    state: SubmissionState
    actor: str
    text: str
    standing: Standing
    now: datetime

    def refuse(self, why: str) -> NotAllowed:
        return NotAllowed(f"{why} {what_is_allowed(self.state, self.standing)}")


def what_is_allowed(state: SubmissionState, standing: Standing) -> str:
    """For the person whose command was refused: where the submission stands, and what this person may do now."""
    if state.closed:
        return f"The submission is {state.stage} for good."
    acts = sorted(
        act
        for act, stages in STAGES.items()
        if state.stage in stages
        and applies(act, state)
        and may(SUBMISSION_RIGHTS, act, standing)
        # that is the product's own word, not a person's
        and act != "supersede"
    )
    # a proposal is the hub's own matter until somebody has confirmed it
    turn = Turn.MODERATOR if state.proposal and Role.PUBLISHER in standing.roles else state.turn
    return (
        f"Iteration {state.iteration} is {state.stage}, turn: {turn}. "
        f"Possible for you now: {', '.join(acts) or 'nothing'}."
    )


def applies(act: str, state: SubmissionState) -> bool:
    """What the stage alone does not tell."""
    match act:
        case "confirm" | "decline":
            return state.proposal is not None
        case "approve" | "request_changes" | "reject" | "waive":
            return state.proposal is None
        case "undo":
            return state.undoable is not None
        case "pause":
            return state.paused is None
        case "resume":
            return state.paused is not None
        case "publish_without_badge":
            return state.stage is Stage.CERTIFYING or state.uncertified
        case _:
            return True


def moved(
    state: SubmissionState, stage: Stage, turn: Turn, now: datetime, deadline: Deadline | None
) -> SubmissionState:
    """The one way into another stage. A pause goes on, counted from now for the new deadline."""
    update = {"stage": stage, "turn": turn, "deadline": deadline, "proposal": None, "uncertified": False}
    return clocked(state, now).model_copy(update=update)


def clocked(state: SubmissionState, now: datetime) -> SubmissionState:
    """The time that a paused clock has stood still so far, added to its deadline; the pause counts on from now.

    Where no deadline runs yet, the first review's term begins later by it.
    """
    if state.paused is None:
        return state
    stood = now - state.paused.since
    update: dict[str, object] = {"paused": state.paused.model_copy(update={"since": now})}
    if state.deadline is None:
        update["stood"] = state.stood + stood
    else:
        update["deadline"] = state.deadline.later(stood)
    return state.model_copy(update=update)


def begins(state: SubmissionState, deadline: Deadline, now: datetime) -> SubmissionState:
    """The same side stays at turn, and its term begins anew: the newest message counts."""
    return clocked(state, now).model_copy(update={"deadline": deadline})


def changes_deadline(state: SubmissionState, now: datetime) -> Deadline:
    return Deadline(
        kind=DeadlineKind.CHANGES,
        due=now + timedelta(days=state.terms.changes_expiry_days),
        remind_at=now + timedelta(days=state.terms.changes_reminder_days),
    )


def reply_deadline(state: SubmissionState, reply_by: datetime | None, now: datetime) -> Deadline:
    """`reply_by` is counted in working days by whoever could ask the calendar."""
    return Deadline(kind=DeadlineKind.REPLY, due=reply_by or now + timedelta(days=state.terms.reply_working_days))


def waits_for_publisher(state: SubmissionState, now: datetime) -> SubmissionState:
    """Changes are asked for: the publisher's term begins."""
    waiting = moved(state, Stage.WAITING, Turn.PUBLISHER, now, changes_deadline(state, now))
    return waiting.model_copy(update={"responded": False})


def waits_for_review(state: SubmissionState, reply_by: datetime | None, now: datetime) -> SubmissionState:
    """The first review is due within its term of the submission, every later reply within working days."""
    state = clocked(state, now)
    if state.iteration == 1 and not state.responded:
        terms, begun = state.terms, state.submitted + state.stood
        deadline = Deadline(
            kind=DeadlineKind.FIRST_REVIEW,
            due=begun + timedelta(days=terms.first_review_days),
            remind_at=begun + timedelta(days=terms.first_review_reminder_days),
        )
    else:
        deadline = reply_deadline(state, reply_by, now)
    return moved(state, Stage.READY, Turn.MODERATOR, now, deadline)


def dormant(state: SubmissionState, stage: Stage, now: datetime) -> SubmissionState:
    deadline = Deadline(kind=DeadlineKind.DORMANT, due=now + state.terms.dormant)
    return moved(state, stage, Turn.PUBLISHER, now, deadline).model_copy(update={"warned": False, "appealed": False})


def publishes(state: SubmissionState, now: datetime) -> SubmissionState:
    return moved(state, Stage.PUBLISHING, Turn.HUB, now, None)


def undoable(told: Told, act: str, waiver: str = "") -> dict[str, Undoable]:
    """What undoing this decision goes back to."""
    before = clocked(told.state, told.now)
    return {
        "undoable": Undoable(
            act=act,
            actor=told.actor,
            at=told.now,
            stage=before.stage,
            turn=before.turn,
            deadline=before.deadline,
            outcome=before.outcome,
            warned=before.warned,
            responded=before.responded,
            appealed=before.appealed,
            rejected_by=before.rejected_by,
            waiver=waiver,
        )
    }
