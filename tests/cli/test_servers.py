"""The real servers: what they keep over a kill -9, and what they are set to."""

from pathlib import Path

import httpx
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from cli.servers import RegistryServer, TemporalServer
from cli.service import ServiceFailed
from cli.services import Services
from tests.parts.presence import needs


async def status_of(url: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(url)).status_code


@pytest.mark.system
@needs("temporal")
async def test_temporal_goes_on_after_kill_9_with_the_same_data_on_the_same_port(tmp_path: Path) -> None:
    server = TemporalServer(tmp_path, search_attributes={"Stage": "Keyword"}, retention_days=30)
    async with server:
        address = server.address
        client = await Client.connect(address)
        run = await client.start_workflow("AnyWorkflow", id="submission/1", task_queue="nobody")
        assert await status_of(server.ui_of("submission/1")) == 200
        server.kill9()
        server = TemporalServer(tmp_path, search_attributes={"Stage": "Keyword", "Turn": "Keyword"}, retention_days=40)
        await server.start()
        try:
            assert server.address == address
            again = await Client.connect(address)
            told = await again.get_workflow_handle("submission/1").describe()
            assert told.run_id == run.first_execution_run_id
            namespace = await again.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
            assert namespace.config.workflow_execution_retention_ttl.ToTimedelta().days == 40
            assert [page async for page in again.list_workflows("Turn IS NULL")]
            with pytest.raises(ServiceFailed, match="Stage has another type"):
                await TemporalServer.once_ready(_with_another_type(server))
        finally:
            await server.stop()


def _with_another_type(server: TemporalServer) -> TemporalServer:
    other = TemporalServer(server.folder, search_attributes={"Stage": "Int"})
    other.ports = server.ports
    return other


@pytest.mark.system
@needs("docker-registry")
async def test_a_registry_answers_and_asks_for_credentials_where_it_is_told_to(tmp_path: Path) -> None:
    open_to_all = RegistryServer(tmp_path / "open")
    htpasswd = tmp_path / "htpasswd"
    htpasswd.write_text("")
    guarded = RegistryServer(tmp_path / "guarded", htpasswd=htpasswd)
    async with Services(tmp_path, watch=False) as services:
        await services.start(open_to_all, guarded)
        assert await status_of(f"{open_to_all.url}/v2/") == 200
        assert await status_of(f"{guarded.url}/v2/") == 401
