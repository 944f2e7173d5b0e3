"""Submissions: the row that the desk makes before the process starts, the moderators' queue, and one on a page.

What the checks of its iterations found is in `store.iterations`, whose functions can be called here as well.
"""

import re
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy import bindparam, delete, update
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select

from models.columns import storable
from models.content import ContentManifest, Track
from models.errors import NotAllowed, NotFound
from models.lifecycle import CLOSED_STAGES, DORMANT_STAGES, Snapshot, Stage, Turn
from models.tables import ProductRow, PublisherRow, SubmissionRow
from policies import words
from store import contents
from store.database import insert_new, table_of
from store.iterations import (
    Examined,
    accepted_findings,
    approved_before,
    findings,
    iterations,
    previous_iteration,
    save_iteration,
)
from store.trail import shown as trail
from store.views import Page, SubmissionView

__all__ = (
    "Examined",
    "accepted_findings",
    "approved_before",
    "create",
    "find",
    "findings",
    "forget",
    "get",
    "gist",
    "iterations",
    "numbered",
    "previous_iteration",
    "queue",
    "save_iteration",
    "trail",
)

_UNTAKEN = (
    "It is stored, and handed to its product within minutes of the Temporal server and a worker running: nobody has to "
    "submit it again."
)
#: what waits in nobody's queue
_ENDED = CLOSED_STAGES | DORMANT_STAGES

_SUBMISSION, _PRODUCT, _PUBLISHER = table_of(SubmissionRow), table_of(ProductRow), table_of(PublisherRow)
_NUMBER = update(_SUBMISSION).where(_SUBMISSION.c.id == bindparam("of"), _SUBMISSION.c.number.is_(None))
_GIST: Any = (
    sqlalchemy.select(
        _SUBMISSION.c.id,
        _SUBMISSION.c.product,
        _SUBMISSION.c.publisher,
        _SUBMISSION.c.number,
        _SUBMISSION.c.track,
        _PRODUCT.c.release,
        _PUBLISHER.c.profile,
    )
    .join(_PRODUCT, _PRODUCT.c.id == _SUBMISSION.c.product)
    .join(_PUBLISHER, _PUBLISHER.c.id == _SUBMISSION.c.publisher)
    .where(_SUBMISSION.c.id == bindparam("submission"))
)


class Gist(NamedTuple):
    id: str
    product: str
    publisher: str
    number: int | None
    track: Track
    #: digests: of the product's published release set, empty while there is none, and of the publisher's profile
    live: str
    profile: str


async def create(
    session: AsyncSession,
    *,
    id: str,  # noqa: A002 - the field's word
    product: str,
    publisher: str,
    content: str,
    submitter: str,
    at: datetime,
    track: Track = Track.VERSION,
    certify: bool = False,
    number: int | None = None,
) -> None:
    """The row of a new submission, before its process starts: what a process records needs a row to stand in.

    Created again, it stays as it is. Errors: NotAllowed when the id is that of another product's submission.
    """
    row = SubmissionRow(
        id=id,
        product=product,
        publisher=publisher,
        number=number,
        track=track,
        certify=certify,
        content=content,
        submitter=submitter,
        submitted_at=at,
        changed_at=at,
    )
    if await insert_new(session, SubmissionRow, [row.model_dump()], ("id",)):
        return
    known = await session.get_one(SubmissionRow, id)
    if (known.product, known.publisher) != (product, publisher):
        raise NotAllowed(f"The submission id {id} belongs to another product.")


async def forget(session: AsyncSession, submission: str) -> bool:
    """Delete the row of a submission that its product refused; one whose process has recorded anything stays."""
    gone = await session.exec(
        delete(SubmissionRow).where(
            col(SubmissionRow.id) == submission, col(SubmissionRow.revision) < 0, col(SubmissionRow.number).is_(None)
        )
    )
    return bool(gone.rowcount)


async def numbered(session: AsyncSession, submission: str, number: int) -> None:
    """The product's process has numbered it. The first number stays."""
    await session.exec(_NUMBER, params={"of": submission, "number": number})


async def get(session: AsyncSession, submission: str) -> SubmissionView:
    """Everything about a submission, for staff and its publisher's members. Errors: NotFound."""
    found = (await session.exec(_joined().where(SubmissionRow.id == submission))).first()
    if found is None:
        raise NotFound(f"There is no submission {submission}.")
    return await _whole(session, *found)


async def gist(session: AsyncSession, submission: str) -> Gist:
    """What the checks ask of a submission, without what earlier ones have found. Errors: NotFound."""
    found = (await session.exec(_GIST, params={"submission": submission})).first()
    if found is None:
        raise NotFound(f"There is no submission {submission}.")
    return Gist(*found)


