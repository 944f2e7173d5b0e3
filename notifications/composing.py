"""A rendered notice as a mail: headers that mail programs understand, and that no name can break out of."""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from models.errors import Permanent
from notifications import words
from notifications.rendering import LONGEST_NAME, Rendered

#: lines of at most 78 characters, in ASCII; an address with other letters alone needs more (see delivery.py)
_POLICY = SMTP.clone(cte_type="7bit")


class UnusableAddress(Permanent):
    """An address that no mail can be sent to."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """From whom, to whom, and where in the conversation. `message_id` and `thread` have their angle brackets."""

    sender: str
    sender_name: str
    to: str
    to_name: str
    #: the same for every attempt
    message_id: str
    #: root of the thread: all mails of one process refer to it
    thread: str
    #: when the notice was caused
    date: datetime
    unsubscribe_url: str = ""
    #: whether a POST to the link unsubscribes without a further question (RFC 8058)
    unsubscribe_one_click: bool = False


def compose(rendered: Rendered, envelope: Envelope) -> EmailMessage:
    """The same notice and envelope give the same mail, but for the boundary. Raises UnusableAddress."""
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = address(envelope.sender, envelope.sender_name)
    mail["To"] = address(envelope.to, envelope.to_name)
    mail["Subject"] = rendered.subject
    mail["Date"] = envelope.date
    mail["Message-ID"] = envelope.message_id
    mail["In-Reply-To"] = envelope.thread
    mail["References"] = envelope.thread
    # no vacation reply answers a notice: RFC 3834, and Exchange's own word for it
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["List-Id"] = f"<notices.{mail['From'].addresses[0].domain}>"
    mail["X-Wharfinger-Notice"] = str(rendered.kind)
    if envelope.unsubscribe_url:
        mail["List-Unsubscribe"] = f"<{envelope.unsubscribe_url}>"
        if envelope.unsubscribe_one_click:
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    # quoted-printable: no line is ever too long, and most of it can be read as it is
    mail.set_content(rendered.text, cte="quoted-printable")
    mail.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    return mail


def address(spec: str, name: str) -> Address:
    """An address for a header. Its domain is written in ASCII (IDNA). Raises UnusableAddress."""
    local, at, domain = spec.rpartition("@")
    if not (local and at and domain) or any(not letter.isprintable() or letter in " <>,;" for letter in spec):
        raise UnusableAddress(f"No mail can be sent to {spec!r}: it is not an address.")
    try:
        ascii_domain = domain if domain.isascii() else domain.encode("idna").decode()
        return Address(words.one_line(name, LONGEST_NAME), local, ascii_domain)
    except ValueError as error:
        raise UnusableAddress(f"No mail can be sent to {spec!r}: {error}.") from error
