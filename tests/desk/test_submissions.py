"""What is brought to the desk is refused at once and leaves nothing, or is accepted and durable."""

import sqlite3
from collections.abc import Awaitable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from desk import publishers, submissions
from desk.folder import SubmissionFolder
from desk.hub import Hub, connect, open_hub
from models.addresses import new_id, product_address, submission_address
from models.base import canonical_json, digest_of
from models.commands import AskInformation, ChangeProfile, GiveInformation, Hold, Note, Withdraw
from models.content import ContentManifest, Track
from models.errors import InvalidManifest, NotAllowed, NotFound, ToolFailed, WharfingerError
from models.findings import VexState, Waiver, WaiverScope
from models.lifecycle import Stage
from settings import Settings
from store import contents, people
from store import submissions as rows
from tests.desk.hubs import (
    MODERATOR,
    Applicant,
    applied,
    eventually,
    icon,
    profile,
    reached,
    read,
    settings_of,
    verified,
    write_sample,
)
from tests.parts.presence import needs

pytestmark = [pytest.mark.system, needs("temporal")]

PASSWORD = "open-sesame-7531"


@pytest.fixture
async def publisher(hub: Hub) -> Applicant:
    return await verified(hub)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_sample(tmp_path / "crane")


def stored(settings: Settings) -> dict[str, int]:
    """How many rows there are of what the desk itself writes, and how many blobs."""
    tables = ("person", "publisher", "membership", "product", "submission", "content", "secret")
    with closing(sqlite3.connect(settings.home / "wharfinger.sqlite")) as database:
        counts = {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}  # noqa: S608
    return counts | {"blobs": sum(path.is_file() for path in (settings.home / "blobs").rglob("*"))}


async def refused(settings: Settings, work: Awaitable[object], kind: type[WharfingerError]) -> WharfingerError:
    """The refusal, after which the store is as it was before."""
    before = stored(settings)
    with pytest.raises(kind) as refusal:
        await work
    assert stored(settings) == before
    return refusal.value


async def person(hub: Hub, email: str) -> str:
    async with hub.database.session() as session:
        return (await people.get(session, email)).id


async def test_an_accepted_submission_is_numbered_and_a_newer_one_takes_its_place(
    hub: Hub, publisher: Applicant, folder: Path
) -> None:
    first = await submissions.submit(hub, publisher.email, publisher.slug, read(folder))
    second = await submissions.submit(hub, publisher.person, publisher.publisher, read(folder))
    assert (first.number, first.product_slug, first.superseded) == (1, "crane", "")
    assert (second.number, second.superseded) == (2, first.submission)
    assert second.product == first.product
    async with hub.database.session() as session:
        row = await rows.get(session, first.submission)
    assert row.submitter == publisher.person
    assert row.manifest is not None
    assert row.manifest.name == "Crane"
    for picture in read(folder).pictures:
        assert await hub.blobs.exists(picture)


async def test_a_folder_that_is_not_fit_is_refused_with_every_reason_and_nothing_of_it_is_stored(
    hub: Hub, settings: Settings, publisher: Applicant, tmp_path: Path
) -> None:
    folder = write_sample(
        tmp_path / "unfit",
        category='category = "boats"',
        short_description='short_description = ""',
        icon='icon = "LICENCE.txt"',
        link='link = "http://192.168.0.1"',
        runs_on='runs_on = "other"',
        track='trak = "version"',
        tags='tags = ["latest"]',
    )
    work = submissions.submit(hub, publisher.email, publisher.slug, read(folder), access=("ada", PASSWORD))
    refusal = await refused(settings, work, InvalidManifest)
    assert isinstance(refusal, InvalidManifest)
    assert {problem.field for problem in refusal.problems} == {
        "category",
        "short_description",
        "icon",
        "support.link",
        "runs_on",
        "trak",
        "tiers.0.source.tags",
    }
    assert PASSWORD not in str(refusal)


