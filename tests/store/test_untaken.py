"""What no process has heard of is listed to be handed over, or turned away with a word to who has brought it."""

from datetime import datetime, timedelta

from sqlmodel import select

from models.addresses import product_address, submission_address
from models.content import Track
from models.lifecycle import Stage
from models.notices import NoticeKind
from models.products import NewSubmission
from models.publishers import ApplicationStatus
from models.tables import NoticeRow, SecretRow
from store import submissions, trail, untaken
from store.database import Database
from tests.parts.rows import MONDAY, Harbour, harbour
from tests.store.mails import made

LATER = MONDAY + timedelta(minutes=1)


async def stored(house: Harbour, name: str, at: datetime = MONDAY, track: Track = Track.VERSION) -> None:
    async with house.database.transaction() as session:
        await submissions.create(
            session,
            id=name,
            product=house.product,
            publisher=house.publisher,
            content=house.content,
            submitter=house.member,
            at=at,
            track=track,
        )


async def waiting(database: Database) -> dict[str, bool]:
    """Those that are to be handed over, and whether a newer one was taken meanwhile."""
    async with database.session() as session:
        return {each.new.id: each.outrun for each in await untaken.untaken_submissions(session, LATER)}


async def test_a_submission_is_listed_until_its_product_has_numbered_it(database: Database) -> None:
    house = await harbour(database)
    await stored(house, "early")
    await stored(house, "earlier", MONDAY - timedelta(hours=1))
    await stored(house, "young", LATER)
    assert list(await waiting(database)) == ["earlier", "early"]
    async with database.session() as session:
        [_, early] = await untaken.untaken_submissions(session, LATER)
        view = await submissions.get(session, "early")
    assert early.new == NewSubmission(
        id="early", actor=house.member, publisher=house.publisher, product=house.product, content=house.content
    )
    assert early.name == "harbour/crane"
    assert "nobody has to submit it again" in view.next
    async with database.transaction() as session:
        await submissions.numbered(session, "early", 2)
        assert "nobody has to" not in (await submissions.get(session, "early")).next
    await Harbour(database, house.publisher, house.product, "earlier", house.content, "", "", "").records(
        0, Stage.ONBOARDING, number=3
    )
    assert await waiting(database) == {}


async def test_a_newer_one_of_the_same_track_that_was_taken_outruns_it(database: Database) -> None:
    house = await harbour(database)
    long_ago = MONDAY - timedelta(days=1)
    await stored(house, "version", long_ago)
    await stored(house, "edit", long_ago, Track.LISTING)
    # the house's own submission is of today, and has a number
    assert await waiting(database) == {"version": True, "edit": False}


async def test_who_brought_what_is_turned_away_hears_of_it_and_its_credentials_go(database: Database) -> None:
    house = await harbour(database)
    await stored(house, "late")
    async with database.transaction() as session:
        session.add(SecretRow(id="secret/1", subject=submission_address("late"), ciphertext="", created_at=MONDAY))
        [late] = await untaken.untaken_submissions(session, LATER)
    for expected in (True, False):
        async with database.transaction() as session:
            assert await untaken.turn_away(session, late.new, "the publisher is not verified.", LATER) is expected
    assert await waiting(database) == {}
    async with database.session() as session:
        assert (await session.exec(select(SecretRow))).all() == []
        [event] = await trail.shown(session, product_address(house.product), for_publisher=False)
        assert await trail.shown(session, product_address(house.product), for_publisher=True) == []
        [row] = (await session.exec(select(NoticeRow))).all()
    assert (event.actor, "the publisher is not verified" in event.refused) == ("Pat", True)
    assert row.address == "pat@harbour.example"
    [(notice, _, _)] = await made(database, NoticeKind.COMMAND_REFUSED)
    assert notice.text.startswith("The submission late was stored while the hub was away")
    assert notice.turn == "yours"


async def test_what_a_process_has_recorded_is_never_turned_away(database: Database) -> None:
    house = await harbour(database)
    await house.records(1, Stage.CHECKING)
    new = NewSubmission(
        id=house.submission,
        actor=house.member,
        publisher=house.publisher,
        product=house.product,
        content=house.content,
    )
    async with database.transaction() as session:
        assert await untaken.turn_away(session, new, "why not", MONDAY) is False
        assert (await submissions.get(session, house.submission)).stage is Stage.CHECKING
        assert (await session.exec(select(NoticeRow))).all() == []


async def test_an_application_is_listed_until_its_process_has_recorded_it(database: Database) -> None:
    house = await harbour(database)
    async with database.session() as session:
        [applied] = await untaken.untaken_applications(session, LATER)
        assert await untaken.untaken_applications(session, MONDAY) == []
    assert (applied.publisher, applied.slug) == (house.publisher, "harbour")
    assert applied.profile.startswith("sha256:")
    await house.application_records(1, ApplicationStatus.UNCONFIRMED)
    async with database.session() as session:
        assert await untaken.untaken_applications(session, LATER) == []
