"""The minimal pages of the journey: confirming an address, unsubscribing, the catalog and a product's page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.templating import Jinja2Templates
from markdown_it import MarkdownIt
from markupsafe import Markup
from nh3 import clean

from desk import publishers as publishers_desk
from desk.hub import Hub, open_hub
from models import pages
from models.commands import ConfirmEmail
from models.errors import NotAllowed, NotFound, ToolFailed, WharfingerError
from settings import Settings
from store import listings, people, subscriptions, tokens
from store.views import ListingView, Page

_TEMPLATES = Jinja2Templates(Path(__file__).with_name("templates"))
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "linkify": False})
#: pictures are checked by the rules before they are shown, and sniffing is off
_PICTURES = ((b"\x89PNG", "image/png"), (b"\xff\xd8", "image/jpeg"), (b"RIFF", "image/webp"), (b"GIF8", "image/gif"))
_STATUS = {NotFound: 404, NotAllowed: 409, ToolFailed: 503}


def make_app(settings: Settings) -> FastAPI:
    """The application; it connects to the hub when it starts serving."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_hub(settings) as hub:
            app.state.hub = hub
            yield

    app = FastAPI(title=settings.hub_name, lifespan=lifespan, docs_url="/api/docs", redoc_url=None)
    app.state.settings = settings
    app.middleware("http")(_guarded)
    app.exception_handler(WharfingerError)(_refused)
    _add_catalog(app)
    _add_links(app)
    return app


async def _guarded(request: Request, call: Any) -> Response:
    """No page of ours is framed, sniffed, or runs a script."""
    response: Response = await call(request)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    if not request.url.path.startswith("/api/docs"):
        response.headers.setdefault(
            "Content-Security-Policy",
            "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'",
        )
    return response


async def _refused(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 400)
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": type(error).__name__, "message": str(error)}, status)
    return page(request, "message.html", status=status, title="That did not work", text=str(error))