async def find(session: AsyncSession, words_: str) -> SubmissionView:
    """By id, `product/number` or `publisher/product/number` (slugs). Errors: NotFound."""
    words_ = storable(words_)
    by_id = (await session.exec(_joined().where(SubmissionRow.id == words_))).first()
    if by_id is not None:
        return await _whole(session, *by_id)
    *path, number = words_.strip("/").split("/")
    # no product has a billion submissions, and a database's integer ends somewhere
    if not 1 <= len(path) <= 2 or not re.fullmatch("#?[0-9]{1,9}", number):
        raise NotFound(f"There is no submission {words_}: give its id, or product/number.")
    statement = _joined().where(SubmissionRow.number == int(number.removeprefix("#")), ProductRow.slug == path[-1])
    if len(path) == 2:
        statement = statement.where(PublisherRow.slug == path[0])
    found = (await session.exec(statement.limit(2))).all()
    if not found:
        raise NotFound(f"There is no submission {words_}.")
    if len(found) > 1:
        raise NotFound(f"Several publishers have a product {path[-1]}: say publisher/{path[-1]}/{number}.")
    return await _whole(session, *found[0])


async def queue(
    session: AsyncSession,
    *,
    turn: Turn | None = None,
    stage: Stage | None = None,
    assignee: str | None = None,
    publisher: str | None = None,
    product: str | None = None,
    overdue: bool | None = None,
    ended: bool = False,
    page: int = 1,
    size: int = 50,
) -> Page[SubmissionView]:
    """What is open, the earliest due date first; `ended` adds what is dormant or closed.

    `assignee`, `publisher` and `product` are ids; an empty `assignee` asks for what nobody has taken yet.
    """
    statement = _joined()
    for column, wanted in (
        (col(SubmissionRow.turn), turn),
        (col(SubmissionRow.stage), stage),
        (col(SubmissionRow.assignee), assignee),
        (col(SubmissionRow.publisher), publisher),
        (col(SubmissionRow.product), product),
        (col(SubmissionRow.overdue), overdue),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    if stage is None and not ended:
        statement = statement.where(col(SubmissionRow.stage).not_in(_ENDED))
    total = (await session.exec(select(func.count()).select_from(statement.subquery()))).one()
    ordered = statement.order_by(
        col(SubmissionRow.due).asc().nulls_last(), col(SubmissionRow.submitted_at), col(SubmissionRow.id)
    )
    rows = await session.exec(ordered.offset((page - 1) * size).limit(size))
    return Page(items=tuple(_view(*found) for found in rows.all()), total=total, page=page, size=size)


def _joined() -> Select[SubmissionRow, ProductRow, PublisherRow]:
    return (
        select(SubmissionRow, ProductRow, PublisherRow)
        .join(ProductRow, col(ProductRow.id) == col(SubmissionRow.product))
        .join(PublisherRow, col(PublisherRow.id) == col(SubmissionRow.publisher))
    )


async def _whole(
    session: AsyncSession, row: SubmissionRow, product: ProductRow, publisher: PublisherRow
) -> SubmissionView:
    view = _view(row, product, publisher)
    manifest = await contents.find(session, ContentManifest, row.content)
    return view.model_copy(update={"manifest": manifest, "iterations": await iterations(session, row.id)})


def _view(row: SubmissionRow, product: ProductRow, publisher: PublisherRow) -> SubmissionView:
    """As lists show it. Until its process has recorded something, a submission is as its row says."""
    snapshot = Snapshot.model_validate(row.snapshot) if row.snapshot else None
    situation = words.of_submission(
        snapshot or Snapshot(id=row.id, revision=row.revision, stage=row.stage, turn=row.turn, iteration=row.iteration)
    )
    if snapshot is None and row.number is None:
        situation = situation._replace(next=_UNTAKEN)
    return SubmissionView(
        id=row.id,
        number=row.number,
        product=row.product,
        product_name=product.name,
        product_slug=product.slug,
        publisher=row.publisher,
        publisher_slug=publisher.slug,
        publisher_name=publisher.name,
        track=row.track,
        stage=row.stage,
        status=situation.status,
        turn=row.turn,
        turn_words=situation.turn,
        next=situation.next,
        iteration=row.iteration,
        due=row.due,
        overdue=row.overdue,
        assignee=row.assignee,
        submitted_at=row.submitted_at,
        revision=row.revision,
        snapshot=snapshot,
        manifest=None,
        certify=row.certify,
        content=row.content,
        release=row.release,
        submitter=row.submitter,
        closed_at=row.closed_at,
        iterations=(),
    )
