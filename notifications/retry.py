"""When a mail that could not be sent is tried again."""

from datetime import datetime, timedelta

from models.policy import MailTerms


def next_attempt(attempt: int, now: datetime, terms: MailTerms) -> datetime | None:
    """After the failed `attempt` (counted from 1); None when the policy's attempts are used up.

    Each wait is twice the one before it, from `first_retry_seconds` to `longest_retry_seconds`. No jitter: mails go out
    one after the other anyway.
    """
    if attempt >= terms.attempts:
        return None
    # bounded before the power: a policy may allow thousands of attempts
    doublings = min(max(attempt - 1, 0), 32)
    return now + timedelta(seconds=min(terms.first_retry_seconds * 2**doublings, terms.longest_retry_seconds))
