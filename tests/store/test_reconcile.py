"""The reconciler, tested by corrupting rows behind the processes' backs."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, text, update
from sqlmodel import col, select

from models.base import digest_of
from models.content import ContentManifest, Support, Tier
from models.images import ImageSource
from models.lifecycle import Outcome, Snapshot, Stage, Turn
from models.products import ListingStatus, ProductSnapshot
from models.publishers import ApplicationSnapshot, ApplicationStatus, PublisherProfile
from models.recording import Entry, SubmissionRecording
from models.tables import ListingRow, ProductRow, PublicationRow, PublisherRow, SubmissionRow
from store import contents, products, projection, reconcile, submissions
from store.database import Database, RowMissing
from store.reconcile import Repair

APPLIED = datetime(2026, 3, 1, 9, tzinfo=UTC)
#: when the processes are asked: long after the rows were written
ASKED = datetime(2026, 3, 20, 12, tzinfo=UTC)
DUE = datetime(2026, 3, 15, 9, tzinfo=UTC)

PROFILE = PublisherProfile(
    legal_name="Harbour Works", website="https://harbour.example", phone="+4930123456", email="hub@harbour.example"
)
MANIFEST = ContentManifest(
    name="Crane",
    short_description="Lifts things.",
    category="databases",
    long_description="It lifts things.",
    support=Support(link="https://harbour.example/support"),
    tiers=(
        Tier(
            name="Free",
            description="The free one",
            installation="pull it",
            source=ImageSource(repository="registry.example/private/crane", tags=("1.0",)),
        ),
    ),
)
RELEASE = digest_of(b"release set")
IMAGES = [{"reference": "harbour-works/crane:1.0", "digest": digest_of(b"index")}]


class Hub:
    """A database whose rows agree with the three processes."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def prepare(self) -> None:
        async with self.database.transaction() as session:
            profile = await contents.save(session, PROFILE)
            content = await contents.save(session, MANIFEST)
            session.add(
                PublisherRow(
                    id="pub", slug="harbour-works", name="Harbour Works", applied_at=APPLIED, changed_at=APPLIED
                )
            )
            await session.flush()
            await products.find_or_create(session, "pub", "crane", "Crane", APPLIED, id="prod")
            await submissions.create(
                session,
                id="sub",
                product="prod",
                publisher="pub",
                content=content,
                submitter="someone",
                at=APPLIED,
                number=1,
            )
            await session.flush()
            session.add(
                PublicationRow(
                    submission="sub",
                    product="prod",
                    release=RELEASE,
                    content=content,
                    images=IMAGES,
                    published_at=APPLIED,
                )
            )
        self.application = ApplicationSnapshot(id="pub", revision=3, status=ApplicationStatus.APPROVED, profile=profile)
        self.product = ProductSnapshot(
            id="prod",
            revision=5,
            status=ListingStatus.PUBLISHED,
            numbered=1,
            release=RELEASE,
            content=content,
            submission="sub",
        )
        self.submission = Snapshot(
            id="sub",
            revision=7,
            stage=Stage.READY,
            turn=Turn.MODERATOR,
            iteration=2,
            number=1,
            release=RELEASE,
            content=content,
            due=DUE,
            outcome=Outcome(requirements=1, vulnerabilities=12),
            policy=digest_of(b"policy"),
        )
        # the rows are as far as the processes are, and have been for days
        await self.reconcile(asked_at=APPLIED + timedelta(days=1))
        assert await self.reconcile() == []

    async def reconcile(self, asked_at: datetime = ASKED) -> list[Repair]:
        repairs = [
            await reconcile.reconcile_application(self.database, self.application, asked_at=asked_at),
            await reconcile.reconcile_product(self.database, self.product, publisher="pub", asked_at=asked_at),
            await reconcile.reconcile_submission(
                self.database, self.submission, publisher="pub", product="prod", asked_at=asked_at
            ),
        ]
        return [repair for repair in repairs if repair is not None]

    async def corrupt(self, table: Any, **columns: Any) -> None:
        async with self.database.transaction() as session:
            assert (await session.exec(update(table).values(**columns))).rowcount

    async def delete(self, *tables: Any) -> None:
        async with self.database.transaction() as session:
            for table in tables:
                assert (await session.exec(delete(table))).rowcount

    async def row(self, table: Any) -> Any:
        async with self.database.session() as session:
            return (await session.exec(select(table))).one()


