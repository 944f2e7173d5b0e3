"""One hop into SQLite's thread for each statement, whatever becomes of the statement."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
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
from store.database import Database
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


async def test_a_query_is_one_hop(sqlite: Database) -> None:
    hops = 0
    execute: Any = aiosqlite.Connection._execute

    async def counted(self: Any, *given: Any, **more: Any) -> Any:
        nonlocal hops
        hops += 1
        return await execute(self, *given, **more)

    async with sqlite.session() as session:
        await session.exec(select(ContentRow))  # the connection is made, and the transaction begun
        with patch.object(aiosqlite.Connection, "_execute", counted):
            assert not (await session.exec(select(ContentRow))).all()
    assert hops == 1


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
