"""Garbage collection never takes what a row names, wherever the row names it."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

import store.collect
from models.base import digest_of
from models.findings import WaiverScope
from models.lifecycle import Stage
from models.policy import Keeping
from models.products import ListingStatus
from models.tables import (
    ArchivedHistoryRow,
    ContentRow,
    IterationRow,
    ListingRow,
    PolicyRow,
    ProductRow,
    PublicationRow,
    PublisherRow,
    ScanRow,
    SubmissionRow,
    WaiverRow,
)
from store.blobs import Blobs
from store.collect import _TABLES, CollectionPlan, _may_name_a_blob, collect, plan
from store.database import Database

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
KEEPING = Keeping(blob_grace_days=7)
LONG_AGO = NOW - timedelta(days=60)


class Folder:
    """Blobs of a chosen age."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = Blobs(folder)

    async def put(self, content: bytes, at: datetime = LONG_AGO) -> str:
        digest = await self.blobs.put(content)
        name = digest.removeprefix("sha256:")
        os.utime(self.folder / "sha256" / name[:2] / name, (at.timestamp(), at.timestamp()))
        return digest

    async def digests(self) -> set[str]:
        return {entry.digest async for entry in self.blobs.entries()}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "blobs")


async def add(database: Database, *rows: SQLModel) -> None:
    async with database.transaction() as session:
        for row in rows:
            session.add(row)
            await session.flush()


def parents() -> list[SQLModel]:
    """Rows that name no blob, for the others to hang on."""
    return [
        PublisherRow(id="pub", slug="pub", name="Pub", applied_at=NOW, changed_at=NOW),
        ProductRow(id="prod", publisher="pub", slug="prod", name="Prod", created_at=NOW, changed_at=NOW),
        SubmissionRow(
            id="sub",
            product="prod",
            publisher="pub",
            content="",
            submitter="p",
            submitted_at=NOW,
            changed_at=NOW,
            stage=Stage.READY,
        ),
    ]


def iteration(**columns: Any) -> IterationRow:
    return IterationRow(submission="sub", number=1, **({"content": ""} | columns), examined_at=NOW)


def listing(**manifest: Any) -> ListingRow:
    return ListingRow(
        product="prod",
        publisher="pub",
        slug="prod",
        name="Prod",
        status=ListingStatus.PUBLISHED,
        category="databases",
        manifest=manifest,
        published_at=NOW,
        changed_at=NOW,
    )


def waiver(digest: str) -> WaiverRow:
    return WaiverRow(
        digest=digest,
        submission="sub",
        product="prod",
        publisher="pub",
        finding="f",
        scope=WaiverScope.PRODUCT,
        subject="prod",
        expires=NOW,
        waiver={},
        granted_at=NOW,
    )


def scan(digest: str) -> ScanRow:
    return ScanRow(
        image="i",
        platform="linux/amd64",
        advisory_snapshot="s",
        scanner="trivy",
        scanner_version="1",
        report=digest,
        at=NOW,
    )


REFERENCES: dict[str, Callable[[str], SQLModel]] = {
    "an iteration's content": lambda digest: iteration(content=digest),
    "an iteration's release set": lambda digest: iteration(release=digest),
    "an iteration's report": lambda digest: iteration(report=digest),
    "an iteration's image report": lambda digest: iteration(reports=[digest_of(b"another"), digest]),
    "an iteration's difference": lambda digest: iteration(difference=digest),
    "a scan": scan,
    "a publication": lambda digest: PublicationRow(
        submission="sub", product="prod", release=digest, content="", published_at=NOW
    ),
    "a listing's icon": lambda digest: listing(icon=digest),
    "a listing's screenshot": lambda digest: listing(screenshots=["", digest]),
    "a content manifest's icon": lambda digest: ContentRow(digest="c", document={"icon": digest}, stored_at=NOW),
    "a waiver": waiver,
    "a proposed waiver": lambda digest: ProductRow(
        id="prod2",
        publisher="pub",
        slug="prod2",
        name="",
        created_at=NOW,
        changed_at=NOW,
        snapshot={"proposal": {"act": "waive", "waiver": digest}},
    ),
    "an archived history": lambda digest: ArchivedHistoryRow(
        workflow="w", run="r", history=digest, status="completed", closed_at=NOW
    ),
    "words in a policy": lambda digest: PolicyRow(digest="p", policy={"why": f"see {digest}."}, first_used_at=NOW),
}


async def test_what_a_row_names_is_kept(database: Database, folder: Folder) -> None:
    await add(database, *parents())
    loose = await folder.put(b"loose!")
    for where, reference in REFERENCES.items():
        named = await folder.put(where.encode())
        row = reference(named)
        await add(database, row)
        planned = await plan(database, folder.blobs, KEEPING, NOW)
        assert (planned.unreferenced, planned.kept, planned.kept_bytes) == (((loose, 6),), 1, len(where)), where
        assert planned.bytes == 6
        done = await collect(database, folder.blobs, planned)
        assert (done.deleted, done.bytes, done.spared) == ([loose], 6, []), where
        assert await folder.digests() == {named}
        # without its row the same blob goes
        async with database.transaction() as session:
            await session.delete(row)
        planned = await plan(database, folder.blobs, KEEPING, NOW)
        assert planned.unreferenced == ((named, len(where)),), where
        await collect(database, folder.blobs, planned)
        loose = await folder.put(b"loose!")


