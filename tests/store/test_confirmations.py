"""Confirmation of an email address: a mailed link is good for a while, and nobody can make one."""

from datetime import timedelta

import pytest
from sqlmodel import select

from models.errors import NotAllowed, NotFound
from models.notices import NoticeKind
from models.publishers import ApplicationStatus
from models.recording import Entry
from models.tables import TokenRow
from store import people, subscriptions, tokens
from store.database import Database
from tests.parts.rows import MONDAY, Harbour, harbour
from tests.store.mails import made, only, token_in


async def applies(database: Database) -> Harbour:
    """A publisher whose second member has not confirmed the address yet."""
    house = await harbour(database)
    async with database.transaction() as session:
        new = await people.find_or_create(session, "new@harbour.example", "New", MONDAY)
        await people.join(session, new.id, house.publisher, MONDAY)
    entry = Entry(event="apply", at=MONDAY, notices=(NoticeKind.CONFIRM_EMAIL,))
    await house.application_records(1, ApplicationStatus.UNCONFIRMED, entry)
    return house


async def test_a_mailed_link_confirms_the_address_once_and_a_second_click_does_no_harm(database: Database) -> None:
    house = await applies(database)
    [(notice, address, _)] = await made(database, NoticeKind.CONFIRM_EMAIL)
    assert address == "new@harbour.example"
    raw = token_in(notice)
    async with database.session() as session:
        assert (await tokens.look(session, raw)).email_confirmed_at is None, "looking confirms nothing"
    for days in (1, 2, 99_999):
        async with database.transaction() as session:
            person = await tokens.confirm(session, raw, MONDAY + timedelta(days=days))
            assert person.email_confirmed_at == MONDAY + timedelta(days=1)
            assert await people.publishers_of(session, person.id) == [house.publisher]


async def test_the_link_of_each_attempt_to_mail_is_good(database: Database) -> None:
    await applies(database)
    attempts = [await only(database, NoticeKind.CONFIRM_EMAIL) for _ in range(2)]
    async with database.transaction() as session:
        for notice in attempts:
            await tokens.confirm(session, token_in(notice), MONDAY)


async def test_an_expired_link_confirms_nothing_and_brings_another_mail_once_a_day(database: Database) -> None:
    await applies(database)
    later = MONDAY + timedelta(days=400)
    async with database.transaction() as session:
        person = await people.get(session, "new@harbour.example")
        raw = await tokens.new_confirmation(session, person, MONDAY)
        with pytest.raises(NotAllowed, match="expired"):
            await tokens.confirm(session, raw, later)
    for expected in (True, False):
        async with database.transaction() as session:
            assert await tokens.mail_again(session, raw, later) is expected
    assert len(await made(database, NoticeKind.CONFIRM_EMAIL)) == 2


@pytest.mark.parametrize("raw", ["", "x", "\x00", "\ud800", "a" * 100_000, "../../etc/passwd"])
async def test_a_token_that_is_none_is_not_found(database: Database, raw: str) -> None:
    async with database.transaction() as session:
        with pytest.raises(NotFound):
            await tokens.confirm(session, raw, MONDAY)
        with pytest.raises(NotFound):
            await subscriptions.confirm(session, raw, MONDAY)
        assert await subscriptions.unsubscribe(session, raw) is False


async def test_the_database_does_not_know_the_token_and_a_reader_cannot_make_one(database: Database) -> None:
    house = await harbour(database)
    async with database.transaction() as session:
        raw = await tokens.new_confirmation(session, house.member, MONDAY)
        [row] = (await session.exec(select(TokenRow))).all()
        assert raw not in row.model_dump_json()
        with pytest.raises(NotFound):
            await tokens.use(session, tokens.SUBSCRIPTION, raw, MONDAY)
    async with database.session() as session:
        with pytest.raises(RuntimeError):
            await tokens.new_confirmation(session, house.member, MONDAY)
