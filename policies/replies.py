"""What publishers do, and what changes neither stage nor turn. A publisher's act ends the chance to undo."""

from models import commands as c
from models.lifecycle import Pause, Stage, Turn
from models.notices import NoticeKind as N
from policies.stages import Change, Told, moved, publishes, waits_for_review


def resubmit(told: Told, command: c.Command) -> Change:
    assert isinstance(command, c.Resubmit)  # noqa: S101
    update = {
        "content": command.content,
        "iteration": told.state.iteration + 1,
        "responded": False,
        "appealed": False,
        "rejected_by": "",
        "warned": False,
        "uncertified": False,
        "undoable": None,
    }
    return Change(moved(told.state.model_copy(update=update), Stage.ONBOARDING, Turn.HUB, told.now, None))


def comes_back(told: Told, notices: tuple[N, ...], **update: bool) -> Change:
    state = told.state.model_copy(update={"responded": True, "warned": False, "undoable": None, **update})
    return Change(waits_for_review(state, told.standing.reply_by, told.now), notices)


def answer(told: Told, command: c.Command) -> Change:
    if not told.text.strip():
        raise told.refuse("The answer is empty.")
    return comes_back(told, (N.ANSWERED,))


def ask_waiver(told: Told, command: c.Command) -> Change:
    if not told.text.strip():
        raise told.refuse("Say why the finding should be waived.")
    if told.state.stage is Stage.READY:
        return Change(told.state.model_copy(update={"responded": True}), (N.WAIVER_ASKED,))
    return comes_back(told, (N.WAIVER_ASKED,))


def appeal(told: Told, command: c.Command) -> Change:
    if not told.text.strip():
        raise told.refuse("Say why the rejection is wrong.")
    return comes_back(told, (N.APPEALED, N.APPEAL_RECEIVED), appealed=True)


def revive(told: Told, command: c.Command) -> Change:
    return comes_back(told, (N.REVIVED,))


def withdraw(told: Told, command: c.Command) -> Change:
    return Change(moved(told.state, Stage.WITHDRAWN, Turn.NOBODY, told.now, None), (N.WITHDRAWN,))


def supersede(told: Told, command: c.Command) -> Change:
    return Change(moved(told.state, Stage.SUPERSEDED, Turn.NOBODY, told.now, None), (N.SUPERSEDED,))


def publish_without_badge(told: Told, command: c.Command) -> Change:
    state = told.state.model_copy(update={"certify": False, "uncertified": False, "undoable": None})
    return Change(publishes(state, told.now))


def pause(told: Told, command: c.Command) -> Change:
    if not told.text.strip():
        raise told.refuse("Everybody sees the reason of a pause: it is empty.")
    pause = Pause(reason=told.text, actor=told.actor, since=told.now)
    return Change(told.state.model_copy(update={"paused": pause}), (N.PAUSED,))


def resume(told: Told, command: c.Command) -> Change:
    paused, deadline = told.state.paused, told.state.deadline
    assert paused is not None  # noqa: S101 - _applies has looked
    if deadline is not None:
        stood = told.now - paused.since
        later = {"due": deadline.due + stood, "remind_at": deadline.remind_at and deadline.remind_at + stood}
        deadline = deadline.model_copy(update=later)
    return Change(told.state.model_copy(update={"paused": None, "deadline": deadline}), (N.RESUMED,))


def assign(told: Told, command: c.Command) -> Change:
    assert isinstance(command, c.Assign)  # noqa: S101
    return Change(told.state.model_copy(update={"assignee": command.to}), (N.ASSIGNED,) if command.to else ())


def note(told: Told, command: c.Command) -> Change:
    return Change(told.state.model_copy())


def reply(told: Told, command: c.Command) -> Change:
    if not told.text.strip():
        raise told.refuse("The reply is empty.")
    return Change(told.state.model_copy(), (N.REPLY,))
