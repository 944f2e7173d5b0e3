"""Mails are sent to real servers."""

from tests.parts.leaks import nothing_leaks  # noqa: F401
from tests.parts.smtp import mail_devel, smtp  # noqa: F401
