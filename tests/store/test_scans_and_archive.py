"""What is remembered of finished work: scans by their question, histories by their run."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from models.base import digest_of
from models.errors import NotFound, ToolFailed
from models.images import ImageFacts
from models.scans import ImageReport, Scanner
from models.tables import ScanRow
from store import archive, scans
from store.blobs import Blobs
from store.database import Database

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
IMAGE = digest_of(b"image")


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def report(*, snapshot: str = "monday", version: str = "0.76.0", at: datetime = NOW) -> ImageReport:
    return ImageReport(
        scanner=Scanner(name="trivy", version=version, advisory_snapshot=snapshot, at=at),
        facts=ImageFacts(platform="linux/amd64", digest=IMAGE, config_digest=digest_of(b"config"), size=7),
    )


async def saved(database: Database, blobs: Blobs, report: ImageReport) -> str:
    digest = await blobs.put_message(report)
    async with database.transaction() as session:
        await scans.save(session, report, digest)
    return digest


async def test_a_finished_scan_answers_the_same_question(database: Database, blobs: Blobs) -> None:
    digest = await saved(database, blobs, report())
    async with database.session() as session:
        found = await scans.find(session, IMAGE, "linux/amd64", "monday", "0.76.0")
        assert found is not None
        assert found.report == digest
        assert await scans.find(session, IMAGE, "linux/amd64", "monday", "0.76.0", "trivy") == found
    assert await blobs.get_message(ImageReport, found.report) == report()


@pytest.mark.parametrize(
    "question",
    [
        (digest_of(b"another"), "linux/amd64", "monday", "0.76.0"),
        (IMAGE, "linux/arm64", "monday", "0.76.0"),
        (IMAGE, "linux/amd64", "tuesday", "0.76.0"),
        (IMAGE, "linux/amd64", "monday", "0.77.0"),
        (IMAGE, "linux/amd64", "monday", "0.76.0", "another"),
    ],
)
async def test_another_question_has_no_answer_yet(database: Database, blobs: Blobs, question: tuple[str, ...]) -> None:
    await saved(database, blobs, report())
    async with database.session() as session:
        assert await scans.find(session, *question) is None


async def test_the_same_scan_saved_again_is_one_row_with_the_later_report(database: Database, blobs: Blobs) -> None:
    await saved(database, blobs, report())
    later = await saved(database, blobs, report(at=NOW + timedelta(hours=1)))
    async with database.session() as session:
        (row,) = (await session.exec(select(ScanRow))).all()
    assert (row.report, row.at) == (later, NOW + timedelta(hours=1))


async def test_scans_of_an_image_are_listed_newest_first(database: Database, blobs: Blobs) -> None:
    first = await saved(database, blobs, report())
    second = await saved(database, blobs, report(snapshot="tuesday", at=NOW + timedelta(days=1)))
    async with database.session() as session:
        assert [row.report for row in await scans.of_image(session, IMAGE)] == [second, first]


HISTORY = json.dumps({"events": [{"eventId": str(number)} for number in range(60)]}).encode()


async def test_an_archived_history_can_be_read_as_it_was(database: Database, blobs: Blobs) -> None:
    digest = await archive.save(database, blobs, "submission/abc", "run-1", HISTORY, NOW, status="completed")
    async with database.session() as session:
        row = await archive.find(session, "submission/abc")
        assert row is not None
        assert (row.history, row.status, row.events, row.closed_at) == (digest, "completed", 60, NOW)
        assert await archive.get(session, blobs, "submission/abc", "run-1") == HISTORY
    at_rest = await blobs.get(digest)
    assert len(at_rest) < len(HISTORY)
    assert gzip.decompress(at_rest) == HISTORY


async def test_archiving_the_same_run_again_changes_nothing(database: Database, blobs: Blobs) -> None:
    first = await archive.save(database, blobs, "submission/abc", "run-1", HISTORY, NOW, events=60)
    assert await archive.save(database, blobs, "submission/abc", "run-1", HISTORY, NOW) == first
    async with database.session() as session:
        assert len(await archive.listed(session)) == 1
    assert len([entry async for entry in blobs.entries()]) == 1


async def test_the_latest_run_of_a_workflow_is_found_and_all_are_listed_newest_first(
    database: Database, blobs: Blobs
) -> None:
    for number, workflow in enumerate(("product/a", "product/a", "submission/100%", "submission/100x")):
        await archive.save(database, blobs, workflow, f"run-{number}", HISTORY, NOW + timedelta(hours=number))
    async with database.session() as session:
        latest = await archive.find(session, "product/a")
        assert latest is not None
        assert latest.run == "run-1"
        assert [row.run for row in await archive.listed(session)] == ["run-3", "run-2", "run-1", "run-0"]
        assert [row.run for row in await archive.listed(session, "product/")] == ["run-1", "run-0"]
        assert [row.run for row in await archive.listed(session, "submission/100%")] == ["run-2"]
        assert [row.run for row in await archive.listed(session, limit=1)] == ["run-3"]


async def test_what_is_not_archived_yet_is_told_in_order(database: Database, blobs: Blobs) -> None:
    await archive.save(database, blobs, "submission/600", "run-600", HISTORY, NOW)
    closed = [(f"submission/{number}", f"run-{number}") for number in range(1200)]
    async with database.session() as session:
        missing = await archive.missing(session, closed)
        assert missing == [pair for pair in closed if pair != ("submission/600", "run-600")]
        assert await archive.missing(session, []) == []
        # the same run id under another workflow is another run
        assert await archive.missing(session, [("submission/x", "run-600")]) == [("submission/x", "run-600")]


async def test_an_unknown_history_is_not_found(database: Database, blobs: Blobs) -> None:
    async with database.session() as session:
        assert await archive.find(session, "submission/none") is None
        with pytest.raises(NotFound, match="submission/none"):
            await archive.get(session, blobs, "submission/none")


async def test_what_is_no_history_is_not_archived(database: Database, blobs: Blobs) -> None:
    with pytest.raises(ToolFailed, match="not the JSON"):
        await archive.save(database, blobs, "submission/abc", "run", b"{}", NOW)
    async with database.session() as session:
        assert await archive.listed(session) == []
