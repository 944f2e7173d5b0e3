"""A fixed part of the nightly run of damaged input (benchmarks/fuzz.py): every parser answers or refuses."""

import random

import pytest

from benchmarks import fuzz
from benchmarks.fuzz_targets import TARGETS, Target

#: enough for a second or two each
_INPUTS = {
    "export": 3_000,
    "document": 8_000,
    "npm": 6_000,
    "osv": 12_000,
    "versions": 2_000,
    "binary": 10_000,
    "jar": 15_000,
}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_damaged_input_breaks_no_parser(target: Target) -> None:
    done = fuzz.run(target, seed=1, inputs=_INPUTS.get(target.name, 20_000))
    assert not done.broken, f"{done.broken[0].error!r} on {done.broken[0].content[:500]!r}"
    assert done.tried >= 2_000
    assert done.lines


def test_a_parser_that_breaks_is_seen() -> None:
    def feed(content: bytes) -> None:
        if b"!" in content:
            raise KeyError("a mistake")
        if content.startswith(b"?"):
            raise ValueError("not allowed to start so")

    done = fuzz.run(Target("bad", "breaks on !", (b"fine", b"x!"[:1]), feed, (ValueError,)), seed=1, inputs=50_000)
    assert done.broken
    assert {type(one.error) for one in done.broken} == {KeyError}


def test_a_seed_that_is_refused_would_test_nothing() -> None:
    def feed(content: bytes) -> None:
        raise ValueError("never")

    with pytest.raises(AssertionError, match="a seed is refused"):
        fuzz.run(Target("closed", "takes nothing", (b"x",), feed, (ValueError,)), seed=1, inputs=1)


def test_the_same_seed_damages_in_the_same_way() -> None:
    seeds = [b'{"a": [1, 2, {"b": "c"}]}', b"[]"]
    for way in (fuzz.damaged, fuzz.replanted):
        first, again = random.Random("x"), random.Random("x")  # noqa: S311 - to be repeated
        assert [way(first, seeds) for _ in range(200)] == [way(again, seeds) for _ in range(200)]
