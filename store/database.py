"""One database: SQLite for one machine, PostgreSQL at scale. The same code runs on both; only the URL differs."""

import asyncio
import functools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, ColumnElement, Connection, Table, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from models.errors import Permanent, WharfingerError
from store.sqlite_driver import Driver

T = TypeVar("T")

#: how long a writer of another process is waited for, seconds
BUSY_SECONDS = 30
#: how often a transaction that lost a race is run again
_TRIES = 8
#: SQLSTATEs of a lost race: serialization failure, deadlock, lock not available
_LOST_RACES = frozenset({"40001", "40P01", "55P03"})


class InvalidDatabase(Permanent):
    """A database URL that is neither SQLite nor PostgreSQL."""


class RowMissing(WharfingerError):
    """A process reports on something that is not in the database (restored from an older copy, say).

    Not permanent on purpose: the report is repeated until the reconciler has restored the row, so nothing is lost.
    """


def database_url(place: str | Path) -> URL:
    """The SQLAlchemy URL of a path, `sqlite:///PATH` or `postgresql://...`, with our drivers."""
    if isinstance(place, Path) or "://" not in place:
        return URL.create("sqlite+aiosqlite", database=str(place))
    url = make_url(place)
    match url.get_backend_name():
        case "sqlite":
            return url.set(drivername="sqlite+aiosqlite")
        case "postgresql" | "postgres":
            return url.set(drivername="postgresql+psycopg")
        case other:
            raise InvalidDatabase(f"{other} is not supported: use sqlite:///PATH or postgresql://USER@HOST/NAME.")


class Database:
    """Sessions for readers and writers. One object per process and event loop; `close` it at the end.

    >>> database = Database("sqlite:///wharfinger.sqlite")
    >>> async with database.transaction() as session: ...
    """

    def __init__(self, url: str | Path, *, connections: int = 8) -> None:
        self.url = database_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite(self.url, connections) if self.is_sqlite else _postgresql(self.url, connections)
        self._readers, self._writers = self._sessions(), self._sessions(writes=True)
        self._brief_readers, self._brief_writers = self._sessions(brief=True), self._sessions(writes=True, brief=True)
        # SQLite has one writer at a time, and those who wait for it sleep and try again: within the process we queue
        self._turn: AbstractAsyncContextManager[Any] = asyncio.Lock() if self.is_sqlite else nullcontext()

    def _sessions(self, **options: bool) -> async_sessionmaker[AsyncSession]:
        engine = self.engine.execution_options(**options)
        return async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)

    @asynccontextmanager
    async def session(self, *, brief: bool = False) -> AsyncIterator[AsyncSession]:
        """For reading: one consistent view on SQLite, committed rows on PostgreSQL. Nothing is written.

        `brief` is a promise: its statements find a few rows by their keys. SQLite is then asked without the way into
        another thread and back, which costs more than such an answer; a long statement would hold up the whole process.
        """
        async with _closed_after(self._brief_readers()) if brief and self.is_sqlite else self._readers() as session:
            yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """For reading what has to fit together: one consistent view on PostgreSQL as well, however long it takes."""
        async with self._readers() as session:
            if not self.is_sqlite:
                await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    @asynccontextmanager
    async def transaction(self, *, brief: bool = False) -> AsyncIterator[AsyncSession]:
        """For writing: commits at the end, rolls back when an exception leaves the block. `brief` as in `session`.

        The block cannot be run again when it loses a race (deadlock on PostgreSQL); `write` does that.
        """
        if brief and self.is_sqlite:
            async with self._turn, _closed_after(self._brief_writers()) as session:
                yield session
                await session.commit()
        else:
            async with self._turn, self._writers() as session, session.begin():
                yield session

    async def write(self, work: Callable[[AsyncSession], Awaitable[T]], *, brief: bool = False) -> T:
        """Run `work` in a transaction, and again when it loses a race. `work` has no other effects than its rows.

        `brief` as in `session`.
        """
        for tried in range(1, _TRIES + 1):
            try:
                async with self.transaction(brief=brief) as session:
                    return await work(session)
            except DBAPIError as error:
                if tried == _TRIES or not lost_a_race(error):
                    raise
            await asyncio.sleep(random.uniform(0.01, 0.02) * 2**tried)  # noqa: S311 - not a secret
        raise AssertionError("unreachable")

    async def migrate(self) -> None:
        """Bring the schema to this version of the program."""
        await migrate(self.url)

    async def close(self) -> None:
        await self.engine.dispose()


@asynccontextmanager
async def _closed_after(session: AsyncSession) -> AsyncIterator[AsyncSession]:
    """As the session closes itself, but without a task of its own while all is well: then nothing is waited for."""
    try:
        yield session
    except BaseException:
        async with session:
            raise
    await session.close()


