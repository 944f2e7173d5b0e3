"""People: one person per address, roles that are looked up, and who gave them."""

from datetime import timedelta

import pytest

from models.addresses import slug_of
from models.errors import NotFound
from models.publishers import Role
from store import people, publishers
from store.database import Database
from tests.parts.rows import MONDAY, PROFILE, harbour, staff


async def test_one_address_is_one_person_however_it_is_spelt(database: Database) -> None:
    async with database.transaction() as session:
        first = await people.find_or_create(session, "Pat@Example.org ", "Pat", MONDAY)
        again = await people.find_or_create(session, " pat@example.ORG", "Somebody else", MONDAY)
        assert (again.id, again.name, again.email) == (first.id, "Pat", "pat@example.org")
        assert (await people.get(session, "PAT@example.org")).id == first.id
        assert (await people.get(session, first.id)).email == "pat@example.org"


@pytest.mark.parametrize("who", ["", "nobody", "no@body.example", "\x00", "' OR 1=1 --"])
async def test_somebody_unknown_is_not_found_and_has_no_roles(database: Database, who: str) -> None:
    await harbour(database)
    async with database.session() as session:
        with pytest.raises(NotFound):
            await people.get(session, who)
        assert (await people.standing_of(session, "nobody", "nothing")).roles == ()


async def test_roles_are_towards_one_publisher(database: Database) -> None:
    house, other = await harbour(database), await harbour(database, slug="pier")
    async with database.transaction() as session:
        await people.grant(session, house.member, Role.SECURITY, MONDAY)
        await people.grant(session, house.member, Role.REVIEWER, MONDAY)
    async with database.session() as session:
        here = await people.standing_of(session, house.member, house.publisher)
        there = await people.standing_of(session, house.member, other.publisher)
    assert here.roles == (Role.REVIEWER, Role.SECURITY, Role.PUBLISHER)
    assert there.roles == (Role.REVIEWER, Role.SECURITY)


async def test_who_gave_and_took_a_role_is_kept(database: Database) -> None:
    admin = await staff(database, "admin@hub.example", Role.ADMIN)
    mo = await staff(database, "mo@hub.example")
    later = MONDAY + timedelta(days=1)
    async with database.transaction() as session:
        assert await people.grant(session, mo.id, Role.MODERATOR, MONDAY, by=admin.id) is True
        assert await people.grant(session, mo.id, Role.MODERATOR, later, by=admin.id) is False
        assert await people.revoke(session, mo.id, Role.MODERATOR, later) is True
        assert await people.revoke(session, mo.id, Role.MODERATOR, later) is False
        assert [member.person.email for member in await people.staff(session)] == ["admin@hub.example"]
        assert await people.staff(session, Role.MODERATOR) == []
        changes = await people.staff_changes(session)
    assert [(change.role, change.granted, change.by) for change in changes] == [
        (Role.ADMIN, True, ""),
        (Role.MODERATOR, True, admin.id),
        (Role.MODERATOR, False, ""),
    ]


async def test_publisher_is_no_role_of_the_staff(database: Database) -> None:
    mo = await staff(database, "mo@hub.example")
    async with database.transaction() as session:
        with pytest.raises(ValueError, match="no staff role"):
            await people.grant(session, mo.id, Role.PUBLISHER, MONDAY)


async def test_an_address_that_was_confirmed_stays_confirmed_since_then(database: Database) -> None:
    mo = await staff(database, "mo@hub.example")
    for days in (0, 3):
        async with database.transaction() as session:
            await people.confirm_email(session, mo.id, MONDAY + timedelta(days=days))
    async with database.session() as session:
        assert (await people.get(session, mo.id)).email_confirmed_at == MONDAY


async def test_publishers_of_one_name_have_slugs_of_their_own(database: Database) -> None:
    pat = await staff(database, "pat@example.org")
    slugs = []
    for name in ("Grüne Wolke GmbH", "Grune Wolke GmbH", "grüne-wolke gmbh", "港口", "%_"):
        async with database.transaction() as session:
            profile = PROFILE.model_copy(update={"legal_name": name})
            slugs.append((await publishers.apply(session, profile, pat.id, MONDAY)).slug)
    assert slugs[:3] == ["grune-wolke-gmbh", "grune-wolke-gmbh-2", "grune-wolke-gmbh-3"]
    assert slugs[3:] == [slug_of("港口"), slug_of("%_")]
    async with database.session() as session:
        assert (await publishers.listed(session, size=2)).total == 5
        view = await publishers.view(session, slug_of("%_"))
        assert (view.name, view.members) == ("%_", ("pat@example.org",))


async def test_applying_twice_with_one_id_is_one_application(database: Database) -> None:
    pat = await staff(database, "pat@example.org")
    for _ in range(2):
        async with database.transaction() as session:
            row = await publishers.apply(session, PROFILE, pat.id, MONDAY, id="the-one")
            assert row.id == "the-one"
    async with database.session() as session:
        assert (await publishers.listed(session)).total == 1


async def test_who_leaves_a_publisher_speaks_for_it_no_more(database: Database) -> None:
    house = await harbour(database)
    async with database.transaction() as session:
        await people.leave(session, house.member, house.publisher)
        assert (await people.standing_of(session, house.member, house.publisher)).roles == ()
        assert await people.publishers_of(session, house.member) == []
