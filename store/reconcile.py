"""The reconciler: what the processes say of themselves against their rows, which are brought back in line.

The caller asks the processes (a query by Temporal) and hands their snapshots over: publishers first, then products,
then submissions. A row that the process has moved past meanwhile is left alone. What only the database knew is lost
with a row: members, iterations, findings and audit trail come back from a backup, not from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.addresses import product_address, publisher_address, slug_of, submission_address
from models.content import ContentManifest, Track
from models.lifecycle import CLOSED_STAGES, Snapshot
from models.products import ListingStatus, ProductSnapshot
from models.publishers import ApplicationSnapshot, PublisherProfile
from models.tables import ListingRow, ProductRow, PublisherRow, SubmissionRow
from store import contents
from store.database import Database, RowMissing
from store.projection import (
    application_columns,
    product_columns,
    project_application,
    project_product,
    project_submission,
    submission_columns,
)
from store.publishers import free_slug

#: how far the clocks of this machine, the database and the Temporal server may be apart
_CLOCKS_APART = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Repair:
    """What was wrong with one subject's rows, and is no more.

    `restored`: there was no row. `behind`: the row was older than the process, which may only mean that a record was on
    its way; anything else in `columns` was damage.
    """

    subject: str
    columns: tuple[str, ...] = ()
    restored: bool = False
    behind: bool = False

    def __str__(self) -> str:
        if self.restored:
            return f"{self.subject}: row restored"
        if self.behind:
            return f"{self.subject}: brought up to date"
        return f"{self.subject}: {', '.join(self.columns)} corrected"


async def reconcile_submission(
    database: Database,
    snapshot: Snapshot,
    *,
    publisher: str,
    product: str,
    asked_at: datetime,
    track: Track = Track.VERSION,
    certify: bool = False,
    submitter: str = "",
    submitted_at: datetime | None = None,
) -> Repair | None:
    """Compare one submission; None when all is well.

    `asked_at` is from before the process was asked. The rest is what its process was started with; it serves to restore
    a row that is gone. Errors: RowMissing when the row of the product or publisher is gone too.
    """

    async def work(session: AsyncSession) -> Repair | None:
        subject = submission_address(snapshot.id)
        row = await session.get(SubmissionRow, snapshot.id, with_for_update=True)
        restored = row is None
        if row is None:
            await _require(session, PublisherRow, publisher, subject)
            await _require(session, ProductRow, product, subject)
            row = SubmissionRow(
                id=snapshot.id,
                product=product,
                publisher=publisher,
                track=track,
                certify=certify,
                content=snapshot.content,
                submitter=submitter,
                submitted_at=submitted_at or asked_at,
                changed_at=asked_at,
            )
            session.add(row)
            await session.flush()
        elif _moved_on(row, snapshot.revision, asked_at):
            return None
        wrong = _differences(row, submission_columns(snapshot))
        if (row.closed_at is not None) != (snapshot.stage in CLOSED_STAGES):
            wrong = (*wrong, "closed_at")
        behind = row.revision < snapshot.revision
        if wrong:
            await _give_way(session, row, snapshot.number)
            await project_submission(session, row, snapshot, asked_at, overwrite=True)
        return _repair(subject, wrong, restored, behind)

    return await database.write(work)


async def reconcile_product(
    database: Database,
    snapshot: ProductSnapshot,
    *,
    publisher: str,
    asked_at: datetime,
    created_at: datetime | None = None,
) -> Repair | None:
    """Compare one product and its listing; None when all is well.

    `asked_at` is from before the process was asked, `created_at` when its first run started. Errors: RowMissing when
    the publisher's row or the content manifest of the listing is gone.
    """

    async def work(session: AsyncSession) -> Repair | None:
        subject = product_address(snapshot.id)
        row = await session.get(ProductRow, snapshot.id, with_for_update=True)
        restored = row is None
        if row is None:
            row = await _restore_product(session, snapshot, publisher, created_at or asked_at, asked_at)
        elif _moved_on(row, snapshot.revision, asked_at):
            return None
        wrong = _differences(row, product_columns(snapshot))
        behind = row.revision < snapshot.revision
        before = await _listing(session, row.id)
        await project_product(session, row, snapshot, asked_at if wrong else row.changed_at, overwrite=True)
        if snapshot.status is ListingStatus.UNPUBLISHED and before is not None:
            await session.delete(await session.get_one(ListingRow, row.id))
            await session.flush()
        if await _listing(session, row.id) != before:
            wrong = (*wrong, "listing")
        return _repair(subject, wrong, restored, behind)

    return await database.write(work)


async def reconcile_application(
    database: Database,
    snapshot: ApplicationSnapshot,
    *,
    asked_at: datetime,
    applied_at: datetime | None = None,
) -> Repair | None:
    """Compare one publisher's application; None when all is well.

    `asked_at` is from before the process was asked, `applied_at` when its first run started. A restored publisher has
    no members: staff add them again.
    """

    async def work(session: AsyncSession) -> Repair | None:
        row = await session.get(PublisherRow, snapshot.id, with_for_update=True)
        restored = row is None
        if row is None:
            profile = await contents.find(session, PublisherProfile, snapshot.profile)
            name = profile.legal_name if profile else snapshot.id
            taken = select(PublisherRow.slug).where(col(PublisherRow.slug).startswith(slug_of(name), autoescape=True))
            row = PublisherRow(
                id=snapshot.id,
                slug=free_slug(name, (await session.exec(taken)).all()),
                name=name,
                applied_at=applied_at or asked_at,
                changed_at=asked_at,
            )
            session.add(row)
            await session.flush()
        elif _moved_on(row, snapshot.revision, asked_at):
            return None
        wrong = _differences(row, application_columns(snapshot))
        behind = row.revision < snapshot.revision
        if wrong:
            await project_application(session, row, snapshot, asked_at, overwrite=True)
        return _repair(publisher_address(row.id), wrong, restored, behind)

    return await database.write(work)


def _repair(subject: str, wrong: tuple[str, ...], restored: bool, behind: bool) -> Repair | None:
    if not wrong and not restored:
        return None
    return Repair(subject, wrong, restored=restored, behind=behind and not restored)


def _moved_on(row: SubmissionRow | ProductRow | PublisherRow, revision: int, asked_at: datetime) -> bool:
    """The process has recorded something newer since it was asked.

    A row that is ahead of its process without having changed lately is damage, or older than a reset.
    """
    return row.revision > revision and row.changed_at > asked_at - _CLOCKS_APART


def _differences(row: Any, columns: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the columns that are not as the snapshot has them."""
    return tuple(name for name, value in columns.items() if getattr(row, name) != value)


