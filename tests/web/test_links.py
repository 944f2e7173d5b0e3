"""Links in mails: opening one decides nothing, whoever opens it; only the button does."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel import select

from desk import members
from desk.hub import Hub
from models import pages
from models.publishers import ApplicationStatus
from models.tables import NoticeRow, PersonRow, SubscriptionRow, TokenRow
from settings import Settings
from store import publishers, subscriptions, tokens
from tests.desk.hubs import Applicant, applied, eventually, verified
from tests.parts.presence import needs
from tests.parts.rows import MONDAY, Harbour
from tests.web.conftest import browsing
from tests.web.test_catalog import publish
from web.app import make_app


async def confirmation(hub: Hub, person: str, *, at: datetime | None = None) -> str:
    """The path of a mailed link."""
    async with hub.database.transaction() as session:
        return pages.confirm_email_page(await tokens.new_confirmation(session, person, at or datetime.now(UTC)))


async def subscription(store: Hub, crane: Harbour) -> tuple[SubscriptionRow, str]:
    """An unconfirmed one, and the path of its mailed link."""
    await publish(store, crane)
    async with store.database.transaction() as session:
        row = await subscriptions.subscribe(session, crane.product, "sam@ship.example", MONDAY)
        token = await tokens.new(session, tokens.SUBSCRIPTION, row.id, datetime.now(UTC))
    return row, pages.confirm_subscription_page(token)


async def everything(store: Hub) -> list[str]:
    """Whatever a link could have changed."""
    async with store.database.session() as session:
        rows = [
            row.model_dump_json()
            for table in (TokenRow, PersonRow, SubscriptionRow, NoticeRow)
            for row in (await session.exec(select(table))).all()
        ]
    return sorted(rows)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("headers", [{}, {"Sec-Purpose": "prefetch"}, {"Purpose": "prefetch"}])
async def test_opening_a_link_changes_nothing(
    browser: httpx.AsyncClient, store: Hub, crane: Harbour, method: str, headers: dict[str, str]
) -> None:
    row, subscribe = await subscription(store, crane)
    paths = [await confirmation(store, crane.member), subscribe, pages.unsubscribe_page(row.token)]
    before = await everything(store)
    for path in paths:
        answer = await browser.request(method, path, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-robots-tag"] == "noindex"
        if method == "GET":
            assert '<form method="post"><button type="submit">' in answer.text
        else:
            assert (answer.content, int(answer.headers["content-length"]) > 500) == (b"", True)
    assert await everything(store) == before


@pytest.mark.parametrize("page", [pages.confirm_email_page, pages.confirm_subscription_page])
@pytest.mark.parametrize("token", ["nothing", "%00", "x" * 5000])
async def test_a_link_that_is_not_known_is_not_found(browser: httpx.AsyncClient, page: object, token: str) -> None:
    assert callable(page)
    for method in ("GET", "POST"):
        answer = await browser.request(method, page(token))
        assert answer.status_code == 404
        assert "was it copied whole?" in answer.text


async def test_a_link_of_one_kind_opens_no_other(browser: httpx.AsyncClient, store: Hub, crane: Harbour) -> None:
    _, subscribe = await subscription(store, crane)
    email = await confirmation(store, crane.member)
    assert (await browser.post(subscribe.replace("/subscribe/", "/confirm/"))).status_code == 404
    assert (await browser.post(email.replace("/confirm/", "/subscribe/"))).status_code == 404


async def test_a_subscription_begins_with_the_button_and_ends_with_one_click(
    browser: httpx.AsyncClient, store: Hub, crane: Harbour
) -> None:
    row, subscribe = await subscription(store, crane)
    for _ in range(2):
        assert "Subscribed" in (await browser.post(subscribe)).text
    async with store.database.session() as session:
        assert await subscriptions.count(session, crane.product) == 1
    # RFC 8058: what a mail program posts by itself, without a cookie, a referrer or a page before
    ended = await browser.post(pages.unsubscribe_page(row.token), data={"List-Unsubscribe": "One-Click"})
    assert ended.status_code == 200
    async with store.database.session() as session:
        assert (await session.exec(select(SubscriptionRow))).all() == []
    for method in ("GET", "POST"):
        again = await browser.request(method, pages.unsubscribe_page(row.token))
        assert (again.status_code, "Unsubscribed" in again.text) == (200, True)
    assert "subscribe again" in (await browser.post(subscribe)).text


async def test_an_expired_link_sends_a_new_one_once_a_day(
    browser: httpx.AsyncClient, store: Hub, crane: Harbour
) -> None:
    async with store.database.transaction() as session:
        person = await session.get_one(PersonRow, crane.member)
        person.email_confirmed_at = None
        session.add(person)
    await crane.application_records(1, ApplicationStatus.UNCONFIRMED)
    old = await confirmation(store, crane.member, at=datetime.now(UTC) - timedelta(days=30))
    assert (await browser.get(old)).status_code == 200
    first = await browser.post(old)
    assert first.status_code == 409
    assert "A new one is on its way" in first.text
    second = await browser.post(old)
    assert "expired" in second.text
    async with store.database.session() as session:
        mails = [row for row in (await session.exec(select(NoticeRow))).all() if row.kind == "confirm_email"]
        assert not (await session.get_one(PersonRow, crane.member)).email_confirmed_at
    assert [mail.recipient for mail in mails] == [crane.member]


async def test_while_the_hub_is_away_the_button_stays(browser: httpx.AsyncClient, store: Hub, crane: Harbour) -> None:
    link = await confirmation(store, crane.member)
    answer = await browser.post(link)
    assert answer.status_code == 503
    assert "Try again" in answer.text
    assert '<form method="post">' in answer.text


@pytest.mark.system
@needs("temporal")
async def test_the_button_confirms_the_address_and_tells_the_process(hub: Hub, settings: Settings) -> None:
    publisher: Applicant = await applied(hub)
    link = await confirmation(hub, publisher.person)
    app: FastAPI = make_app(settings)
    async with app.router.lifespan_context(app), browsing(app) as browser:
        for _ in range(2):
            answer = await browser.post(link)
            assert answer.status_code == 200
            assert f"{publisher.email} is confirmed" in answer.text
        assert (await browser.get("/api/health")).json() == {"status": "up", "database": "up", "temporal": "up"}

    async def status() -> bool:
        async with hub.database.session() as session:
            return (await publishers.get(session, publisher.publisher)).status is ApplicationStatus.SUBMITTED

    assert await eventually(status)


@pytest.mark.system
@needs("temporal")
async def test_a_new_member_confirms_an_address_and_nothing_is_reviewed(hub: Hub, settings: Settings) -> None:
    publisher = await verified(hub)
    async with hub.database.transaction() as session:
        joined = await members.add(
            session, publisher.publisher, publisher.person, f"quinn@{publisher.slug}.example", now=datetime.now(UTC)
        )
    app: FastAPI = make_app(settings)
    async with app.router.lifespan_context(app), browsing(app) as browser:
        answer = await browser.post(await confirmation(hub, joined.person))
    assert (answer.status_code, "come to it from now on" in answer.text) == (200, True)


async def test_private_pages_say_how_to_see_them_and_nothing_else(browser: httpx.AsyncClient, crane: Harbour) -> None:
    submission = await browser.get(pages.submission_page(crane.submission))
    assert f"wharfinger status {crane.submission}" in submission.text
    assert "Crane" not in submission.text
    publisher = await browser.get(pages.publisher_page("<script>"))
    assert "wharfinger publisher show &lt;script&gt;" in publisher.text
