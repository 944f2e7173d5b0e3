"""A hub to measure: real servers in a temporary folder, a verified publisher, and images that pass every rule.

Nothing of the product is replaced but what the caller replaces in `Collaborators`, and a benchmark says what that is.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from cli.servers import RegistryServer, TemporalServer
from desk import publishers, submissions
from desk.folder import SubmissionFolder
from desk.hub import Hub, open_hub
from desk.submissions import Accepted
from models.addresses import MODERATION_QUEUE, SCANNING_QUEUE, new_id
from models.base import digest_of
from models.commands import Approve, ApprovePublisher, ConfirmEmail
from models.content import ContentManifest, Licence, Support, Tier
from models.images import ImageSource
from models.lifecycle import Snapshot
from models.publishers import ApplicationStatus, PublisherProfile, Role
from registry.building import ImageBuilder
from settings import Settings, Smtp
from settings import TemporalServer as TemporalSettings
from store import people
from store import publishers as publisher_rows
from store.database import Database
from worker import running
from workflows.search_attributes import REGISTRY

#: between two looks at what has come of it, seconds; both sides of a comparison look as often
GLANCE = 0.05
TAG = "1.0"

PLATFORM = "linux/amd64"
_TEXT = "Keeps the books of a small harbour: accounts for every berth, dues by length and by night, monthly reports. "


def icon() -> bytes:
    """The smallest picture that the rules take."""
    content = BytesIO()
    Image.new("1", (512, 512)).save(content, "PNG", optimize=True)
    return content.getvalue()


ICON = icon()


def write_image(folder: Path, name: str) -> str:
    """An image of one small layer that no rule complains of, under the tag `TAG`; returns its manifest's digest.

    The name is in its layer: images of different names are different images.
    """
    builder = ImageBuilder(
        PLATFORM,
        user="10001",
        cmd=("/srv/ledger",),
        author="Harbour Ledgers",
        labels={
            f"org.opencontainers.image.{label}": value
            for label, value in {
                "title": name,
                "version": TAG,
                "vendor": "Harbour Ledgers",
                "licenses": "MIT",
                "description": "Bookkeeping for small harbours",
            }.items()
        },
        healthcheck={"Test": ["CMD", "/srv/ledger", "health"], "Interval": 30_000_000_000, "Timeout": 3_000_000_000},
    )
    files = {"licenses/LICENSE": b"Permission is granted.\n", "srv/ledger": f"#!/bin/sh\necho {name}\n".encode()}
    builder.layer(files, "COPY rootfs/ /")
    return builder.write(folder, TAG)


def content_of(name: str, repository: str) -> SubmissionFolder:
    """What a publisher would submit for one image, complete."""
    picture = digest_of(ICON)
    manifest = ContentManifest(
        name=name,
        icon=picture,
        short_description="Bookkeeping for small harbours.",
        category="application services",
        search_tags=("bookkeeping",),
        long_description=_TEXT * 2,
        screenshots=(picture,),
        support=Support(link="https://harbour.example/support", email="support@harbour.example"),
        tiers=(
            Tier(
                name="Standard",
                description="For one harbour.",
                installation="docker run ledger",
                source=ImageSource(repository=repository, tags=(TAG,)),
            ),
        ),
        licences=(Licence(title="MIT", url="https://harbour.example/licence"),),
        platforms=(PLATFORM,),
        documentation="https://harbour.example/docs",
        release_notes="The first release.",
    )
    return SubmissionFolder(manifest, {picture: ICON})


class Standing(NamedTuple):
    """Where a submission is, as the database has it."""

    id: str
    stage: str
    iteration: int
    release: str


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Look again until it is so: the database tells nobody when a row changes."""
    while True:
        if await look():
            return
        await asyncio.sleep(GLANCE)


