"""What the operators have to know because nobody else would notice it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.errors import translated
from store import watch_notices
from store.database import Database


@dataclass(frozen=True, slots=True)
class AlarmActivities:
    database: Database

    @activity.defn
    async def advisories_unread(self, problem: str) -> None:
        """Sources of advisories cannot be read: a mail to the operators, once a day."""
        now = datetime.now(UTC)
        with translated():
            await self.database.write(lambda session: watch_notices.tell_of_unread(session, problem, now))
