"""Projection: snapshot, event rows and the notices' rows in one transaction. Nothing here waits for SMTP."""

from dataclasses import dataclass

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.errors import translated
from models.addresses import submission_address
from models.errors import NotFound
from models.findings import Waiver
from models.lifecycle import CLOSED_STAGES
from models.recording import ApplicationRecording, ProductRecording, SubmissionRecording
from store import projection, secrets
from store.blobs import Blobs
from store.database import Database

log = structlog.get_logger(__name__)


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
            granted = await self._granted(recording)

            async def record(session: AsyncSession) -> None:
                await projection.record_submission(session, recording, run, granted=granted)
                if recording.snapshot.stage in CLOSED_STAGES:
                    await secrets.delete_of(session, submission_address(recording.snapshot.id))

            await self.database.write(record, brief=True)

    async def _granted(self, recording: SubmissionRecording | ProductRecording) -> dict[str, Waiver | None]:
        """The stored waivers that the entries name.

        The desk stores a waiver before its command; one that nobody stored came by a signal. It waives nothing beyond
        the iteration, but it must not hold up the record either.
        """
        granted: dict[str, Waiver | None] = {}
        for digest in sorted({entry.waiver for entry in recording.entries if entry.waiver and entry.event != "undo"}):
            try:
                granted[digest] = await self.blobs.get_message(Waiver, digest)
            except NotFound as missing:
                log.warning("a waiver was never stored", subject=recording.snapshot.id, missing=str(missing))
                granted[digest] = None
        return granted

    @activity.defn
    async def record_product(self, recording: ProductRecording) -> None:
        run = _run()
        with translated():
            granted = await self._granted(recording)
            await self.database.write(
                lambda session: projection.record_product(session, recording, run, granted=granted), brief=True
            )

    @activity.defn
    async def record_application(self, recording: ApplicationRecording) -> None:
        run = _run()
        with translated():
            await self.database.write(
                lambda session: projection.record_application(session, recording, run), brief=True
            )


def _run() -> str:
    """The run that reports: a reset run repeats revisions, and its events are another run's."""
    return activity.info().workflow_run_id or ""
