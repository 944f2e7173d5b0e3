"""Whoever comes and goes, a publisher keeps a member, and the audit trail says who let them in."""

import asyncio
from datetime import timedelta

import pytest
from sqlmodel import select

from desk import members
from models.addresses import publisher_address
from models.errors import InvalidManifest, NotAllowed, NotFound
from models.notices import NoticeKind
from models.publishers import ApplicationStatus, Role
from models.tables import NoticeRow
from store import people, publishers, tokens, trail
from store.database import Database
from tests.parts.rows import MONDAY, Harbour, harbour, staff


async def approved(database: Database) -> Harbour:
    house = await harbour(database)
    await house.application_records(3, ApplicationStatus.APPROVED)
    return house


async def added(house: Harbour, email: str) -> members.Joined:
    async with house.database.transaction() as session:
        return await members.add(session, house.publisher, house.member, email, now=MONDAY)


async def test_of_two_members_who_remove_each_other_at_once_one_stays(database: Database, database_url: str) -> None:
    house = await approved(database)
    quinn = await added(house, "quinn@harbour.example")
    second = Database(database_url)

    async def removes(place: Database, actor: str, member: str) -> None:
        async with place.transaction() as session:
            await members.remove(session, house.publisher, actor, member, now=MONDAY)

    try:
        outcomes = await asyncio.gather(
            removes(database, house.member, quinn.person),
            removes(second, quinn.person, house.member),
            return_exceptions=True,
        )
    finally:
        await second.close()
    assert [type(outcome) for outcome in outcomes if outcome] == [NotAllowed]
    async with database.session() as session:
        assert len(await publishers.members(session, house.publisher)) == 1


async def test_who_was_let_in_by_whom_is_kept(database: Database) -> None:
    house = await approved(database)
    await added(house, "quinn@harbour.example")
    assert (await added(house, "quinn@harbour.example")).new is False
    root = await staff(database, "root@hub.example", Role.ADMIN)
    async with database.transaction() as session:
        await members.remove(session, "harbour", root.email, "quinn@harbour.example", now=MONDAY)
        # who has gone may do nothing any more
        with pytest.raises(NotAllowed):
            await members.add(session, "harbour", "quinn@harbour.example", "rae@harbour.example", now=MONDAY)
    async with database.session() as session:
        events = await trail.shown(session, publisher_address(house.publisher), for_publisher=False)
        told = await trail.shown(session, publisher_address(house.publisher), for_publisher=True)
    assert [(event.title, event.actor, event.text) for event in events] == [
        ("added a member", "Pat", "quinn@harbour.example"),
        ("removed a member", "root", "quinn@harbour.example"),
    ]
    assert [event.actor for event in told] == ["Pat", ""]


async def test_a_member_whose_link_has_expired_gets_another_one(database: Database) -> None:
    house = await approved(database)
    quinn = await added(house, "quinn@harbour.example")
    later = MONDAY + timedelta(days=400)
    async with database.transaction() as session:
        raw = await tokens.new_confirmation(session, quinn.person, MONDAY)
        with pytest.raises(NotAllowed):
            await tokens.confirm(session, raw, later)
    async with database.transaction() as session:
        assert await tokens.mail_again(session, raw, later) is True
        rows = (await session.exec(select(NoticeRow))).all()
    assert [(row.kind, row.address, row.payload["status"]) for row in rows] == [
        (NoticeKind.CONFIRM_EMAIL, "quinn@harbour.example", "new member")
    ] * 2


async def test_who_has_confirmed_the_address_is_not_asked_again(database: Database) -> None:
    house = await approved(database)
    other = await harbour(database, slug="pier")
    async with database.session() as session:
        pat = await people.get(session, other.member)
    assert await added(house, pat.email) == members.Joined(pat.id, pat.email, new=True, asked=False)


@pytest.mark.parametrize("email", ["", "x", "@x.example", "a@b c.example", "x" * 300 + "@x.example", "a\x00@x.example"])
async def test_an_address_that_is_none_is_refused_and_makes_nobody(database: Database, email: str) -> None:
    house = await approved(database)
    with pytest.raises(InvalidManifest, match="email"):
        await added(house, email)
    async with database.session() as session:
        with pytest.raises(NotFound):
            await people.get(session, email)