async def test_only_members_of_a_verified_publisher_submit(
    hub: Hub, settings: Settings, publisher: Applicant, folder: Path
) -> None:
    waiting = await applied(hub)
    content, access = read(folder), ("ada", PASSWORD)
    for actor, owner, kind, says in (
        (MODERATOR, publisher.slug, NotAllowed, "Only a member"),
        (waiting.email, publisher.slug, NotAllowed, "Only a member"),
        (waiting.email, waiting.slug, NotAllowed, "not verified yet"),
        ("nobody@nowhere.example", publisher.slug, NotFound, "nobody"),
        (publisher.email, "no-such-publisher", NotFound, "no-such-publisher"),
    ):
        work = submissions.submit(hub, actor, owner, content, access=access)
        assert says in str(await refused(settings, work, kind))


async def test_a_listing_edit_needs_something_published(
    hub: Hub, settings: Settings, publisher: Applicant, tmp_path: Path
) -> None:
    folder = write_sample(tmp_path / "edit", track='track = "listing"')
    work = submissions.submit(hub, publisher.email, publisher.slug, read(folder), access=("ada", PASSWORD))
    assert "needs a published version" in str(await refused(settings, work, InvalidManifest))


async def test_credentials_go_to_the_vault_and_nowhere_else(
    hub: Hub, settings: Settings, publisher: Applicant, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_sample(tmp_path / "crane", repository='repository = "127.0.0.1:9/private/crane"')
    accepted = await submissions.submit(hub, publisher.email, publisher.slug, read(folder), access=("ada", PASSWORD))
    async with hub.database.session() as session:
        row = await rows.get(session, accepted.submission)
        manifest = await contents.find(session, ContentManifest, row.content)
        assert manifest is not None
        [secret] = {tier.source.credentials for tier in manifest.tiers if tier.source}
        assert secret is not None
        assert secret.startswith("secret/")
        assert await hub.vault.get(session, secret) == ("ada", PASSWORD)
    # private addresses are not read: everybody who needs the sources has had them by now
    await reached(hub, accepted.submission, Stage.WAITING)
    for address in (product_address(accepted.product), submission_address(accepted.submission)):
        history = (await hub.client.get_workflow_handle(address).fetch_history()).to_json()
        assert PASSWORD not in history
        assert publisher.email not in history
    for path in settings.home.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path
    assert PASSWORD not in caplog.text

    mended = await submissions.resubmit(hub, accepted.submission, publisher.email, read(folder))
    assert mended.iteration == 2

    async def second() -> ContentManifest | None:
        async with hub.database.session() as session:
            row = await rows.get(session, accepted.submission)
        return row.manifest if row.iteration == mended.iteration else None

    again = await eventually(second)
    assert again is not None
    assert {tier.source.credentials for tier in again.tiers if tier.source} == {secret}


async def test_a_resubmission_is_refused_as_a_submission_is(
    hub: Hub, settings: Settings, publisher: Applicant, tmp_path: Path
) -> None:
    folder = write_sample(tmp_path / "crane", repository=f'repository = "oci:{tmp_path}"')
    accepted = await submissions.submit(hub, publisher.email, publisher.slug, read(folder))
    # there is no layout, so that the publisher is asked for a better source
    await reached(hub, accepted.submission, Stage.WAITING)
    stranger = await verified(hub)
    again: SubmissionFolder = read(folder)
    edit = replace(again, manifest=again.manifest.model_copy(update={"track": Track.LISTING}))
    for actor, content, kind, says in (
        (stranger.email, again, NotAllowed, "Only a member"),
        (publisher.email, edit, InvalidManifest, "track"),
        (publisher.email, replace(again, pictures={}), InvalidManifest, "icon"),
    ):
        work = submissions.resubmit(hub, accepted.submission, actor, content, access=("ada", PASSWORD))
        assert says in str(await refused(settings, work, kind))
    with pytest.raises(NotFound):
        await submissions.resubmit(hub, "nothing", publisher.email, again)

    withdrawn = await submissions.decide(hub, accepted.submission, Withdraw(id=new_id(), actor=publisher.person))
    assert withdrawn.stage == "withdrawn"
    await reached(hub, accepted.submission, Stage.WITHDRAWN)
    work = submissions.resubmit(hub, accepted.submission, publisher.email, again, access=("ada", PASSWORD))
    assert "for good" in str(await refused(settings, work, NotAllowed))
    with pytest.raises(NotAllowed, match="has ended"):
        await submissions.decide(hub, accepted.submission, Note(id=new_id(), actor=await person(hub, MODERATOR)))


async def test_who_decides_on_what_is_not_there_is_told_so(hub: Hub) -> None:
    with pytest.raises(NotFound, match="no running process submission/nothing"):
        await submissions.decide(hub, "nothing", Withdraw(id=new_id(), actor="nobody"))
    with pytest.raises(NotFound, match="no running process product/nothing"):
        await submissions.decide_product(hub, "nothing", Hold(id=new_id(), actor="nobody", text="because"))


async def test_a_waiver_is_stored_before_a_command_names_it(hub: Hub) -> None:
    waiver = Waiver(
        finding="image.non-root:Free linux/amd64",
        state=VexState.NOT_AFFECTED,
        evidence="It listens on a port below 1024 and drops its rights.",
        owner="mo",
        scope=WaiverScope.PRODUCT,
        subject="crane",
        expires=datetime.now(UTC) + timedelta(days=30),
    )
    assert await hub.blobs.get_message(Waiver, await submissions.store_waiver(hub, waiver)) == waiver
    unfit = waiver.model_copy(update={"evidence": " ", "expires": datetime.now(UTC) + timedelta(days=400)})
    with pytest.raises(InvalidManifest) as refusal:
        await submissions.store_waiver(hub, unfit)
    assert [problem.field for problem in refusal.value.problems] == ["evidence", "expires"]


async def test_an_application_is_refused_with_every_reason_and_nothing_of_it_is_stored(
    hub: Hub, settings: Settings
) -> None:
    wanted = profile("Unfit Works", b"no picture").model_copy(
        update={"website": "ftp://x", "phone": "12", "email": "ada at works"}
    )
    refusal = await refused(settings, publishers.apply(hub, wanted, b"no picture"), InvalidManifest)
    assert isinstance(refusal, InvalidManifest)
    assert {problem.field for problem in refusal.problems} == {"website", "phone", "email", "icon"}


async def test_an_application_is_asked_answered_and_its_profile_amended(hub: Hub) -> None:
    publisher = await verified(hub)
    moderator = await person(hub, MODERATOR)
    with pytest.raises(NotAllowed, match="the application is approved"):
        await publishers.decide(
            hub, publisher.publisher, AskInformation(id=new_id(), actor=moderator, text="Who are you?")
        )
    better = profile(f"Better {publisher.slug}", icon()).model_copy(update={"email": publisher.email})
    change = ChangeProfile(id=new_id(), actor=publisher.person, profile="replaced")
    changed = await publishers.amend(hub, publisher.publisher, better, icon(), change)
    assert changed.profile == digest_of(canonical_json(better))
    with pytest.raises(InvalidManifest):
        await publishers.amend(hub, publisher.publisher, better, b"", GiveInformation(id=new_id(), actor="x"))


async def test_what_the_server_refuses_for_good_leaves_no_submission_and_no_credentials(
    hub: Hub, settings: Settings, publisher: Applicant, folder: Path
) -> None:
    await submissions.submit(hub, publisher.email, publisher.slug, read(folder))
    elsewhere = await connect(settings.temporal.model_copy(update={"namespace": "nowhere"}))
    lost = replace(hub, client=elsewhere)
    before = stored(settings)
    with pytest.raises(ToolFailed, match="nowhere"):
        await submissions.submit(lost, publisher.email, publisher.slug, read(folder), access=("ada", PASSWORD))
    after = stored(settings)
    assert (after["submission"], after["secret"]) == (before["submission"], before["secret"])


async def test_where_there_is_no_server_the_way_to_start_one_is_named(hub: Hub, settings: Settings) -> None:
    alone = settings.model_copy(update={"temporal": settings_of(settings.home).temporal})
    with pytest.raises(ToolFailed, match="No Temporal server answers at 127"):
        async with open_hub(alone):
            pass
    async with open_hub(alone, lazy=True) as late:
        with pytest.raises(ToolFailed, match="does not answer"):
            await submissions.decide(late, "any", Withdraw(id=new_id(), actor="nobody"))


async def test_a_hub_is_not_opened_over_a_database_that_is_not_there(tmp_path: Path, hub: Hub) -> None:
    settings = hub.settings.model_copy(update={"home": tmp_path / "elsewhere"})
    with pytest.raises(ToolFailed, match="There is no database at"):
        async with open_hub(settings):
            pass
    assert not (tmp_path / "elsewhere").exists()
