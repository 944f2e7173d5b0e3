"""When a mail is tried again."""

from datetime import UTC, datetime, timedelta

from models.policy import MailTerms
from notifications.retry import next_attempt

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
TERMS = MailTerms(attempts=6, first_retry_seconds=60, longest_retry_seconds=600)


def waits(terms: MailTerms) -> list[float | None]:
    moments = [next_attempt(attempt, NOW, terms) for attempt in range(1, terms.attempts + 2)]
    return [None if moment is None else (moment - NOW).total_seconds() for moment in moments]


def test_each_wait_is_twice_the_one_before_up_to_the_longest_and_then_it_is_given_up() -> None:
    assert waits(TERMS) == [60, 120, 240, 480, 600, None, None]


def test_the_policy_of_the_house_tries_for_more_than_a_day() -> None:
    known = [wait for wait in waits(MailTerms()) if wait is not None]
    assert timedelta(seconds=sum(known)) > timedelta(days=0.5)
    assert known == sorted(known)


def test_a_single_attempt_is_never_repeated() -> None:
    assert next_attempt(1, NOW, TERMS.model_copy(update={"attempts": 1})) is None


def test_thousands_of_attempts_wait_no_longer_than_the_longest() -> None:
    terms = TERMS.model_copy(update={"attempts": 10**6})
    assert next_attempt(999_999, NOW, terms) == NOW + timedelta(seconds=600)
