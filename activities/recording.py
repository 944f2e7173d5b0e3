"""Projection: snapshot, event rows and the notices' rows in one transaction. Nothing here waits for SMTP."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.errors import translated
from models.addresses import submission_address
from models.findings import Waiver
from models.lifecycle import CLOSED_STAGES
from models.recording import ApplicationRecording, ProductRecording, SubmissionRecording
from store import projection, secrets
from store.blobs import Blobs
from store.database import Database


@dataclass(frozen=True, slots=True)
class RecordingActivities:
    database: Database
    blobs: Blobs

    @activity.defn
    async def record_submission(self, recording: SubmissionRecording) -> None:
        """Idempotent and monotonic on the revision. A closed submission's credentials are deleted with the record.

        A waiver that an entry names is read first, so that no transaction waits for the blobs.
        """
        run = _run()
        with translated():
            digests = {entry.waiver for entry in recording.entries if entry.waiver and entry.event != "undo"}
            granted = {digest: await self.blobs.get_message(Waiver, digest) for digest in sorted(digests)}

            async def record(session: AsyncSession) -> None:
                await projection.record_submission(session, recording, run, granted=granted)
                if recording.snapshot.stage in CLOSED_STAGES:
                    await secrets.delete_of(session, submission_address(recording.snapshot.id))

            await self.database.write(record)

    @activity.defn
    async def record_product(self, recording: ProductRecording) -> None:
        run = _run()
        with translated():
            await self.database.write(lambda session: projection.record_product(session, recording, run))

    @activity.defn
    async def record_application(self, recording: ApplicationRecording) -> None:
        run = _run()
        with translated():
            await self.database.write(lambda session: projection.record_application(session, recording, run))


def _run() -> str:
    """The run that reports: a reset run repeats revisions, and its events are another run's."""
    return activity.info().workflow_run_id or ""
