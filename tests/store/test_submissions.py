"""Submissions: how they come to be, the queue, their iterations, and the trail as each side may read it."""

from datetime import timedelta

import pytest

from models.content import Track
from models.errors import NotAllowed, NotFound
from models.findings import Finding, Level
from models.lifecycle import Stage, Turn
from models.notices import NoticeKind
from models.products import ListingStatus
from models.publishers import ApplicationStatus
from models.recording import Entry
from store import contents, iterations, products, submissions
from store.database import Database
from tests.parts.rows import MONDAY, RELEASE, Harbour, harbour, manifest, outcome

#: more than a database's integer holds
_HUGE = "crane/99999999999999999999"


async def another(house: Harbour, name: str, *, track: Track = Track.VERSION, number: int | None = None) -> Harbour:
    """A further submission of the same product."""
    async with house.database.transaction() as session:
        await submissions.create(
            session,
            id=name,
            product=house.product,
            publisher=house.publisher,
            content=house.content,
            submitter=house.member,
            at=MONDAY,
            track=track,
            number=number,
        )
    return Harbour(
        house.database, house.publisher, house.product, name, house.content, house.member, house.moderator, house.second
    )


async def examines(house: Harbour, number: int, *keys: str, content: str = "") -> None:
    findings = [
        Finding(key=key, rule="rule", level=Level.GUIDELINE, title=key, why="so", remedy="mend it") for key in keys
    ]
    async with house.database.transaction() as session:
        await submissions.save_iteration(
            session,
            submission=house.submission,
            number=number,
            content=content or house.content,
            release=RELEASE,
            policy="sha256:policy",
            outcome=outcome(*keys),
            findings=findings,
            report=f"sha256:report-{house.submission}-{number}",
            image_reports=("sha256:amd64", "sha256:arm64"),
            at=MONDAY,
        )


async def test_a_new_submission_is_on_its_page_before_its_process_has_said_anything(database: Database) -> None:
    house = await harbour(database)
    async with database.session() as session:
        view = await submissions.get(session, house.submission)
    assert (view.stage, view.status, view.turn, view.number) == (Stage.ONBOARDING, "submitted", Turn.HUB, 1)
    assert view.manifest is not None
    assert (view.product_slug, view.publisher_slug, view.snapshot) == ("crane", "harbour", None)


async def test_creating_twice_is_creating_once_and_an_id_belongs_to_one_product(database: Database) -> None:
    house, other = await harbour(database), await harbour(database, slug="pier")
    await another(house, "again")
    await another(house, "again")
    with pytest.raises(NotAllowed):
        await another(other, "again")


async def test_what_a_product_refused_is_forgotten_and_nothing_else(database: Database) -> None:
    house = await harbour(database)
    refused, recorded = await another(house, "refused"), await another(house, "recorded")
    await recorded.records(1, Stage.CHECKING)
    async with database.transaction() as session:
        assert [await submissions.forget(session, each.submission) for each in (house, refused, recorded)] == [
            False,
            True,
            False,
        ]


@pytest.mark.parametrize("words", ["crane/1", "harbour/crane/1", "crane/#1", "s-harbour-crane"])
async def test_a_submission_is_found_by_id_or_by_its_product_and_number(database: Database, words: str) -> None:
    house = await harbour(database)
    async with database.session() as session:
        assert (await submissions.find(session, words)).id == house.submission


@pytest.mark.parametrize(
    "words",
    ["", "crane", "crane/x", "crane/2", "a/b/c/1", "\x00/1", "crane/１x", "pier/crane/9", _HUGE],
)
async def test_what_cannot_be_found_is_said_plainly(database: Database, words: str) -> None:
    await harbour(database)
    async with database.session() as session:
        with pytest.raises(NotFound):
            await submissions.find(session, words)


async def test_a_number_of_two_publishers_products_asks_for_the_publisher(database: Database) -> None:
    await harbour(database)
    pier = await harbour(database, slug="pier")
    async with database.session() as session:
        with pytest.raises(NotFound, match="publisher/crane/1"):
            await submissions.find(session, "crane/1")
        assert (await submissions.find(session, "pier/crane/1")).id == pier.submission