async def _require(session: AsyncSession, table: type[PublisherRow] | type[ProductRow], id_: str, subject: str) -> None:
    if await session.get(table, id_) is None:
        raise RowMissing(f"{subject} has no row, nor has its {table.__tablename__} {id_}: restore that one first.")


async def _give_way(session: AsyncSession, row: SubmissionRow, number: int) -> None:
    """Another submission that wears this one's number by mistake loses it, and gets its own back in its own turn."""
    await session.exec(
        update(SubmissionRow)
        .where(
            col(SubmissionRow.product) == row.product,
            col(SubmissionRow.number) == number,
            col(SubmissionRow.id) != row.id,
        )
        .values(number=None)
    )


async def _restore_product(
    session: AsyncSession, snapshot: ProductSnapshot, publisher: str, created_at: datetime, at: datetime
) -> ProductRow:
    await _require(session, PublisherRow, publisher, product_address(snapshot.id))
    manifest = await contents.find(session, ContentManifest, snapshot.content)
    name = manifest.name if manifest else snapshot.id
    taken = select(ProductRow.slug).where(ProductRow.publisher == publisher)
    row = ProductRow(
        id=snapshot.id,
        publisher=publisher,
        slug=free_slug(name, (await session.exec(taken)).all()),
        name=name,
        created_at=created_at,
        changed_at=at,
    )
    session.add(row)
    await session.flush()
    return row


async def _listing(session: AsyncSession, product: str) -> dict[str, Any] | None:
    """The listing without its times, as it stands in the database now."""
    statement = select(ListingRow).where(ListingRow.product == product).execution_options(populate_existing=True)
    row = (await session.exec(statement)).first()
    return None if row is None else row.model_dump(exclude={"published_at", "changed_at"})
