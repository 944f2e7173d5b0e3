"""Products and what the public sees of them."""

import asyncio

import pytest

from models.errors import NotAllowed, NotFound
from models.products import ListingStatus, ProductSnapshot
from models.publishers import ApplicationStatus
from models.recording import Entry, ProductRecording
from store import contents, listings, people, products, projection, publishers
from store.database import Database
from tests.parts.rows import MONDAY, PROFILE, RELEASE, Harbour, harbour, manifest

IMAGES = [
    {"tier": "Free", "reference": "hub/harbour/crane/free:1.0", "digest": "sha256:d", "platforms": ["linux/amd64"]}
]


async def publishes(house: Harbour, revision: int = 2) -> None:
    async with house.database.transaction() as session:
        await products.save_publication(
            session,
            submission=house.submission,
            product=house.product,
            release=RELEASE,
            content=house.content,
            images=IMAGES,
            at=MONDAY,
        )
    await house.product_records(revision, ListingStatus.PUBLISHED, Entry(event="published", at=MONDAY))


async def test_nothing_is_shown_before_the_first_publication(database: Database) -> None:
    house = await harbour(database)
    await house.product_records(1, ListingStatus.UNPUBLISHED)
    async with database.session() as session:
        assert (await listings.search(session)).total == 0
        with pytest.raises(NotFound):
            await listings.get(session, "harbour", "crane")


async def test_the_catalog_never_tells_a_source_repository(database: Database) -> None:
    house = await harbour(database)
    await publishes(house)
    async with database.session() as session:
        page = await listings.get(session, "harbour", "crane")
        found = await listings.search(session, "crane")
    assert page.images == tuple(IMAGES)
    assert "registry.example" not in page.model_dump_json() + found.model_dump_json()


@pytest.mark.parametrize(
    ("words", "total"),
    [
        ("", 2),
        ("CRANE", 1),
        ("lifts", 2),
        ("lifting winch", 1),
        ("pier", 1),
        ("%", 0),
        ("_", 0),
        ("crane' OR 1=1 --", 0),
        ("\x00", 0),
        ("crane\x00", 0),
        ("\ud800", 0),
        ("ship", 0),
    ],
)
async def test_the_catalog_is_searched_by_all_the_words(database: Database, words: str, total: int) -> None:
    await publishes(await harbour(database))
    await publishes(await harbour(database, slug="pier", name="Winch"))
    async with database.session() as session:
        assert (await listings.search(session, words)).total == total


async def test_the_catalog_is_filtered_by_category_and_read_by_pages(database: Database) -> None:
    await publishes(await harbour(database))
    await publishes(await harbour(database, slug="pier", name="Winch"))
    async with database.session() as session:
        for category in ("security", "\x00", "databases\x00", "\ud800"):
            assert (await listings.search(session, category=category)).total == 0
        second = await listings.search(session, category="databases", page=2, size=1)
    assert (second.total, [item.name for item in second.items]) == (2, ["Winch"])


async def test_a_hold_shows_a_warning_and_a_revocation_leaves_a_tombstone(database: Database) -> None:
    house = await harbour(database)
    await publishes(house)
    await house.product_records(3, ListingStatus.HOLD, reason="a critical hole")
    async with database.session() as session:
        [held] = (await listings.search(session)).items
    assert (held.warning, len(held.images)) == ("a critical hole", 1)
    await house.product_records(4, ListingStatus.REVOKED, reason="nobody mended it")
    async with database.session() as session:
        assert (await listings.search(session)).total == 0
        tombstone = await listings.get(session, "harbour", "crane")
    assert (tombstone.warning, tombstone.images, tombstone.manifest) == ("nobody mended it", (), {})
    assert tombstone.published_at == MONDAY


async def test_a_product_is_found_by_its_slug_and_made_once(database: Database) -> None:
    house, other = await harbour(database), await harbour(database, slug="pier")
    async with database.transaction() as session:
        again = await products.find_or_create(session, house.publisher, "crane", "Another name", MONDAY)
        assert again.id == house.product
        assert again.name == "Crane"
        assert (await products.by_slug(session, "pier", "crane")).id == other.product
        assert await products.next_number(session, house.product) == 2
        with pytest.raises(NotAllowed):
            await products.find_or_create(session, other.publisher, "winch", "Winch", MONDAY, id=house.product)
        with pytest.raises(NotFound):
            await products.by_slug(session, "pier", "winch")
        assert [item.id for item in (await products.listed(session, publisher=other.publisher)).items] == [
            other.product
        ]
        assert (await products.listed(session)).total == 2


