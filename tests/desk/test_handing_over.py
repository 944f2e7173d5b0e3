"""What is brought while the server or its workers are away is kept, and taken up by itself; never twice."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from activities.untaken import take_up
from cli.servers import TemporalServer
from desk import members, publishers, submissions
from desk.handing_over import HandingOver
from desk.hub import Hub, connect
from desk.telling import NoAnswer
from models.addresses import new_id, publisher_address, submission_address
from models.content import ContentManifest
from models.errors import NotFound
from models.notices import NoticeKind
from models.publishers import ApplicationStatus
from models.tables import NoticeRow, PublisherRow, SubmissionRow
from store import contents, untaken
from store import publishers as publisher_rows
from store import submissions as rows
from tests.desk.hubs import Applicant, eventually, icon, profile, read, settings_of, verified, write_sample
from tests.parts.presence import needs
from workflows.search_attributes import REGISTRY

pytestmark = [pytest.mark.system, needs("temporal")]

HOUR = timedelta(hours=1)


@pytest.fixture
async def idle(hub: Hub, tmp_path: Path) -> AsyncIterator[Hub]:
    """The same store, and a Temporal server without a worker."""
    async with TemporalServer(tmp_path / "temporal", search_attributes=REGISTRY, in_memory=True) as server:
        client = await connect(settings_of(tmp_path, server).temporal)
        yield replace(hub, client=client)


@pytest.fixture
async def away(hub: Hub) -> Hub:
    """The same store, and no server at all."""
    return replace(hub, client=await connect(settings_of(hub.settings.home).temporal, lazy=True))


@pytest.fixture
async def publisher(hub: Hub) -> Applicant:
    return await verified(hub)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_sample(tmp_path / "crane")


async def brought(hub: Hub, publisher: Applicant, folder: Path, *, ago: timedelta = HOUR) -> str:
    """Stored while nobody takes it, some time ago; its id."""
    with pytest.raises(NoAnswer, match="nobody has taken it up yet") as silence:
        await submissions.submit(hub, publisher.email, publisher.slug, read(folder))
    submission = str(silence.value).split()[1]
    async with hub.database.transaction() as session:
        at = datetime.now(UTC) - ago
        await session.exec(update(SubmissionRow).where(col(SubmissionRow.id) == submission).values(submitted_at=at))
    return submission


async def reconciled(hub: Hub) -> list[str]:
    """As a round of the reconciler does it."""
    return await take_up(hub.client, hub.database, HandingOver(hub.client, hub.policy))


async def number(hub: Hub, submission: str) -> int | None:
    async with hub.database.session() as session:
        return (await rows.get(session, submission)).number


async def test_where_nobody_works_it_is_said_soon_and_the_submission_is_taken_up_later(
    hub: Hub, idle: Hub, publisher: Applicant, folder: Path
) -> None:
    begin = asyncio.get_running_loop().time()
    kept = await brought(idle, publisher, folder)
    assert asyncio.get_running_loop().time() - begin < 30
    assert await reconciled(idle) == [], "left to the next round"
    assert await number(hub, kept) is None
    assert await reconciled(hub) == [f"submission/{kept}: taken up as #1"]
    assert await number(hub, kept) == 1
    await hub.client.get_workflow_handle(submission_address(kept)).describe()
    assert await reconciled(hub) == []


async def test_what_is_being_handed_over_right_now_is_left_alone(
    hub: Hub, away: Hub, publisher: Applicant, folder: Path
) -> None:
    await brought(away, publisher, folder, ago=timedelta())
    assert await reconciled(hub) == []


async def test_what_was_handed_over_after_all_is_not_handed_over_again(
    hub: Hub, away: Hub, publisher: Applicant, folder: Path
) -> None:
    kept = await brought(away, publisher, folder)
    async with hub.database.session() as session:
        [late] = [each for each in await untaken.untaken_submissions(session, datetime.now(UTC)) if each.new.id == kept]
    for _ in range(2):
        assert (await HandingOver(hub.client, hub.policy).submission(late.new, late.name)).number == 1
    # its process is there, though the row may not say so yet
    async with hub.database.transaction() as session:
        unrecorded = {"number": None, "revision": -1}
        await session.exec(update(SubmissionRow).where(col(SubmissionRow.id) == kept).values(**unrecorded))
    assert await reconciled(hub) == []


async def test_several_are_taken_up_in_their_order(hub: Hub, away: Hub, publisher: Applicant, folder: Path) -> None:
    second = await brought(away, publisher, folder)
    first = await brought(away, publisher, folder, ago=2 * HOUR)
    assert await reconciled(hub) == [f"submission/{first}: taken up as #1", f"submission/{second}: taken up as #2"]


async def test_an_older_one_never_takes_the_place_of_a_newer_one(
    hub: Hub, away: Hub, publisher: Applicant, folder: Path
) -> None:
    older = await brought(away, publisher, folder)
    newer = await submissions.submit(hub, publisher.email, publisher.slug, read(folder))
    [line] = await reconciled(hub)
    assert line.startswith(f"submission/{older}: turned away: a newer one")
    assert newer.number == 1
    assert await mailed(hub, publisher) == [NoticeKind.COMMAND_REFUSED]


async def test_what_the_product_refuses_is_turned_away_and_leaves_no_credentials(
    hub: Hub, away: Hub, publisher: Applicant, folder: Path
) -> None:
    with pytest.raises(NoAnswer) as silence:
        await submissions.submit(away, publisher.email, publisher.slug, read(folder), access=("ada", "open-sesame"))
    kept = str(silence.value).split()[1]
    async with hub.database.transaction() as session:
        row = await session.get_one(SubmissionRow, kept)
        manifest = await contents.find(session, ContentManifest, row.content)
        row.submitted_at -= HOUR
        session.add(row)
        quinn = await members.add(
            session, publisher.slug, publisher.email, f"quinn@{publisher.slug}.example", now=datetime.now(UTC)
        )
        await members.remove(session, publisher.slug, quinn.person, publisher.email, now=datetime.now(UTC))
    assert manifest is not None
    [secret] = {tier.source.credentials for tier in manifest.tiers if tier.source}
    assert secret is not None
    [line] = await reconciled(hub)
    assert line == f"submission/{kept}: turned away: Only a member of the publisher may submit its products."
    async with hub.database.session() as session:
        assert await session.get(SubmissionRow, kept) is None
        with pytest.raises(NotFound):
            await hub.vault.get(session, secret)
    assert await mailed(hub, publisher) == [NoticeKind.COMMAND_REFUSED]


async def mailed(hub: Hub, publisher: Applicant) -> list[NoticeKind]:
    """What the person was told of products."""
    async with hub.database.session() as session:
        statement = select(NoticeRow.kind).where(
            NoticeRow.recipient == publisher.person, col(NoticeRow.subject).startswith("product/")
        )
        return [NoticeKind(kind) for kind in (await session.exec(statement)).all()]


async def test_an_application_is_taken_up_later_as_well(hub: Hub, away: Hub) -> None:
    wanted = profile(f"Late {new_id()}", icon())
    with pytest.raises(NoAnswer, match="no need to apply again"):
        await publishers.apply(away, wanted, icon())
    async with hub.database.transaction() as session:
        [row] = (await session.exec(select(PublisherRow).where(PublisherRow.name == wanted.legal_name))).all()
        row.applied_at -= HOUR
        session.add(row)
    assert await reconciled(hub) == [f"{publisher_address(row.id)}: taken up"]

    async def is_recorded() -> bool:
        async with hub.database.session() as session:
            found = await publisher_rows.get(session, row.id)
            return (found.revision, found.status) == (1, ApplicationStatus.UNCONFIRMED)

    assert await eventually(is_recorded)
    assert await reconciled(hub) == []