def page(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    return _TEMPLATES.TemplateResponse(
        request, template, {"hub": request.app.state.settings.hub_name, **context}, status_code=status
    )


def _hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


def _add_catalog(app: FastAPI) -> None:
    @app.get("/api/health")
    async def health() -> dict[str, str]:
        """Whether the pages are up."""
        return {"status": "up"}

    @app.get("/api/catalog")
    async def catalog(
        request: Request,
        q: str = Query("", max_length=200),
        category: str = Query("", max_length=80),
        page: int = Query(1, ge=1, le=10_000),
        size: int = Query(50, ge=1, le=200),
    ) -> Page[ListingView]:
        """Published products that contain all the words of `q`, by name."""
        async with _hub(request).database.session() as session:
            return await listings.search(session, q, category=category, page=page, size=size)

    @app.get("/api/catalog/{publisher}/{product}")
    async def listing(request: Request, publisher: str, product: str) -> ListingView:
        """One product; a revoked one's tombstone says why."""
        async with _hub(request).database.session() as session:
            return await listings.get(session, publisher, product)

    @app.get("/", response_class=HTMLResponse)
    @app.get("/catalog", response_class=HTMLResponse)
    async def front(
        request: Request, q: str = Query("", max_length=200), p: int = Query(1, ge=1, le=10_000)
    ) -> HTMLResponse:
        async with _hub(request).database.session() as session:
            found = await listings.search(session, q, page=p)
        return page(request, "catalog.html", found=found, q=q)

    @app.get(pages.product_page("{publisher}", "{product}"), response_class=HTMLResponse)
    async def product_page(request: Request, publisher: str, product: str) -> HTMLResponse:
        async with _hub(request).database.session() as session:
            found = await listings.get(session, publisher, product)
        return page(request, "product.html", status=410 if not found.manifest else 200, product=found, prose=prose)

    @app.get(pages.submission_page("{submission}"), response_class=HTMLResponse)
    async def submission_page(request: Request, submission: str) -> HTMLResponse:
        """Mails link to it. Without sign-in it says nothing that is private: the command line does."""
        return page(
            request,
            "message.html",
            title="Submission",
            text=f"Reports and decisions are private. See them with: wharfinger status {submission}",
        )

    @app.get(pages.publisher_page("{publisher}"), response_class=HTMLResponse)
    async def publisher_page(request: Request, publisher: str) -> HTMLResponse:
        """As a submission's page."""
        return page(
            request,
            "message.html",
            title="Application",
            text=f"Applications are private. See them with: wharfinger publisher show {publisher}",
        )

    @app.get("/pictures/{digest}")
    async def picture(request: Request, digest: str) -> Response:
        """An icon or screenshot that the catalog shows; nothing else in the store is public."""
        hub = _hub(request)
        async with hub.database.session() as session:
            if not await listings.blob_is_public(session, digest):
                raise NotFound("There is no such picture.")
        content = await hub.blobs.get(digest)
        kind = next((kind for start, kind in _PICTURES if content.startswith(start)), "application/octet-stream")
        return Response(content, media_type=kind, headers={"Cache-Control": "public, max-age=31536000, immutable"})


def prose(text: str) -> Markup:
    """A publisher's Markdown as harmless HTML."""
    # nh3 is a whitelist: what it lets through is markup without scripts, styles or foreign pictures
    return Markup(clean(_MARKDOWN.render(text), tags=_TAGS, url_schemes={"https", "http", "mailto"}))  # noqa: S704


_TAGS = {
    *("p", "br", "hr", "em", "strong", "code", "pre", "blockquote", "ul", "ol", "li"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "a", "table", "thead", "tbody", "tr", "th", "td"),
}


def _add_links(app: FastAPI) -> None:
    """Mail scanners follow links: a link shows a page, and only the button on it does something."""

    @app.get(pages.confirm_email_page("{token}"), response_class=HTMLResponse)
    async def ask_to_confirm(request: Request, token: str) -> HTMLResponse:
        async with _hub(request).database.session() as session:
            person = await tokens.look(session, token)
        return page(
            request,
            "button.html",
            title="Confirm your email address",
            text=f"{person.email} will receive everything about your publisher's submissions.",
            button="Confirm the address",
        )

    @app.post(pages.confirm_email_page("{token}"), response_class=HTMLResponse)
    async def confirm(request: Request, token: str) -> HTMLResponse:
        hub = _hub(request)
        try:
            async with hub.database.transaction() as session:
                person = await tokens.confirm(session, token, datetime.now(UTC))
                own = await people.publishers_of(session, person.id)
        except NotAllowed as expired:
            async with hub.database.transaction() as session:
                again = await tokens.mail_again(session, token, datetime.now(UTC))
            raise NotAllowed(f"{expired}{' A new one is on its way.' if again else ''}") from expired
        for publisher in own:
            command = ConfirmEmail(id=f"confirm-email-{person.id}", actor=person.id)
            try:
                await publishers_desk.decide(hub, publisher, command)
            except NotAllowed:
                continue  # confirmed before: the address counts for every publisher of this person
        return page(
            request,
            "message.html",
            title="Thank you",
            text=f"{person.email} is confirmed. A moderator reviews the application next; you will get a mail.",
        )

    @app.get(pages.confirm_subscription_page("{token}"), response_class=HTMLResponse)
    async def ask_subscription(request: Request, token: str) -> HTMLResponse:
        return page(
            request,
            "button.html",
            title="Confirm your subscription",
            text="You will get a mail for every new release of this product.",
            button="Subscribe",
        )

    @app.post(pages.confirm_subscription_page("{token}"), response_class=HTMLResponse)
    async def confirm_subscription(request: Request, token: str) -> HTMLResponse:
        async with _hub(request).database.transaction() as session:
            await subscriptions.confirm(session, token, datetime.now(UTC))
        return page(request, "message.html", title="Subscribed", text="Every mail has a link that ends it again.")

    @app.get(pages.unsubscribe_page("{token}"), response_class=HTMLResponse)
    async def ask_unsubscribe(request: Request, token: str) -> HTMLResponse:
        async with _hub(request).database.session() as session:
            known = await subscriptions.of_token(session, token)
        if known is None:
            return page(request, "message.html", title="Unsubscribed", text="This subscription has ended already.")
        return page(
            request,
            "button.html",
            title="Unsubscribe",
            text="No more mails about new releases of this product.",
            button="Unsubscribe",
        )

    @app.post(pages.unsubscribe_page("{token}"), response_class=HTMLResponse)
    async def unsubscribe(request: Request, token: str) -> HTMLResponse:
        """Also what a mail program's own button sends (RFC 8058): no page before, no question after."""
        async with _hub(request).database.transaction() as session:
            await subscriptions.unsubscribe(session, token)
        return page(request, "message.html", title="Unsubscribed", text="You will get no more of these mails.")
