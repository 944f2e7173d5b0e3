"""The publisher's own registry in the demo: Debian's docker-registry where it is installed, else OCI layout folders."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree
from typing import Any

from cli.demo.images import TIERS
from cli.servers import RegistryServer
from registry.access import SourceRules
from registry.building import push_layout
from registry.client import RegistryClient, RegistryRepository


@dataclass(slots=True)
class SourceRegistry:
    """Where the publisher's images are. `server` is None for folders."""

    server: RegistryServer | None
    folder: Path
    layouts: dict[str, Path] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return f"registry, {self.server.address}" if self.server else "folder (docker-registry is not installed)"

    def settings(self) -> Mapping[str, Any]:
        """What the hub has to be told to read from here."""
        if self.server is not None:
            return {"plain_http_hosts": (self.server.address,)}
        return {"source_folders": (self.folder,)}

    def repositories(self) -> dict[str, str]:
        """tier -> repository, as a manifest names it."""
        if self.server is not None:
            return {tier: f"{self.server.address}/{_name(tier)}" for tier in TIERS}
        return {tier: f"oci:{self.folder / tier.lower()}" for tier in TIERS}

    async def push(self, layout: Path, tag: str) -> None:
        """Bring every tier's layout below `layout` here."""
        if self.server is None:
            for tier in TIERS:
                copytree(layout / tier.lower(), self.folder / tier.lower(), dirs_exist_ok=True)
            return
        client = RegistryClient(self.server.address, SourceRules(plain_http_hosts=(self.server.address,)))
        try:
            for tier in TIERS:
                await push_layout(layout / tier.lower(), tag, RegistryRepository(client, _name(tier)))
        finally:
            await client.close()


def _name(tier: str) -> str:
    return "ledgers/ledger" if tier == "Standard" else f"ledgers/ledger-{tier.lower()}"


@asynccontextmanager
async def open_source_registry(folder: Path, *, installed: bool) -> AsyncIterator[SourceRegistry]:
    """A registry beside the hub's own; nothing of it is left running."""
    if not installed:
        yield SourceRegistry(None, folder / "source")
        return
    server = RegistryServer(folder / "services" / "source-registry")
    async with server:
        yield SourceRegistry(server, folder / "source")