async def test_the_queue_is_sorted_by_due_date_and_filtered(database: Database) -> None:
    late, soon = await harbour(database), await harbour(database, slug="pier")
    undated, ended = await another(late, "undated"), await another(late, "ended")
    await late.records(2, Stage.READY, due=MONDAY + timedelta(days=9), assignee=late.moderator)
    await soon.records(2, Stage.READY, due=MONDAY + timedelta(days=2), overdue=True)
    await undated.records(2, Stage.CHECKING)
    await ended.records(2, Stage.WITHDRAWN)
    async with database.session() as session:

        async def ids(**filters: object) -> list[str]:
            page = await submissions.queue(session, **filters)  # type: ignore[arg-type]
            assert page.total == len(page.items)
            return [item.id for item in page.items]

        assert await ids() == [soon.submission, late.submission, "undated"]
        assert await ids(turn=Turn.MODERATOR) == [soon.submission, late.submission]
        assert await ids(overdue=True) == [soon.submission]
        assert await ids(assignee=late.moderator) == [late.submission]
        assert await ids(assignee="", turn=Turn.MODERATOR) == [soon.submission]
        assert await ids(publisher=soon.publisher) == [soon.submission]
        assert await ids(product=late.product, ended=True) == [late.submission, "ended", "undated"]
        assert await ids(stage=Stage.WITHDRAWN) == ["ended"]
        second = await submissions.queue(session, page=2, size=2)
        assert (second.total, [item.id for item in second.items]) == (3, ["undated"])


async def test_an_iteration_saved_again_is_the_newer_one(database: Database) -> None:
    house = await harbour(database)
    await examines(house, 1, "a", "b", "c")
    await examines(house, 1, "c", "a")
    async with database.session() as session:
        [view] = (await submissions.get(session, house.submission)).iterations
    assert [finding.key for finding in view.findings] == ["c", "a"]
    assert view.image_reports == ("sha256:amd64", "sha256:arm64")


async def test_an_iteration_with_thousands_of_findings_is_saved_whole(database: Database) -> None:
    house = await harbour(database)
    keys = [f"CVE-{number}" for number in range(3000)]
    await examines(house, 1, *keys)
    async with database.session() as session:
        assert [finding.key for finding in await iterations.findings(session, house.submission, 1)] == keys


async def compared(house: Harbour, number: int) -> tuple[submissions.Examined | None, submissions.Examined | None]:
    """What iteration `number` is compared with: the previous one, and the last approved one."""
    async with house.database.session() as session:
        view = await submissions.get(session, house.submission)
        previous = await submissions.previous_iteration(session, view, number)
        return previous, await submissions.approved_before(session, view, number)


async def approves(house: Harbour, number: int, minutes: int) -> None:
    at = MONDAY + timedelta(minutes=minutes)
    await house.records(5 + number, Stage.PUBLISHING, Entry(event="approve", at=at), iteration=number)


async def test_an_iteration_is_compared_with_the_one_before_and_with_the_last_approved_one(database: Database) -> None:
    house = await harbour(database)
    next_ = await another(house, "next", number=2)
    await examines(house, 1, "a")
    assert await compared(house, 1) == (None, None)
    await examines(house, 3, "b")
    previous, approved = await compared(house, 3)
    assert previous is not None
    assert (previous.number, previous.report) == (1, f"sha256:report-{house.submission}-1")
    assert approved is None
    await approves(house, 3, 1)
    assert (await compared(house, 3))[1] is None, "nothing is compared with itself"
    own = await compared(house, 4)
    assert own[0] == own[1], "approved, and mended all the same: the certification failed"
    previous, approved = await compared(next_, 1)
    assert previous is None
    assert approved is not None
    assert (approved.submission, approved.submission_number, approved.number) == (house.submission, 1, 3)
    await examines(next_, 1, "c")
    previous, approved = await compared(next_, 2)
    assert previous is not None
    assert approved is not None
    assert ((previous.submission_number, previous.number), (approved.submission_number, approved.number)) == (
        (2, 1),
        (1, 3),
    )
    async with database.session() as session:
        assert await submissions.accepted_findings(session, house.product) == {"b"}


async def test_a_version_is_compared_with_a_version_and_an_edit_with_whatever_was_approved_last(
    database: Database,
) -> None:
    first = await harbour(database)
    edit, second = await another(first, "edit", track=Track.LISTING, number=2), await another(first, "second", number=3)
    later = await another(first, "later", track=Track.LISTING, number=4)
    async with database.transaction() as session:
        page = await contents.save(session, manifest("Crane", short_description="Lifts even more."))
    await examines(first, 1)
    await approves(first, 1, 1)
    assert [each and each.submission for each in await compared(edit, 1)] == [None, first.submission]
    await examines(edit, 1, content=page)
    await approves(edit, 1, 2)
    _, approved = await compared(second, 1)
    assert approved is not None
    assert (approved.submission, approved.content, approved.page) == (first.submission, first.content, page)
    _, approved = await compared(later, 1)
    assert approved is not None
    assert (approved.submission, approved.content, approved.page) == (edit.submission, page, "")
    await examines(second, 1)
    await approves(second, 1, 3)
    _, approved = await compared(later, 1)
    assert approved is not None
    assert (approved.submission, approved.page) == (second.submission, "")


