"""The arithmetic of the figures: a mistake in it would be believed."""

import json

import pytest

from benchmarks import figures


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.95, 5.0),
        ([float(value) for value in range(1, 101)], 0.95, 95.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([3.0, 1.0, 2.0], 1.0, 3.0),
        ([3.0, 1.0, 2.0], 0.0, 1.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], share: float, expected: float) -> None:
    assert figures.percentile(values, share) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.123456, 0.123), (12.3456, 12.3), (1234.5, 1234.0), (0.0, 0.0), (1000, 1000)]
)
def test_three_digits_count(value: float, expected: float) -> None:
    assert figures.rounded(value) == expected


def test_a_limit_that_is_missed_says_so() -> None:
    assert figures.within(69, 70) == "69 (< 70)"
    assert figures.within(70, 70) == "70 (NOT < 70)"


def test_the_last_line_is_json_whatever_the_table_holds(capsys: pytest.CaptureFixture[str]) -> None:
    figures.show("A title", ("what", "how much"), [("a row", 0.5)], {"ratio": 0.98765, "lost": 0}, ["[bold] stays"])
    said = capsys.readouterr().out
    assert "[bold] stays" in said
    assert json.loads(said.splitlines()[-1]) == {"ratio": 0.988, "lost": 0}
