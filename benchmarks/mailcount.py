"""An SMTP server that takes every mail and counts it by its Message-ID."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes

from aiosmtpd.smtp import SMTP, Envelope, Session

from cli.service import HOST


@dataclass(slots=True)
class MailCount:
    """How often each mail has come."""

    arrived: Counter[str] = field(default_factory=Counter)
    port: int = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        content = envelope.content
        mail = message_from_bytes(content if isinstance(content, bytes) else (content or "").encode())
        self.arrived[str(mail["Message-ID"]).strip()] += 1
        return "250 counted"


@asynccontextmanager
async def counting_server() -> AsyncIterator[MailCount]:
    """In this process, on a free port: nobody kills it."""
    count = MailCount()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(count, hostname="localhost", enable_SMTPUTF8=True), HOST, 0
    )
    count.port = server.sockets[0].getsockname()[1]
    try:
        yield count
    finally:
        server.close()
        await server.wait_closed()