@pytest.fixture
async def hub(database: Database) -> Hub:
    hub = Hub(database)
    await hub.prepare()
    return hub


def _lasting(row: Any) -> dict[str, Any]:
    """All but the time of the repair."""
    columns: dict[str, Any] = row.model_dump(exclude={"changed_at", "published_at"})
    return columns


SUBMISSION_DAMAGE: list[tuple[dict[str, Any], str]] = [
    ({"stage": Stage.PUBLISHED}, "stage"),
    ({"turn": Turn.NOBODY}, "turn"),
    ({"iteration": 9}, "iteration"),
    ({"due": None}, "due"),
    ({"due": DUE + timedelta(days=30)}, "due"),
    ({"overdue": True}, "overdue"),
    ({"assignee": "somebody"}, "assignee"),
    ({"release": digest_of(b"another release")}, "release"),
    ({"content": digest_of(b"another content")}, "content"),
    ({"number": 4}, "number"),
    ({"number": None}, "number"),
    ({"snapshot": {}}, "snapshot"),
    ({"closed_at": APPLIED}, "closed_at"),
    ({"revision": 99}, "revision"),
]


async def test_a_corrupted_submission_is_brought_back_in_line(hub: Hub) -> None:
    for hours, (columns, told) in enumerate(SUBMISSION_DAMAGE):
        asked_at, before = ASKED + timedelta(hours=hours), await hub.row(SubmissionRow)
        await hub.corrupt(SubmissionRow, **columns)
        assert await hub.reconcile(asked_at) == [Repair("submission/sub", (told,))]
        assert _lasting(await hub.row(SubmissionRow)) == _lasting(before)
        assert await hub.reconcile(asked_at) == []


PRODUCT_DAMAGE: list[tuple[dict[str, Any], str]] = [
    ({"status": ListingStatus.REVOKED}, "status"),
    ({"submission": "another"}, "submission"),
    ({"release": ""}, "release"),
    ({"content": ""}, "content"),
    ({"snapshot": {"id": "prod"}}, "snapshot"),
    ({"revision": 99}, "revision"),
]


async def test_a_corrupted_product_is_brought_back_in_line(hub: Hub) -> None:
    for hours, (columns, told) in enumerate(PRODUCT_DAMAGE):
        asked_at, before = ASKED + timedelta(hours=hours), await hub.row(ProductRow)
        await hub.corrupt(ProductRow, **columns)
        assert await hub.reconcile(asked_at) == [Repair("product/prod", (told,))]
        assert _lasting(await hub.row(ProductRow)) == _lasting(before)
        assert await hub.reconcile(asked_at) == []


LISTING_DAMAGE: list[dict[str, Any]] = [
    {"status": ListingStatus.HOLD},
    {"warning": "Do not use"},
    {"release": digest_of(b"another release")},
    {"images": []},
    {"name": "Another name"},
    {"manifest": {"name": "Another name"}},
    {"search": ""},
]


async def test_a_corrupted_listing_is_brought_back_in_line(hub: Hub) -> None:
    for columns in LISTING_DAMAGE:
        before = await hub.row(ListingRow)
        await hub.corrupt(ListingRow, **columns)
        assert await hub.reconcile() == [Repair("product/prod", ("listing",))]
        assert (await hub.row(ListingRow)).model_dump() == before.model_dump()
        assert await hub.reconcile() == []


