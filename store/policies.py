"""Every policy that anything was judged under, by digest: a verdict can be understood years later."""

from datetime import datetime

from sqlalchemy import bindparam
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.policy import HubPolicy
from models.tables import PolicyRow
from store.database import insert_new, table_of

_POLICY = table_of(PolicyRow)
_KEPT = select(_POLICY.c.digest).where(_POLICY.c.digest == bindparam("digest"))


async def keep(session: AsyncSession, policy: HubPolicy, at: datetime) -> None:
    """Kept once, with the time of its first use."""
    digest = policy.digest
    if not await is_kept(session, digest):
        row = {"digest": digest, "policy": policy.model_dump(mode="json"), "first_used_at": at}
        await insert_new(session, PolicyRow, [row], ("digest",))


async def is_kept(session: AsyncSession, digest: str) -> bool:
    return (await session.exec(_KEPT, params={"digest": digest})).first() is not None


async def find(session: AsyncSession, digest: str) -> HubPolicy | None:
    row = await session.get(PolicyRow, digest)
    return None if row is None else HubPolicy.model_validate(row.policy)
