"""Alembic without its command line: upgrade a database, or say in what it differs from the tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from models.schema import METADATA

T = TypeVar("T")

#: key of the advisory lock: two workers that start at once migrate one after the other
_LOCK = 7_731_402


def configuration(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


async def upgrade(url: URL) -> None:
    """To the newest revision."""

    def _upgrade(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        command.upgrade(configuration(connection), "head")

    await _with_connection(url, _upgrade)


async def differences(url: URL) -> list[Any]:
    """What `alembic check` would complain about: empty when the migrations make exactly the tables."""

    def _compare(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, METADATA))

    return await _with_connection(url, _compare)


async def _with_connection(url: URL, work: Callable[[Connection], T]) -> T:
    # foreign keys stay off on SQLite, as a batch migration copies and drops tables
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            if url.get_backend_name() == "sqlite":
                # the writer's lock is taken before the revision is read
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
            result = await connection.run_sync(work)
            await connection.commit()
            return result
    finally:
        await engine.dispose()
