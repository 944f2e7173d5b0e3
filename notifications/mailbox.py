"""A mailbox in a folder (Maildir): what mailserver.py keeps, read back."""

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from pathlib import Path

#: when nothing says when
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as a person reads it. `to` is the address alone."""

    to: str
    subject: str
    date: datetime
    text: str
    html: str = ""
    message_id: str = ""
    #: root of its thread
    thread: str = ""
    #: kind of the notice; empty for a mail of others
    kind: str = ""


def read_mailbox(folder: Path) -> list[Mail]:
    """All mails in the order in which they came; none where there is no mailbox."""
    files = (file for part in ("new", "cur") for file in (folder / part).glob("*") if file.is_file())
    return [read_mail(file.read_bytes()) for file in sorted(files, key=lambda file: file.name)]


def read_mail(content: bytes) -> Mail:
    """Whatever the bytes are: what cannot be read is left as it is, or empty."""
    # the older of Python's two parsers: the newer one raises IndexError and others for headers that are none
    mail = message_from_bytes(content)
    to = _header(mail, "Delivered-To") or ", ".join(spec for _, spec in getaddresses([_header(mail, "To")]))
    return Mail(
        to=to,
        subject=_header(mail, "Subject"),
        date=_date(_header(mail, "Date")),
        text=_part(mail, "text/plain"),
        html=_part(mail, "text/html"),
        message_id=_header(mail, "Message-ID"),
        thread=_header(mail, "References"),
        kind=_header(mail, "X-Wharfinger-Notice"),
    )


def _header(mail: "Message[str, str]", name: str) -> str:
    """The first of this name, on one line."""
    raw = next((value for key, value in mail.raw_items() if key.lower() == name.lower()), "")
    # bytes beyond ASCII, which SMTPUTF8 allows, are halves of surrogate pairs by now
    text = str(raw).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    with contextlib.suppress(MessageError, ValueError, LookupError):
        text = str(make_header(decode_header(text)))
    return " ".join(text.split())


def _date(header: str) -> datetime:
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return _NEVER
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _part(mail: "Message[str, str]", kind: str) -> str:
    """The text of the first part of a kind."""
    for part in mail.walk():
        if part.get_content_type() == kind and isinstance(content := part.get_payload(decode=True), bytes):
            try:
                text = content.decode(part.get_content_charset("utf-8"), "replace")
            except LookupError:
                text = content.decode("utf-8", "replace")
            return text.replace("\r\n", "\n")
    return ""
