"""The catalog shows what is published, and never what is private."""

import re
import time
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from activities.policy import PolicyInForce
from cli import sample
from desk.hub import Hub
from models.base import digest_of
from models.content import Licence, Sla, Support, Tier
from models.images import ImageSource
from models.policy import HubPolicy, MailTerms
from models.products import ListingStatus, ProductSnapshot
from models.publishers import ApplicationStatus
from models.recording import ProductRecording
from models.tables import ListingRow, NoticeRow, SubscriptionRow
from store import contents, products, projection
from tests.parts.rows import MONDAY, RELEASE, Harbour, manifest
from web.rendering import prose

PICTURES = sample.files("Crane", HubPolicy())
ICON, SHOT = PICTURES["icon.png"], PICTURES["screenshot.png"]
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PAGE = "/products/harbour/crane"


async def publish(store: Hub, crane: Harbour, status: ListingStatus = ListingStatus.PUBLISHED, **changes: Any) -> None:
    """As its process records it; the source stands in the manifest."""
    content = manifest(**changes)
    async with store.database.transaction() as session:
        digest = await contents.save(session, content)
        await products.save_publication(
            session,
            submission=crane.submission,
            product=crane.product,
            release=RELEASE,
            content=digest,
            images=[
                {
                    "tier": "Free",
                    "reference": "hub.example/harbour/crane/free:1.0",
                    "digest": digest_of(b"index"),
                    "platforms": ["linux/amd64", "linux/arm64"],
                }
            ],
            at=MONDAY,
        )
        reason = "It opens port 23." if status in (ListingStatus.HOLD, ListingStatus.REVOKED) else ""
        snapshot = ProductSnapshot(
            id=crane.product, revision=5, status=status, release=RELEASE, content=digest, reason=reason
        )
        await projection.record_product(session, ProductRecording(snapshot=snapshot), "run", overwrite=True)


async def text_of(browser: httpx.AsyncClient, path: str, status: int = 200) -> str:
    answer = await browser.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


async def test_an_empty_catalog_says_so(browser: httpx.AsyncClient) -> None:
    assert "The catalog is empty" in await text_of(browser, "/")
    assert (await browser.get("/api/catalog")).json() == {"items": [], "total": 0, "page": 1, "size": 50}


async def test_a_product_is_shown_with_everything_that_customers_need(
    browser: httpx.AsyncClient, store: Hub, crane: Harbour
) -> None:
    await crane.application_records(5, ApplicationStatus.APPROVED)
    for picture in (ICON, SHOT):
        await store.blobs.put(picture)
    await publish(
        store,
        crane,
        icon=digest_of(ICON),
        screenshots=(digest_of(SHOT),),
        support=Support(link="https://harbour.example/support", email="help@harbour.example"),
        licences=(Licence(title="EULA", text="Be kind."), Licence(title="MIT", url="https://harbour.example/mit")),
        tiers=(
            Tier(
                name="Standard",
                description="With everything",
                installation="Run `crane`.",
                price={"amount": "49.00", "currency": "EUR", "period": "month"},
                source=ImageSource(repository="registry.example/private/crane", tags=("1.0",)),
                sla=Sla(hours="24x7", time_zone="Europe/Berlin", first_response_hours=4),
            ),
        ),
    )
    page = await text_of(browser, PAGE)
    for shown in (
        "Crane",
        "Harbour",
        "✓ verified",
        "Lifts things.",
        "databases",
        "lifting",
        f"docker pull hub.example/harbour/crane/free:1.0@{digest_of(b'index')}",
        "linux/amd64, linux/arm64",
        "49.00 EUR per month",
        "Support 24x7 (Europe/Berlin), first response within 4 hours",
        "<code>crane</code>",
        "https://harbour.example/support",
        "help@harbour.example",
        "Be kind.",
        "https://harbour.example/mit",
        "Lifts more.",
        f"{PAGE}/pictures/{digest_of(ICON)}",
        f"{PAGE}/pictures/{digest_of(SHOT)}",
    ):
        assert shown in page, shown
    assert f"{PAGE}/pictures/{digest_of(ICON)}" in await text_of(browser, "/catalog")


