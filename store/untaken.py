"""What was brought to the desk while the server was away: rows that no process has ever heard of.

The desk stores first and hands over then. What the hand-over did not reach is handed over again by the reconciler.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import aliased
from sqlmodel import col, exists, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.addresses import product_address, submission_address
from models.notices import NoticeKind
from models.products import NewSubmission
from models.recording import Entry
from models.tables import ProductRow, PublisherRow, SubmissionRow
from policies.words import Situation
from store import secrets, submissions, trail
from store.recipients import Circle

#: in the audit trail, in place of a process's run
_DESK = "desk"
_TURNED_AWAY = Situation("not taken up", "yours", "Submit again, once the reason is out of the way.")


@dataclass(frozen=True, slots=True)
class UntakenSubmission:
    """`name` is publisher/product; `outrun`: a newer one of its track was taken meanwhile, and would be superseded."""

    new: NewSubmission
    name: str
    outrun: bool


@dataclass(frozen=True, slots=True)
class UntakenApplication:
    """Id and short name of the publisher, and the digest of the profile."""

    publisher: str
    slug: str
    profile: str


async def untaken_submissions(session: AsyncSession, before: datetime) -> list[UntakenSubmission]:
    """Stored before that moment and never numbered, the earliest first."""
    newer = aliased(SubmissionRow)
    outrun = exists().where(
        col(newer.product) == col(SubmissionRow.product),
        col(newer.track) == col(SubmissionRow.track),
        col(newer.submitted_at) > col(SubmissionRow.submitted_at),
        col(newer.number).is_not(None),
    )
    statement = (
        select(SubmissionRow, PublisherRow.slug, ProductRow.slug, outrun)
        .join(ProductRow, col(ProductRow.id) == col(SubmissionRow.product))
        .join(PublisherRow, col(PublisherRow.id) == col(SubmissionRow.publisher))
        .where(SubmissionRow.revision < 0, col(SubmissionRow.number).is_(None), SubmissionRow.submitted_at < before)
        .order_by(col(SubmissionRow.submitted_at), col(SubmissionRow.id))
    )
    return [
        UntakenSubmission(
            NewSubmission(
                id=row.id,
                actor=row.submitter,
                publisher=row.publisher,
                product=row.product,
                content=row.content,
                track=row.track,
                certify=row.certify,
            ),
            f"{publisher}/{product}",
            was_outrun,
        )
        for row, publisher, product, was_outrun in (await session.exec(statement)).all()
    ]


async def untaken_applications(session: AsyncSession, before: datetime) -> list[UntakenApplication]:
    """Stored before that moment, and no process has ever reported on them; the earliest first."""
    rows = await session.exec(
        select(PublisherRow)
        .where(PublisherRow.revision < 0, PublisherRow.applied_at < before)
        .order_by(col(PublisherRow.applied_at), col(PublisherRow.id))
    )
    return [UntakenApplication(row.id, row.slug, row.profile) for row in rows.all()]


async def turn_away(session: AsyncSession, new: NewSubmission, reason: str, now: datetime) -> bool:
    """Forget a submission that is refused when nobody is at the desk any more: its submitter hears of it by mail.

    Its credentials go with it. Says whether it was still there, and no process had recorded anything of it.
    """
    product = await session.get_one(ProductRow, new.product)
    if not await submissions.forget(session, new.id):
        return False
    await secrets.delete_of(session, submission_address(new.id))
    subject = product_address(product.id)
    entry = Entry(
        event="submit",
        at=now,
        actor=new.actor,
        command=f"submit-{new.id}",
        refused=f"The submission {new.id} was stored while the hub was away, and cannot be taken up now: {reason}",
        private=True,
        notices=(NoticeKind.COMMAND_REFUSED,),
    )
    circle = Circle(publisher=product.publisher, product=product.id, actor=new.actor)
    written = await trail.write_events(session, subject, _DESK, product.revision, [entry])
    shown = trail.situation_shown(_TURNED_AWAY)
    await trail.queue_notices(session, subject, product.revision, written, circle, shown, shown)
    return True
