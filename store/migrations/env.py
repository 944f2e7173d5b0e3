"""Alembic's entry: on the connection that store.migrations.run gives, or by `alembic -x url=...` from the tree."""

import asyncio
from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from models.columns import Json, Prose, Word
from models.schema import METADATA
from store.database import database_url


def in_plain_types(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """A migration is history: it names what the databases know, not our classes, which may change."""
    match kind, item:
        case "type", Word():
            return "sa.String(40)"
        case "type", Prose():
            return "sa.Text()"
        case "type", AutoString():
            return "sa.String()"
        case "type", UTCDateTime():
            return "sa.DateTime(timezone=True)"
        case "type", Json():
            return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
        case _:
            return False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        # SQLite cannot alter a table: alembic copies it
        render_as_batch=True,
        render_item=in_plain_types,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_by_command_line() -> None:
    place = context.get_x_argument(as_dictionary=True).get("url") or context.config.get_main_option("sqlalchemy.url")
    if not place:
        raise SystemExit("Say which database: alembic -x url=sqlite:///PATH ...")
    engine = create_async_engine(database_url(place))
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    asyncio.run(run_by_command_line())
