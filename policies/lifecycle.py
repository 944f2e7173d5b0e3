"""The life of a submission: state and event in, state and what has to be told out. Pure, exhaustive.

Source of the stages, deadlines and decisions: domain.md, "Life of a submission".
"""

from collections.abc import Callable
from datetime import datetime

from models import commands as c
from models import events as e
from models.lifecycle import DeadlineKind, Stage, SubmissionState, Turn
from models.notices import NoticeKind as N
from models.publishers import Standing
from policies import decisions, replies
from policies.rights import SUBMISSION_RIGHTS, demand
from policies.stages import (
    STAGES,
    Change,
    Told,
    applies,
    dormant,
    moved,
    waits_for_publisher,
    waits_for_review,
)

#: command ids kept to recognise a repeated command
_REMEMBERED = 100
#: what those who rejected a submission may not do while its appeal is judged
_JUDGEMENTS = frozenset({"approve", "request_changes", "reject", "confirm", "decline", "waive"})
#: where a publication that was recalled too late finds the submission
_RECALLED = frozenset({Stage.READY, Stage.WAITING})


def tell(state: SubmissionState, command: c.Command, standing: Standing, now: datetime) -> Change:
    """Judge a command and carry it out. NotAllowed says what is allowed now, and for whom. Repeated: no change."""
    if command.id in state.seen:
        return Change(state)
    demand(SUBMISSION_RIGHTS, command, standing)
    told = Told(state, command.actor, command.text, standing, now)
    if state.stage not in STAGES[command.act] or not applies(command.act, state):
        raise told.refuse(f"{command.act} does not apply now.")
    if command.iteration is not None and command.iteration != state.iteration:
        raise told.refuse(f"That was about iteration {command.iteration}.")
    if command.release and command.release != state.release:
        raise told.refuse(f"That was about release set {command.release}, which is not under review now.")
    if command.actor in _barred(state, command.act):
        raise told.refuse("An appeal is judged by somebody else than who rejected.")
    change = _JUDGES[type(command)](told, command)
    return change._replace(
        state=change.state.model_copy(
            update={"revision": state.revision + 1, "seen": (*state.seen, command.id)[-_REMEMBERED:]}
        )
    )


def _barred(state: SubmissionState, act: str) -> tuple[str, ...]:
    """Who has rejected it, and so neither judges its appeal nor undoes what another judge has decided."""
    if act == "undo" and state.undoable is not None:
        return state.undoable.rejected_by if state.undoable.appealed else ()
    return state.rejected_by if state.appealed and act in _JUDGEMENTS else ()


def happen(state: SubmissionState, event: e.MachineEvent, now: datetime) -> Change:
    """Take the end of a stage's own work, or a stroke of the clock. An event that comes too late changes nothing."""
    change = _happened(state, event, now)
    if change.state is state:
        return change
    return change._replace(state=change.state.model_copy(update={"revision": state.revision + 1}))


def _happened(state: SubmissionState, event: e.MachineEvent, now: datetime) -> Change:
    match state.stage, event:
        case Stage.ONBOARDING, e.Onboarded(refused=None):
            pinned = moved(state, Stage.CHECKING, Turn.HUB, now, None)
            update = {"terms": event.terms, "policy": event.policy, "release": event.release}
            return Change(pinned.model_copy(update=update), (N.SUBMISSION_RECEIVED,))
        case Stage.ONBOARDING, e.Onboarded():
            update = {"terms": event.terms, "policy": event.policy, "outcome": event.refused, "release": ""}
            return Change(waits_for_publisher(state.model_copy(update=update), now), (N.SUBMISSION_REFUSED,))
        case Stage.CHECKING, e.Examined(refused=True):
            return Change(
                waits_for_publisher(state.model_copy(update={"outcome": event.outcome}), now), (N.SUBMISSION_REFUSED,)
            )
        case Stage.CHECKING, e.Examined():
            examined = state.model_copy(update={"outcome": event.outcome})
            return Change(waits_for_review(examined, event.outcome.reply_by, now), (N.READY_FOR_REVIEW, N.IN_REVIEW))
        case Stage.CERTIFYING, e.Certified(passed=True):
            return Change(moved(state, Stage.PUBLISHING, Turn.HUB, now, None))
        case Stage.CERTIFYING, e.Certified():
            failed = waits_for_publisher(state, now).model_copy(update={"uncertified": True})
            return Change(failed, (N.CERTIFICATION_FAILED,))
        case Stage.PUBLISHING, e.Published(release=release) if release == state.release:
            return Change(moved(state, Stage.PUBLISHED, Turn.NOBODY, now, None), (N.PUBLISHED,))
        # an undo that came too late to recall the publication: what is published is published
        case stage, e.Published(release=release) if stage in _RECALLED and release and release == state.release:
            return Change(moved(state, Stage.PUBLISHED, Turn.NOBODY, now, None), (N.PUBLISHED,))
        case Stage.PUBLISHING, e.PublicationFailed():
            return Change(waits_for_publisher(state, now), (N.PUBLICATION_FAILED, N.SUBMISSION_REFUSED))
        case _, e.ClockStruck():
            return _clock_struck(state, now)
        case _:
            return Change(state)


