"""Activities that write rows are tested on both databases; those that move images, with a real registry."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.servers import RegistryServer
from store.database import Database
from store.secrets import Vault, new_key
from tests.activities.wharf import Wharf, open_wharf
from tests.parts.databases import database, database_url, postgresql, sqlite_template  # noqa: F401
from tests.parts.leaks import nothing_leaks  # noqa: F401
from tests.parts.servers import registry_server, temporal, temporal_client  # noqa: F401


@pytest.fixture
async def wharf(database: Database, registry_server: RegistryServer, tmp_path: Path) -> AsyncIterator[Wharf]:  # noqa: F811
    opened = await open_wharf(database, registry_server, tmp_path, Vault([new_key()]))
    yield opened
    await opened.client.close()
