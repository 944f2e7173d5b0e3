"""Working days: weekends and holidays are none, and days are those of UTC."""

from datetime import UTC, datetime, timedelta, timezone

import hypothesis.strategies as st
import pytest
from hypothesis import given

from models.policy import Deadlines
from policies import working_days
from policies.working_days import add_working_days, is_working_day, reply_by


def at(day: int, month: int = 3, year: int = 2024, hour: int = 15) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        (at(4), 2, at(6)),  # Monday to Wednesday
        (at(7), 2, at(11)),  # Thursday to Monday
        (at(8), 2, at(12)),  # Friday to Tuesday
        (at(9), 2, at(12)),  # Saturday: Monday is the first
        (at(10), 1, at(11)),  # Sunday
        (at(4), 5, at(11)),
        (at(4), 0, at(4)),
        (at(31, 12, 2024), 2, at(2, 1, 2025)),
    ],
)
def test_the_weekend_does_not_count(start: datetime, days: int, end: datetime) -> None:
    assert add_working_days(start, days) == end


def test_holidays_of_the_policys_country_do_not_count_either() -> None:
    # Maundy Thursday 2024: Good Friday and Easter Monday are holidays in Germany
    assert add_working_days(at(28), 2, "DE") == at(3, 4)
    assert add_working_days(at(28), 2) == at(1, 4)
    assert reply_by(at(28), Deadlines(holidays="DE")) == at(3, 4)
    assert reply_by(at(28), Deadlines()) == at(1, 4)
    assert not is_working_day(at(4, 7), "US")
    assert is_working_day(at(4, 7), "DE")


def test_the_turn_of_the_year_is_counted_across() -> None:
    # 24 December 2024 is a Tuesday; 25, 26 and 1 January are holidays
    assert add_working_days(at(24, 12), 4, "DE") == at(2, 1, 2025)


def test_a_country_that_is_not_known_has_no_holidays() -> None:
    for country in ("XX", "Germany", "de"):
        assert not working_days.knows(country)
        assert add_working_days(at(28), 2, country) == at(1, 4)
    for country in ("DE", "GB", "US", "JP"):
        assert working_days.knows(country)


def test_days_are_utcs_wherever_the_clock_stands() -> None:
    # Friday evening in Los Angeles is Saturday
    friday = datetime(2024, 3, 8, 20, tzinfo=timezone(timedelta(hours=-8)))
    assert not is_working_day(friday)
    assert add_working_days(friday, 1) == datetime(2024, 3, 11, 4, tzinfo=UTC)
    # Monday morning in Tokyo is Sunday
    monday = datetime(2024, 3, 11, 5, tzinfo=timezone(timedelta(hours=9)))
    assert not is_working_day(monday)


@given(
    st.integers(0, 100 * 365 * 24).map(lambda hours: at(1, 1, 1990) + timedelta(hours=hours)),
    st.integers(1, 30),
    st.sampled_from(["", "DE", "US"]),
)
def test_the_end_is_a_working_day_with_exactly_so_many_before_it(start: datetime, days: int, country: str) -> None:
    end = add_working_days(start, days, country)
    assert is_working_day(end, country)
    passed = (start + timedelta(days=number) for number in range(1, (end - start).days + 1))
    assert sum(is_working_day(day, country) for day in passed) == days
    assert end.time() == start.time()
