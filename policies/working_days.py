"""Working days: Monday to Friday without the public holidays of the country that the policy names. Days are UTC's."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

import holidays

from models.policy import Deadlines

_SATURDAY = 5


def reply_by(now: datetime, deadlines: Deadlines) -> datetime:
    """By when the hub answers what has come in at `now`."""
    return add_working_days(now, deadlines.reply_working_days, deadlines.holidays)


def add_working_days(start: datetime, days: int, country: str = "") -> datetime:
    """The same time of day after so many working days. On a day off the count begins with the next working day."""
    moment = start.astimezone(UTC)
    while days > 0:
        moment += timedelta(days=1)
        if is_working_day(moment, country):
            days -= 1
    return moment


def is_working_day(moment: datetime, country: str = "") -> bool:
    day = moment.astimezone(UTC).date()
    return day.weekday() < _SATURDAY and day not in _holidays(country)


def knows(country: str) -> bool:
    """Whether the holidays of a country (ISO 3166, upper case) are known."""
    return country in holidays.list_supported_countries()


@lru_cache(maxsize=32)
def _holidays(country: str) -> holidays.HolidayBase:
    """Filled year by year as it is asked. A country that is not known has none: policy.toml is read with suspicion."""
    return holidays.country_holidays(country) if knows(country) else holidays.HolidayBase()
