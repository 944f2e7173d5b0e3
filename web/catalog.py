"""The catalog: published products, searched and shown. Never a source repository, never a scan result."""

import math
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from models import pages
from models.errors import NotFound
from models.products import ListingStatus
from store import listings, subscriptions
from store.views import ListingView, Page
from web.rendering import hub_of, page, prose

router = APIRouter()

#: a picture is what its first bytes say; nothing else is served (an SVG runs scripts)
_PICTURES = ((b"\x89PNG\r\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
_ON_A_PAGE = 24


@router.get("/api/catalog")
async def catalog(
    request: Request,
    q: str = Query("", max_length=200),
    category: str = Query("", max_length=80),
    page: int = Query(1, ge=1, le=10_000),
    size: int = Query(50, ge=1, le=200),
) -> Page[ListingView]:
    """Published products that contain all the words of `q`, by name."""
    return await _found(request, q, category, page, size)


@router.get("/api/catalog/{publisher}/{product}")
async def listing(request: Request, response: Response, publisher: str, product: str) -> ListingView:
    """One product; a revoked one's tombstone (410) says why."""
    found = await _listing(request, publisher, product)
    if found.status is ListingStatus.REVOKED:
        response.status_code = 410
    return found


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
@router.get("/catalog", response_class=HTMLResponse, include_in_schema=False)
async def front(
    request: Request,
    q: str = Query("", max_length=200),
    category: str = Query("", max_length=80),
    p: int = Query(1, ge=1, le=10_000),
) -> HTMLResponse:
    """The catalog for people."""
    found = await _found(request, q, category, p, _ON_A_PAGE)
    last = max(1, math.ceil(found.total / found.size))

    def address(number: int) -> str:
        asked = {"q": q, "category": category, "p": str(number) if number > 1 else ""}
        return "/catalog?" + urlencode({name: value for name, value in asked.items() if value})

    return page(
        request,
        "catalog.html",
        status=200 if p <= last else 404,
        found=found,
        q=q,
        category=category,
        last=last,
        address=address,
    )


@router.get(pages.product_page("{publisher}", "{product}"), response_class=HTMLResponse, include_in_schema=False)
async def product_page(request: Request, publisher: str, product: str) -> HTMLResponse:
    """One product for people; a revoked one is gone, and its page says why."""
    found = await _listing(request, publisher, product)
    gone = found.status is ListingStatus.REVOKED
    return page(request, "gone.html" if gone else "product.html", 410 if gone else 200, product=found, prose=prose)


@router.get(pages.product_page("{publisher}", "{product}") + "/pictures/{digest}", include_in_schema=False)
async def picture(request: Request, publisher: str, product: str, digest: str) -> Response:
    """An icon or screenshot that the product's page shows; nothing else in the store is public."""
    shown = (await _listing(request, publisher, product)).manifest
    if not digest or digest not in (shown.get("icon"), *shown.get("screenshots", ())):
        raise NotFound("There is no such picture.")
    content = await hub_of(request).blobs.get(digest)
    kind = _kind_of(content)
    if kind is None:
        raise NotFound("There is no such picture.")
    return Response(content, media_type=kind, headers={"Cache-Control": "public, max-age=86400", "ETag": f'"{digest}"'})


@router.post(
    pages.product_page("{publisher}", "{product}") + "/subscribe", response_class=HTMLResponse, include_in_schema=False
)
async def subscribe(request: Request, publisher: str, product: str) -> HTMLResponse:
    """Asks the address whether it wants the product's mails. The answer never says who has subscribed already."""
    found = await _listing(request, publisher, product)
    form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
    address = form.get("address", [""])[0]
    hub = hub_of(request)
    async with hub.database.transaction() as session:
        await subscriptions.subscribe(session, found.product, address, datetime.now(UTC), hub.policy.current().mail)
    return page(
        request,
        "message.html",
        title="Look into your mailbox",
        text=f"A mail with a link is on its way. Mails about {found.name} begin when you confirm it.",
        back=pages.product_page(found.publisher_slug, found.slug),
    )


async def _found(request: Request, q: str, category: str, number: int, size: int) -> Page[ListingView]:
    async with hub_of(request).database.session() as session:
        return await listings.search(session, q, category=category, page=number, size=size)


async def _listing(request: Request, publisher: str, product: str) -> ListingView:
    async with hub_of(request).database.session() as session:
        return await listings.get(session, publisher, product)


def _kind_of(content: bytes) -> str | None:
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _PICTURES if content.startswith(start)), None)
