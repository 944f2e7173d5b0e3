"""What becomes of an update of advisories that waits for the security team: its audit trail and the team's notices.

The batch itself, and what is told of it, is store/batches.py.
"""

from sqlmodel.ext.asyncio.session import AsyncSession

from models.addresses import mass_change_address
from models.recording import MassChangeRecording
from policies import words
from store import trail
from store.recipients import Circle


async def record(session: AsyncSession, recording: MassChangeRecording, run: str) -> int:
    """Events and notices; recorded again, the same changes nothing. Returns how many notices were queued."""
    snapshot = recording.snapshot
    subject = mass_change_address(snapshot.id)
    new = await trail.write_events(session, subject, run, snapshot.revision, recording.entries)
    shown = trail.situation_shown(words.of_mass_change(snapshot)) | {"batch": snapshot.id}
    return await trail.queue_notices(
        session, subject, snapshot.revision, new, Circle(publisher=""), shown=shown, told=shown
    )
