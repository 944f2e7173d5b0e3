"""Tokens of mailed links. A token is random and only its hash is stored: who reads the database can open no link."""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.addresses import publisher_address
from models.errors import NotAllowed, NotFound
from models.notices import NoticeKind
from models.policy import MailTerms
from models.publishers import ApplicationSnapshot, ApplicationStatus
from models.tables import PersonRow, PublisherRow, TokenRow
from policies import words
from store import people, publishers, trail
from store.recipients import Recipient

#: purposes of a token
EMAIL = "email"
SUBSCRIPTION = "subscription"

#: the policy's default; the mailroom passes that of the policy in force
TERM = timedelta(days=MailTerms().confirmation_days)


#: of a member whose publisher waits for nothing; the mail's template knows the status word
_NEW_MEMBER = words.Situation("new member", "yours", "Confirm the address on the page that the link opens.")


def _hash(raw: str) -> str:
    return hashlib.sha256(raw.encode("utf-8", "replace")).hexdigest()


async def new(session: AsyncSession, purpose: str, subject: str, now: datetime, term: timedelta = TERM) -> str:
    """A fresh token for one link; earlier ones stay good. The session has to be a transaction."""
    if not session.get_bind().get_execution_options().get("writes"):
        raise RuntimeError("A token needs a transaction: in a reader's session it would be lost, and its link dead.")
    raw = secrets.token_urlsafe(32)
    session.add(TokenRow(hash=_hash(raw), purpose=purpose, subject=subject, expires=now + term))
    await session.flush()
    return raw


async def use(session: AsyncSession, purpose: str, raw: str, now: datetime) -> str:
    """Returns the subject. A second click is as good as the first, also when the token has expired meanwhile.

    Errors: NotFound when it is none of ours; NotAllowed when it expired unused.
    """
    row = await session.get(TokenRow, _hash(raw))
    if row is None or row.purpose != purpose:
        raise NotFound("This link is not known: was it copied whole?")
    if row.used_at is None:
        if row.expires <= now:
            raise NotAllowed(f"This link has expired on {row.expires:%Y-%m-%d}. Ask for a new one on its page.")
        row.used_at = now
        session.add(row)
        await session.flush()
    return row.subject


async def new_confirmation(
    session: AsyncSession, person: PersonRow | str, now: datetime, term: timedelta = TERM
) -> str:
    """The token of a link that confirms a person's email address."""
    return await new(session, EMAIL, person if isinstance(person, str) else person.id, now, term)


async def confirm(session: AsyncSession, raw: str, now: datetime) -> PersonRow:
    """The button behind the link was pressed: the address is confirmed. Clicked again, it stays so.

    The publishers whose processes have to be told are `people.publishers_of`. Errors: NotFound, NotAllowed.
    """
    person = await use(session, EMAIL, raw, now)
    await people.confirm_email(session, person, now)
    row = await people.get(session, person)
    await session.refresh(row)
    return row


async def look(session: AsyncSession, raw: str) -> PersonRow:
    """Whose address the link would confirm: for the page with the button. Errors: NotFound."""
    return await people.get(session, await subject_of(session, EMAIL, raw))


async def subject_of(session: AsyncSession, purpose: str, raw: str) -> str:
    """What a link is about, expired or not: for the page with the button. Errors: NotFound."""
    row = await session.get(TokenRow, _hash(raw))
    if row is None or row.purpose != purpose:
        raise NotFound("This link is not known: was it copied whole?")
    return row.subject


async def mail_again(session: AsyncSession, raw: str, now: datetime) -> bool:
    """Queue another confirmation mail for the owner of an expired link, once a day; says whether one will go out.

    Nobody is left waiting because a link has expired.
    """
    person = await look(session, raw)
    if person.email_confirmed_at is not None:
        return False
    queued = 0
    for id_ in await people.publishers_of(session, person.id):
        queued += await ask_to_confirm(session, await publishers.get(session, id_), person, "again", now)
    return queued > 0


async def ask_to_confirm(
    session: AsyncSession, publisher: PublisherRow, person: PersonRow, occasion: str, now: datetime
) -> bool:
    """Queue a mail with a link for a member who has not confirmed the address, at most one a day and occasion.

    Says whether one will go out: not before the publisher's process has recorded its application.
    """
    if person.email_confirmed_at is not None or not publisher.snapshot:
        return False
    situation = _NEW_MEMBER
    if publisher.status is ApplicationStatus.UNCONFIRMED:
        situation = words.of_application(ApplicationSnapshot.model_validate(publisher.snapshot))
    row = trail.notice_row(
        publisher_address(publisher.id),
        publisher.revision,
        f"{occasion}-{now:%Y-%m-%d}",
        NoticeKind.CONFIRM_EMAIL,
        Recipient(person.id, person.email, for_publisher=True),
        trail.situation_shown(situation),
        now,
    )
    return bool(await trail.insert_notices(session, [row]))


async def expired(session: AsyncSession, now: datetime) -> list[TokenRow]:
    """Tokens that no click can use any more: the garbage collector deletes them."""
    rows = await session.exec(select(TokenRow).where(TokenRow.expires <= now, col(TokenRow.used_at).is_(None)))
    return list(rows.all())
