"""An SMTP server that keeps every mail in a folder and sends none on: `python -m notifications.mailserver`.

For a hub on one machine. A mail that got its 250 is on the disk under its final name, whatever happens next.
"""

import argparse
import asyncio
import itertools
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

#: bytes of the longest mail that is taken
LONGEST_MAIL = 32 * 2**20


class Maildir:
    """A folder with tmp/, new/ and cur/. A file appears in new/ complete or not at all."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder; what a former run left unfinished, and so never accepted, is removed."""
        self._tmp, self._new = folder / "tmp", folder / "new"
        for part in (self._tmp, self._new, folder / "cur"):
            part.mkdir(parents=True, exist_ok=True)
        for unfinished in self._tmp.iterdir():
            unfinished.unlink()
        self._numbers = itertools.count(1)

    def keep(self, content: bytes) -> Path:
        """On the disk when it returns. Raises OSError."""
        # names sort in the order of arrival; an id of a process comes back one day, its moment does not
        name = f"{time.time_ns()}.P{os.getpid()}Q{next(self._numbers)}.mailserver"
        unfinished, finished = self._tmp / name, self._new / name
        try:
            with unfinished.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(finished)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        folder = os.open(self._new, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return finished


class Keeper:
    """What aiosmtpd asks about each mail."""

    def __init__(self, maildir: Maildir) -> None:
        self._maildir = maildir

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        body = content if isinstance(content, bytes) else str(content or "").encode()
        # who it was meant for stands in no header of the sender's
        trace = [f"Return-Path: <{envelope.mail_from}>", *(f"Delivered-To: {to}" for to in envelope.rcpt_tos)]
        head = "".join(f"{line}\r\n" for line in trace).encode()
        try:
            kept = await asyncio.to_thread(self._maildir.keep, head + body)
        except OSError as error:
            # the sender shall try again: a full disk is nobody's refusal
            return f"452 4.3.1 The mail cannot be kept: {error.strerror}"
        return f"250 2.0.0 Kept as {kept.name}"


async def serve(host: str, port: int, folder: Path) -> None:
    """Until SIGTERM or SIGINT."""
    keeper = Keeper(Maildir(folder))
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def conversation() -> SMTP:
        return SMTP(
            keeper,
            hostname="localhost",
            ident="Wharfinger mailbox",
            enable_SMTPUTF8=True,
            data_size_limit=LONGEST_MAIL,
            loop=loop,
        )

    server = await loop.create_server(conversation, host, port)
    try:
        await stop.wait()
    finally:
        server.close()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m notifications.mailserver", description="Takes mails by SMTP and keeps them in a folder."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--maildir", type=Path, required=True, help="the folder; made where it is missing")
    told = parser.parse_args(arguments)
    try:
        asyncio.run(serve(told.host, told.port, told.maildir))
    except OSError as error:
        sys.stderr.write(f"mailserver: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
