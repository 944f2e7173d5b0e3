"""Consumers' subscriptions to a product's release mails: nothing is sent to an address that was not confirmed."""

import secrets
from datetime import datetime, timedelta

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import ColumnElement, delete
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.addresses import new_id, product_address
from models.columns import storable
from models.errors import InvalidManifest, NotFound, Problem, ToolFailed
from models.notices import NoticeKind
from models.policy import MailTerms
from models.products import ListingStatus
from models.tables import NoticeRow, NoticeStatus, ProductRow, SubscriptionRow
from policies.words import Situation
from store import people, tokens, trail
from store.database import insert_new
from store.recipients import Recipient

_TERMS = MailTerms()
_UNCONFIRMED = Situation(
    "unconfirmed", "yours", "Confirm the subscription on the page that the link opens, or ignore this mail."
)


async def subscribe(
    session: AsyncSession, product: str, address: str, now: datetime, terms: MailTerms = _TERMS
) -> SubscriptionRow:
    """Ask for a product's mails: the address gets a link to confirm with, at most one a day.

    The answer to the person is always the same, so that nobody learns who has subscribed, nor whether the address was
    asked too often. Errors: NotFound for a product that is not in the catalog; InvalidManifest for an address that is
    none; ToolFailed when the hub asks too many addresses at the moment.
    """
    row = await session.get(ProductRow, product)
    if row is None or row.status not in (ListingStatus.PUBLISHED, ListingStatus.HOLD):
        raise NotFound(f"There is no product {product} in the catalog.")
    try:
        address = people.address(validate_email(address.strip(), check_deliverability=False).normalized)
    except EmailNotValidError as mistake:
        raise InvalidManifest([Problem("address", str(mistake))]) from None
    new = SubscriptionRow(
        id=new_id(), product=product, address=address, token=secrets.token_urlsafe(24), created_at=now
    )
    await insert_new(session, SubscriptionRow, [new.model_dump()], ("product", "address"))
    found = (
        await session.exec(
            select(SubscriptionRow).where(SubscriptionRow.product == product, SubscriptionRow.address == address)
        )
    ).one()
    if found.confirmed_at is None:
        await _ask(session, row, found, now, terms)
    return found


async def _ask(
    session: AsyncSession, product: ProductRow, row: SubscriptionRow, now: datetime, terms: MailTerms
) -> None:
    notice = trail.notice_row(
        product_address(product.id),
        product.revision,
        f"subscribe-{now:%Y-%m-%d}",
        NoticeKind.SUBSCRIPTION_CONFIRM,
        Recipient(row.id, row.address, for_publisher=True),
        trail.situation_shown(_UNCONFIRMED),
        now,
    )
    if await session.get(NoticeRow, notice["id"]) is not None:
        return
    others = (col(SubscriptionRow.confirmed_at).is_(None), SubscriptionRow.id != row.id)
    count_of = select(func.count()).select_from(SubscriptionRow).where(*others)
    lately = count_of.where(SubscriptionRow.created_at > now - timedelta(hours=1))
    if (await session.exec(lately)).one() >= terms.subscription_asks_an_hour:
        raise ToolFailed("The hub asks no more addresses at the moment: try again in an hour.")
    today = count_of.where(_of_one_mailbox(row.address), SubscriptionRow.created_at > now - timedelta(days=1))
    if (await session.exec(today)).one() >= terms.subscription_asks_a_day:
        return
    # of one that is asked for again, the latest time counts
    row.created_at = now
    session.add(row)
    await trail.insert_notices(session, [notice])


def _of_one_mailbox(address: str) -> ColumnElement[bool]:
    """sam+1@ and sam+2@ are one person's mailbox nearly everywhere."""
    local, _, domain = address.rpartition("@")
    base, column = local.partition("+")[0], col(SubscriptionRow.address)
    tagged = column.startswith(f"{base}+", autoescape=True) & column.endswith(f"@{domain}", autoescape=True)
    return (column == f"{base}@{domain}") | tagged


async def confirm(session: AsyncSession, raw: str, now: datetime) -> SubscriptionRow:
    """The button behind the mailed link was pressed. Errors: NotFound, NotAllowed."""
    row = await session.get(SubscriptionRow, await tokens.use(session, tokens.SUBSCRIPTION, raw, now))
    if row is None:
        raise NotFound("This subscription has ended: subscribe again on the product's page.")
    row.confirmed_at = row.confirmed_at or now
    session.add(row)
    await session.flush()
    return row


async def of_token(session: AsyncSession, raw: str) -> SubscriptionRow | None:
    """What an unsubscribe link would end: for the page with the button; None when it has ended already."""
    return (await session.exec(select(SubscriptionRow).where(SubscriptionRow.token == storable(raw)))).first()


async def unsubscribe(session: AsyncSession, raw: str) -> bool:
    """End the subscription of the link's token; False when it has ended already. Its mails that wait are dropped."""
    row = await of_token(session, raw)
    if row is None:
        return False
    await session.exec(
        delete(NoticeRow).where(col(NoticeRow.recipient) == row.id, col(NoticeRow.status) == NoticeStatus.QUEUED)
    )
    await session.exec(delete(SubscriptionRow).where(col(SubscriptionRow.id) == row.id))
    return True


async def count(session: AsyncSession, product: str) -> int:
    """Confirmed subscriptions of a product."""
    statement = select(func.count()).select_from(SubscriptionRow)
    confirmed = (SubscriptionRow.product == product, col(SubscriptionRow.confirmed_at).is_not(None))
    return (await session.exec(statement.where(*confirmed))).one()
