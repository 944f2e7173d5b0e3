"""Commands: named after their acts, bounded, and writable whatever a terminal handed over."""

from decimal import Decimal

import pytest
from pydantic import ValidationError
from pydantic_core import to_json

from models import commands as c
from models.content import Price
from models.notices import AUDIENCES, Audience, NoticeKind

GROUPS = (c.SUBMISSION_COMMANDS, c.PRODUCT_COMMANDS, c.PUBLISHER_COMMANDS)


@pytest.mark.parametrize("group", GROUPS)
def test_the_commands_of_a_process_have_acts_of_their_own(group: tuple[type[c.Command], ...]) -> None:
    acts = [kind.act for kind in group]
    assert len(set(acts)) == len(acts)
    for act in acts:
        # names of updates and signals, which the command line spells with hyphens
        assert act.replace("_", "").isalpha()
        assert act.islower()


def test_every_command_belongs_to_a_process_and_says_what_it_does() -> None:
    kinds = {
        kind
        for kind in vars(c).values()
        if isinstance(kind, type) and issubclass(kind, c.Command) and kind is not c.Command
    }
    assert kinds == {kind for group in GROUPS for kind in group}


def test_a_text_is_bounded() -> None:
    assert len(c.Answer(id="x", actor="pat", text="x" * c.LONGEST_TEXT).text) == 4_000
    with pytest.raises(ValidationError, match="at most 4000 characters"):
        c.Answer(id="x", actor="pat", text="x" * 4_001)


@pytest.mark.parametrize("text", ["\ud800", "Grüße \udcff", "\x00"])
def test_what_a_terminal_hands_over_can_be_sent(text: str) -> None:
    assert to_json(c.Answer(id="x", actor="pat", text=text))


@pytest.mark.parametrize("amount", ["1e1000000", "1e-9", "NaN", "Infinity", "1234567890123"])
def test_an_amount_that_no_page_can_show_is_no_price(amount: str) -> None:
    with pytest.raises(ValidationError, match="amount"):
        Price(amount=Decimal(amount))
    assert Price(amount=Decimal("-99999999.9999")).amount < 0


def test_every_kind_of_notice_has_an_audience() -> None:
    assert set(AUDIENCES) == set(NoticeKind)
    # what only one person is told goes to that person
    assert {kind for kind, audience in AUDIENCES.items() if audience in (Audience.ACTOR, Audience.ASSIGNEE)} == {
        NoticeKind.COMMAND_REFUSED,
        NoticeKind.ASSIGNED,
    }