async def test_a_deleted_listing_is_restored_without_its_sources(hub: Hub) -> None:
    before = await hub.row(ListingRow)
    assert before.images == IMAGES
    await hub.delete(ListingRow)
    assert await hub.reconcile() == [Repair("product/prod", ("listing",))]
    after = await hub.row(ListingRow)
    assert _lasting(after) == _lasting(before)
    assert "private/crane" not in str(after.manifest)


async def test_a_listing_of_a_product_that_was_never_published_is_taken_down(hub: Hub) -> None:
    hub.product = ProductSnapshot(id="prod", revision=5, status=ListingStatus.UNPUBLISHED, numbered=1)
    repairs = await hub.reconcile()
    assert [repair.subject for repair in repairs] == ["product/prod"]
    assert "listing" in repairs[0].columns
    async with hub.database.session() as session:
        assert (await session.exec(select(ListingRow))).all() == []
    assert await hub.reconcile() == []


APPLICATION_DAMAGE: list[tuple[dict[str, Any], str]] = [
    ({"status": ApplicationStatus.DECLINED}, "status"),
    ({"profile": ""}, "profile"),
    ({"due": DUE}, "due"),
    ({"snapshot": {}}, "snapshot"),
    ({"revision": 99}, "revision"),
]


async def test_a_corrupted_application_is_brought_back_in_line(hub: Hub) -> None:
    for hours, (columns, told) in enumerate(APPLICATION_DAMAGE):
        asked_at, before = ASKED + timedelta(hours=hours), await hub.row(PublisherRow)
        await hub.corrupt(PublisherRow, **columns)
        assert await hub.reconcile(asked_at) == [Repair("publisher/pub", (told,))]
        assert _lasting(await hub.row(PublisherRow)) == _lasting(before)
        assert await hub.reconcile(asked_at) == []


async def test_a_deleted_submission_is_restored(hub: Hub) -> None:
    before = await hub.row(SubmissionRow)
    await hub.delete(PublicationRow, SubmissionRow)
    repair = await reconcile.reconcile_submission(
        hub.database,
        hub.submission,
        publisher="pub",
        product="prod",
        submitter="someone",
        submitted_at=APPLIED,
        asked_at=ASKED,
    )
    assert repair is not None
    assert repair.restored
    assert str(repair) == "submission/sub: row restored"
    assert _lasting(await hub.row(SubmissionRow)) == _lasting(before)


async def test_all_rows_deleted_are_restored_parents_first(hub: Hub) -> None:
    await hub.delete(PublicationRow, SubmissionRow, ProductRow, PublisherRow)
    with pytest.raises(RowMissing, match="product/prod has no row, nor has its publisher pub"):
        await reconcile.reconcile_product(hub.database, hub.product, publisher="pub", asked_at=ASKED)
    with pytest.raises(RowMissing, match="submission/sub has no row"):
        await reconcile.reconcile_submission(
            hub.database, hub.submission, publisher="pub", product="prod", asked_at=ASKED
        )
    repairs = await hub.reconcile()
    assert [repair.subject for repair in repairs] == ["publisher/pub", "product/prod", "submission/sub"]
    assert all(repair.restored for repair in repairs)
    publisher, product, submission = [await hub.row(table) for table in (PublisherRow, ProductRow, SubmissionRow)]
    assert (publisher.slug, publisher.name, publisher.status) == (
        "harbour-works",
        "Harbour Works",
        ApplicationStatus.APPROVED,
    )
    assert (product.slug, product.name, product.status) == ("crane", "Crane", ListingStatus.PUBLISHED)
    assert (submission.stage, submission.number, submission.due) == (Stage.READY, 1, DUE)
    assert (await hub.row(ListingRow)).name == "Crane"
    assert await hub.reconcile() == []