async def test_a_publication_is_saved_once_and_its_first_time_counts(database: Database) -> None:
    house = await harbour(database)
    await publishes(house)
    async with database.transaction() as session:
        await products.save_publication(
            session,
            submission=house.submission,
            product=house.product,
            release=RELEASE,
            content=house.content,
            images=[*IMAGES, *IMAGES],
            at=MONDAY.replace(year=2027),
        )
        await products.withdrawn(session, house.product, RELEASE, MONDAY)
    async with database.session() as session:
        row = await products.publication_of(session, house.submission)
        assert row is not None
        assert (row.published_at, len(row.images), row.withdrawn_at) == (MONDAY, 2, MONDAY)
        assert len(await products.images_of_release(session, house.product, RELEASE)) == 2
        assert await products.images_of_release(session, house.product, "sha256:other") == []


async def test_a_listing_edit_renames_the_product_and_keeps_its_images(database: Database) -> None:
    house = await harbour(database)
    await publishes(house)
    async with database.transaction() as session:
        renamed = await contents.save(session, manifest("Tower Crane"))
    edited = Harbour(database, house.publisher, house.product, "edit", renamed, "", "", "")
    await edited.product_records(3, ListingStatus.PUBLISHED)
    async with database.session() as session:
        page = await listings.get(session, "harbour", "crane")
    assert (page.name, page.images) == ("Tower Crane", tuple(IMAGES))


async def test_products_are_found_by_the_new_name_of_their_publisher(database: Database) -> None:
    house = await harbour(database)
    await publishes(house)
    async with database.transaction() as session:
        profile = await contents.save(session, PROFILE.model_copy(update={"legal_name": "Ocean Terminals"}))
    await house.application_records(9, ApplicationStatus.APPROVED, profile=profile)
    async with database.session() as session:
        [found] = (await listings.search(session, "ocean crane")).items
        assert (found.publisher_name, found.verified) == ("Ocean Terminals", True)
        assert (await listings.search(session, "harbour")).total == 0


async def renames(house: Harbour, name: str) -> None:
    async with house.database.transaction() as session:
        digest = await contents.save(session, PROFILE.model_copy(update={"legal_name": name}))
    await house.application_records(3, ApplicationStatus.APPROVED, profile=digest)


async def found_by(database: Database, words: str) -> int:
    async with database.session() as session:
        return (await listings.search(session, words)).total


async def test_a_publisher_that_is_renamed_while_its_first_product_is_listed_is_found_by_the_new_name(
    database: Database,
) -> None:
    house = await harbour(database)
    snapshot = ProductSnapshot(
        id=house.product,
        revision=2,
        status=ListingStatus.PUBLISHED,
        release=RELEASE,
        content=house.content,
        submission=house.submission,
    )
    async with database.transaction() as session:
        await projection.record_product(session, ProductRecording(snapshot=snapshot), "run-1")
        renaming = asyncio.create_task(renames(house, "Quay Works"))
        # it either waits for the listing, or is over before the listing is there
        await asyncio.wait([renaming], timeout=0.5)
    await renaming
    assert (await found_by(database, "quay"), await found_by(database, "harbour")) == (1, 0)


async def test_applicants_of_one_name_who_come_at_once_get_a_slug_each(database: Database, database_url: str) -> None:
    second = Database(database_url)

    async def applies(place: Database, number: int) -> str:
        async with place.transaction() as session:
            person = await people.find_or_create(session, f"pat{number}@quay.example", at=MONDAY)
            return (await publishers.apply(session, PROFILE, person.id, MONDAY)).slug

    try:
        slugs = await asyncio.gather(*(applies((database, second)[number % 2], number) for number in range(6)))
    finally:
        await second.close()
    assert sorted(slugs) == ["harbour-works", *(f"harbour-works-{number}" for number in range(2, 7))]