@dataclass(slots=True)
class House:
    """A hub with one verified publisher. `member` belongs to the publisher, `moderator` to the hub: ids of persons."""

    hub: Hub
    sources: Path
    publisher: str = ""
    member: str = ""
    moderator: str = ""
    made: int = 0
    #: digests of the images made, by the name of their product
    images: dict[str, str] = field(default_factory=dict)
    _connection: sqlite3.Connection | None = None

    async def settle(self) -> None:
        """The hub gets a moderator, and the publisher is verified by its own process, as people would do it."""
        now = datetime.now(UTC)
        async with self.hub.database.transaction() as session:
            person = await people.find_or_create(session, "mo@hub.example", "Mo", now)
            await people.confirm_email(session, person.id, now)
            await people.grant(session, person.id, Role.MODERATOR, now)
        self.moderator = person.id
        profile = PublisherProfile(
            legal_name="Harbour Ledgers",
            website="https://harbour.example",
            phone="+49 30 901820",
            email="ada@harbour.example",
            icon=digest_of(ICON),
        )
        applied = await publishers.apply(self.hub, profile, ICON, "Ada")
        self.publisher, self.member = applied.publisher, applied.applicant
        for command in (
            ConfirmEmail(id=new_id(), actor=self.member),
            ApprovePublisher(id=new_id(), actor=self.moderator),
        ):
            await publishers.decide(self.hub, self.publisher, command)
        await until(self._is_verified)

    async def _is_verified(self) -> bool:
        async with self.hub.database.session() as session:
            return (await publisher_rows.get(session, self.publisher)).status is ApplicationStatus.APPROVED

    def prepare(self, count: int) -> list[SubmissionFolder]:
        """As many products, each with an image of its own in a layout folder of its own."""
        prepared = []
        for _ in range(count):
            self.made += 1
            folder, name = self.sources / f"{self.made:05}", f"Ledger {self.made}"
            self.images[name] = write_image(folder, name)
            prepared.append(content_of(name, f"oci:{folder}"))
        return prepared

    async def submit(self, folder: SubmissionFolder) -> Accepted:
        return await submissions.submit(self.hub, self.member, self.publisher, folder)

    async def approve(self, submission: str, iteration: int, release: str) -> Snapshot:
        command = Approve(id=f"approve-{new_id()}", actor=self.moderator, iteration=iteration, release=release)
        return await submissions.decide(self.hub, submission, command)

    def standing(self, submissions: Collection[str]) -> list[Standing]:
        """Where these are."""
        marks = ", ".join("?" * len(submissions))
        query = f"SELECT id, stage, iteration, release FROM submission WHERE id IN ({marks})"  # noqa: S608
        return [Standing(*row) for row in self.rows(query, submissions)]

    def rows(self, query: str, values: Collection[object] = ()) -> list[tuple[Any, ...]]:
        """Asked of the SQLite file itself, for next to nothing: a benchmark's looks are not the product's cost."""
        if self._connection is None:
            self._connection = sqlite3.connect(self.hub.database.url.database or "", isolation_level=None)
        return self._connection.execute(query, tuple(values)).fetchall()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@asynccontextmanager
async def temporal_server(folder: Path, *, in_memory: bool) -> AsyncIterator[TemporalServer]:
    """As `wharfinger up` tunes it."""
    async with TemporalServer(
        folder / "temporal", search_attributes=REGISTRY, retention_days=1, in_memory=in_memory
    ) as server:
        yield server


@asynccontextmanager
async def registry_server(folder: Path) -> AsyncIterator[RegistryServer]:
    async with RegistryServer(folder / "registry") as server:
        yield server


def settings_of(
    folder: Path, temporal: TemporalServer, registry: RegistryServer | None = None, smtp: Smtp | None = None
) -> Settings:
    """As on one machine: SQLite, a folder of blobs, and without a registry's server a folder as the hub's registry."""
    return Settings(
        home=folder / "home",
        temporal=TemporalSettings(address=temporal.address, namespace=temporal.namespace),
        hub_registry=f"{registry.address}/hub" if registry else "",
        plain_http_hosts=(registry.address,) if registry else (),
        source_folders=(folder / "sources",),
        smtp=smtp or Smtp(),
        log_level="warning",
        _env_file=None,
    )


def environment_of(settings: Settings) -> dict[str, str]:
    """The same settings for another process."""
    return {
        "WHARFINGER_HOME": str(settings.home),
        "WHARFINGER_TEMPORAL__ADDRESS": settings.temporal.address,
        "WHARFINGER_HUB_REGISTRY": settings.hub_registry,
        "WHARFINGER_PLAIN_HTTP_HOSTS": json.dumps(settings.plain_http_hosts),
        "WHARFINGER_SOURCE_FOLDERS": json.dumps([str(folder) for folder in settings.source_folders]),
        "WHARFINGER_SMTP__HOST": settings.smtp.host,
        "WHARFINGER_SMTP__PORT": str(settings.smtp.port),
    }


@asynccontextmanager
async def open_house(settings: Settings, sources: Path) -> AsyncIterator[House]:
    """A hub as its front ends see it, with the newest schema."""
    database = Database(settings.database_place)
    await database.migrate()
    await database.close()
    async with open_hub(settings) as hub:
        with closing(House(hub, sources)) as house:
            yield house


@asynccontextmanager
async def working(house: House) -> AsyncIterator[None]:
    """The product's own workers in this process, polling, without the mailroom."""
    async with running(house.hub.settings, (MODERATION_QUEUE, SCANNING_QUEUE)):
        yield
