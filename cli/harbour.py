"""All the servers of a hub on one machine, and the settings by which everybody finds them."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Self

from activities.policy import PolicyInForce
from cli.context import UP_FILE, load_settings
from cli.servers import MailServer, PythonService, RegistryServer, TemporalServer, answers
from cli.service import HOST
from cli.services import Services
from desk.hub import open_stores
from settings import Settings
from workflows.search_attributes import REGISTRY


class Harbour:
    """Temporal, a registry, a mailbox, our worker and web pages: started in this order, ended in reverse.

    What the settings name already (a mail server, a registry) is used instead of our own.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        retention_days: int | None = None,
        extra: Mapping[str, str] | None = None,
        tell: Callable[[str], None] = lambda _: None,
        watch: bool = True,
    ) -> None:
        """`extra` are further settings for the worker and the pages, by the names of their environment variables.

        `retention_days` is how long closed histories stay in the Temporal server: the policy's unless given.
        """
        self._settings = settings
        self.home = settings.home.absolute()
        self._tell = tell
        self._extra = dict(extra or {})
        self._services = Services(self.home / "services", revive=watch, watch=watch, tell=tell)
        folder = self.home / "services"
        if retention_days is None:
            retention_days = PolicyInForce(settings.policy_place).current().keeping.workflow_retention_days
        self.temporal = TemporalServer(folder / "temporal", search_attributes=REGISTRY, retention_days=retention_days)
        named = set(settings.model_fields_set)
        # without Debian's docker-registry the hub's registry is a folder, an OCI layout (settings.hub_registry_place)
        own = "hub_registry" not in named and RegistryServer.installed()
        self.registry = RegistryServer(folder / "registry") if own else None
        self.mail = None if "smtp" in named else MailServer(folder / "mail")
        self.web: PythonService | None = None
        self.worker: PythonService | None = None

    async def __aenter__(self) -> Self:
        await self._services.__aenter__()
        # of a hub that was killed: nobody is at these addresses any more
        (self.home / UP_FILE).unlink(missing_ok=True)
        try:
            for service in (self.temporal, self.registry, self.mail):
                if service is not None:
                    self._tell(f"starting {service.name}")
                    await self._services.start(service)
            self._tell("bringing the database up to date")
            async with open_stores(self._settings) as (database, _, _):
                await database.migrate()
            self._tell("starting the pages")
            self.web = PythonService(
                "web",
                self.home / "services" / "web",
                "web",
                ports=("http",),
                arguments=lambda ports: ["--host", HOST, "--port", str(ports["http"])],
                ready=lambda service: answers(f"http://{HOST}:{service.ports['http']}/api/health"),
                environment=self.environment(),
            )
            await self._services.start(self.web)
            self._tell("starting the worker")
            self.worker = PythonService(
                "worker",
                self.home / "services" / "worker",
                "worker",
                ready=_is_polling,
                environment=self.environment(),
            )
            await self._services.start(self.worker)
            self._write_down()
        except BaseException as error:
            await self.__aexit__(type(error), error, None)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        (self.home / UP_FILE).unlink(missing_ok=True)
        await self._services.__aexit__(kind, error, trace)

    async def until_stopped(self) -> None:
        await self._services.until_stopped()

    @property
    def base_url(self) -> str:
        """Where the pages are, once they are."""
        return f"http://{HOST}:{self.web.ports['http']}" if self.web and self.web.ports else ""

    def environment(self) -> dict[str, str]:
        """By which every process of this hub finds the others."""
        found = {
            "WHARFINGER_HOME": str(self.home),
            "WHARFINGER_TEMPORAL__ADDRESS": self.temporal.address,
            "WHARFINGER_TEMPORAL__NAMESPACE": self.temporal.namespace,
            "WHARFINGER_TEMPORAL__UI": self.temporal.ui,
        }
        if self.base_url:
            found["WHARFINGER_BASE_URL"] = self.base_url
        hosts = list(self._settings.plain_http_hosts)
        if self.registry is not None:
            found["WHARFINGER_HUB_REGISTRY"] = f"{self.registry.address}/hub"
            hosts.append(self.registry.address)
        if self.mail is not None:
            found |= {"WHARFINGER_SMTP__HOST": HOST, "WHARFINGER_SMTP__PORT": str(self.mail.port)}
        if hosts:
            found["WHARFINGER_PLAIN_HTTP_HOSTS"] = json.dumps(hosts)
        if folders := self._settings.source_folders:
            found["WHARFINGER_SOURCE_FOLDERS"] = json.dumps([str(folder.absolute()) for folder in folders])
        return found | self._extra

    def _write_down(self) -> None:
        """For the commands that people type beside us."""
        lines = [f"{name}='{value}'" for name, value in self.environment().items()]
        fresh = self.home / f"{UP_FILE}.{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_text("\n".join(lines) + "\n")
        fresh.replace(self.home / UP_FILE)

    def settings(self) -> Settings:
        """As a command beside us reads them."""
        return load_settings(self.home)


async def _is_polling(service: PythonService) -> bool:
    return service.has_logged("worker ready")
