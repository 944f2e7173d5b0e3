"""What the links in mails lead to. Mail scanners follow links: a link shows a page, only the button on it does
something."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from desk import publishers
from models import pages
from models.commands import ConfirmEmail
from models.errors import NotAllowed, NotFound, ToolFailed
from store import people, subscriptions, tokens
from web.rendering import hub_of, page

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

#: an address with a token in it is nobody else's: not a cache's, not a search engine's
_PRIVATE = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}


def _private(request: Request, template: str, status: int = 200, **context: str) -> HTMLResponse:
    response = page(request, template, status=status, **context)
    response.headers.update(_PRIVATE)
    return response


@router.get(pages.confirm_email_page("{token}"))
async def ask_to_confirm(request: Request, token: str) -> HTMLResponse:
    """The button that confirms an email address."""
    async with hub_of(request).database.session() as session:
        person = await tokens.look(session, token)
    return _private(
        request,
        "button.html",
        title="Confirm your email address",
        text=f"{person.email} will receive everything about your publisher's submissions.",
        button="Confirm the address",
    )


@router.post(pages.confirm_email_page("{token}"))
async def confirm(request: Request, token: str) -> HTMLResponse:
    """Confirms it, and tells the publishers' processes. An expired link sends a new one."""
    hub, now = hub_of(request), datetime.now(UTC)
    try:
        async with hub.database.transaction() as session:
            person = await tokens.confirm(session, token, now)
            own = await people.publishers_of(session, person.id)
    except NotAllowed as expired:
        async with hub.database.transaction() as session:
            again = await tokens.mail_again(session, token, now)
        text = "A new one is on its way to you." if again else str(expired)
        return _private(request, "message.html", 409, title="This link has expired", text=text)
    next_ = "The mails about your publisher's submissions come to it from now on."
    for publisher in own:
        command = ConfirmEmail(id=f"confirm-email-{person.id}", actor=person.id)
        try:
            await publishers.decide(hub, publisher, command)
            next_ = "A moderator reviews the application next; you will get a mail."
        except (NotAllowed, NotFound):
            continue  # confirmed before: the address counts for every publisher of this person
        except ToolFailed:
            return _private(
                request,
                "button.html",
                503,
                title="Nearly done",
                text="The address is confirmed, but the hub is busy and has not heard of it. Try again in a minute.",
                button="Try again",
            )
    return _private(
        request,
        "message.html",
        title="Thank you",
        text=f"{person.email} is confirmed. {next_}",
    )


@router.get(pages.confirm_subscription_page("{token}"))
async def ask_subscription(request: Request, token: str) -> HTMLResponse:
    """The button that confirms a subscription."""
    async with hub_of(request).database.session() as session:
        await tokens.subject_of(session, tokens.SUBSCRIPTION, token)
    return _private(
        request,
        "button.html",
        title="Confirm your subscription",
        text="You will get a mail for every new release of this product.",
        button="Subscribe",
    )


@router.post(pages.confirm_subscription_page("{token}"))
async def confirm_subscription(request: Request, token: str) -> HTMLResponse:
    """Mails begin."""
    async with hub_of(request).database.transaction() as session:
        await subscriptions.confirm(session, token, datetime.now(UTC))
    return _private(request, "message.html", title="Subscribed", text="Every mail has a link that ends it again.")


@router.get(pages.unsubscribe_page("{token}"))
async def ask_unsubscribe(request: Request, token: str) -> HTMLResponse:
    """The button that ends a subscription."""
    async with hub_of(request).database.session() as session:
        known = await subscriptions.of_token(session, token)
    if known is None:
        return _private(request, "message.html", title="Unsubscribed", text="This subscription has ended already.")
    return _private(
        request,
        "button.html",
        title="Unsubscribe",
        text="No more mails about new releases of this product.",
        button="Unsubscribe",
    )


@router.post(pages.unsubscribe_page("{token}"))
async def unsubscribe(request: Request, token: str) -> HTMLResponse:
    """Also what a mail program's own button sends (RFC 8058): no page before, no question after."""
    async with hub_of(request).database.transaction() as session:
        await subscriptions.unsubscribe(session, token)
    return _private(request, "message.html", title="Unsubscribed", text="You will get no more of these mails.")


@router.get(pages.submission_page("{submission}"))
async def submission(request: Request, submission: str) -> HTMLResponse:
    """Mails link to it. Without sign-in it says nothing that is private: the command line does."""
    return _private(
        request,
        "message.html",
        title="Submission",
        text="Reports and decisions are private. See them with:",
        command=f"wharfinger status {submission}",
    )


@router.get(pages.publisher_page("{publisher}"))
async def publisher(request: Request, publisher: str) -> HTMLResponse:
    """As a submission's page."""
    return _private(
        request,
        "message.html",
        title="Application",
        text="Applications are private. See them with:",
        command=f"wharfinger publisher show {publisher}",
    )
