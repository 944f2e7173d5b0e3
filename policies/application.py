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
    due: datetime | None = None
    if update.get("status") is A.SUBMITTED:
        due = standing.reply_by or now + timedelta(days=terms.reply_working_days)
    seen = (*state.seen, command.id)[-_REMEMBERED:]
    return Change(
        state.model_copy(update={"due": due, "remind_at": due, "revision": state.revision + 1, "seen": seen, **update}),
        notices,
    )


def remind(state: ApplicationState) -> Change:
    """The one reminder of whoever is at turn."""
    notices = {A.UNCONFIRMED: (N.CONFIRM_EMAIL,), A.SUBMITTED: (N.APPLICATION_TO_REVIEW,)}
    reminded = state.model_copy(update={"remind_at": None, "revision": state.revision + 1})
    return Change(reminded, notices.get(state.status, ()))


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