def _clock_struck(state: SubmissionState, now: datetime) -> Change:
    """A reminder once, then the end of the term; a paused clock does not strike."""
    deadline = state.deadline
    moment = deadline.next_moment if deadline else None
    if deadline is None or moment is None or moment > now or state.paused is not None:
        return Change(state)
    if deadline.remind_at is not None:
        reminded = state.model_copy(update={"deadline": deadline.model_copy(update={"remind_at": None})})
        return Change(reminded, _REMINDERS[deadline.kind])
    match deadline.kind:
        case DeadlineKind.CHANGES:
            return Change(dormant(state, Stage.EXPIRED, now), (N.EXPIRED,))
        case DeadlineKind.LAST_WARNING:
            return Change(dormant(state, Stage.REJECTED, now), (N.REJECTED,))
        case DeadlineKind.DORMANT:
            return Change(moved(state, Stage.CLOSED, Turn.NOBODY, now, None))
        case DeadlineKind.FIRST_REVIEW | DeadlineKind.REPLY | DeadlineKind.SECOND_APPROVAL:
            # the hub's own terms are never the publisher's loss: the item stays, marked overdue
            overdue = state.model_copy(update={"deadline": deadline.model_copy(update={"overdue": True})})
            return Change(overdue, _OVERDUE[deadline.kind])


_REMINDERS: dict[DeadlineKind, tuple[N, ...]] = {
    DeadlineKind.FIRST_REVIEW: (N.REVIEW_REMINDER,),
    DeadlineKind.REPLY: (N.REVIEW_REMINDER,),
    DeadlineKind.CHANGES: (N.CHANGES_REMINDER,),
    DeadlineKind.LAST_WARNING: (N.LAST_WARNING_REMINDER,),
    DeadlineKind.SECOND_APPROVAL: (N.PROPOSAL_REMINDER,),
    DeadlineKind.DORMANT: (),
}
_OVERDUE: dict[DeadlineKind, tuple[N, ...]] = {
    DeadlineKind.FIRST_REVIEW: (N.REVIEW_OVERDUE,),
    DeadlineKind.REPLY: (N.REVIEW_OVERDUE,),
    DeadlineKind.SECOND_APPROVAL: (N.PROPOSAL_REMINDER,),
}


_JUDGES: dict[type[c.Command], Callable[[Told, c.Command], Change]] = {
    c.Approve: decisions.approve,
    c.RequestChanges: decisions.request_changes,
    c.Reject: decisions.reject,
    c.Confirm: decisions.confirm,
    c.Decline: decisions.decline,
    c.Waive: decisions.waive,
    c.AskWaiver: replies.ask_waiver,
    c.Resubmit: replies.resubmit,
    c.Answer: replies.answer,
    c.Withdraw: replies.withdraw,
    c.Appeal: replies.appeal,
    c.Revive: replies.revive,
    c.Supersede: replies.supersede,
    c.PauseClock: replies.pause,
    c.ResumeClock: replies.resume,
    c.Undo: decisions.undo,
    c.Assign: replies.assign,
    c.Note: replies.note,
    c.Reply: replies.reply,
    c.PublishWithoutBadge: replies.publish_without_badge,
}
