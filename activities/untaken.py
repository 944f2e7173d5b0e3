"""What was stored while the server was away is handed to its process, once more or for the first time."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from models.addresses import publisher_address, submission_address
from models.errors import NotAllowed, NotFound, ToolFailed
from models.products import NewSubmission, Submitted
from store import submissions, untaken
from store.database import Database

log = structlog.get_logger(__name__)

#: until then whoever has stored it may be handing it over
_LATE = timedelta(minutes=5)


class FrontDesk(Protocol):
    """Hands over what is stored; handed over twice, it is taken once."""

    async def submission(self, new: NewSubmission, name: str) -> Submitted:
        """Errors: NotAllowed when its product refuses it; ToolFailed when it may still be taken."""

    async def application(self, publisher: str, profile: str, slug: str) -> None:
        """Errors: ToolFailed, NotFound when the server does not take it."""


async def take_up(client: Client, database: Database, desk: FrontDesk) -> list[str]:
    """What was done, a line each; what the server does not take now is left to the next round."""
    before = datetime.now(UTC) - _LATE
    async with database.session() as session:
        applications = await untaken.untaken_applications(session, before)
        waiting = await untaken.untaken_submissions(session, before)
    done: list[str] = []
    for applied in applications:
        address = publisher_address(applied.publisher)
        try:
            if await _is_known(client, address):
                continue
            await desk.application(applied.publisher, applied.profile, applied.slug)
        except (ToolFailed, NotFound, RPCError) as trouble:
            log.warning("left to the next round", subject=address, trouble=str(trouble))
        else:
            done.append(f"{address}: taken up")
    for submitted in waiting:
        address = submission_address(submitted.new.id)
        try:
            if not await _is_known(client, address):
                done.append(f"{address}: {await _take(database, desk, submitted)}")
        except (ToolFailed, RPCError) as trouble:
            log.warning("left to the next round", subject=address, trouble=str(trouble))
    for line in done:
        log.warning("handed over late", outcome=line)
    return done


async def _is_known(client: Client, address: str) -> bool:
    """Whether there is or was such a process: its record is only on its way."""
    try:
        await client.get_workflow_handle(address).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def _take(database: Database, desk: FrontDesk, submitted: untaken.UntakenSubmission) -> str:
    new = submitted.new
    try:
        if submitted.outrun:
            raise NotAllowed("a newer one of the product has been taken meanwhile.")
        answer = await desk.submission(new, submitted.name)
    except NotAllowed as refusal:
        async with database.transaction() as session:
            await untaken.turn_away(session, new, str(refusal), datetime.now(UTC))
        return f"turned away: {refusal}"
    async with database.transaction() as session:
        await submissions.numbered(session, new.id, answer.number)
    return f"taken up as #{answer.number}"
