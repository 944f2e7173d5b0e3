"""Every policy that anything was judged under, by digest: a verdict can be understood years later."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from models.policy import HubPolicy
from models.tables import PolicyRow
from store.database import insert_new


async def keep(session: AsyncSession, policy: HubPolicy, at: datetime) -> None:
    """Kept once, with the time of its first use."""
    row = PolicyRow(digest=policy.digest, policy=policy.model_dump(mode="json"), first_used_at=at)
    await insert_new(session, PolicyRow, [row.model_dump()], ("digest",))


async def find(session: AsyncSession, digest: str) -> HubPolicy | None:
    row = await session.get(PolicyRow, digest)
    return None if row is None else HubPolicy.model_validate(row.policy)
