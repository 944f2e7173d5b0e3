"""What a process records becomes rows: once, in one transaction, and never backwards."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import event
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import digest_of
from models.commands import LONGEST_TEXT
from models.findings import Finding, FindingStatus, Level, VexState, Waiver, WaiverScope
from models.lifecycle import Snapshot, Stage, Turn
from models.notices import NoticeKind
from models.publishers import ApplicationStatus
from models.recording import Entry, SubmissionRecording
from models.tables import EventRow, IterationRow, NoticeRow, NoticeStatus, SubmissionRow, WaiverRow
from store import people, projection, publishers, submissions, waivers
from store.database import Database, RowMissing
from tests.parts.rows import MONDAY, RELEASE, Harbour, harbour, outcome

READY = Entry(event="Examined", at=MONDAY, notices=(NoticeKind.READY_FOR_REVIEW, NoticeKind.IN_REVIEW))


async def row_of(house: Harbour) -> SubmissionRow:
    async with house.database.session() as session:
        return await session.get_one(SubmissionRow, house.submission)


async def counts(house: Harbour) -> tuple[int, int]:
    """Events and notices."""
    async with house.database.session() as session:
        events = (await session.exec(select(func.count()).select_from(EventRow))).one()
        return events, (await session.exec(select(func.count()).select_from(NoticeRow))).one()


async def test_a_record_writes_snapshot_events_and_notices_together(database: Database) -> None:
    house = await harbour(database)
    assert await house.records(2, Stage.READY, READY, due=MONDAY + timedelta(days=14)) == 2
    row = await row_of(house)
    assert (row.stage, row.turn, row.revision, row.release) == (Stage.READY, Turn.MODERATOR, 2, RELEASE)
    assert row.due == MONDAY + timedelta(days=14)
    assert await counts(house) == (1, 2)


async def test_the_same_record_again_changes_nothing_and_doubles_no_notice(database: Database) -> None:
    house = await harbour(database)
    await house.records(2, Stage.READY, READY)
    assert await house.records(2, Stage.READY, READY) == 0
    assert await counts(house) == (1, 2)


async def test_the_same_record_by_two_attempts_at_once_is_recorded_once(database: Database) -> None:
    house = await harbour(database)
    queued = await asyncio.gather(*(house.records(2, Stage.READY, READY) for _ in range(6)))
    assert sum(queued) == 2
    assert await counts(house) == (1, 2)


async def test_an_older_snapshot_leaves_the_row_as_it_is_but_its_events_are_kept(database: Database) -> None:
    house = await harbour(database)
    await house.records(5, Stage.READY, READY)
    await house.records(4, Stage.CHECKING, Entry(event="Onboarded", at=MONDAY))
    assert (await row_of(house)).stage is Stage.READY
    assert (await counts(house))[0] == 2


async def test_only_the_reconciler_goes_back_to_a_lower_revision(database: Database) -> None:
    house = await harbour(database)
    await house.records(5, Stage.READY, READY)
    await house.records(3, Stage.CHECKING, run="run-2", overwrite=True)
    row = await row_of(house)
    assert (row.revision, row.stage) == (3, Stage.CHECKING)


async def test_a_reset_run_repeats_revisions_without_repeating_mails(database: Database) -> None:
    house = await harbour(database)
    await house.records(2, Stage.READY, READY)
    assert await house.records(2, Stage.READY, READY, run="run-2") == 0
    assert await counts(house) == (2, 2)


async def test_two_replies_of_one_revision_are_two_mails(database: Database) -> None:
    house = await harbour(database)
    replies = [
        Entry(event="reply", at=MONDAY, command=f"c{number}", text="Hello", notices=(NoticeKind.REPLY,))
        for number in range(2)
    ]
    assert await house.records(3, Stage.READY, *replies) == 2


async def test_events_and_notices_stand_and_fall_with_the_transaction(database: Database) -> None:
    house = await harbour(database)

    async def fails_at_the_end(session: AsyncSession) -> None:
        snapshot = Snapshot(id=house.submission, revision=2, stage=Stage.READY, turn=Turn.MODERATOR, iteration=1)
        recording = SubmissionRecording(snapshot=snapshot, entries=(READY,))
        await projection.record_submission(session, recording, "run-1")
        raise RuntimeError("the power went out")

    with pytest.raises(RuntimeError):
        await database.write(fails_at_the_end)
    assert await counts(house) == (0, 0)
    assert (await row_of(house)).revision == -1


async def test_a_process_without_a_row_is_told_so_in_a_way_that_is_retried(database: Database) -> None:
    house = await harbour(database)
    async with database.transaction() as session:
        assert await submissions.forget(session, house.submission) is False  # numbered: its product knows it
    stranger = Harbour(database, house.publisher, "p", "nobody", house.content, "", "", "")
    with pytest.raises(RowMissing) as missing:
        await stranger.records(1, Stage.READY)
    assert missing.value.permanent is False


async def test_texts_that_postgresql_refuses_are_stored_all_the_same(database: Database) -> None:
    house = await harbour(database)
    text = ("nul \x00 half \ud800 emoji 🚢 " * 300)[:LONGEST_TEXT]
    await house.records(2, Stage.READY, Entry(event="reply", at=MONDAY, text=text, notices=(NoticeKind.REPLY,)))
    async with database.session() as session:
        [row] = (await session.exec(select(EventRow))).all()
    assert row.text.startswith("nul � half � emoji 🚢")


async def test_a_submission_has_the_number_that_its_process_says(database: Database) -> None:
    house = await harbour(database)
    async with database.transaction() as session:
        await submissions.create(
            session,
            id="second",
            product=house.product,
            publisher=house.publisher,
            content=house.content,
            submitter=house.member,
            at=MONDAY,
        )
    second = Harbour(database, house.publisher, house.product, "second", house.content, "", "", "")
    await second.records(1, Stage.CHECKING, number=2)
    async with database.session() as session:
        assert (await submissions.find(session, "crane/2")).id == "second"
    await second.records(2, Stage.READY)
    async with database.session() as session:
        assert (await submissions.get(session, "second")).number == 2


async def test_an_application_is_recorded_with_the_status_that_the_process_has(database: Database) -> None:
    house = await harbour(database)
    entry = Entry(event="approve", at=MONDAY, actor=house.moderator, notices=(NoticeKind.APPLICATION_APPROVED,))
    assert await house.application_records(3, ApplicationStatus.APPROVED, entry) == 1
    async with database.session() as session:
        assert (await publishers.get(session, "harbour")).status is ApplicationStatus.APPROVED


async def test_an_approval_marks_the_iteration_and_its_undoing_unmarks_it(database: Database) -> None:
    house = await harbour(database)
    async with database.transaction() as session:
        await examined(session, house)
    await house.records(3, Stage.PUBLISHING, Entry(event="approve", at=MONDAY))
    async with database.session() as session:
        row = await session.get_one(IterationRow, (house.submission, 1))
        assert row.approved_at == MONDAY
        assert await submissions.accepted_findings(session, house.product) == {"guideline:one"}
    await house.records(4, Stage.READY, Entry(event="undo", at=MONDAY))
    async with database.session() as session:
        assert await submissions.accepted_findings(session, house.product) == frozenset()


async def examined(session: AsyncSession, house: Harbour, number: int = 1) -> None:
    findings = [
        Finding(key="guideline:one", rule="r", level=Level.GUIDELINE, title="One", why="because", remedy="mend"),
        Finding(
            key="waived:two",
            rule="r",
            level=Level.REQUIREMENT,
            title="Two",
            why="because",
            remedy="mend",
            status=FindingStatus.WAIVED,
        ),
    ]
    await submissions.save_iteration(
        session,
        submission=house.submission,
        number=number,
        content=house.content,
        release=RELEASE,
        policy="sha256:policy",
        outcome=outcome(),
        findings=findings,
        report="sha256:report",
        image_reports=("sha256:image",),
        changes=("one thing changed",),
        at=MONDAY,
    )


async def test_a_waiver_is_in_force_until_it_expires_or_its_decision_is_undone(database: Database) -> None:
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
    digest = digest_of(b"waiver")
    entry = Entry(event="waive", at=MONDAY, actor=house.moderator, waiver=digest)

    async def take(entry: Entry, granted: dict[str, Waiver | None]) -> None:
        async with database.transaction() as session:
            row = await session.get_one(SubmissionRow, house.submission)
            await waivers.take(session, row, entry, granted)

    async def in_force(days: int) -> list[Waiver]:
        async with database.session() as session:
            return await waivers.in_force(session, house.product, house.publisher, MONDAY + timedelta(days=days))

    with pytest.raises(RowMissing):
        await take(entry, {})
    await take(entry, {digest: None})
    assert await in_force(1) == []
    await take(entry, {digest: waiver})
    assert await in_force(1) == [waiver]
    assert await in_force(31) == []
    await take(Entry(event="undo", at=MONDAY, waiver=digest), {})
    assert await in_force(1) == []
    async with database.session() as session:
        assert (await session.exec(select(WaiverRow))).one().withdrawn_at == MONDAY


async def test_a_transaction_that_loses_a_deadlock_is_run_again(database: Database) -> None:
    """Two writers take two rows in opposite orders: PostgreSQL ends one of them, and `write` runs it again."""
    house = await harbour(database)
    names = (house.member, house.moderator)
    met = asyncio.Barrier(2)
    runs = 0

    async def renames(first: str, second: str, word: str) -> None:
        async def work(session: AsyncSession) -> None:
            nonlocal runs
            runs += 1
            for place, person in enumerate((first, second)):
                row = await people.get(session, person)
                row.name += word
                session.add(row)
                await session.flush()
                # SQLite has one writer at a time, so that nobody would ever meet anybody
                if place == 0 and not database.is_sqlite and runs <= 2:
                    await met.wait()

        await database.write(work)

    await asyncio.wait_for(asyncio.gather(renames(*names, " a"), renames(*names[::-1], " b")), timeout=30)
    async with database.session() as session:
        for person in names:
            assert sorted((await people.get(session, person)).name.split()[-2:]) == ["a", "b"]
    assert runs == (2 if database.is_sqlite else 3)


async def test_a_notice_that_nobody_can_get_is_in_the_log_with_what_to_do(database: Database) -> None:
    house = await harbour(database)
    # neither ops nor an admin exists
    await house.records(2, Stage.WAITING, Entry(event="x", at=MONDAY, notices=(NoticeKind.PUBLICATION_FAILED,)))
    async with database.session() as session:
        row = (await session.exec(select(NoticeRow).where(col(NoticeRow.kind) == "publication_failed"))).one()
    assert row.status is NoticeStatus.GIVEN_UP
    assert "staff add" in row.last_error


async def test_recording_takes_few_statements(database: Database) -> None:
    """A submission is recorded some seven times: what one record costs is what the whole journey costs."""
    house = await harbour(database)
    statements: list[str] = []
    event.listen(
        database.engine.sync_engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_rest: statements.append(statement),
    )
    await house.records(2, Stage.READY, READY)
    assert len(statements) <= 12, statements
