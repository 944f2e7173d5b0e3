"""The watch from the desk: a look at the advisories by hand, the clocks of a product, a word on a mass change."""

from typing import TypeVar

from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import FailureError
from temporalio.service import RPCError

from desk.hub import Hub
from desk.telling import answered, tell, translated_back
from models.addresses import (
    ADVISORIES_BY_HAND_ID,
    MODERATION_QUEUE,
    RESCAN_BY_HAND_ID,
    mass_change_address,
    product_address,
)
from models.base import Message
from models.commands import Command
from models.errors import NotFound, ToolFailed
from models.watching import BatchStatus, Clock, MassChangeSnapshot
from models.work import AdvisoryBatch, MassChangeStart, RescansDone, Watched
from store import batches

M = TypeVar("M", bound=Message)

#: of whoever waits for a run to end; the run itself goes on. Seconds.
PATIENCE = 24 * 3600.0


async def look_now(client: Client) -> Watched:
    """Import what has changed, match it and tell it, now; somebody's run that is under way is joined."""
    return await _run(client, "AdvisoryWorkflow", ADVISORIES_BY_HAND_ID, Watched)


async def rescan_now(client: Client) -> RescansDone:
    """Scan again what an older scanner has seen, without waiting for the night."""
    return await _run(client, "RescanWorkflow", RESCAN_BY_HAND_ID, RescansDone)


async def _run(client: Client, story: str, id_: str, answer: type[M]) -> M:
    """Errors: NoAnswer where no worker runs, ToolFailed."""
    try:
        handle = await client.start_workflow(
            story,
            id=id_,
            task_queue=MODERATION_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            result_type=answer,
        )
        done: M = await answered(client, handle.result(), PATIENCE)
        return done
    except WorkflowFailureError as failed:
        raise ToolFailed(f"{id_} ended without a result: {_cause(failed)}") from failed
    except (RPCError, RuntimeError) as error:
        raise translated_back(error, id_) from error


def _cause(failed: WorkflowFailureError) -> str:
    cause: BaseException = failed.cause
    while isinstance(cause, FailureError) and cause.cause is not None:
        cause = cause.cause
    return str(cause) or type(cause).__name__


async def judge(hub: Hub, batch: str, command: Command) -> MassChangeSnapshot:
    """Confirm or decline an update of advisories that waits. Errors: NotAllowed, NotFound, NoAnswer, ToolFailed."""
    try:
        return await tell(hub.client, mass_change_address(batch), command, MassChangeSnapshot)
    except NotFound as missing:
        if not await _begun_again(hub, batch):
            message = f"No update {batch} waits for the security team: `wharfinger watch` lists them."
            raise NotFound(message) from missing
    return await tell(hub.client, mass_change_address(batch), command, MassChangeSnapshot)


async def _begun_again(hub: Hub, batch: str) -> bool:
    """The rows say that it waits, and there is no process: whoever handed it over was ended before it had done so."""
    async with hub.database.session() as session:
        row = await batches.find(session, batch)
    if row is None or row.status is not BatchStatus.WAITING:
        return False
    known = AdvisoryBatch(id=row.id, names=row.names, products=row.products, mass=True)
    await hub.client.start_workflow(
        "MassChangeWorkflow",
        MassChangeStart(batch=known),
        id=mass_change_address(batch),
        task_queue=MODERATION_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    return True


async def clocks_of(client: Client, product: str) -> list[Clock]:
    """What has to be mended in a product (an id), and by when, as its process knows it. Errors: as `judge`."""
    handle = client.get_workflow_handle(product_address(product))
    try:
        asked = handle.query("clocks", result_type=list[Clock])
        return list(await answered(client, asked))
    except (RPCError, RuntimeError) as error:
        raise translated_back(error, product_address(product)) from error
