"""The projection: what a process records becomes rows, all in the caller's one transaction.

Recorded again, the same changes nothing and doubles no notice. A snapshot replaces a row only when its revision is
greater; `overwrite` is the reconciler's alone, since a reset run starts again at a lower revision.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy
from sqlalchemy import Table, bindparam, update
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.addresses import product_address, publisher_address, submission_address
from models.findings import Waiver
from models.lifecycle import CLOSED_STAGES, Snapshot, Stage
from models.products import ProductSnapshot
from models.publishers import ApplicationSnapshot
from models.recording import ApplicationRecording, Entry, ProductRecording, SubmissionRecording
from models.tables import IterationRow, ProductRow, PublisherRow, SubmissionRow
from policies import words
from store import listings, publishers, trail, waivers
from store.database import RowMissing, table_of
from store.recipients import Circle

#: stages of an iteration that a moderator has found fit
_APPROVED = frozenset({Stage.CERTIFYING, Stage.PUBLISHING, Stage.PUBLISHED})

_SUBMISSIONS, _PRODUCTS, _PUBLISHERS = table_of(SubmissionRow), table_of(ProductRow), table_of(PublisherRow)
_ITERATIONS = table_of(IterationRow)

_SUBMISSION: Any = sqlalchemy.select(
    _SUBMISSIONS.c.id,
    _SUBMISSIONS.c.publisher,
    _SUBMISSIONS.c.product,
    _SUBMISSIONS.c.number,
    _SUBMISSIONS.c.content,
    _SUBMISSIONS.c.release,
    _SUBMISSIONS.c.closed_at,
).where(_SUBMISSIONS.c.id == bindparam("submission"))
_PRODUCT = select(_PRODUCTS.c.id, _PRODUCTS.c.publisher, _PRODUCTS.c.slug).where(_PRODUCTS.c.id == bindparam("product"))
_OVERWRITE = {
    table: update(table).where(table.c.id == bindparam("of")) for table in (_SUBMISSIONS, _PRODUCTS, _PUBLISHERS)
}
_ADVANCE = {table: statement.where(table.c.revision < bindparam("to")) for table, statement in _OVERWRITE.items()}
_ITERATION = update(_ITERATIONS).where(
    _ITERATIONS.c.submission == bindparam("of"), _ITERATIONS.c.number == bindparam("numbered")
)
_APPROVE = _ITERATION.where(_ITERATIONS.c.approved_at.is_(None)).values(approved_at=bindparam("at"))
_UNDO_APPROVAL = _ITERATION.where(_ITERATIONS.c.approved_at.is_not(None)).values(approved_at=None)


async def record_submission(
    session: AsyncSession,
    recording: SubmissionRecording,
    run: str,
    *,
    granted: Mapping[str, Waiver | None] | None = None,
    overwrite: bool = False,
) -> int:
    """Snapshot, events and notices of a submission; returns how many notices were queued.

    `granted` are the stored waivers that the entries name, by digest. Errors: RowMissing.
    """
    snapshot = recording.snapshot
    row: Any = (await session.exec(_SUBMISSION, params={"submission": snapshot.id})).first()
    if row is None:
        raise RowMissing(f"Submission {snapshot.id} has no row; the reconciler restores it.")
    if recording.as_before:
        known = {"content": row.content, "release": row.release, "number": row.number or 0}
        snapshot = snapshot.model_copy(update=known)
    new = await trail.write_events(session, submission_address(row.id), run, snapshot.revision, recording.entries)
    for entry in new:
        if entry.waiver:
            await waivers.take(session, row, entry, granted or {})
    await project_submission(session, row, snapshot, _latest(recording.entries), overwrite=overwrite)
    circle = Circle(
        publisher=row.publisher,
        product=row.product,
        assignee=snapshot.assignee,
        proposer=snapshot.proposal.actor if snapshot.proposal else "",
    )
    about = {"iteration": snapshot.iteration, "release": snapshot.release}
    return await trail.queue_notices(
        session,
        submission_address(row.id),
        snapshot.revision,
        new,
        circle,
        shown=trail.situation_shown(words.of_submission(snapshot)) | about,
        told=trail.situation_shown(words.of_submission(words.as_told(snapshot))) | about,
    )


async def project_submission(
    session: AsyncSession, row: SubmissionRow, snapshot: Snapshot, at: datetime, *, overwrite: bool = False
) -> bool:
    """Bring the row up to the snapshot; says whether it did."""
    values = submission_columns(snapshot) | {"changed_at": at, "closed_at": _closed(snapshot, row, at)}
    changed = await _bring_up(session, _SUBMISSIONS, row.id, values, overwrite)
    if changed and (snapshot.stage in _APPROVED or snapshot.stage is Stage.READY):
        iteration = {"of": row.id, "numbered": snapshot.iteration}
        if snapshot.stage in _APPROVED:
            await session.exec(_APPROVE, params=iteration | {"at": at})
        else:  # an approval that was undone
            await session.exec(_UNDO_APPROVAL, params=iteration)
    return changed


def submission_columns(snapshot: Snapshot) -> dict[str, Any]:
    """The columns that a snapshot fills; the reconciler compares the same."""
    return (
        {
            "revision": snapshot.revision,
            "stage": snapshot.stage,
            "turn": snapshot.turn,
            "iteration": snapshot.iteration,
            "due": snapshot.due,
            "overdue": snapshot.overdue,
            "assignee": snapshot.assignee,
            "release": snapshot.release,
            "snapshot": snapshot.model_dump(mode="json"),
        }
        | ({"content": snapshot.content} if snapshot.content else {})
        | ({"number": snapshot.number} if snapshot.number else {})
    )


async def record_product(
    session: AsyncSession,
    recording: ProductRecording,
    run: str,
    *,
    granted: Mapping[str, Waiver | None] | None = None,
    overwrite: bool = False,
) -> int:
    """Snapshot, listing, events and notices of a product; returns how many notices were queued.

    `granted` are the stored waivers that the entries name, by digest: they belong to the submission that is live.
    Errors: RowMissing.
    """
    snapshot = recording.snapshot
    row: Any = (await session.exec(_PRODUCT, params={"product": snapshot.id})).first()
    if row is None:
        raise RowMissing(f"Product {snapshot.id} has no row; the reconciler restores it.")
    new = await trail.write_events(session, product_address(row.id), run, snapshot.revision, recording.entries)
    if waived := [entry for entry in new if entry.waiver]:
        live = await session.get_one(SubmissionRow, snapshot.submission)
        for entry in waived:
            await waivers.take(session, live, entry, granted or {})
    await project_product(session, row, snapshot, _latest(recording.entries), overwrite=overwrite)
    proposer = snapshot.proposal.actor if snapshot.proposal else ""
    circle = Circle(publisher=row.publisher, product=row.id, proposer=proposer)
    about = {"submission": snapshot.submission, "reason": snapshot.reason}
    untold = snapshot.model_copy(update={"proposal": None})
    return await trail.queue_notices(
        session,
        product_address(row.id),
        snapshot.revision,
        new,
        circle,
        shown=trail.situation_shown(words.of_product(snapshot)) | about,
        told=trail.situation_shown(words.of_product(untold)) | about | {"tally": words.to_mend(snapshot)},
        public=trail.situation_shown(words.of_listing(snapshot)) | about,
    )


async def project_product(
    session: AsyncSession, row: ProductRow, snapshot: ProductSnapshot, at: datetime, *, overwrite: bool = False
) -> bool:
    """Bring the row and the listing up to the snapshot; says whether it did."""
    values = product_columns(snapshot) | {"changed_at": at}
    changed = await _bring_up(session, _PRODUCTS, row.id, values, overwrite)
    if changed:
        await listings.show(session, row, snapshot, at)
    return changed


def product_columns(snapshot: ProductSnapshot) -> dict[str, Any]:
    return {
        "revision": snapshot.revision,
        "status": snapshot.status,
        "submission": snapshot.submission,
        "release": snapshot.release,
        "content": snapshot.content,
        "snapshot": snapshot.model_dump(mode="json"),
    }


async def record_application(
    session: AsyncSession, recording: ApplicationRecording, run: str, *, overwrite: bool = False
) -> int:
    """Snapshot, events and notices of a publisher's application; returns how many notices were queued.

    Errors: RowMissing.
    """
    snapshot = recording.snapshot
    row = await session.get(PublisherRow, snapshot.id)
    if row is None:
        raise RowMissing(f"Publisher {snapshot.id} has no row; the reconciler restores it.")
    new = await trail.write_events(session, publisher_address(row.id), run, snapshot.revision, recording.entries)
    await project_application(session, row, snapshot, _latest(recording.entries), overwrite=overwrite)
    situation = trail.situation_shown(words.of_application(snapshot))
    circle = Circle(publisher=row.id)
    return await trail.queue_notices(
        session, publisher_address(row.id), snapshot.revision, new, circle, shown=situation, told=situation
    )


async def project_application(
    session: AsyncSession, row: PublisherRow, snapshot: ApplicationSnapshot, at: datetime, *, overwrite: bool = False
) -> bool:
    """Bring the row up to the snapshot, with the name of the profile in force; says whether it did."""
    profile = await publishers.profile(session, snapshot.profile)
    name = {"name": profile.legal_name} if profile else {}
    renamed = profile is not None and profile.legal_name != row.name
    values = application_columns(snapshot) | name | {"changed_at": at}
    changed = await _bring_up(session, _PUBLISHERS, row.id, values, overwrite)
    if changed and profile and renamed:
        await listings.publisher_renamed(session, row.id, profile.legal_name)
    return changed


def application_columns(snapshot: ApplicationSnapshot) -> dict[str, Any]:
    return {
        "revision": snapshot.revision,
        "status": snapshot.status,
        "profile": snapshot.profile,
        "due": snapshot.due,
        "snapshot": snapshot.model_dump(mode="json"),
    }


async def _bring_up(session: AsyncSession, table: Table, id_: str, values: dict[str, Any], overwrite: bool) -> bool:
    """Unless the row has a revision as great, or greater; says whether it was changed."""
    statement, which = _OVERWRITE[table], {"of": id_}
    if not overwrite:
        statement, which = _ADVANCE[table], {"of": id_, "to": values["revision"]}
    return bool((await session.exec(statement, params=values | which)).rowcount)


def _latest(entries: tuple[Entry, ...]) -> datetime:
    return max((entry.at for entry in entries), default=None) or datetime.now(UTC)


def _closed(snapshot: Snapshot, row: SubmissionRow, at: datetime) -> datetime | None:
    return (row.closed_at or at) if snapshot.stage in CLOSED_STAGES else None