async def test_a_row_that_the_process_has_moved_past_meanwhile_is_left_alone(hub: Hub) -> None:
    """The query was answered before the process went on; its newer record must not be undone."""
    await hub.corrupt(SubmissionRow, revision=8, stage=Stage.WAITING, turn=Turn.PUBLISHER, changed_at=ASKED)
    assert await hub.reconcile(asked_at=ASKED - timedelta(seconds=1)) == []
    assert (await hub.row(SubmissionRow)).stage is Stage.WAITING
    # after a reset the row stays ahead of its process, and nothing new comes
    assert [repair.subject for repair in await hub.reconcile(asked_at=ASKED + timedelta(hours=1))] == ["submission/sub"]
    assert (await hub.row(SubmissionRow)).stage is Stage.READY


async def test_a_record_that_comes_in_the_middle_of_a_repair_is_never_undone(hub: Hub) -> None:
    for revision in range(8, 18):
        asked_at = ASKED + timedelta(minutes=revision)
        await hub.corrupt(SubmissionRow, overdue=True)
        newer = hub.submission.model_copy(update={"revision": revision, "stage": Stage.WAITING, "overdue": False})
        entry = Entry(event="request_changes", at=asked_at + timedelta(seconds=1))

        async def record(newer: Snapshot = newer, entry: Entry = entry) -> None:
            async with hub.database.transaction() as session:
                await projection.record_submission(
                    session, SubmissionRecording(snapshot=newer, entries=(entry,)), run="run"
                )

        await asyncio.gather(hub.reconcile(asked_at=asked_at), record())
        row = await hub.row(SubmissionRow)
        assert (row.revision, row.stage, row.overdue) == (revision, Stage.WAITING, False)
        hub.submission = newer


async def test_a_row_behind_its_process_is_brought_up_to_date(hub: Hub) -> None:
    """Restored from an older copy of the database, say."""
    await hub.corrupt(SubmissionRow, revision=2, stage=Stage.ONBOARDING, turn=Turn.HUB, due=None)
    (repair,) = await hub.reconcile()
    assert repair.behind
    assert str(repair) == "submission/sub: brought up to date"
    assert (await hub.row(SubmissionRow)).revision == 7


async def test_two_submissions_that_swapped_their_numbers_get_them_back(hub: Hub) -> None:
    second = hub.submission.model_copy(update={"id": "sub2", "number": 2})
    await reconcile.reconcile_submission(hub.database, second, publisher="pub", product="prod", asked_at=ASKED)
    async with hub.database.transaction() as session:
        for id_, number in (("sub", None), ("sub2", 1), ("sub", 2)):
            await session.exec(update(SubmissionRow).where(col(SubmissionRow.id) == id_).values(number=number))
    for snapshot in (hub.submission, second):
        repair = await reconcile.reconcile_submission(
            hub.database, snapshot, publisher="pub", product="prod", asked_at=ASKED
        )
        assert repair == Repair(f"submission/{snapshot.id}", ("number",))
    async with hub.database.session() as session:
        rows = await session.exec(select(SubmissionRow.id, SubmissionRow.number))
        assert dict(rows.all()) == {"sub": 1, "sub2": 2}


async def test_a_closed_submission_has_an_end_in_its_row(hub: Hub) -> None:
    hub.submission = hub.submission.model_copy(update={"stage": Stage.WITHDRAWN, "turn": Turn.NOBODY, "revision": 8})
    await hub.reconcile()
    ended = (await hub.row(SubmissionRow)).closed_at
    assert ended is not None
    await hub.corrupt(SubmissionRow, closed_at=None)
    assert await hub.reconcile() == [Repair("submission/sub", ("closed_at",))]


async def test_a_listing_whose_content_is_gone_is_said_so(hub: Hub) -> None:
    async with hub.database.transaction() as session:
        await session.exec(text("DELETE FROM content"))  # type: ignore[call-overload]
    with pytest.raises(RowMissing, match="Content manifest"):
        await reconcile.reconcile_product(hub.database, hub.product, publisher="pub", asked_at=ASKED)