def lost_a_race(error: DBAPIError) -> bool:
    """Whether the same transaction can succeed when it is run again."""
    if getattr(error.orig, "sqlstate", None) in _LOST_RACES:
        return True
    return "database is locked" in str(error.orig)


def _sqlite(url: URL, connections: int) -> AsyncEngine:
    if url.database not in (None, "", ":memory:"):
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        url,
        module=Driver(),
        pool_size=connections,
        # the one used last has the pages and the statements that the next one wants
        pool_use_lifo=True,
        connect_args={"timeout": BUSY_SECONDS},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        # SQLite's defaults are a rollback journal, foreign keys off and two syncs for each commit
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {BUSY_SECONDS * 1000}",
            "journal_mode = WAL",
            "foreign_keys = ON",
            "synchronous = NORMAL",
            # KiB, taken as it is needed: with the 2 MiB of the default a large batch writes each page many times
            "cache_size = -32768",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        driver: Any = connection.connection.dbapi_connection
        # a reader that turns writer later may find that it has lost: a writer says so at once
        begin, driver.is_brief = "BEGIN IMMEDIATE" if options.get("writes") else "BEGIN", False
        if not (options.get("brief") and driver.begins_at_once(begin)):
            connection.exec_driver_sql(begin)
        driver.is_brief = options.get("brief", False)

    return engine


def _postgresql(url: URL, connections: int) -> AsyncEngine:
    # a pooled connection may be older than the server's latest start
    return create_async_engine(url, pool_size=connections, max_overflow=connections, pool_pre_ping=True)


async def migrate(url: str | Path | URL) -> None:
    """Upgrade the database at `url` to the newest schema; an empty one gets all of it. Safe to run by several."""
    from store.migrations.run import upgrade  # alembic is slow to import, and most processes never migrate

    await upgrade(url if isinstance(url, URL) else database_url(url))


async def insert_new(
    session: AsyncSession, table: type[SQLModel], rows: Sequence[Mapping[str, Any]], key: Sequence[str]
) -> list[Any]:
    """Insert the rows that are not there yet and return the first `key` column of those that were inserted."""
    if not rows:
        return []
    statement = _insert_new(session.get_bind().dialect.name, table_of(table), tuple(key))
    result = await session.exec(statement, params=[dict(row) for row in rows])
    return [row[0] for row in result.all()]


async def put_row(
    session: AsyncSession,
    table: type[SQLModel],
    row: Mapping[str, Any],
    key: Sequence[str],
    keep: Sequence[str] = (),
    only_if: ColumnElement[bool] | None = None,
) -> None:
    """Insert a row, or replace the one with the same key: all columns but `keep`."""
    changed = tuple(name for name in row if name not in key and name not in keep)
    put = _put if only_if is None else _put.__wrapped__
    await session.exec(put(session.get_bind().dialect.name, table_of(table), tuple(key), changed, only_if), params=row)


async def put_rows(
    session: AsyncSession,
    table: type[SQLModel],
    rows: Sequence[Mapping[str, Any]],
    key: Sequence[str],
    keep: Sequence[str] = (),
) -> None:
    """Insert the rows, or replace those with the same key: one statement for any number, all of the same columns."""
    if not rows:
        return
    changed = tuple(name for name in rows[0] if name not in key and name not in keep)
    statement = _put(session.get_bind().dialect.name, table_of(table), tuple(key), changed)
    await session.exec(statement, params=[dict(row) for row in rows])


def table_of(model: type[SQLModel]) -> Table:
    """Its table, for the statements of what every submission does: made once, they are given rows and values.

    Measured, a statement that is built for each use and mapped to objects costs 0.12 ms, one of these 0.04 ms.
    """
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


@functools.cache
def _insert_new(dialect: str, table: Table, key: tuple[str, ...]) -> Any:
    return _insert(dialect, table).on_conflict_do_nothing(index_elements=list(key)).returning(table.c[key[0]])


@functools.cache
def _put(
    dialect: str,
    table: Table,
    key: tuple[str, ...],
    changed: tuple[str, ...],
    only_if: ColumnElement[bool] | None = None,
) -> Any:
    statement = _insert(dialect, table)
    if not changed:
        return statement.on_conflict_do_nothing(index_elements=list(key))
    values = {name: statement.excluded[name] for name in changed}
    return statement.on_conflict_do_update(index_elements=list(key), set_=values, where=only_if)


def _insert(dialect: str, table: Table) -> Any:
    """Both dialects know ON CONFLICT, each by its own function."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
