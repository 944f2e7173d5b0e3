"""Garbage collection: blobs that nothing names any more.

A blob is kept when its digest stands anywhere in any row: in a column, in a list, deep in a JSON document. A list of
the columns that name blobs would be faster, and would lose a blob on the day somebody adds a column and forgets the
list. What blobs say of other blobs does not count: a row has to name both.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import JSON, String, Table, Text, cast, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeDecorator, TypeEngine

from models.columns import Word
from models.policy import Keeping
from models.schema import METADATA
from store.blobs import Blobs, Entry
from store.database import Database

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
#: all tables, whichever of them is asked
_TABLES = METADATA.sorted_tables


@dataclass(frozen=True, slots=True)
class CollectionPlan:
    """What a collection would delete, and why the rest stays. Sizes in bytes."""

    unreferenced: tuple[tuple[str, int], ...] = ()
    #: blobs that a row names
    kept: int = 0
    kept_bytes: int = 0
    #: named by no row, and younger than the policy's grace: a row may be on its way
    too_young: int = 0
    #: half written by somebody who was killed: files, and their bytes
    abandoned: int = 0
    abandoned_bytes: int = 0
    #: written after this is too young
    before: datetime | None = None

    @property
    def bytes(self) -> int:
        """What a collection would free."""
        return sum(size for _, size in self.unreferenced) + self.abandoned_bytes


@dataclass(slots=True)
class Collected:
    """What a collection deleted; `spared` were put or named again after the plan was made. Sizes in bytes."""

    deleted: list[str] = field(default_factory=list)
    bytes: int = 0
    spared: list[str] = field(default_factory=list)
    #: files that were half written
    abandoned: int = 0


async def plan(database: Database, blobs: Blobs, keeping: Keeping, now: datetime) -> CollectionPlan:
    """Look at every blob and every row. Nothing is deleted. Errors: ToolFailed when the blobs cannot be listed."""
    # the blobs first: a blob that is put while the rows are read is not a candidate
    entries = [entry async for entry in blobs.entries()]
    named = await digests_in_rows(database)
    before = now - timedelta(days=keeping.blob_grace_days)
    abandoned, abandoned_bytes = await blobs.sweep(before, dry_run=True)
    kept = [entry for entry in entries if entry.digest in named]
    loose = [entry for entry in entries if entry.digest not in named]
    old = [entry for entry in loose if entry.modified < before]
    return CollectionPlan(
        unreferenced=tuple((entry.digest, entry.size) for entry in sorted(old)),
        kept=len(kept),
        kept_bytes=sum(entry.size for entry in kept),
        too_young=len(loose) - len(old),
        abandoned=abandoned,
        abandoned_bytes=abandoned_bytes,
        before=before,
    )


async def collect(database: Database, blobs: Blobs, plan: CollectionPlan, *, dry_run: bool = False) -> Collected:
    """Delete what the plan lists, unless it was put again or named by a row meanwhile.

    A dry run deletes nothing and returns what would go now.
    """
    done = Collected()
    named = await digests_in_rows(database) if plan.unreferenced else set()
    for digest, _ in plan.unreferenced:
        entry = await blobs.entry(digest)
        if entry is None:
            continue
        if digest in named or _is_young(entry, plan):
            done.spared.append(digest)
            continue
        if not dry_run:
            await blobs.delete(digest)
        done.deleted.append(digest)
        done.bytes += entry.size
    if plan.before is not None:
        done.abandoned, freed = await blobs.sweep(plan.before, dry_run=dry_run)
        done.bytes += freed
    return done


def _is_young(entry: Entry, plan: CollectionPlan) -> bool:
    return plan.before is None or entry.modified >= plan.before


async def digests_in_rows(database: Database) -> set[str]:
    """Every digest that stands in any row of any table, whether or not it is a blob's.

    In one view of all of them: a digest that goes from one row to another meanwhile is seen in one of the two.
    """
    found: set[str] = set()
    async with database.snapshot() as session:
        connection = await session.connection()
        for table in _TABLES:
            found |= await _digests_of(connection, table)
    return found


async def _digests_of(connection: AsyncConnection, table: Table) -> set[str]:
    texts = [cast(column, Text) for column in table.columns if _may_name_a_blob(column.type)]
    if not texts:
        return set()
    found: set[str] = set()
    rows = await connection.stream(select(*texts).where(or_(*(text.contains("sha256:") for text in texts))))
    async for row in rows:
        for text in row:
            found.update(_DIGEST.findall(text or ""))
    return found


def _may_name_a_blob(kind: TypeEngine[object]) -> bool:
    if isinstance(kind, Word):
        return False
    while isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    return isinstance(kind, (String, JSON))
