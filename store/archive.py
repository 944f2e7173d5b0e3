"""Archived histories: what a closed run did, readable years after Temporal has forgotten it.

A history is the JSON of the Temporal command line and of the replayer, gzipped, as a blob; a row says where.
"""

import asyncio
import gzip
import json
from collections.abc import Iterable
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.errors import NotFound, ToolFailed
from models.tables import ArchivedHistoryRow
from store.blobs import Blobs
from store.database import Database, put_row


async def save(
    database: Database,
    blobs: Blobs,
    workflow_id: str,
    run_id: str,
    history_json: bytes,
    closed_at: datetime,
    *,
    status: str = "",
    events: int | None = None,
) -> str:
    """Keep one run's history and return the digest of its blob. Saved again, it changes nothing.

    `status` is Temporal's word for how the run ended (completed, failed, ...); `events` is counted when not given.
    """
    if events is None:
        events = await asyncio.to_thread(_count, history_json)
    # no time of day in the gzip header: the same history is the same blob
    digest = await blobs.put(await asyncio.to_thread(gzip.compress, history_json, 6, mtime=0))
    row = ArchivedHistoryRow(
        workflow=workflow_id, run=run_id, history=digest, status=status, events=events, closed_at=closed_at
    )
    await database.write(lambda session: put_row(session, ArchivedHistoryRow, row.model_dump(), ("workflow", "run")))
    return digest


async def find(session: AsyncSession, workflow_id: str, run_id: str = "") -> ArchivedHistoryRow | None:
    """That run, or the one that closed last."""
    statement = select(ArchivedHistoryRow).where(ArchivedHistoryRow.workflow == workflow_id)
    if run_id:
        statement = statement.where(ArchivedHistoryRow.run == run_id)
    return (await session.exec(statement.order_by(col(ArchivedHistoryRow.closed_at).desc()))).first()


async def read(blobs: Blobs, row: ArchivedHistoryRow) -> bytes:
    """The history as JSON. Errors: NotFound; ToolFailed when the blob is damaged."""
    content = await blobs.get(row.history)
    try:
        return await asyncio.to_thread(gzip.decompress, content)
    except (OSError, EOFError) as error:
        raise ToolFailed(f"The history of {row.workflow} in blob {row.history} cannot be unpacked: {error}") from error


async def get(session: AsyncSession, blobs: Blobs, workflow_id: str, run_id: str = "") -> bytes:
    """The history as JSON of that run, or of the one that closed last. Errors: NotFound, ToolFailed."""
    if (row := await find(session, workflow_id, run_id)) is None:
        raise NotFound(f"There is no archived history of {workflow_id} {run_id}".rstrip() + ".")
    return await read(blobs, row)


async def listed(session: AsyncSession, prefix: str = "", *, limit: int = 100) -> list[ArchivedHistoryRow]:
    """The latest closed runs first; `prefix` is the beginning of a workflow id, such as `submission/`."""
    statement = select(ArchivedHistoryRow).order_by(
        col(ArchivedHistoryRow.closed_at).desc(), col(ArchivedHistoryRow.workflow), col(ArchivedHistoryRow.run)
    )
    if prefix:
        statement = statement.where(col(ArchivedHistoryRow.workflow).startswith(prefix, autoescape=True))
    return list((await session.exec(statement.limit(limit))).all())


async def missing(session: AsyncSession, closed: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those (workflow, run) of the closed runs that are not archived yet, in the same order."""
    wanted = list(dict.fromkeys(closed))
    known: set[tuple[str, str]] = set()
    for start in range(0, len(wanted), _AT_ONCE):
        runs = [run for _, run in wanted[start : start + _AT_ONCE]]
        statement = select(ArchivedHistoryRow.workflow, ArchivedHistoryRow.run).where(
            col(ArchivedHistoryRow.run).in_(runs)
        )
        known.update((await session.exec(statement)).all())
    return [pair for pair in wanted if pair not in known]


#: parameters of one statement
_AT_ONCE = 500


def _count(history_json: bytes) -> int:
    try:
        return len(json.loads(history_json)["events"])
    except (ValueError, KeyError, TypeError) as error:
        raise ToolFailed(f"A history to archive is not the JSON of one: {error!r}") from error
