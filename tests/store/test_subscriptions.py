"""Subscriptions to a product: asked for twice, ended at once."""

import asyncio
from datetime import datetime, timedelta

import pytest

from models.errors import InvalidManifest, NotFound, ToolFailed
from models.findings import Level
from models.notices import NoticeKind
from models.policy import MailTerms
from models.products import ListingStatus
from models.recording import Entry
from models.tables import NoticeStatus
from store import outbox, subscriptions
from store.database import Database
from store.recipients import Circle
from tests.parts.rows import MONDAY, harbour
from tests.store.mails import addresses, examined, finding, made, only, published, token_in


async def test_nothing_is_sent_to_a_subscriber_who_has_not_confirmed(database: Database) -> None:
    house = await harbour(database)
    await published(house)
    for _ in range(3):
        async with database.transaction() as session:
            await subscriptions.subscribe(session, house.product, " Ann@Example.org ", MONDAY)
    [(asked, address, _)] = await made(database, NoticeKind.SUBSCRIPTION_CONFIRM)
    assert address == "ann@example.org"
    circle = Circle(publisher=house.publisher, product=house.product)
    assert await addresses(database, NoticeKind.RELEASE_PUBLISHED, circle) == []
    async with database.transaction() as session:
        await subscriptions.confirm(session, token_in(asked), MONDAY)
        assert await subscriptions.count(session, house.product) == 1
    assert await addresses(database, NoticeKind.RELEASE_PUBLISHED, circle) == ["ann@example.org"]


async def test_a_release_mail_has_the_release_notes_and_nothing_of_the_review(database: Database) -> None:
    house = await harbour(database)
    await published(house)
    async with database.transaction() as session:
        row = await subscriptions.subscribe(session, house.product, "ann@example.org", MONDAY)
        row.confirmed_at = MONDAY
        session.add(row)
    await examined(house, [finding("secret", Level.REQUIREMENT)])
    entry = Entry(event="published", at=MONDAY, text=house.submission, notices=(NoticeKind.RELEASE_PUBLISHED,))
    await house.product_records(6, ListingStatus.PUBLISHED, entry)
    notice = await only(database, NoticeKind.RELEASE_PUBLISHED)
    assert notice.text == "Lifts more."
    assert (notice.submission, notice.findings, notice.changes, notice.actor_name) == ("", (), (), "")
    assert [link.url for link in notice.links] == ["https://hub.example/products/harbour/crane"]
    assert notice.unsubscribe_url == f"https://hub.example/unsubscribe/{row.token}"


async def test_unsubscribing_ends_it_at_once_and_twice_is_once(database: Database) -> None:
    house = await harbour(database)
    await published(house)
    async with database.transaction() as session:
        row = await subscriptions.subscribe(session, house.product, "ann@example.org", MONDAY)
    async with database.transaction() as session:
        assert await subscriptions.unsubscribe(session, row.token) is True
    async with database.transaction() as session:
        assert await subscriptions.unsubscribe(session, row.token) is False
    async with database.session() as session:
        queued = await outbox.deliveries(session, status=NoticeStatus.QUEUED)
    assert "ann@example.org" not in {delivery.address for delivery in queued.items}


@pytest.mark.parametrize("address", ["", "ann", "ann@", "ann@example.org\nBcc: all@example.org", "ann@exa mple.org"])
async def test_an_address_that_is_none_is_refused_with_the_reason(database: Database, address: str) -> None:
    house = await harbour(database)
    await published(house)
    async with database.transaction() as session:
        with pytest.raises(InvalidManifest):
            await subscriptions.subscribe(session, house.product, address, MONDAY)


async def test_only_what_is_in_the_catalog_can_be_subscribed_to(database: Database) -> None:
    house = await harbour(database)
    async with database.transaction() as session:
        with pytest.raises(NotFound):
            await subscriptions.subscribe(session, house.product, "ann@example.org", MONDAY)


async def test_many_who_subscribe_at_once_with_one_address_are_one(database: Database) -> None:
    house = await harbour(database)
    await published(house)
    await asyncio.gather(
        *(
            database.write(lambda session: subscriptions.subscribe(session, house.product, "a@example.org", MONDAY))
            for _ in range(5)
        )
    )
    assert len(await made(database, NoticeKind.SUBSCRIPTION_CONFIRM)) == 1


async def catalog(database: Database, *names: str) -> list[str]:
    """Ids of published products."""
    houses = [await harbour(database, slug=name) for name in names]
    for house in houses:
        await published(house)
    return [house.product for house in houses]


async def asks(database: Database, product: str, address: str, at: datetime = MONDAY, **terms: int) -> None:
    async with database.transaction() as session:
        await subscriptions.subscribe(session, product, address, at, MailTerms(**terms))


async def asked(database: Database) -> list[str]:
    """Addresses that were asked whether they want mails."""
    return sorted(address for _, address, _ in await made(database, NoticeKind.SUBSCRIPTION_CONFIRM))


async def test_nobody_fills_the_mailbox_of_another(database: Database) -> None:
    products = await catalog(database, "pier", "quay", "dock", "lock")
    for number, product in enumerate(products):
        await asks(database, product, "ann@example.org", subscription_asks_a_day=2)
        await asks(database, product, f"ann+{number}@example.org", subscription_asks_a_day=2)
    await asks(database, products[0], "anna@example.org", subscription_asks_a_day=2)
    assert await asked(database) == ["ann+0@example.org", "ann@example.org", "anna@example.org"]
    # on another day again; whoever has confirmed is not asked, and does not count
    await asks(database, products[3], "ann@example.org", MONDAY + timedelta(days=2), subscription_asks_a_day=2)
    assert (await asked(database)).count("ann@example.org") == 2


async def test_the_hub_asks_no_more_addresses_in_an_hour_than_its_policy_says(database: Database) -> None:
    [product] = await catalog(database, "pier")
    for number in range(3):
        await asks(database, product, f"ann{number}@example.org", subscription_asks_an_hour=3)
    with pytest.raises(ToolFailed, match="in an hour"):
        await asks(database, product, "late@example.org", subscription_asks_an_hour=3)
    # asked already today: nothing is sent, and nothing is told
    await asks(database, product, "ann0@example.org", subscription_asks_an_hour=3)
    await asks(database, product, "late@example.org", MONDAY + timedelta(hours=2), subscription_asks_an_hour=3)
    assert await asked(database) == ["ann0@example.org", "ann1@example.org", "ann2@example.org", "late@example.org"]
