"""Registries of this room: Debian's docker-registry, and servers that answer as a test tells them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest

from registry.access import Access, SourceRules
from registry.client import RegistryClient
from registry.transport import seconds_to_wait
from tests.parts.leaks import nothing_leaks  # noqa: F401
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


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits; how long somebody would have waited."""
    waited: list[float] = []

    async def pause(number: int, asked: str | None = None) -> None:
        waited.append(seconds_to_wait(number, asked, datetime.now(UTC)))

    for module in ("registry.transport.pause", "registry.client.pause"):
        monkeypatch.setattr(module, pause)
    return waited
