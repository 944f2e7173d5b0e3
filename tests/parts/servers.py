"""Real servers for tests, one of each per run: a room's conftest imports the fixtures that it wants.

`temporal` has visibility, schedules and the Temporal UI; `time_skipping` has one clock of its own per test, which jumps
over waits of weeks - but lists no workflows and knows no schedules. Ids and task queues are to be a test's own.
"""

from collections.abc import AsyncIterator

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from cli.servers import RegistryServer, TemporalServer
from tests.parts.presence import program, require
from workflows.search_attributes import REGISTRY


@pytest.fixture(scope="session")
async def temporal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TemporalServer]:
    """Temporal's dev server in memory, tuned as `wharfinger up` tunes it, with our search attributes."""
    require("temporal")
    async with TemporalServer(
        tmp_path_factory.mktemp("temporal"), search_attributes=REGISTRY, retention_days=1, in_memory=True
    ) as server:
        yield server


@pytest.fixture(scope="session")
async def temporal_client(temporal: TemporalServer) -> Client:
    """Speaks our models."""
    return await Client.connect(temporal.address, namespace=temporal.namespace, data_converter=pydantic_data_converter)


@pytest.fixture(scope="session")
async def registry_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegistryServer]:
    """Debian's docker-registry where everybody may push: each test takes a namespace of its own."""
    require("docker-registry")
    async with RegistryServer(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """Temporal's test server: `await time_skipping.sleep(timedelta(days=20))` takes no time.

    An attribute that it does not know would hang a workflow silently, so ours are registered.
    """
    require("temporal-test-server")
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(program("temporal-test-server")), data_converter=pydantic_data_converter
    ) as environment:
        client = environment.client
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=client.namespace,
                search_attributes={
                    name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{kind.upper()}")
                    for name, kind in REGISTRY.items()
                },
            )
        )
        yield environment
