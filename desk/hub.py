"""The front desk's tools: a connection to the Temporal server, and the stores that commands are prepared in."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import ArgumentError
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, TLSConfig

from activities.policy import PolicyInForce
from models.errors import ToolFailed
from settings import Settings, TemporalServer
from store.blobs import Blobs
from store.database import Database, InvalidDatabase, database_url
from store.secrets import Vault


@dataclass(frozen=True, slots=True)
class Hub:
    """What somebody needs to talk to the hub's processes. Opened by `open_hub`."""

    settings: Settings
    client: Client
    database: Database
    blobs: Blobs
    vault: Vault
    policy: PolicyInForce


#: of what a library says, characters
_LONGEST_REASON = 200
_MESSAGE = re.compile(r'message: "([^"]+)"')


async def connect(server: TemporalServer, identity: str | None = None, *, lazy: bool = False) -> Client:
    """`lazy` connects with the first request. Errors: ToolFailed, with what to do when nobody is at the address."""
    try:
        return await Client.connect(
            server.address,
            namespace=server.namespace,
            data_converter=pydantic_data_converter,
            tls=TLSConfig() if server.tls else False,
            api_key=server.api_key.get_secret_value() or None,
            identity=identity,
            lazy=lazy,
        )
    except (RuntimeError, RPCError) as error:
        raise ToolFailed(
            f"No Temporal server answers at {server.address}: start one with `wharfinger up`, "
            f"or set WHARFINGER_TEMPORAL__ADDRESS. ({_reason(error)})"
        ) from error


def _reason(error: Exception) -> str:
    """What the operating system said, out of a tower of the libraries' own words."""
    words = _MESSAGE.search(str(error))
    return words[1] if words else str(error).partition("\n")[0][:_LONGEST_REASON]


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[tuple[Database, Blobs, Vault]]:
    """Database, blobs and vault of the settings; the database is closed at the end."""
    database = Database(settings.database_place)
    try:
        yield database, open_blobs(settings), open_vault(settings)
    finally:
        await database.close()


def open_blobs(settings: Settings) -> Blobs:
    store = settings.object_store
    return Blobs.from_place(
        settings.blobs_place,
        endpoint=store.endpoint,
        region=store.region,
        access_key=store.access_key.get_secret_value(),
        secret_key=store.secret_key.get_secret_value(),
        allow_http=store.allow_http,
    )


def open_vault(settings: Settings) -> Vault:
    return Vault.open(settings.home, [key.get_secret_value() for key in settings.secret_keys])


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """The database alone, for who only reads: nothing is made by looking. Errors: ToolFailed where there is none."""
    refuse_absent(settings)
    database = Database(settings.database_place)
    try:
        yield database
    finally:
        await database.close()


def url_of(settings: Settings) -> URL:
    """The database's address. Errors: InvalidDatabase; what is wrong with it is not repeated, as a password may be."""
    try:
        return database_url(settings.database_place)
    except (ArgumentError, ValueError):
        raise InvalidDatabase(
            "WHARFINGER_DATABASE cannot be read: write sqlite:///PATH or postgresql://USER@HOST/NAME."
        ) from None


def refuse_absent(settings: Settings) -> None:
    """Raises ToolFailed where a SQLite file has not been made yet: opening it would make it."""
    url = url_of(settings)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise ToolFailed(
            f"There is no database at {url.database} yet: start the hub with `wharfinger up`, or name its database "
            "with WHARFINGER_DATABASE or its folder with WHARFINGER_HOME."
        )


@asynccontextmanager
async def open_hub(settings: Settings, *, lazy: bool = False) -> AsyncIterator[Hub]:
    """Everything; makes and migrates no database (that is the worker's and `up`'s). `lazy` as of `connect`."""
    refuse_absent(settings)
    client = await connect(settings.temporal, lazy=lazy)
    async with open_stores(settings) as (database, blobs, vault):
        yield Hub(settings, client, database, blobs, vault, PolicyInForce(settings.policy_place))
