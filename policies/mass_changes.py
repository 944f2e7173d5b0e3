"""An update of advisories that concerns very many products: told to them only when the security team has looked.

It may be a mistake of its source, and the clocks of many publishers would run for nothing (domain.md, "Scanning").
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from models import commands as c
from models.errors import NotAllowed
from models.notices import NoticeKind as N
from models.policy import Watch
from models.publishers import Standing
from models.watching import BatchStatus, MassChangeSnapshot
from policies.rights import MASS_CHANGE_RIGHTS, demand


class Change(NamedTuple):
    state: MassChangeSnapshot
    notices: tuple[N, ...] = ()


def waits(state: MassChangeSnapshot, watch: Watch, now: datetime) -> Change:
    """Begin to wait: the team is told, and reminded as often as the policy says until it has decided."""
    return Change(_revised(state, remind_at=_later(watch, now)), (N.MASS_CHANGE_TO_CONFIRM,))


def remind(state: MassChangeSnapshot, watch: Watch, now: datetime) -> Change:
    """Again, when its moment has come: nothing else happens by itself, and the publishers know nothing yet."""
    if state.status is not BatchStatus.WAITING or state.remind_at is None or state.remind_at > now:
        return Change(state)
    return waits(state, watch, now)


def tell(state: MassChangeSnapshot, command: c.Command, standing: Standing) -> Change:
    """Judge a command. NotAllowed says what is allowed now. Repeated: no change."""
    if command.id == state.command:
        return Change(state)
    demand(MASS_CHANGE_RIGHTS, command, standing)
    if state.status is not BatchStatus.WAITING:
        raise NotAllowed(f"{command.act} does not apply: the update is {state.status} already.")
    if isinstance(command, c.Decline):
        if not command.text.strip():
            raise NotAllowed("Say why nobody shall be told of it: the reason is kept.")
        status = BatchStatus.DISMISSED
    else:
        status = BatchStatus.TELLING
    decided = {"status": status, "reason": command.text, "decided_by": command.actor, "command": command.id}
    return Change(_revised(state, remind_at=None, **decided), (N.MASS_CHANGE_DECIDED,))


def done(state: MassChangeSnapshot) -> Change:
    """Every product has been told; of what was declined only what is retracted."""
    status = BatchStatus.TOLD if state.status is BatchStatus.TELLING else state.status
    return Change(_revised(state, status=status))


def _later(watch: Watch, now: datetime) -> datetime:
    return now + timedelta(hours=watch.mass_change_reminder_hours)


def _revised(state: MassChangeSnapshot, **update: object) -> MassChangeSnapshot:
    return state.model_copy(update={"revision": state.revision + 1, **update})