async def test_neither_page_nor_api_ever_name_the_source_or_what_the_scan_found(
    browser: httpx.AsyncClient, store: Hub, crane: Harbour
) -> None:
    await publish(store, crane)
    for path in ("/", PAGE, "/api/catalog", "/api/catalog/harbour/crane"):
        text = (await browser.get(path)).text
        assert "Crane" in text
        for private in ("registry.example", "private/crane", '"source"', "vulnerabilit", "finding", crane.member):
            assert private not in text, (path, private)


async def test_search_needs_all_words_and_pages_go_on(browser: httpx.AsyncClient, store: Hub, crane: Harbour) -> None:
    await publish(store, crane)
    for found in ("crane", "LIFTS crane", "harbour", "lifting"):
        assert PAGE in await text_of(browser, f"/catalog?q={found}")
    page = await text_of(browser, "/catalog?q=crane+boat")
    assert "Nothing in the catalog fits" in page
    assert PAGE in await text_of(browser, "/catalog?category=databases")
    assert PAGE not in await text_of(browser, "/catalog?category=storage")
    assert "There is no page 7" in await text_of(browser, "/catalog?p=7", 404)
    found = (await browser.get("/api/catalog", params={"q": "crane", "size": 1})).json()
    assert (found["total"], found["items"][0]["slug"]) == (1, "crane")


async def test_a_long_catalog_has_pages(browser: httpx.AsyncClient, store: Hub, crane: Harbour) -> None:
    await publish(store, crane)
    async with store.database.transaction() as session:
        for number in range(30):
            name = f"Crane {number}"
            product = await products.find_or_create(session, crane.publisher, f"crane-{number}", name, MONDAY)
            snapshot = ProductSnapshot(
                id=product.id,
                revision=1,
                status=ListingStatus.PUBLISHED,
                content=await contents.save(session, manifest(name)),
            )
            await projection.record_product(session, ProductRecording(snapshot=snapshot), "run")
    first, second = await text_of(browser, "/catalog?q=crane"), await text_of(browser, "/catalog?q=crane&p=2")
    assert "Page 1 of 2" in first
    assert 'href="/catalog?q=crane&amp;p=2"' in first
    assert 'href="/catalog?q=crane"' in second
    names = re.findall(r"<strong>(Crane[^<]*)</strong>", first + second)
    assert len(names) == len(set(names)) == 31


@pytest.mark.parametrize("query", ["\x00", "%", "_", "\ud800".encode("utf-8", "surrogatepass"), "<script>", "a" * 200])
async def test_any_search_is_answered(
    browser: httpx.AsyncClient, store: Hub, crane: Harbour, query: str | bytes
) -> None:
    await publish(store, crane)
    answer = await browser.get("/catalog", params={"q": query})
    assert answer.status_code == 200
    assert "<script>" not in answer.text
    assert PAGE not in answer.text


@pytest.mark.parametrize("asked", ["p=0", "p=x", "p=99999999", f"q={'a' * 201}"])
async def test_a_question_that_cannot_be_read_is_a_page_that_says_so(browser: httpx.AsyncClient, asked: str) -> None:
    page = await text_of(browser, f"/catalog?{asked}", 400)
    assert "That did not work" in page
    assert (await browser.get(f"/api/catalog?{asked.replace('p=', 'page=')}")).json()["error"] == "InvalidRequest"


async def test_a_held_product_wears_a_warning_and_can_be_pulled(
    browser: httpx.AsyncClient, store: Hub, crane: Harbour
) -> None:
    await publish(store, crane, ListingStatus.HOLD)
    page = await text_of(browser, PAGE)
    assert "On hold." in page
    assert "It opens port 23." in page
    assert "docker pull" in page
    assert "On hold" in await text_of(browser, "/")
    assert (await browser.get("/api/catalog/harbour/crane")).json()["warning"] == "It opens port 23."


