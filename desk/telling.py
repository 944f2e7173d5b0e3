"""Telling a process what somebody decided: an update that answers, and clear words when it does not."""

import asyncio
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from models.base import Message
from models.commands import Command
from models.errors import NotAllowed, NotFound, ToolFailed

A = TypeVar("A", bound=Message)

#: a decision is answered in milliseconds; without a worker it never is. Seconds.
_PATIENCE = 30.0


async def tell(client: Client, address: str, command: Command, answer: type[A]) -> A:
    """Send a command as an update and return the snapshot after it.

    The update id is the command's id: sent again after a broken connection, it is the same command. Errors:
    NotAllowed with what is possible instead, NotFound, ToolFailed when nobody answers (the command may still be
    judged later: it is durable once the server has taken it).
    """
    handle = client.get_workflow_handle(address)
    try:
        async with asyncio.timeout(_PATIENCE):
            result: A = await handle.execute_update(command.act, command, id=command.id, result_type=answer)
            return result
    except TimeoutError as silence:
        raise ToolFailed(f"{address} did not answer in {_PATIENCE:.0f} s: is a worker running? Try again.") from silence
    except (WorkflowUpdateFailedError, RPCError) as error:
        raise translated_back(error, address) from error


def translated_back(error: Exception, address: str) -> Exception:
    """From Temporal's errors to ours."""
    if isinstance(error, WorkflowUpdateFailedError):
        cause: Any = error.cause
        if isinstance(cause, ApplicationError) and cause.type == "NotAllowed":
            return NotAllowed(cause.message)
        return ToolFailed(f"{address} failed to answer: {cause}")
    if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
        if "completed" in error.message:
            return NotAllowed(f"{address} has ended: nothing can be decided on it any more.")
        return NotFound(f"There is no running process {address}.")
    if isinstance(error, RPCError) and error.status is RPCStatusCode.DEADLINE_EXCEEDED:
        return ToolFailed(f"{address} did not answer: is a worker running? Try again.")
    return ToolFailed(f"The Temporal server refused: {error}")
