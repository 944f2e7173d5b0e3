"""The front desk's tools: a connection to the Temporal server, and the stores that commands are prepared in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, TLSConfig

from activities.policy import PolicyInForce
from models.errors import ToolFailed
from settings import Settings, TemporalServer
from store.blobs import Blobs
from store.database import Database
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


async def connect(server: TemporalServer, identity: str | None = None) -> Client:
    """Errors: ToolFailed, with what to do when there is nobody at the address."""
    try:
        return await Client.connect(
            server.address,
            namespace=server.namespace,
            data_converter=pydantic_data_converter,
            tls=TLSConfig() if server.tls else False,
            api_key=server.api_key.get_secret_value() or None,
            identity=identity,
        )
    except (RuntimeError, RPCError) as error:
        raise ToolFailed(
            f"No Temporal server answers at {server.address}: start one with `wharfinger up`, "
            f"or set WHARFINGER_TEMPORAL__ADDRESS. ({error})"
        ) from error


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
async def open_hub(settings: Settings) -> AsyncIterator[Hub]:
    """Everything; migrates nothing (that is the worker's and `up`'s)."""
    client = await connect(settings.temporal)
    async with open_stores(settings) as (database, blobs, vault):
        yield Hub(settings, client, database, blobs, vault, PolicyInForce(settings.policy_place))
