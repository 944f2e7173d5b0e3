"""A mailbox in a folder (Maildir): what mailserver.py keeps, read back."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
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
    """Whatever the bytes are: what cannot be read is left empty."""
    mail = message_from_bytes(content, policy=default)
    sent = getattr(mail["Date"], "datetime", None) or _NEVER
    return Mail(
        to=", ".join(address.addr_spec for address in getattr(mail["To"], "addresses", ())),
        subject=str(mail["Subject"] or ""),
        date=sent if sent.tzinfo else sent.replace(tzinfo=UTC),
        text=_part(mail, "plain"),
        html=_part(mail, "html"),
        message_id=str(mail["Message-ID"] or "").strip(),
        thread=str(mail["References"] or "").strip(),
        kind=str(mail["X-Wharfinger-Notice"] or "").strip(),
    )


def _part(mail: EmailMessage, subtype: str) -> str:
    part = mail.get_body(preferencelist=(subtype,))
    if part is None:
        return ""
    content = part.get_payload(decode=True)
    text = content.decode(part.get_content_charset("utf-8"), "replace") if isinstance(content, bytes) else ""
    return text.replace("\r\n", "\n")
