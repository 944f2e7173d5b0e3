"""SMTP servers for tests: aiosmtpd that answers as it is told to, and mail-devel as a stranger's full server."""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cli.servers import PythonService
from notifications.delivery import SmtpServer
from notifications.mailbox import Mail, read_mail

#: stands in a script for an answer that never comes
SILENCE = "silence"
#: stands in a script for a connection that breaks: in the middle of a mail, or before the answer to a whole one
DROP_WITHIN, DROP_AFTER = "drop within", "drop after"

USER, PASSWORD = "hub@example.org", "c0rrect-horse"


@dataclass
class ScriptedSmtp:
    """aiosmtpd. Each command takes its next answer from the script; when that is used up, all is well."""

    port: int = 0
    received: list[tuple[str, Mail]] = field(default_factory=list)
    connections: int = 0
    ended: bool = False
    #: called when a mail has been taken, before the answer goes out
    on_received: Callable[[], None] = field(default=lambda: None)
    _script: dict[str, Iterator[str]] = field(default_factory=dict)
    _open: list["_Conversation"] = field(default_factory=list)

    def says(self, command: str, *answers: str) -> None:
        """To the next uses of MAIL, RCPT or DATA: a reply, an empty one for its usual, or SILENCE and DROP_*."""
        self._script[command] = chain(answers, repeat(""))

    def answer(self, command: str) -> str:
        return next(self._script.get(command, repeat("")))

    def takes_back(self, command: str, answer: str) -> None:
        self._script[command] = chain([answer], self._script.get(command, repeat("")))

    def server(self, timeout_seconds: float = 10, **more: Any) -> SmtpServer:
        return SmtpServer("127.0.0.1", self.port, timeout_seconds=timeout_seconds, **more)

    def drop_connections(self) -> None:
        for conversation in self._open:
            conversation.abort()

    @property
    def message_ids(self) -> list[str]:
        return [mail.message_id for _, mail in self.received]

    # --- what aiosmtpd asks ---

    async def handle_MAIL(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:  # noqa: N802
        envelope.mail_from = address
        return await self._said("MAIL") or "250 OK"

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:  # noqa: N802
        if said := await self._said("RCPT"):
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: "_Conversation", _: Session, envelope: Envelope) -> str:  # noqa: N802
        said = await self._said("DATA")
        if said == DROP_AFTER:
            server.abort()
        elif said:
            return said
        assert isinstance(envelope.content, bytes)
        self.received.append((envelope.rcpt_tos[0], read_mail(envelope.content)))
        self.on_received()
        return "250 OK"

    async def _said(self, command: str) -> str:
        answer = self.answer(command)
        if answer == SILENCE:
            await asyncio.Event().wait()
        return answer


class _Conversation(SMTP):
    """Notes that it began; breaks off within a mail where the script says so."""

    def __init__(self, script: ScriptedSmtp, **options: Any) -> None:
        self._house = script
        super().__init__(script, hostname="localhost", loop=asyncio.get_running_loop(), **options)

    def abort(self) -> None:
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._house.ended:
            self.abort()  # accepted in the last moment
        if self not in self._house._open:  # with STARTTLS the same connection is made twice
            self._house.connections += 1
            self._house._open.append(self)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        following = self._house.answer("DATA")
        if following == DROP_WITHIN:
            await self.push("354 go on")
            await self._reader.readline()
            self.abort()
            return
        self._house.takes_back("DATA", following)
        await super().smtp_DATA(arg)


@contextlib.asynccontextmanager
async def scripted_smtp(**options: Any) -> AsyncIterator[ScriptedSmtp]:
    """On a free port until the block ends. The options are aiosmtpd's."""
    script = ScriptedSmtp()
    options = {"enable_SMTPUTF8": True} | options
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: _Conversation(script, **options), "127.0.0.1", 0)
    script.port = listening.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        listening.close()
        script.ended = True
        script.drop_connections()
        await listening.wait_closed()


def turns_down(*_: object) -> AuthResult:
    """An authenticator of aiosmtpd that trusts nobody."""
    return AuthResult(success=False, handled=False)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1, signed by its own key: files of the certificate and of the key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


class MailDevel(PythonService):
    """The PyPI package mail-devel: SMTP with STARTTLS and AUTH, SMTPS, and IMAP to read what came. One user's password
    is everybody's.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate, key = certificate(folder)
        options = ["--host", "127.0.0.1", "--no-http", "--multi-user", "--user", USER, "--password", PASSWORD]
        options += ["--auth-required", "--starttls-required", "--cert", str(self.certificate), "--key", str(key)]
        super().__init__(
            "mail-devel",
            folder,
            "mail_devel",
            ports=("smtp", "smtps", "imap"),
            ready=lambda _: self._greets(),
            arguments=lambda ports: [
                *options,
                *(f"--{name}-port={port}" for name, port in ports.items()),
            ],
        )

    def server(self, **changes: Any) -> SmtpServer:
        """As the settings of a hub would name it: STARTTLS and AUTH."""
        values: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.ports["smtp"],
            "tls": "starttls",
            "username": USER,
            "password": PASSWORD,
            "ca_file": self.certificate,
            "timeout_seconds": 20,
        }
        return SmtpServer(**(values | changes))

    async def _greets(self) -> bool:
        for name, greeting in (("smtp", b"220"), ("imap", b"* OK")):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[name])
            said = await reader.readline()
            writer.close()
            await writer.wait_closed()
            if not said.startswith(greeting):
                return False
        return True


@pytest.fixture
async def smtp() -> AsyncIterator[ScriptedSmtp]:
    async with scripted_smtp() as script:
        yield script


@pytest.fixture(scope="session")
async def mail_devel(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MailDevel]:
    async with MailDevel(tmp_path_factory.mktemp("mail-devel")) as server:
        yield server