def test_every_column_that_can_hold_a_digest_is_read() -> None:
    """Whoever adds a table or a kind of column learns here whether the collector sees it."""
    assert {table.name for table in _TABLES} == {table.name for table in SQLModel.metadata.sorted_tables}
    unread = {
        type(column.type).__name__ for table in _TABLES for column in table.columns if not _may_name_a_blob(column.type)
    }
    assert unread <= {"Word", "UTCDateTime", "Boolean", "Integer", "BigInteger", "Float"}, unread


async def test_a_young_blob_is_left_alone(database: Database, folder: Folder) -> None:
    """Its row may be on its way."""
    young = await folder.put(b"young", NOW - timedelta(days=6, hours=23))
    old = await folder.put(b"old", NOW - timedelta(days=7, hours=1))
    planned = await plan(database, folder.blobs, KEEPING, NOW)
    assert planned.unreferenced == ((old, 3),)
    assert planned.too_young == 1
    await collect(database, folder.blobs, planned)
    assert await folder.digests() == {young}


async def test_without_grace_only_what_is_written_now_is_young(database: Database, folder: Folder) -> None:
    digest = await folder.put(b"old", NOW - timedelta(seconds=1))
    planned = await plan(database, folder.blobs, Keeping(blob_grace_days=0), NOW)
    assert planned.unreferenced == ((digest, 3),)


async def test_a_dry_run_deletes_nothing_and_tells_what_would_go(database: Database, folder: Folder) -> None:
    digest = await folder.put(b"loose")
    planned = await plan(database, folder.blobs, KEEPING, NOW)
    done = await collect(database, folder.blobs, planned, dry_run=True)
    assert (done.deleted, done.bytes) == ([digest], 5)
    assert await folder.digests() == {digest}


async def test_a_blob_put_again_after_the_plan_is_spared(database: Database, folder: Folder) -> None:
    digest = await folder.put(b"loose")
    planned = await plan(database, folder.blobs, KEEPING, NOW)
    await folder.blobs.put(b"loose")
    assert (await collect(database, folder.blobs, planned)).spared == [digest]
    assert await folder.digests() == {digest}


async def test_a_blob_that_a_row_names_after_the_plan_is_spared(database: Database, folder: Folder) -> None:
    digest = await folder.put(b"loose")
    planned = await plan(database, folder.blobs, KEEPING, NOW)
    await add(database, scan(digest))
    assert (await collect(database, folder.blobs, planned)).spared == [digest]
    assert await folder.digests() == {digest}


async def test_a_blob_deleted_by_somebody_else_after_the_plan_is_no_error(database: Database, folder: Folder) -> None:
    digest = await folder.put(b"loose")
    planned = await plan(database, folder.blobs, KEEPING, NOW)
    await folder.blobs.delete(digest)
    done = await collect(database, folder.blobs, planned)
    assert (done.deleted, done.spared) == ([], [])


async def test_what_a_killed_writer_left_half_written_goes_and_what_is_being_written_stays(
    database: Database, folder: Folder
) -> None:
    digest = await folder.put(b"named")
    await add(database, scan(digest))
    shelf = next(path.parent for path in folder.folder.rglob("*") if path.is_file())
    name = digest.removeprefix("sha256:")
    left, written, foreign = shelf / f"{name}#1", shelf / f"{name}#2", shelf / "notes#1"
    for path, at in ((left, LONG_AGO), (written, NOW), (foreign, LONG_AGO)):
        path.write_bytes(b"half")
        os.utime(path, (at.timestamp(), at.timestamp()))
    planned = await plan(database, folder.blobs, KEEPING, NOW)
    assert (planned.unreferenced, planned.abandoned, planned.bytes) == ((), 1, 4)
    assert (await collect(database, folder.blobs, planned, dry_run=True)).abandoned == 1
    assert left.exists()
    assert (await collect(database, folder.blobs, planned)).abandoned == 1
    assert [path.exists() for path in (left, written, foreign)] == [False, True, True]
    assert await folder.blobs.get(digest) == b"named"


async def test_an_empty_hub_has_nothing_to_collect(database: Database, folder: Folder) -> None:
    planned = await plan(database, folder.blobs, KEEPING, NOW)
    assert planned == CollectionPlan(before=NOW - timedelta(days=7))
    assert (await collect(database, folder.blobs, planned)).deleted == []


async def test_a_digest_that_goes_from_one_table_to_another_meanwhile_is_seen(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = digest_of(b"report"), digest_of(b"another report")
    scan = ScanRow(
        image="i", platform="p", advisory_snapshot="a", scanner="s", scanner_version="1", report=before, at=NOW
    )
    await add(database, scan)
    names = [table.name for table in _TABLES]
    assert names.index("content") < names.index("scan")
    look = store.collect._digests_of

    async def moves(connection: AsyncConnection, table: Table) -> set[str]:
        if table.name == "scan":
            async with database.transaction() as session:
                session.add(ContentRow(digest=before, document={}, stored_at=NOW))
                await session.exec(update(ScanRow).values(report=after))
        return await look(connection, table)

    monkeypatch.setattr(store.collect, "_digests_of", moves)
    assert before in await store.collect.digests_in_rows(database)