async def test_an_approval_that_was_undone_is_none(database: Database) -> None:
    house = await harbour(database)
    next_ = await another(house, "next")
    await examines(house, 1)
    await approves(house, 1, 1)
    assert (await compared(next_, 1))[1] is not None
    await house.records(9, Stage.READY, Entry(event="undo", at=MONDAY), iteration=1)
    assert (await compared(next_, 1))[1] is None


async def test_the_live_release_is_that_of_the_published_product(database: Database) -> None:
    house = await harbour(database)
    async with database.session() as session:
        assert (await submissions.gist(session, house.submission)).live == ""
    await house.product_records(2, ListingStatus.PUBLISHED)
    async with database.session() as session:
        assert (await submissions.gist(session, house.submission)).live == RELEASE
        assert (await products.of_submission(session, house.submission)).id == house.product


async def test_a_publisher_reads_no_private_note_and_no_moderators_name(database: Database) -> None:
    house = await harbour(database)
    at = MONDAY
    await house.records(
        3,
        Stage.WAITING,
        Entry(event="Examined", at=at),
        Entry(event="note", at=at, actor=house.moderator, text="I smell a rat", private=True),
        Entry(event="approve", at=at, actor=house.moderator, text="nope", refused="not now", private=True),
        Entry(event="request_changes", at=at, actor=house.moderator, text="mend these"),
        Entry(event="answer", at=at, actor=house.member, text="mended"),
        Entry(event="reply", at=at, actor="gone", text="a person who was deleted"),
    )
    subject = f"submission/{house.submission}"
    async with database.session() as session:
        theirs = await submissions.trail(session, subject, for_publisher=True)
        ours = await submissions.trail(session, subject, for_publisher=False)
    assert [(line.event, line.actor) for line in theirs] == [
        ("Examined", ""),
        ("request_changes", ""),
        ("answer", "Pat"),
        ("reply", ""),
    ]
    assert "rat" not in str(theirs)
    assert [line.actor for line in ours] == ["", "mo", "mo", "mo", "Pat", "gone"]
    assert [line.title for line in ours][-2:] == ["answered", "replied"]


async def test_a_publisher_learns_of_a_proposal_when_it_is_confirmed_and_never_of_another(database: Database) -> None:
    house = await harbour(database)
    mo, sue = house.moderator, house.second
    said = [
        ("reject", mo, "first idea"),
        ("decline", sue, "not for that"),
        ("reject", mo, "second idea"),
        ("undo", mo, "on second thoughts"),
        ("waive", mo, "never called"),
        ("undo", mo, "it is called"),
        ("waive", mo, "critical, but unreachable"),
        ("confirm", sue, "well"),
        ("reject", mo, "it phones home"),
        ("reply", mo, "please wait"),
        ("confirm", sue, "what a mess"),
        ("appeal", house.member, "it does not"),
        ("reject", mo, "it does"),
    ]
    for number, (act, actor, text) in enumerate(said):
        kinds = (NoticeKind.WAIVER_PROPOSED,) if "critical" in text else ()
        entry = Entry(event=act, at=MONDAY, actor=actor, command=f"c{number}", text=text, notices=kinds)
        await house.records(number + 2, Stage.READY, entry)
    subject = f"submission/{house.submission}"
    async with database.session() as session:
        theirs = await submissions.trail(session, subject, for_publisher=True)
        ours = await submissions.trail(session, subject, for_publisher=False)
    assert [(line.event, line.text) for line in theirs] == [
        ("waive", "never called"),
        ("undo", "it is called"),
        ("waive", "critical, but unreachable"),
        ("confirm", ""),
        ("reject", "it phones home"),
        ("reply", "please wait"),
        ("confirm", ""),
        ("appeal", "it does not"),
    ]
    assert [line.text for line in ours] == [text for _, _, text in said]


async def test_an_applicant_reads_why_the_application_is_declined(database: Database) -> None:
    house = await harbour(database)
    entry = Entry(event="decline", at=MONDAY, actor=house.moderator, text="No such company.")
    await house.application_records(3, ApplicationStatus.DECLINED, entry)
    async with database.session() as session:
        [line] = await submissions.trail(session, f"publisher/{house.publisher}", for_publisher=True)
    assert (line.text, line.actor) == ("No such company.", "")
