"""One hop into SQLite's thread for each statement, none in what is brief, whatever becomes of the statement."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiosqlite
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.tables import ContentRow
from store.database import Database, insert_new
from tests.parts.rows import MONDAY

#: takes minutes
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000000000) SELECT max(x) FROM n"


@pytest.fixture
async def sqlite(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Database]:
    path = tmp_path / "wharfinger.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    opened = Database(path)
    yield opened
    await opened.close()


def row(digest: str) -> ContentRow:
    return ContentRow(digest=digest, document={"name": "Crane"}, stored_at=MONDAY)


async def keep(session: AsyncSession, digest: str) -> None:
    session.add(row(digest))
    await session.flush()


@dataclass
class Hops:
    count: int = 0
    first: asyncio.Event = field(default_factory=asyncio.Event)


@contextmanager
def counted_hops() -> Iterator[Hops]:
    hops = Hops()
    execute: Any = aiosqlite.Connection._execute

    async def counted(self: Any, *given: Any, **more: Any) -> Any:
        hops.count += 1
        hops.first.set()
        return await execute(self, *given, **more)

    with patch.object(aiosqlite.Connection, "_execute", counted):
        yield hops


async def test_a_query_is_one_hop(sqlite: Database) -> None:
    async with sqlite.session() as session:
        await session.exec(select(ContentRow))  # the connection is made, and the transaction begun
        with counted_hops() as hops:
            assert not (await session.exec(select(ContentRow))).all()
    assert hops.count == 1


async def test_what_is_brief_hops_only_where_it_may_have_to_wait(sqlite: Database) -> None:
    async with sqlite.session() as session:
        await session.exec(select(ContentRow))  # the connection is made
    with counted_hops() as hops:
        async with sqlite.transaction(brief=True) as session:
            await keep(session, "sha256:1")
    assert hops.count == 1  # for the commit
    with counted_hops() as hops:
        async with sqlite.session(brief=True) as session:
            assert [found.digest for found in await session.exec(select(ContentRow))] == ["sha256:1"]
    assert not hops.count


async def test_very_many_rows_are_written_in_the_thread_of_what_is_brief_as_well(sqlite: Database) -> None:
    async with sqlite.transaction(brief=True) as session:
        await keep(session, "sha256:0")
        rows = [row(f"sha256:{number}").model_dump() for number in range(1, 1_002)]
        with counted_hops() as hops:
            assert len(await insert_new(session, ContentRow, rows, ("digest",))) == 1_001
            assert hops.count


async def test_a_brief_block_that_fails_leaves_nothing(sqlite: Database) -> None:
    async def mistaken(error: type[BaseException]) -> None:
        async with sqlite.transaction(brief=True) as session:
            await keep(session, "sha256:1")
            raise error

    for error in (ValueError, asyncio.CancelledError):
        with pytest.raises(error):
            await mistaken(error)
        async with sqlite.session(brief=True) as session:
            assert not (await session.exec(select(ContentRow))).all()

    async def doubled() -> None:
        async with sqlite.transaction(brief=True) as session:
            await keep(session, "sha256:1")
            session.expunge_all()
            await keep(session, "sha256:1")

    with pytest.raises(IntegrityError):
        await doubled()
    async with sqlite.session(brief=True) as session:
        assert not (await session.exec(select(ContentRow))).all()


async def test_whoever_stops_waiting_for_a_turn_leaves_a_whole_connection(sqlite: Database, tmp_path: Path) -> None:
    """The wait goes on in the connection's thread, where nothing may disturb it."""

    async def write(digest: str) -> None:
        async with sqlite.transaction(brief=True) as session:
            await keep(session, digest)

    async with sqlite.session() as session:
        await session.exec(select(ContentRow))  # the connection is made
    other = sqlite3.connect(tmp_path / "wharfinger.sqlite", isolation_level=None)
    with closing(other), counted_hops() as hops:
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(write("sha256:1"))
        await hops.first.wait()
        task.cancel()
        await asyncio.sleep(0)
        other.execute("ROLLBACK")
        with pytest.raises(asyncio.CancelledError):
            await task
        await write("sha256:2")
    async with sqlite.session(brief=True) as session:
        assert [found.digest for found in await session.exec(select(ContentRow))] == ["sha256:2"]


async def test_rows_counts_and_ids_come_back(sqlite: Database) -> None:
    async with sqlite.transaction() as session:
        await keep(session, "sha256:1")
        connection = await session.connection()
        changed = await connection.execute(text("UPDATE content SET digest = 'sha256:2'"))
        assert changed.rowcount == 1
        many = await connection.execute(
            text("UPDATE content SET digest = :to WHERE digest = :from"),
            [{"from": "sha256:2", "to": "sha256:3"}, {"from": "sha256:3", "to": "sha256:4"}],
        )
        assert many.rowcount == 2
    async with sqlite.session() as session:
        assert [found.digest for found in await session.exec(select(ContentRow))] == ["sha256:4"]


async def test_a_mistake_is_raised_as_what_it_is_and_the_connection_serves_on(sqlite: Database) -> None:
    async def mistaken(statement: str) -> None:
        async with sqlite.transaction() as session:
            await keep(session, "sha256:1")
            await (await session.connection()).execute(text(statement))

    with pytest.raises(IntegrityError):
        await mistaken("INSERT INTO content SELECT * FROM content")
    with pytest.raises(OperationalError, match="no such table"):
        await mistaken("SELECT * FROM missing")
    async with sqlite.session() as session:
        assert not (await session.exec(select(ContentRow))).all()


async def test_a_statement_that_is_cancelled_is_over_before_the_next_one(sqlite: Database) -> None:
    """Its cursor is the thread's own: nothing here touches it while it runs."""

    async def endless() -> None:
        async with sqlite.transaction() as session:
            connection = await session.connection()
            raw: Any = (await connection.get_raw_connection()).driver_connection
            begun.set_result(raw)
            await connection.execute(text(ENDLESS))

    begun: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(endless())
    raw = await begun
    await asyncio.sleep(0)
    task.cancel()
    while not task.done():
        await asyncio.sleep(0)
        with suppress(sqlite3.ProgrammingError, ValueError):  # closed by now
            raw._conn.interrupt()
    with pytest.raises((asyncio.CancelledError, OperationalError)):
        await task
    async with sqlite.transaction() as session:
        await keep(session, "sha256:1")
    async with sqlite.session() as session:
        assert [found.digest for found in await session.exec(select(ContentRow))] == ["sha256:1"]
