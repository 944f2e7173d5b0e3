"""Servers of tests that talk as they are told to; when one ends, no connection of it is left open."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import Self

#: after an abort, of a connection with TLS
_ROUNDS = 3

Meet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listening:
    """On a free port of 127.0.0.1. `meet` is called for every connection, which is closed after it."""

    def __init__(self, meet: Meet, tls: ssl.SSLContext | None = None) -> None:
        self._meet, self._tls = meet, tls
        self._talks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._ended = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._welcome, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended = True
        self._server.close()
        talks = dict(self._talks)
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        # also those whose talk had not begun, or was already closing
        for writer in talks.values():
            writer.transport.abort()
        # in the loop's next rounds; a cancelled `wait_closed` cannot be waited for again
        for _round in range(_ROUNDS):
            await asyncio.sleep(0)
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """No coroutine: a connection that is accepted is known at once."""
        if self._ended:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._talk(reader, writer))
        self._talks[task] = writer
        task.add_done_callback(self._talks.pop)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._meet(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the other side has had enough
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
                await writer.wait_closed()
