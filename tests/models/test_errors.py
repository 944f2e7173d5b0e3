"""The taxonomy: what is permanent is listed for the retry policies, and no message is longer than anybody reads."""

from collections.abc import Iterator

import pytest

from models import errors
from models.errors import (
    LONGEST_MESSAGE,
    PERMANENT_ERRORS,
    PUBLISHERS_ERRORS,
    InvalidManifest,
    NotAllowed,
    Permanent,
    Problem,
    ToolFailed,
    WharfingerError,
)


def kinds_below(kind: type[WharfingerError]) -> Iterator[type[WharfingerError]]:
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield below
            yield from kinds_below(below)


def test_every_permanent_error_is_listed_by_its_exact_name() -> None:
    assert sorted(PERMANENT_ERRORS) == sorted(kind.__name__ for kind in kinds_below(Permanent))


def test_a_tools_failure_is_tried_again() -> None:
    assert not ToolFailed.permanent
    assert "ToolFailed" not in PERMANENT_ERRORS
    assert all(kind.permanent for kind in kinds_below(Permanent))


def test_what_is_of_the_publishers_making_is_permanent() -> None:
    assert all(issubclass(kind, Permanent) for kind in PUBLISHERS_ERRORS)
    assert NotAllowed not in PUBLISHERS_ERRORS


@pytest.mark.parametrize("kind", [kind for kind in kinds_below(WharfingerError) if kind not in (InvalidManifest,)])
def test_a_message_is_cut_at_eight_thousand_characters(kind: type[WharfingerError]) -> None:
    assert LONGEST_MESSAGE == 8_000
    assert str(kind("x" * 1_000_000)) == "x" * 8_000
    assert str(kind("short")) == "short"


def test_a_refused_manifest_names_every_reason_by_field() -> None:
    problems = [Problem("name", "is empty."), Problem("tiers.0.price", "is no price.")]
    refusal = InvalidManifest(problems)
    assert str(refusal) == "name: is empty.\ntiers.0.price: is no price."
    assert refusal.problems == tuple(problems)
    assert [(problem.field, problem.message) for problem in refusal.problems] == [
        ("name", "is empty."),
        ("tiers.0.price", "is no price."),
    ]


def test_ten_thousand_reasons_are_kept_and_the_message_stays_short() -> None:
    refusal = InvalidManifest([Problem(f"tiers.{number}", "is wrong.") for number in range(10_000)])
    assert len(str(refusal)) == LONGEST_MESSAGE
    assert len(refusal.problems) == 10_000
