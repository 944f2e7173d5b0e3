"""The servers that tests rely on do what the tests rely on them for."""

import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from cli.servers import RegistryServer, TemporalServer
from tests.parts.servers import registry_server, temporal, temporal_client, time_skipping  # noqa: F401
from workflows.search_attributes import DUE, ITERATION, OVERDUE, STAGE

pytestmark = pytest.mark.system


@workflow.defn(sandboxed=False)
class Patient:
    @workflow.run
    async def run(self, days: int) -> str:
        workflow.upsert_search_attributes(
            [
                STAGE.value_set("waiting"),
                ITERATION.value_set(2),
                OVERDUE.value_set(False),
                DUE.value_set(datetime(2026, 1, 1, tzinfo=UTC)),
            ]
        )
        await workflow.sleep(timedelta(days=days))
        return "patience"


async def test_a_week_passes_in_no_time_and_our_search_attributes_are_known(
    time_skipping: WorkflowEnvironment,  # noqa: F811
) -> None:
    begin = time.monotonic()
    async with Worker(time_skipping.client, task_queue="patience", workflows=[Patient]):
        done = await time_skipping.client.execute_workflow(Patient.run, 7, id="patient", task_queue="patience")
    assert done == "patience"
    assert time.monotonic() - begin < 30


async def test_the_real_server_lists_by_our_search_attributes(
    temporal: TemporalServer,  # noqa: F811
    temporal_client: Client,  # noqa: F811
) -> None:
    async with Worker(temporal_client, task_queue="patience", workflows=[Patient]):
        await temporal_client.execute_workflow(Patient.run, 0, id="patient", task_queue="patience")
        deadline = time.monotonic() + 30
        while not [one.id async for one in temporal_client.list_workflows("Stage = 'waiting' AND Iteration = 2")]:
            assert time.monotonic() < deadline
    assert temporal.ui.startswith("http://127.0.0.1:")


async def test_the_registry_server_speaks_the_distribution_protocol(registry_server: RegistryServer) -> None:  # noqa: F811
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{registry_server.url}/v2/")
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"
