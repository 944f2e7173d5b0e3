"""Projection: snapshot, event rows and the notices' rows in one transaction. Nothing here waits for SMTP."""

from dataclasses import dataclass

from store.blobs import Blobs
from temporalio import activity

from activities.errors import translated
from models.addresses import submission_address
from models.lifecycle import CLOSED_STAGES
from models.recording import ApplicationRecording, ProductRecording, SubmissionRecording
from store import projection, secrets
from store.database import Database


@dataclass(frozen=True, slots=True)
class RecordingActivities:
    database: Database
    blobs: Blobs

    @activity.defn
    async def record_submission(self, recording: SubmissionRecording) -> None:
        """Idempotent and monotonic on the revision. A closed submission's credentials are deleted with the record."""
        with translated():
            waivers = await projection.waivers_of(recording, self.blobs)
            async with self.database.transaction() as session:
                await projection.record_submission(session, recording, _run(), waivers)
                if recording.snapshot.stage in CLOSED_STAGES:
                    await secrets.delete_of(session, submission_address(recording.snapshot.id))

    @activity.defn
    async def record_product(self, recording: ProductRecording) -> None:
        with translated():
            async with self.database.transaction() as session:
                await projection.record_product(session, recording, _run())

    @activity.defn
    async def record_application(self, recording: ApplicationRecording) -> None:
        with translated():
            async with self.database.transaction() as session:
                await projection.record_application(session, recording, _run())


def _run() -> str:
    """The run that reports: a reset run repeats revisions, and its events are another run's."""
    return activity.info().workflow_run_id or ""
