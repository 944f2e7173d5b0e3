"""Who has just been told something looks at the rows next: they show it a moment later than the process does."""

import asyncio
import time

from sqlmodel import col, select

from desk.hub import Hub
from models.lifecycle import Snapshot
from models.products import ProductSnapshot
from models.publishers import ApplicationSnapshot
from models.tables import ProductRow, PublisherRow, SubmissionRow

#: a record takes milliseconds; where the store is away nobody is kept waiting. Seconds.
_PATIENCE = 3.0
_EVERY = 0.05


async def recorded(hub: Hub, snapshot: Snapshot | ProductSnapshot | ApplicationSnapshot) -> bool:
    """Wait until the rows are as new as what a process has answered, but not for long; says whether they are."""
    deadline = time.monotonic() + _PATIENCE
    while not await _is_recorded(hub, snapshot):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_EVERY)
    return True


async def _is_recorded(hub: Hub, snapshot: Snapshot | ProductSnapshot | ApplicationSnapshot) -> bool:
    match snapshot:
        case Snapshot():
            statement = select(SubmissionRow.revision).where(col(SubmissionRow.id) == snapshot.id)
        case ProductSnapshot():
            statement = select(ProductRow.revision).where(col(ProductRow.id) == snapshot.id)
        case ApplicationSnapshot():
            statement = select(PublisherRow.revision).where(col(PublisherRow.id) == snapshot.id)
    async with hub.database.session() as session:
        revision = (await session.exec(statement)).first()
    return revision is not None and revision >= snapshot.revision
