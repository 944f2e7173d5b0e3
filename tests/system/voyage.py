"""A voyage: submissions from a private registry travel to the catalog while every server is killed -9, each in turn.

All of it is real: Temporal with its file, PostgreSQL, docker-registry, trivy, our worker, pages and SMTP server as
processes of their own. Each server is killed twice, in a seeded order and at seeded moments: while images are pinned,
scanned and examined, and again while they are published and everybody is told.
"""

import asyncio
import base64
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import bcrypt
from sqlalchemy.exc import DBAPIError
from temporalio.service import RPCError

from benchmarks.house import TAG, House, content_of, write_image
from cli.harbour import Harbour
from cli.servers import RegistryServer
from cli.service import Service
from desk import submissions as desk
from desk.hub import Hub, open_hub
from models.addresses import new_id
from models.commands import Approve, Command, RequestChanges
from models.errors import ToolFailed
from models.lifecycle import Stage
from registry.access import Access, SourceRules
from registry.building import push_layout
from registry.client import RegistryClient, RegistryRepository
from settings import Settings
from store import outbox
from store import submissions as rows
from store.views import SubmissionView
from tests.system.postgres import PostgresqlService

T = TypeVar("T")

#: seconds that a submission may take from one stage to the next, with two servers killed meanwhile
PATIENCE = 150.0
_GLANCE = 0.2
#: a kill comes at most so many seconds after the one before it, and its server is away for so many
_LATEST, _AWAY = 1.5, 0.5
_PRODUCTS = ("Ledger", "Crane", "Buoy")
_USERNAME = "keeper"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Planted: whatever the hub writes must hold none of these forms in clear."""

    username: str
    password: str

    def forms(self) -> dict[str, bytes]:
        basic = f"{self.username}:{self.password}".encode()
        return {
            "the password": self.password.encode(),
            "the password in base64": base64.b64encode(self.password.encode()).rstrip(b"="),
            "the header of basic authentication": base64.b64encode(basic).rstrip(b"="),
        }


@dataclass(slots=True)
class Voyage:
    """The servers, and what has come of the submissions."""

    harbour: Harbour
    database: PostgresqlService
    source: RegistryServer
    house: House
    credentials: Credentials
    random: random.Random
    submissions: list[str] = field(default_factory=list)
    #: names of the servers, in the order of the kills
    killed: list[str] = field(default_factory=list)
    #: all of the database while the submissions were open
    dump_under_way: str = ""

    @property
    def hub(self) -> Hub:
        return self.house.hub

    async def run(self) -> None:
        for name in _PRODUCTS:
            await self._submit(name)
        await self._kill_each()
        await asyncio.gather(*(self.come_to(each, Stage.READY, 1) for each in self.submissions))
        self.dump_under_way = await asyncio.to_thread(self.database.dump)
        first, *others = self.submissions
        await self._decide(first, RequestChanges, text="Please say which harbours it is for.")
        await self.come_to(first, Stage.WAITING, 1)
        await desk.resubmit(self.hub, first, self.house.member, content_of(_PRODUCTS[0], self._repository("ledger")))
        deciding = [asyncio.create_task(self._approve(each, 1)) for each in others]
        deciding.append(asyncio.create_task(self._approve(first, 2)))
        await self._kill_each()
        await asyncio.gather(*deciding)
        await eventually(self._all_mailed, "every mail has gone out")

    async def _submit(self, product: str) -> None:
        name = product.lower()
        layout = self.house.sources / name
        write_image(layout, product)
        access = Access(self.credentials.username, self.credentials.password)
        client = RegistryClient(self.source.address, SourceRules(plain_http_hosts=(self.source.address,)), access)
        try:
            await push_layout(layout, TAG, RegistryRepository(client, f"ledgers/{name}"))
        finally:
            await client.close()
        folder = content_of(product, self._repository(name))
        accepted = await desk.submit(
            self.hub,
            self.house.member,
            self.house.publisher,
            folder,
            access=(self.credentials.username, self.credentials.password),
        )
        self.submissions.append(accepted.submission)

    def _repository(self, name: str) -> str:
        return f"{self.source.address}/ledgers/{name}"

    async def _approve(self, submission: str, iteration: int) -> None:
        await self.come_to(submission, Stage.READY, iteration)
        await self._decide(submission, Approve)
        await self.come_to(submission, Stage.PUBLISHED, iteration)

    async def _decide(self, submission: str, kind: type[Command], text: str = "") -> None:
        """Sent again until somebody answers, with the same id: one decision, as a person's second click would be."""
        view = await eventually(lambda: self.view(submission), "the database answers")
        command = kind(
            id=f"{kind.act}-{new_id()}",
            actor=self.house.moderator,
            iteration=view.iteration,
            release=view.release,
            text=text,
        )

        async def told() -> bool:
            await desk.decide(self.hub, submission, command)
            return True

        await eventually(told, f"{kind.act} is answered")

    async def _kill_each(self) -> None:
        """One after the other, each away for a moment, with the others at work."""
        assert self.harbour.worker is not None
        assert self.harbour.registry is not None
        assert self.harbour.mail is not None
        servers: list[Service] = [
            self.harbour.worker,
            self.harbour.temporal,
            self.database,
            self.harbour.registry,
            self.harbour.mail,
        ]
        self.random.shuffle(servers)
        for server in servers:
            await asyncio.sleep(self.random.uniform(0, _LATEST))
            server.kill9()
            self.killed.append(server.name)
            await asyncio.sleep(_AWAY)
            await server.start()

    # --- asking -------------------------------------------------------------------------------------------------------

    async def view(self, submission: str) -> SubmissionView:
        async with self.hub.database.session() as session:
            return await rows.find(session, submission)

    async def come_to(self, submission: str, stage: Stage, iteration: int) -> None:
        async def has_come() -> bool:
            view = await self.view(submission)
            return (view.stage, view.iteration) == (stage, iteration)

        await eventually(has_come, f"{submission} comes to {stage} in iteration {iteration}")

    async def _all_mailed(self) -> bool:
        async with self.hub.database.session() as session:
            return not await outbox.waiting(session)


