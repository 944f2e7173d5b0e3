"""A mass change waits for the security team: it is asked, reminded, and decides once."""

from typing import Any

import pytest

from models import commands as c
from models.errors import NotAllowed
from models.policy import Watch
from models.watching import BatchStatus, MassChangeSnapshot
from policies import mass_changes
from tests.policies.samples import DAY, MONDAY, PEOPLE, command, standing
from tests.policies.test_clocks import HOUR


def waiting() -> MassChangeSnapshot:
    fresh = MassChangeSnapshot(id="b1", names=3, products=400, since=MONDAY)
    return mass_changes.waits(fresh, Watch(), MONDAY).state


def judged(kind: type[c.Command], person: str = "sec", **fields: Any) -> mass_changes.Change:
    return mass_changes.tell(waiting(), command(kind, person, **fields), standing(person))


def test_the_team_is_asked_and_reminded_until_it_has_decided() -> None:
    state = waiting()
    assert state.remind_at == MONDAY + DAY
    assert mass_changes.remind(state, Watch(), MONDAY + 23 * HOUR).state is state
    again = mass_changes.remind(state, Watch(), MONDAY + DAY)
    assert (again.state.remind_at, [str(kind) for kind in again.notices]) == (
        MONDAY + 2 * DAY,
        ["mass_change_to_confirm"],
    )
    decided = judged(c.Confirm).state
    assert mass_changes.remind(decided, Watch(), MONDAY + 9 * DAY).state is decided


def test_what_is_confirmed_is_told_and_what_is_declined_is_not() -> None:
    confirmed, declined = judged(c.Confirm).state, judged(c.Decline, text="A slip of the source.").state
    assert (confirmed.status, mass_changes.done(confirmed).state.status) == (BatchStatus.TELLING, BatchStatus.TOLD)
    assert (declined.status, declined.reason) == (BatchStatus.DISMISSED, "A slip of the source.")
    assert mass_changes.done(declined).state.status is BatchStatus.DISMISSED


def test_only_the_security_team_decides_and_once() -> None:
    for person in PEOPLE.keys() - {"sec"}:
        with pytest.raises(NotAllowed, match="confirm is for: security"):
            judged(c.Confirm, person)
    with pytest.raises(NotAllowed, match="Say why"):
        judged(c.Decline, text=" ")
    confirm = command(c.Confirm, "sec")
    once = mass_changes.tell(waiting(), confirm, standing("sec")).state
    assert mass_changes.tell(once, confirm, standing("sec")).state is once
    with pytest.raises(NotAllowed, match="the update is telling already"):
        mass_changes.tell(once, command(c.Decline, "sec"), standing("sec"))
