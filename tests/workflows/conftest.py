"""A house for each test, on a server with a clock of its own; its histories are replayed when the test is over.

`pytest tests/workflows --record-histories` writes those of the tests marked `history(PATH)` to tests/histories.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from store.database import Database
from tests.parts.databases import PostgresqlServer, postgresql, sqlite_template  # noqa: F401
from tests.parts.servers import temporal, temporal_client, time_skipping  # noqa: F401
from tests.workflows import histories
from tests.workflows.house import STORIES, House, source_images


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-histories", action="store_true", help="write the histories of marked tests anew")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "history(path): its histories are kept under tests/histories")


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return source_images(tmp_path_factory.mktemp("images"))


@asynccontextmanager
async def opened(client: Client, database: Database, folder: Path, images: Path) -> AsyncIterator[House]:
    house = await House(client, database, folder, images).found()
    try:
        await house.opens()
        yield house
    finally:
        await house.closes()
        await database.close()


@pytest.fixture(scope="session")
async def real_house(
    temporal_client: Client,  # noqa: F811
    sqlite_template: Path,  # noqa: F811
    images: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    """On Temporal's dev server, one for all: the task queues have fixed names, so two houses would mix their work."""
    folder = tmp_path_factory.mktemp("house")
    path = folder / "wharfinger.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    async with opened(temporal_client, Database(path), folder, images) as house:
        yield house


@pytest.fixture
async def harbour(request: pytest.FixtureRequest, real_house: House) -> AsyncIterator[House]:
    """The house on the dev server, with the stand-ins as they were."""
    real_house.known.clear()
    yield real_house
    real_house.scans.reset()
    real_house.quay.reset()
    real_house.lookout.reset()
    await keep(request, real_house)


@pytest.fixture
async def house(
    request: pytest.FixtureRequest,
    time_skipping: WorkflowEnvironment,  # noqa: F811
    sqlite_template: Path,  # noqa: F811
    images: Path,
    tmp_path: Path,
) -> AsyncIterator[House]:
    path = tmp_path / "wharfinger.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    async with opened(time_skipping.client, Database(path), tmp_path, images) as house:
        yield house
    await keep(request, house)


@pytest.fixture
async def postgresql_house(
    time_skipping: WorkflowEnvironment,  # noqa: F811
    postgresql: PostgresqlServer,  # noqa: F811
    images: Path,
    tmp_path: Path,
) -> AsyncIterator[House]:
    """As `house`, over PostgreSQL."""
    url = await postgresql.take()
    async with opened(time_skipping.client, Database(url), tmp_path, images) as house:
        yield house
    postgresql.give_back(url)


async def keep(request: pytest.FixtureRequest, house: House) -> None:
    """Every history of the test replays; some are written down."""
    happened = await histories.of(house.client, house.known)
    await histories.replay(STORIES, happened)
    for mark in request.node.iter_markers("history"):
        if request.config.getoption("--record-histories", default=False):
            histories.write(mark.args[0], happened)
