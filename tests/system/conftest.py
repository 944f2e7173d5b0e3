"""One voyage for all tests of this room: it takes a minute or two, and they look at what has come of it."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.parts.presence import require
from tests.system.voyage import Voyage, voyage

SEED = 7


@pytest.fixture(scope="session")
async def arrived(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Voyage]:
    """Everything has been published, and every server has been killed twice. The servers are still up."""
    require("temporal", "postgresql", "docker-registry", "trivy")
    folder = tmp_path_factory.mktemp("voyage")
    # neither PostgreSQL nor a sandboxed trivy can enter pytest's folders
    with tempfile.TemporaryDirectory(prefix="wharfinger-voyage-", ignore_cleanup_errors=True) as place:
        async with voyage(folder, Path(place), SEED) as ready:
            await ready.run()
            yield ready
