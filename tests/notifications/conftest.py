"""Mails are sent to real servers."""

from tests.parts.smtp import mail_devel, smtp  # noqa: F401
