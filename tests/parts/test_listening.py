"""When a server of a test ends, nobody whom it has met is left."""

import asyncio
import contextlib

import pytest

from tests.parts.leaks import nothing_leaks  # noqa: F401
from tests.parts.listening import Listening


async def has_ended(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """What the other side sees of a connection; ours is closed then."""
    try:
        async with asyncio.timeout(10):
            return await reader.read() == b""
    except ConnectionResetError:
        return True
    finally:
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()


@pytest.mark.parametrize("ends_badly", [False, True])
async def test_connections_are_closed_with_the_server_whatever_is_going_on_in_them(ends_badly: bool) -> None:
    met = asyncio.Event()

    async def meet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.set()
        try:
            await asyncio.Event().wait()
        finally:
            if ends_badly:
                raise ConnectionError
            await asyncio.sleep(0)

    async with Listening(meet) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"x" * 347)
        await met.wait()
    assert await has_ended(reader, writer)


async def test_who_is_accepted_in_the_last_moment_is_closed_as_well() -> None:
    async def meet(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with Listening(meet) as server:
        ends = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
    assert all([await has_ended(*end) for end in ends])


async def test_a_talk_that_is_over_closes_its_connection() -> None:
    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(2))

    async with Listening(meet) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"ab")
        assert await reader.readexactly(2) == b"ab"
        assert await has_ended(reader, writer)