async def test_a_revoked_product_leaves_a_tombstone_that_says_why(
    browser: httpx.AsyncClient, store: Hub, crane: Harbour
) -> None:
    await store.blobs.put(ICON)
    await publish(store, crane, ListingStatus.REVOKED, icon=digest_of(ICON))
    page = await text_of(browser, PAGE, 410)
    assert "Revoked." in page
    assert "It opens port 23." in page
    assert "docker pull" not in page
    assert "Lifts things." not in page
    assert PAGE not in await text_of(browser, "/")
    tombstone = await browser.get("/api/catalog/harbour/crane")
    assert tombstone.status_code == 410
    assert (tombstone.json()["manifest"], tombstone.json()["images"]) == ({}, [])
    assert (await browser.get(f"{PAGE}/pictures/{digest_of(ICON)}")).status_code == 404
    assert (await browser.post(f"{PAGE}/subscribe", data={"address": "a@b.example"})).status_code == 404


async def test_what_is_not_published_is_not_there(browser: httpx.AsyncClient, crane: Harbour) -> None:
    for path in (PAGE, "/products/no/where", "/products/%00/%ff"):
        assert "There is nothing here" in await text_of(browser, path, 404)
    assert (await browser.get("/api/catalog/harbour/crane")).json()["error"] == "NotFound"


async def test_only_pictures_of_the_page_are_served_and_only_as_what_they_are(
    browser: httpx.AsyncClient, store: Hub, crane: Harbour
) -> None:
    jpeg, webp, gif = b"\xff\xd8\xff\xe0rest", b"RIFF1234WEBPrest", b"GIF89arest"
    shots = [jpeg, webp, gif, SVG, b"RIFF1234WAVErest", b"<html><script>", b""]
    for content in (ICON, *shots):
        await store.blobs.put(content)
    private = await store.blobs.put(b"\x89PNG\r\nsomebody else's")
    await publish(store, crane, icon=digest_of(ICON), screenshots=tuple(digest_of(shot) for shot in shots))

    async def kind_of(digest: str) -> str | int:
        answer = await browser.get(f"{PAGE}/pictures/{digest}")
        return answer.headers["content-type"] if answer.status_code == 200 else answer.status_code

    assert await kind_of(digest_of(ICON)) == "image/png"
    kinds = [await kind_of(digest_of(shot)) for shot in shots]
    assert kinds == ["image/jpeg", "image/webp", "image/gif", 404, 404, 404, 404]
    for unknown in (private, crane.content, RELEASE, "x", "%00", "..%2f..%2fsecret.key"):
        assert await kind_of(unknown) == 404
    answer = await browser.get(f"{PAGE}/pictures/{digest_of(ICON)}")
    assert answer.content == ICON
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_a_subscription_is_asked_for_by_mail_and_the_answer_tells_nothing(
    browser: httpx.AsyncClient, store: Hub, crane: Harbour
) -> None:
    await publish(store, crane)
    assert 'action="/products/harbour/crane/subscribe"' in await text_of(browser, PAGE)
    answers = [await browser.post(f"{PAGE}/subscribe", data={"address": "Sam@Ship.example"}) for _ in range(2)]
    assert answers[0].text == answers[1].text
    assert "Look into your mailbox" in answers[0].text
    async with store.database.session() as session:
        [row] = (await session.exec(select(SubscriptionRow))).all()
        [notice] = [one for one in (await session.exec(select(NoticeRow))).all() if one.kind == "subscription_confirm"]
    assert (row.address, row.confirmed_at) == ("sam@ship.example", None)
    assert notice.address == "sam@ship.example"
    assert notice.queued_at - row.created_at < timedelta(minutes=1)
    for wrong in ({"address": "no address"}, {}, {"address": "a@b.example\r\nBcc: all@x.example"}):
        refused = await browser.post(f"{PAGE}/subscribe", data=wrong)
        assert refused.status_code == 400
        assert "That did not work" in refused.text


