"""What publishers do, and what changes neither stage nor turn. A publisher's act ends the chance to undo."""

from models import commands as c
from models.lifecycle import DeadlineKind, Outcome, Pause, Stage, Turn
from models.notices import NoticeKind as N
from policies.stages import (
    Change,
    Told,
    begins,
    changes_deadline,
    clocked,
    moved,
    publishes,
    reply_deadline,
    waits_for_review,
)


def resubmit(told: Told, command: c.Command) -> Change:
    assert isinstance(command, c.Resubmit)  # noqa: S101
    update = {
        "content": command.content,
        "iteration": told.state.iteration + 1,
        "release": "",
        "outcome": Outcome(),
        "responded": False,
        "appealed": False,
        "rejected_by": (),
        "warned": False,
        "undoable": None,
    }
    return Change(moved(told.state.model_copy(update=update), Stage.ONBOARDING, Turn.HUB, told.now, None))


def comes_back(told: Told, notices: tuple[N, ...], *, appealed: bool = False) -> Change:
    """The publisher has acted in words, and the moderators are at turn again."""
    update = {
        "responded": True,
        "warned": False,
        "appealed": appealed,
        "rejected_by": told.state.rejected_by if appealed else (),
        "undoable": None,
    }
    state = told.state.model_copy(update=update)
    return Change(waits_for_review(state, told.standing.reply_by, told.now), notices)


def answer(told: Told, command: c.Command) -> Change:
    if not told.text.strip():
        raise told.refuse("The answer is empty.")
    return comes_back(told, (N.ANSWERED,))


def ask_waiver(told: Told, command: c.Command) -> Change:
    assert isinstance(command, c.AskWaiver)  # noqa: S101
    state = told.state
    if command.finding not in state.outcome.blocking and not state.outcome.unlisted:
        raise told.refuse(f"No open requirement has the key {command.finding}: only those need a waiver.")
    if not told.text.strip():
        raise told.refuse("Say why the finding should be waived.")
    if state.stage is not Stage.READY:
        return comes_back(told, (N.WAIVER_ASKED,))
    if state.deadline and state.deadline.kind is DeadlineKind.REPLY:
        state = begins(state, reply_deadline(state, told.standing.reply_by, told.now), told.now)
    # a proposal is the hub's own matter: the publisher, who does not know of it, has not acted on it
    undoable = state.undoable if state.proposal else None
    return Change(state.model_copy(update={"responded": True, "undoable": undoable}), (N.WAIVER_ASKED,))


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
    state = told.state.model_copy(update={"certify": False, "undoable": None})
    return Change(publishes(state, told.now))


def pause(told: Told, command: c.Command) -> Change:
    if not told.text.strip():
        raise told.refuse("Everybody sees the reason of a pause: it is empty.")
    pause = Pause(reason=told.text, actor=told.actor, since=told.now)
    return Change(told.state.model_copy(update={"paused": pause}), (N.PAUSED,))


def resume(told: Told, command: c.Command) -> Change:
    return Change(clocked(told.state, told.now).model_copy(update={"paused": None}), (N.RESUMED,))


def assign(told: Told, command: c.Command) -> Change:
    assert isinstance(command, c.Assign)  # noqa: S101
    return Change(told.state.model_copy(update={"assignee": command.to}), (N.ASSIGNED,) if command.to else ())


def note(told: Told, command: c.Command) -> Change:
    return Change(told.state.model_copy())


def reply(told: Told, command: c.Command) -> Change:
    if not told.text.strip():
        raise told.refuse("The reply is empty.")
    state = told.state
    if state.deadline and state.deadline.kind is DeadlineKind.CHANGES:
        # whoever is told something new has the whole term to act on it; a last warning stays the last
        state = begins(state, changes_deadline(state, told.now), told.now)
    return Change(state.model_copy(), (N.REPLY,))
