"""Working days: Monday to Friday without the public holidays of the country that the policy names."""

from datetime import datetime, timedelta
from functools import lru_cache

import holidays

from models.policy import Deadlines

_SATURDAY = 5


def reply_by(now: datetime, deadlines: Deadlines) -> datetime:
    """By when the hub answers what has come in at `now` (UTC)."""
    return add_working_days(now, deadlines.reply_working_days, deadlines.holidays)


def add_working_days(start: datetime, days: int, country: str = "") -> datetime:
    """The same time of day after so many working days. On a day off the count begins with the next working day."""
    moment = start
    while days > 0:
        moment += timedelta(days=1)
        if is_working_day(moment, country):
            days -= 1
    return moment


def is_working_day(moment: datetime, country: str = "") -> bool:
    return moment.weekday() < _SATURDAY and moment.date() not in _holidays(country)


@lru_cache(maxsize=32)
def _holidays(country: str) -> holidays.HolidayBase:
    """Filled year by year as it is asked. A country that the library does not know has none."""
    if not country:
        return holidays.HolidayBase()
    return holidays.country_holidays(country)
