"""Registries of this room: Debian's docker-registry, and servers that answer as a test tells them."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from registry.access import Access, SourceRules
from registry.client import RegistryClient
from tests.parts.servers import registry_server  # noqa: F401
from tests.registry.scripted import Answer, Asked, Reply, ScriptedServer


@pytest.fixture
async def scripted() -> AsyncIterator[Callable[..., Awaitable[ScriptedServer]]]:
    """`await scripted({path: answer, ...})` starts one more."""
    servers: list[ScriptedServer] = []

    async def start(
        answers: dict[str, Answer | list[Answer]] | Callable[[Asked], Reply], **more: object
    ) -> ScriptedServer:
        server = ScriptedServer(answers, **more)  # type: ignore[arg-type]
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., RegistryClient]]:
    """`connect(address, username, password, also=(host, ...))`: plain http to the address and to those hosts."""
    clients: list[RegistryClient] = []

    def client(address: str, username: str = "", password: str = "", also: tuple[str, ...] = ()) -> RegistryClient:
        access = Access(username, password) if username else None
        clients.append(RegistryClient(address, SourceRules(plain_http_hosts=(address, *also)), access))
        return clients[-1]

    yield client
    for opened in clients:
        await opened.close()
