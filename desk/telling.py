"""Telling a process what somebody decided: an update that answers, and clear words when it does not."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, RPCTimeoutOrCancelledError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from models.addresses import MODERATION_QUEUE
from models.base import Message
from models.commands import Command
from models.errors import NotAllowed, NotFound, ToolFailed, WharfingerError

A = TypeVar("A", bound=Message)

#: a decision is answered in milliseconds; without a worker it never is. Seconds.
PATIENCE = 30.0
#: after which it is worth asking whether anybody works at all. Seconds.
_DOUBT = 2.0


class NoAnswer(ToolFailed):
    """The server took the message, and no worker has answered it: it may still be judged later."""


async def tell(client: Client, address: str, command: Command, answer: type[A]) -> A:
    """Send a command as an update and return the snapshot after it.

    The update id is the command's id: sent again after a broken connection, it is the same command. Errors:
    NotAllowed with what is possible instead, NotFound, NoAnswer, ToolFailed.
    """
    handle = client.get_workflow_handle(address)

    def ask() -> Coroutine[Any, Any, A]:
        return handle.execute_update(command.act, command, id=command.id, result_type=answer)

    try:
        return await answered(client, ask(), again=ask)
    except (WorkflowUpdateFailedError, RPCError, RPCTimeoutOrCancelledError, RuntimeError) as error:
        raise translated_back(error, address) from error


async def answered(
    client: Client,
    message: Coroutine[Any, Any, A],
    patience: float = PATIENCE,
    again: Callable[[], Coroutine[Any, Any, A]] | None = None,
) -> A:
    """Wait for an answer, and give up early where nobody works. Errors: NoAnswer, and those of the message itself.

    `again` asks the same question (same id) once more in the middle of the patience: one that reached the server
    between two runs of a process has been seen to wait for ever.
    """
    asked = [asyncio.create_task(message)]
    try:
        await _wait(asked, min(_DOUBT, patience))
        if not _done(asked) and not await is_attended(client):
            raise NoAnswer(
                "No worker is running: start one with `wharfinger up` or `wharfinger worker`, and try again."
            )
        left = max(0.0, patience - _DOUBT)
        await _wait(asked, left / 2)
        if again is not None and not _done(asked):
            asked.append(asyncio.create_task(again()))
        await _wait(asked, left / 2)
        if not (done := _done(asked)):
            raise NoAnswer(f"No answer in {patience:.0f} s: is a worker running? Try again.")
        return done[0].result()
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def _wait(asked: list[asyncio.Task[A]], seconds: float) -> None:
    if not _done(asked):
        await asyncio.wait(asked, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


def _done(asked: list[asyncio.Task[A]]) -> list[asyncio.Task[A]]:
    return [task for task in asked if task.done()]


async def is_attended(client: Client) -> bool:
    """Whether a worker has asked for work in the last minutes, as far as the server knows."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=MODERATION_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    return bool((await client.workflow_service.describe_task_queue(request)).pollers)


def translated_back(error: Exception, address: str) -> Exception:
    """From Temporal's errors to ours; one of ours stays as it is."""
    if isinstance(error, WharfingerError):
        return error
    if isinstance(error, WorkflowUpdateFailedError):
        cause: Any = error.cause
        if isinstance(cause, ApplicationError) and cause.type == "NotAllowed":
            return NotAllowed(cause.message)
        return ToolFailed(f"{address} failed to answer: {cause}")
    if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
        # before the question, or while it was on its way
        if "completed" in error.message or "closing workflow" in error.message:
            return NotAllowed(f"{address} has ended: nothing can be decided on it any more.")
        return NotFound(f"There is no running process {address}.")
    if isinstance(error, RPCTimeoutOrCancelledError) or (
        isinstance(error, RPCError) and error.status is RPCStatusCode.DEADLINE_EXCEEDED
    ):
        return NoAnswer(f"{address} did not answer: is a worker running? Try again.")
    if isinstance(error, RuntimeError) or (
        isinstance(error, RPCError) and error.status is RPCStatusCode.UNAVAILABLE
    ):  # a client that never connected says so with a RuntimeError
        return ToolFailed("The Temporal server does not answer: start it with `wharfinger up`.")
    return ToolFailed(f"The Temporal server refused: {str(error).rstrip('.')}.")