async def eventually(look: Callable[[], Awaitable[T]], what: str) -> T:
    """Look again until the answer is something; a server that is away at the moment is asked again."""
    loop = asyncio.get_running_loop()
    deadline, trouble = loop.time() + PATIENCE, ""
    while loop.time() < deadline:
        try:
            if answer := await look():
                return answer
        except (DBAPIError, OSError, RPCError, ToolFailed) as away:
            trouble = f" ({away})"
        await asyncio.sleep(_GLANCE)
    raise AssertionError(f"waited {PATIENCE:.0f} s in vain until {what}{trouble}")


@asynccontextmanager
async def voyage(folder: Path, cluster: Path, seed: int) -> AsyncIterator[Voyage]:
    """Everything is up; nothing has been submitted. `cluster` is a folder that other users can enter."""
    credentials = Credentials(_USERNAME, f"planted-{secrets.token_hex(12)}")
    folder.joinpath("htpasswd").write_bytes(
        f"{credentials.username}:".encode() + bcrypt.hashpw(credentials.password.encode(), bcrypt.gensalt(4)) + b"\n"
    )
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(PostgresqlService(cluster))
        source = RegistryServer(folder / "source-registry", htpasswd=folder / "htpasswd")
        await stack.enter_async_context(source)
        settings = Settings(
            home=folder / "home", database=database.url, plain_http_hosts=(source.address,), _env_file=None
        )
        # a mail that a dead worker had claimed is another's after three of these and half a minute
        extra = {"WHARFINGER_SMTP__TIMEOUT_SECONDS": "5", "WHARFINGER_DATABASE": database.url}
        harbour = await stack.enter_async_context(Harbour(settings, extra=extra, watch=False))
        hub = await stack.enter_async_context(open_hub(harbour.settings()))
        house = House(hub, folder / "images")
        await house.settle()
        moments = random.Random(seed)  # noqa: S311 - no secret
        yield Voyage(harbour, database, source, house, credentials, moments)
