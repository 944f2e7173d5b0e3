"""The life of a publisher's application: submitted -> more information -> approved | declined | deferred."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from models import commands as c
from models.errors import NotAllowed
from models.notices import NoticeKind as N
from models.policy import Deadlines
from models.publishers import ApplicationSnapshot, ApplicationState, Standing
from models.publishers import ApplicationStatus as A
from policies.rights import PUBLISHER_RIGHTS, demand

_REMEMBERED = 100
_UNDECIDED = frozenset({A.SUBMITTED, A.MORE_INFORMATION, A.DEFERRED})

#: act -> the statuses in which it applies
STATUSES: dict[str, frozenset[A]] = {
    "confirm_email": frozenset({A.UNCONFIRMED}),
    "approve": _UNDECIDED,
    "ask_information": _UNDECIDED,
    "give_information": frozenset({A.MORE_INFORMATION}),
    "decline": _UNDECIDED,
    "defer": frozenset({A.SUBMITTED, A.MORE_INFORMATION}),
    "change_profile": frozenset({A.APPROVED}),
}


class Change(NamedTuple):
    state: ApplicationState
    notices: tuple[N, ...] = ()


def apply_for(application: ApplicationState, terms: Deadlines) -> Change:
    """An application has come in: the address has to be confirmed before anybody reviews it."""
    remind = application.applied + timedelta(days=terms.reply_working_days)
    return Change(application.model_copy(update={"revision": 1, "remind_at": remind}), (N.CONFIRM_EMAIL,))


def tell(state: ApplicationState, command: c.Command, standing: Standing, terms: Deadlines, now: datetime) -> Change:
    """Judge a command and carry it out. NotAllowed says what is allowed now. Repeated: no change."""
    if command.id in state.seen:
        return Change(state)
    demand(PUBLISHER_RIGHTS, command, standing)
    if state.status not in STATUSES[command.act]:
        possible = sorted(act for act, statuses in STATUSES.items() if state.status in statuses)
        raise NotAllowed(
            f"{command.act} does not apply: the application is {state.status}. "
            f"Possible now: {', '.join(possible) or 'nothing'}."
        )
    if command.act in _NEED_TEXT and not command.text.strip():
        raise NotAllowed(f"{command.act} needs a text that the other side can act on.")
    update, notices = _OUTCOMES[type(command)](command)
    changed = state.model_copy(
        update={"revision": state.revision + 1, "seen": (*state.seen, command.id)[-_REMEMBERED:], **update}
    )
    due, remind_at = _terms_of(changed.status, standing, terms, now)
    return Change(changed.model_copy(update={"due": due, "remind_at": remind_at}), notices)


def _terms_of(
    status: A, standing: Standing, terms: Deadlines, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """(by when whoever is at turn acts, when the one reminder goes out). An application never expires."""
    match status:
        case A.SUBMITTED:
            due = standing.reply_by or now + timedelta(days=terms.reply_working_days)
            return due, due
        case A.MORE_INFORMATION:
            days = terms.changes_expiry_days, terms.changes_reminder_days
        case A.DEFERRED:
            # a review that nobody has given yet
            days = terms.first_review_days, terms.first_review_reminder_days
        case _:
            return None, None
    return now + timedelta(days=days[0]), now + timedelta(days=days[1])


def remind(state: ApplicationState) -> Change:
    """The one reminder of whoever is at turn. Reminded already: no change."""
    if state.remind_at is None:
        return Change(state)
    reminded = state.model_copy(update={"remind_at": None, "revision": state.revision + 1})
    return Change(reminded, _REMINDERS.get(state.status, ()))


_REMINDERS: dict[A, tuple[N, ...]] = {
    A.UNCONFIRMED: (N.CONFIRM_EMAIL,),
    A.SUBMITTED: (N.APPLICATION_TO_REVIEW,),
    A.MORE_INFORMATION: (N.APPLICATION_QUESTION,),
    A.DEFERRED: (N.APPLICATION_TO_REVIEW,),
}


_NEED_TEXT = frozenset({"ask_information", "give_information", "decline"})

_Outcome = tuple[dict[str, object], tuple[N, ...]]


def _given(command: c.Command) -> _Outcome:
    assert isinstance(command, c.GiveInformation)  # noqa: S101 - the table below pairs them
    profile: dict[str, object] = {"profile": command.profile} if command.profile else {}
    return {"status": A.SUBMITTED, **profile}, (N.APPLICATION_ANSWERED,)


def _changed(command: c.Command) -> _Outcome:
    assert isinstance(command, c.ChangeProfile)  # noqa: S101
    return {"profile": command.profile}, ()


_OUTCOMES: dict[type[c.Command], Callable[[c.Command], _Outcome]] = {
    c.ConfirmEmail: lambda _: ({"status": A.SUBMITTED}, (N.APPLICATION_RECEIVED, N.APPLICATION_TO_REVIEW)),
    c.ApprovePublisher: lambda _: ({"status": A.APPROVED}, (N.APPLICATION_APPROVED,)),
    c.AskInformation: lambda _: ({"status": A.MORE_INFORMATION}, (N.APPLICATION_QUESTION,)),
    c.GiveInformation: _given,
    c.DeclinePublisher: lambda _: ({"status": A.DECLINED}, (N.APPLICATION_DECLINED,)),
    c.DeferPublisher: lambda _: ({"status": A.DEFERRED}, (N.APPLICATION_DEFERRED,)),
    c.ChangeProfile: _changed,
}


def snapshot_of(state: ApplicationState) -> ApplicationSnapshot:
    return ApplicationSnapshot(
        id=state.id, revision=state.revision, status=state.status, profile=state.profile, due=state.due
    )
