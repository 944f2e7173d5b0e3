"""What the process of a mass change asks and tells: the policy in force, and its own record."""

from dataclasses import dataclass

from temporalio import activity

from activities.errors import translated
from activities.policy import PolicyInForce
from models.policy import Watch
from models.recording import MassChangeRecording
from store import mass_changes
from store.database import Database


@dataclass(frozen=True, slots=True)
class MassChangeActivities:
    database: Database
    policy: PolicyInForce

    @activity.defn
    async def watch_terms(self) -> Watch:
        """The slice of the policy in force."""
        return self.policy.current().watch

    @activity.defn
    async def record_mass_change(self, recording: MassChangeRecording) -> None:
        """Events and notices in one transaction; idempotent."""
        run = activity.info().workflow_run_id or ""
        with translated():
            await self.database.write(lambda session: mass_changes.record(session, recording, run))
