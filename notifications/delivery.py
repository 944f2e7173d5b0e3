"""Sending mails over SMTP: what became of each is an answer, never an exception."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import aiosmtplib
from aiosmtplib import errors

from notifications import words
from notifications.composing import UnusableAddress, address

#: characters of a server's reply that the delivery log keeps
_LONGEST_REPLY = 500
#: codes by which a server asks for our credentials or turns them down (RFC 4954): the hub's matter, at whatever command
_OUR_CREDENTIALS = frozenset({454, 530, 534, 535, 538})


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The server that takes our mails. `tls` is none, starttls or tls (from the first byte)."""

    host: str
    port: int
    tls: Literal["none", "starttls", "tls"] = "none"
    username: str = ""
    password: str = field(default="", repr=False)
    #: for a step of the conversation; a whole mail gets three times as much
    timeout_seconds: float = 30
    #: file of a certificate authority to trust beside the system's
    ca_file: Path | None = None

    @property
    def longest_seconds(self) -> float:
        """After which the sending of a mail has ended one way or the other."""
        return 3 * self.timeout_seconds


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a mail: accepted; or not for now (`transient`), or not for good.

    `code` is the server's, 0 where it did not answer; `reply` is its words or ours, one line.
    """

    accepted: bool
    transient: bool
    code: int
    reply: str


class SmtpSender:
    """One connection, kept from mail to mail and made anew when it broke. For one task at a time."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._connection: aiosmtplib.SMTP | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None and error is None:
            with contextlib.suppress(errors.SMTPException, OSError):
                await self._connection.quit(timeout=min(self._server.timeout_seconds, 5))
        self._close()

    async def send(self, mail: EmailMessage, recipient: str) -> Delivery:
        """Hand the mail to the server. What is refused for good is the mail or its recipient, never our set-up.

        A connection that breaks after the mail's last line may leave a copy behind that we know nothing of: that mail
        counts as not sent.
        """
        try:
            async with asyncio.timeout(self._server.longest_seconds):
                connected = await self._connect(_domain(mail))
                return connected or await self._transfer(mail, recipient)
        except TimeoutError:
            self._close()
            return _later(f"The mail server took longer than {self._server.longest_seconds:g} seconds.")
        except BaseException:
            self._close()  # cancelled in the middle of a command: nobody knows what the next reply would answer
            raise

    async def _connect(self, name: str) -> Delivery | None:
        """None when connected. Whatever goes wrong before the first mail is the hub's own matter, so transient."""
        if await self._is_alive():
            return None
        self._close()
        server = self._server
        try:
            connection = aiosmtplib.SMTP(
                hostname=server.host,
                port=server.port,
                username=server.username or None,
                password=server.password or None,
                # our own name: asking for the machine's may take the resolver's whole timeout
                local_hostname=name,
                timeout=server.timeout_seconds,
                use_tls=server.tls == "tls",
                start_tls=server.tls == "starttls",
                tls_context=None if server.tls == "none" else await asyncio.to_thread(_trust, server.ca_file),
            )
            await connection.connect()
            await connection.rset()  # says EHLO where nobody has yet: from here on it is known what the server can
        except errors.SMTPResponseException as error:
            return _answered(error.code, error.message, transient=True)
        except (errors.SMTPException, OSError, ValueError) as error:
            return _later(str(error) or type(error).__name__)
        self._connection = connection
        return None

    async def _is_alive(self) -> bool:
        """Servers close what has been idle: asked before a mail is entrusted to it."""
        if self._connection is None or not self._connection.is_connected:
            return False
        try:
            await self._connection.rset()
        except (errors.SMTPException, OSError):
            return False
        return True

    async def _transfer(self, mail: EmailMessage, recipient: str) -> Delivery:
        assert self._connection is not None  # noqa: S101 - _connect has seen to it
        sender: str = mail["From"].addresses[0].addr_spec
        try:
            to = address(recipient, "").addr_spec
        except UnusableAddress as error:
            return _answered(0, str(error), transient=False)
        international = not (sender + to).isascii()
        if international and not self._connection.supports_extension("smtputf8"):
            return _answered(0, f"The mail server cannot write to {to}: it has no SMTPUTF8.", transient=False)
        try:
            _, reply = await self._connection.sendmail(
                sender,
                to,
                mail.as_bytes(policy=SMTP.clone(cte_type="7bit", utf8=international)),
                mail_options=["SMTPUTF8"] if international else [],
            )
        except errors.SMTPRecipientsRefused as error:
            refusal = error.recipients[0]
            return _answered(refusal.code, refusal.message)
        except errors.SMTPResponseException as error:
            return _answered(error.code, error.message)
        except (errors.SMTPException, OSError) as error:
            self._close()
            return _later(str(error) or type(error).__name__)
        except ValueError as error:  # an address that the library thinks would break out of its command
            return _answered(0, str(error), transient=False)
        return Delivery(True, False, 250, words.one_line(reply, _LONGEST_REPLY))

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def _domain(mail: EmailMessage) -> str:
    domain: str = mail["From"].addresses[0].domain
    return domain


def _answered(code: int, reply: str, *, transient: bool | None = None) -> Delivery:
    """4xx and what nobody expects is for now, 5xx for good; credentials are never the recipient's fault."""
    if transient is None:
        transient = code in _OUR_CREDENTIALS or not 500 <= code < 600
    return Delivery(False, transient, code, words.one_line(reply, _LONGEST_REPLY))


def _later(reply: str) -> Delivery:
    return Delivery(False, True, 0, words.one_line(reply, _LONGEST_REPLY))
