"""One database, two kinds: what a transaction promises, and what happens when several write at once."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.policy import Deadlines, HubPolicy
from models.tables import MembershipRow, PersonRow, PolicyRow
from store import contents, people, policies
from store.database import Database, InvalidDatabase, database_url, migrate
from tests.parts.rows import MONDAY, manifest


async def people_count(database: Database) -> int:
    async with database.session() as session:
        return (await session.exec(select(func.count()).select_from(PersonRow))).one()


async def test_several_processes_write_at_once_and_nothing_is_lost(database: Database, database_url: str) -> None:
    second = Database(database_url)
    try:

        async def adds(place: Database, number: int) -> None:
            await place.write(lambda session: people.find_or_create(session, f"p{number % 20}@example.org", at=MONDAY))

        await asyncio.gather(*(adds(place, number) for number in range(40) for place in (database, second)))
    finally:
        await second.close()
    assert await people_count(database) == 20


async def test_what_is_not_committed_is_not_seen(database: Database) -> None:
    async with database.transaction() as session:
        await people.find_or_create(session, "p@example.org", at=MONDAY)
        assert await people_count(database) == 0
    assert await people_count(database) == 1


async def test_foreign_keys_hold(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.transaction() as session:
            session.add(MembershipRow(person="nobody", publisher="nothing", since=MONDAY))


async def test_a_mistake_is_raised_at_once_and_not_run_again(database: Database) -> None:
    runs = 0

    async def work(session: AsyncSession) -> None:
        nonlocal runs
        runs += 1
        session.add(MembershipRow(person="nobody", publisher="nothing", since=MONDAY))
        await session.flush()

    with pytest.raises(DBAPIError):
        await database.write(work)
    assert runs == 1


async def test_a_document_is_stored_once_under_its_digest(database: Database) -> None:
    async with database.transaction() as session:
        digests = {await contents.save(session, manifest()) for _ in range(2)}
        assert digests == {manifest().digest}
        found = await contents.find(session, type(manifest()), manifest().digest)
        assert found == manifest()
        assert await contents.find(session, type(manifest()), "") is None


async def test_every_policy_is_kept_with_its_first_use(database: Database) -> None:
    strict = HubPolicy(deadlines=Deadlines(dormant_days=30))
    async with database.transaction() as session:
        for policy, at in ((HubPolicy(), MONDAY), (strict, MONDAY), (HubPolicy(), MONDAY.replace(year=2027))):
            await policies.keep(session, policy, at)
        assert await policies.find(session, strict.digest) == strict
        assert (await session.get_one(PolicyRow, HubPolicy().digest)).first_used_at == MONDAY


async def test_several_migrate_an_empty_database_at_once(tmp_path: Path) -> None:
    place = tmp_path / "new" / "hub.sqlite"
    await asyncio.gather(*(migrate(place) for _ in range(3)))
    opened = Database(place)
    assert await people_count(opened) == 0
    await opened.close()


@pytest.mark.parametrize("place", ["mysql://hub@db/hub", "mssql://db"])
def test_another_kind_of_database_is_refused_in_words(place: str) -> None:
    with pytest.raises(InvalidDatabase, match="postgresql"):
        database_url(place)
