"""From our errors to Temporal's: permanent ones are not retried, a tool's are, and every message is bounded."""

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.exceptions import ApplicationError

from models.errors import LONGEST_MESSAGE, WharfingerError


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the taxonomy become ApplicationErrors whose type is the class name, which retry policies list."""
    try:
        yield
    except WharfingerError as error:
        raise ApplicationError(
            str(error)[:LONGEST_MESSAGE], type=type(error).__name__, non_retryable=error.permanent
        ) from error
