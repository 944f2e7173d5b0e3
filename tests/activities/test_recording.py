"""The record of a change of state, as the worker runs it."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import func, select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.recording import RecordingActivities
from models.addresses import submission_address
from models.findings import VexState, Waiver, WaiverScope
from models.lifecycle import Snapshot, Stage, Turn
from models.notices import NoticeKind
from models.recording import Entry, SubmissionRecording
from models.tables import EventRow, SecretRow
from store import waivers
from store.blobs import Blobs
from store.database import Database
from store.secrets import Vault, new_key
from tests.parts.rows import MONDAY, Harbour, harbour


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


async def records(database: Database, blobs: Blobs, id_: str, revision: int, stage: Stage, *entries: Entry) -> None:
    snapshot = Snapshot(id=id_, revision=revision, stage=stage, turn=Turn.HUB, iteration=1)
    recording = SubmissionRecording(snapshot=snapshot, entries=entries)
    await ActivityEnvironment().run(RecordingActivities(database, blobs).record_submission, recording)


async def granted(database: Database, house: Harbour) -> list[Waiver]:
    async with database.session() as session:
        return await waivers.in_force(session, house.product, house.publisher, MONDAY)


async def test_a_waiver_that_an_entry_names_is_read_from_the_blobs(database: Database, blobs: Blobs) -> None:
    house = await harbour(database)
    waiver = Waiver(
        finding="CVE-1",
        state=VexState.NOT_AFFECTED,
        evidence="not reachable",
        owner=house.member,
        scope=WaiverScope.PRODUCT,
        subject=house.product,
        expires=MONDAY + timedelta(days=30),
    )
    entry = Entry(event="waive", at=MONDAY, actor=house.moderator, waiver=await blobs.put_message(waiver))
    await records(database, blobs, house.submission, 2, Stage.READY, entry)
    assert await granted(database, house) == [waiver]


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "nonsense", "../../../etc/passwd"])
async def test_a_waiver_that_nobody_stored_waives_nothing_and_holds_up_no_record(
    database: Database, blobs: Blobs, digest: str
) -> None:
    house = await harbour(database)
    entry = Entry(event="waive", at=MONDAY, actor=house.moderator, waiver=digest, notices=(NoticeKind.WAIVER_GRANTED,))
    await records(database, blobs, house.submission, 2, Stage.READY, entry)
    assert await granted(database, house) == []
    async with database.session() as session:
        assert (await session.exec(select(func.count()).select_from(EventRow))).one() == 1


async def test_the_credentials_of_a_closed_submission_are_deleted_with_the_record(
    database: Database, blobs: Blobs
) -> None:
    house = await harbour(database)
    async with database.transaction() as session:
        vault = Vault([new_key()])
        await vault.put(session, submission_address(house.submission), "user", "password", MONDAY)
        kept = await vault.put(session, "submission/other", "user", "password", MONDAY)
    await records(database, blobs, house.submission, 2, Stage.EXPIRED)
    async with database.session() as session:
        assert len((await session.exec(select(SecretRow))).all()) == 2, "it can still be revived"
    await records(database, blobs, house.submission, 3, Stage.WITHDRAWN)
    async with database.session() as session:
        assert [f"secret/{row.id}" for row in (await session.exec(select(SecretRow))).all()] == [kept]


async def test_a_missing_row_is_tried_again(database: Database, blobs: Blobs) -> None:
    with pytest.raises(ApplicationError) as missing:
        await records(database, blobs, "nobody", 1, Stage.READY)
    assert (missing.value.type, missing.value.non_retryable) == ("RowMissing", False)
