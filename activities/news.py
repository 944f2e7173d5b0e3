"""Mails of what the watch has found: what is critical at once, the rest by the day; each is queued once."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.policy import PolicyInForce
from models.notices import NoticeKind
from policies.clocks import first_due
from policies.working_days import add_working_days
from store import batches, watch_notices
from store.database import Database

#: lines of which the security team is told in one mail
_UNCLASSED = 1_000


@dataclass(frozen=True, slots=True)
class NewsDesk:
    database: Database
    policy: PolicyInForce

    async def of_batch(self, batch: str) -> None:
        """What is critical goes out at once, and subscribers and the security team are told; the rest is a digest's.

        Of a publication subscribers are told as of a release. Written again, nothing is.
        """
        async with self.database.session() as session:
            row = await batches.get(session, batch)
            publishers = await batches.unmailed_publishers(session, batch, critical=True)
            public = await batches.for_subscribers(session, batch) if not row.submission else {}
            unclassed = await batches.unclassed(session, batch, _UNCLASSED)
        for publisher in publishers:
            await self.to_publisher(publisher, NoticeKind.VULNERABILITIES_FOUND, batch, batch)
        now, policy = datetime.now(UTC), self.policy.current()
        by = add_working_days(now, policy.remediation.classing_working_days, policy.deadlines.holidays)

        async def write(session: AsyncSession) -> None:
            for product, lines in public.items():
                shown = [line.shown for line in lines]
                await watch_notices.tell_subscribers(session, lines[0].publisher, product, batch, shown, now)
            if unclassed:
                await watch_notices.ask_for_classes(session, batch, unclassed, now, by)

        if public or unclassed:
            await self.database.write(write)

    async def to_publisher(self, publisher: str, kind: NoticeKind, occasion: str, batch: str = "") -> int:
        """One mail for all its products, and the note of it, in one transaction. Returns how many were queued.

        Of a batch what is critical; of none (a digest) all that has been told and not been mailed.
        """
        now, policy = datetime.now(UTC), self.policy.current()
        critical = kind is NoticeKind.VULNERABILITIES_FOUND

        async def write(session: AsyncSession) -> int:
            if await batches.has_mail(session, publisher, kind, occasion):
                return 0
            lines = await batches.unmailed(session, publisher, batch, critical=critical)
            if not lines:
                return 0
            changes = [change for line in lines for change in line.change]
            by = first_due(changes, now, policy.remediation, policy.watch)
            shown = [line.shown for line in lines]
            mails = await watch_notices.tell_publisher(session, publisher, kind, occasion, shown, now, by)
            await batches.mailed(session, lines, now)
            return mails

        return await self.database.write(write)