async def test_a_form_that_is_filled_in_too_often_says_when_to_try_again(
    browser: httpx.AsyncClient, store: Hub, crane: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(store, crane)
    policy = HubPolicy(mail=MailTerms(subscription_asks_an_hour=1))
    monkeypatch.setattr(PolicyInForce, "current", lambda _: policy)
    answers = [await browser.post(f"{PAGE}/subscribe", data={"address": f"s{n}@ship.example"}) for n in range(2)]
    assert [answer.status_code for answer in answers] == [200, 503]
    assert "try again in an hour" in answers[1].text


async def test_what_lies_in_a_folder_is_copied_and_not_pulled(
    browser: httpx.AsyncClient, store: Hub, crane: Harbour
) -> None:
    await publish(store, crane)
    assert f"docker pull hub.example/harbour/crane/free:1.0@{digest_of(b'index')}" in await text_of(browser, PAGE)
    async with store.database.transaction() as session:
        row = await session.get_one(ListingRow, crane.product)
        row.images = [{**row.images[0], "reference": "oci:/srv/hub/harbour/crane/free:1.0"}]
        session.add(row)
    shown = await text_of(browser, PAGE)
    assert "skopeo copy oci:/srv/hub/harbour/crane/free:1.0 docker-daemon:harbour/crane:1.0" in shown
    assert "docker pull" not in shown
    assert digest_of(b"index") in shown


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](&#106;avascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "![x](https://elsewhere.example/pixel.png)",
    "<a href='javascript:alert(1)' onclick='alert(1)' style='position:fixed'>x</a>",
    '<https://ok.example/"onmouseover=alert(1)>',
    "```html\n<script>alert(1)</script>\n```",
    "<iframe src=//elsewhere.example></iframe><form action=//elsewhere.example><input name=password>",
    "<!--><script>alert(1)</script>-->",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "# x {#id onclick=alert(1)}",
    "[x]: javascript:alert(1)\n[x]",
]
#: what a page must not have anywhere outside of its text
_LIVE = re.compile(r"<(?:script|img|iframe|form|input|style|svg|math|object|embed|link|meta|base)\b", re.IGNORECASE)
_ATTRIBUTES = re.compile(r"<[a-z0-9]+((?:\s+[a-z-]+=\"[^\"]*\")*)\s*/?>", re.IGNORECASE)


@pytest.mark.parametrize("text", HOSTILE)
def test_prose_of_a_publisher_is_harmless(text: str) -> None:
    written = str(prose(text))
    assert not _LIVE.search(written)
    for attributes in _ATTRIBUTES.findall(written):
        for name, value in re.findall(r"([a-z-]+)=\"([^\"]*)\"", attributes):
            assert name in ("href", "title", "rel")
            assert name != "href" or value.startswith(("https://", "http://", "mailto:"))


async def test_hostile_words_stay_words_wherever_they_stand(
    browser: httpx.AsyncClient, store: Hub, crane: Harbour
) -> None:
    evil = "<script>alert(1)</script>\"'>"
    await publish(
        store,
        crane,
        name=evil,
        short_description=evil,
        category=evil,
        search_tags=(evil,),
        long_description=evil,
        release_notes=evil,
        documentation=f"javascript:{evil}",
        support=Support(link=evil, email=evil, website=evil, self_help=evil),
        tiers=(Tier(name=evil, description=evil, installation=evil),),
        licences=(Licence(title=evil, text=evil), Licence(title=evil, url=evil)),
    )
    for path in ("/", PAGE, f"/catalog?q={evil}&category={evil}"):
        page = (await browser.get(path)).text
        assert "<script" not in page
        assert "<h1>" in page


def test_headings_of_a_text_stand_below_those_of_the_page() -> None:
    assert [f"h{n}" for n in re.findall(r"<h(\d)>", prose("# a\n## b\n### c\n###### d"))] == ["h3", "h3", "h4", "h6"]
    assert "<table>" in prose("|a|b|\n|-|-|\n|1|2|")


@pytest.mark.parametrize(
    "text", ["[" * 50_000, "*a_" * 16_000, ">" * 50_000, "`" * 50_000, "![](" * 12_000, "|a" * 20_000]
)
def test_a_text_that_is_hard_to_read_takes_no_time(text: str) -> None:
    begin = time.monotonic()
    prose(text)
    assert time.monotonic() - begin < 10
