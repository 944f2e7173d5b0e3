"""A hub for tests of what stands before it: a real Temporal server, a worker with everything, one store for the room.

Tests share it, so each brings a publisher of its own. Source images lie in OCI layout folders, and the hub publishes
into a folder.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

import worker
from cli import sample
from cli.servers import TemporalServer
from desk import publishers
from desk.folder import SubmissionFolder, read_folder
from desk.hub import Hub, open_hub
from models.addresses import new_id
from models.base import digest_of
from models.commands import ApprovePublisher, ConfirmEmail
from models.lifecycle import Stage
from models.policy import HubPolicy
from models.publishers import ApplicationStatus, PublisherProfile, Role
from registry.building import ImageBuilder, write_index
from settings import Settings
from settings import TemporalServer as Address
from store import people, submissions
from store import publishers as rows
from tests.parts.databases import sqlite_template  # noqa: F401
from tests.parts.servers import temporal  # noqa: F401

T = TypeVar("T")

#: how long anything that happens by itself may take on a busy machine, seconds
PATIENCE = 90.0
MODERATOR, SECOND = "mo@hub.example", "sue@hub.example"


def settings_of(home: Path, server: TemporalServer | None = None, **more: object) -> Settings:
    """As `wharfinger up` would set them; nothing of the machine's own environment."""
    address = Address(address=server.address if server else "127.0.0.1:1", namespace="default")
    given: dict[str, object] = {"_env_file": None, "home": home, "temporal": address}
    return Settings(**(given | more))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
async def settings(
    temporal: TemporalServer,  # noqa: F811
    sqlite_template: Path,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Settings:
    """Of the room's hub: a migrated database, and keys that come from the settings."""
    home = tmp_path_factory.mktemp("hub") / "home"
    home.mkdir()
    shutil.copy(sqlite_template, home / "wharfinger.sqlite")
    return settings_of(home, temporal, source_folders=(tmp_path_factory.getbasetemp(),))


@pytest.fixture(scope="session")
async def hub(settings: Settings) -> AsyncIterator[Hub]:
    """The desk's tools, with a worker behind them and staff."""
    async with worker.running(settings), open_hub(settings) as opened:
        async with opened.database.transaction() as session:
            for email, role in ((MODERATOR, Role.MODERATOR), (SECOND, Role.SECOND_APPROVER)):
                person = await people.find_or_create(session, email, email.partition("@")[0].title())
                await people.grant(session, person.id, role, datetime.now(UTC))
        yield opened


@dataclass(frozen=True, slots=True)
class Applicant:
    """A publisher and its first member."""

    publisher: str
    slug: str
    person: str
    email: str


def profile(name: str, icon: bytes) -> PublisherProfile:
    return PublisherProfile(
        legal_name=name,
        website="https://harbour.example",
        phone="+4930901820",
        email=f"ada@{name.lower().replace(' ', '-')}.example",
        icon=digest_of(icon),
    )


def icon() -> bytes:
    return sample.files("Icon", HubPolicy())["icon.png"]


async def applied(hub: Hub, name: str = "") -> Applicant:
    """Has applied, and confirmed nothing."""
    picture = icon()
    wanted = profile(name or f"Works {new_id()}", picture)
    done = await publishers.apply(hub, wanted, picture)
    return Applicant(done.publisher, done.slug, done.applicant, wanted.email)


async def verified(hub: Hub, name: str = "") -> Applicant:
    """May submit."""
    applicant = await applied(hub, name)
    await publishers.decide(hub, applicant.publisher, ConfirmEmail(id="confirm", actor=applicant.person))
    async with hub.database.session() as session:
        moderator = await people.get(session, MODERATOR)
    await publishers.decide(hub, applicant.publisher, ApprovePublisher(id="approve", actor=moderator.id))

    async def is_verified() -> bool:
        async with hub.database.session() as session:
            return (await rows.get(session, applicant.publisher)).status is ApplicationStatus.APPROVED

    await eventually(is_verified)
    return applicant


async def eventually(look: Callable[[], Awaitable[T]]) -> T:
    """What becomes true by itself, once it has."""
    deadline = time.monotonic() + PATIENCE
    while True:
        if found := await look():
            return found
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.05)


async def reached(hub: Hub, submission: str, *stages: Stage) -> Stage:
    """The first of these stages that the rows show."""

    async def stage() -> Stage | None:
        async with hub.database.session() as session:
            now = (await submissions.get(session, submission)).stage
        return now if now in stages else None

    found = await eventually(stage)
    assert found is not None
    return found


def layout(folder: Path, *tags: str, user: str = "10001", packages: bytes = b"") -> Path:
    """An image for two platforms in an OCI layout folder, under each of the tags."""
    for tag in tags:
        images = {}
        for platform in ("linux/amd64", "linux/arm64"):
            image = ImageBuilder(platform, user=user, entrypoint=("/bin/crane",))
            image.layer({"etc/os-release": b'ID=debian\nVERSION_ID="12"\n', "var/lib/dpkg/status": packages})
            image.layer({"bin/crane": f"#!{tag} {platform}".encode()})
            images[platform] = image.write(folder)
        write_index(folder, tag, images)
    return folder


def write_sample(folder: Path, product: str = "Crane", **replaced: str) -> Path:
    """The folder of `wharfinger init`; of some names, the first line that gives them is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in sample.files(product, HubPolicy()).items():
        (folder / file).write_bytes(content)
    manifest = folder / "product.toml"
    lines = manifest.read_text(encoding="utf-8").splitlines()
    for key, value in replaced.items():
        lines[next(place for place, line in enumerate(lines) if line.startswith(f"{key} ="))] = value
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def read(folder: Path) -> SubmissionFolder:
    return read_folder(folder, HubPolicy().manifest)


def with_sources(folder: Path, images: Path) -> Path:
    """Lets the sample's two tiers come from a layout each."""
    manifest = folder / "product.toml"
    text = manifest.read_text(encoding="utf-8")
    for tier in ("community", "standard"):
        copy = images.parent / f"{images.name}-{tier}"
        shutil.copytree(images, copy, dirs_exist_ok=True)
        lines = text.splitlines()
        place = next(at for at, line in enumerate(lines) if line.startswith("repository") and f"-{tier}" in line)
        lines[place] = f'repository = "oci:{copy}"'
        text = "\n".join(lines) + "\n"
    manifest.write_text(text.replace('tags = ["1.0", "1.0.0"]', 'tags = ["1.0"]'), encoding="utf-8")
    return folder
