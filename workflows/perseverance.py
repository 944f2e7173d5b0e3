"""Work of the hub's own tools: begun again until it succeeds, with the trouble shown; and let go when it is over."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from models.errors import LONGEST_MESSAGE

T = TypeVar("T")

#: until the first new beginning; doubled each time. An activity has been tried for half a minute before.
_SOON = timedelta(seconds=2)
#: a trouble that lasts for weeks still fits into one history: some twenty events for each hour
_LATER = timedelta(hours=1)


async def persistently(work: Callable[[], Awaitable[T]], show: Callable[[str], None]) -> T:
    """Work that fails for good, or a child that somebody ended, is begun again: nothing is stuck, nobody has to act.

    `show` gets a line for people - attempt, time, cause - and an empty one when all is well again. Raises only when the
    caller cancels it.
    """
    wait, attempt = _SOON, 1
    while True:
        try:
            result = await work()
        except FailureError as failure:
            if _let_go():
                raise
            attempt += 1
            cause = root_cause(failure)
            workflow.logger.warning("work of the hub failed and is begun again: %s", cause)
            again = workflow.now() + wait
            show(f"- retrying: attempt {attempt} at {again:%Y-%m-%d %H:%M} UTC, after {cause}"[:LONGEST_MESSAGE])
            await workflow.sleep(wait, summary=f"attempt {attempt}")
            wait = min(wait * 2, _LATER)
        else:
            if attempt > 1:
                show("")
            return result


def _let_go() -> bool:
    """Whether our own process ends this work; a child or an activity that ops cancelled looks the same from here."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def root_cause(failure: BaseException) -> str:
    """What went wrong first: Temporal wraps it once for each activity and child workflow around it."""
    while isinstance(failure, FailureError) and failure.cause is not None:
        failure = failure.cause
    return str(failure) or type(failure).__name__


class Beside:
    """What runs beside a story until the story lets it go. A mistake in it is the story's as well: never hidden."""

    def __init__(self, *works: Coroutine[Any, Any, None]) -> None:
        self._tasks = [asyncio.create_task(work) for work in works]

    def has_failed(self) -> bool:
        return any(task.done() for task in self._tasks)

    def check(self) -> None:
        """Raises what one of them has died of."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def let_go(self) -> None:
        for task in self._tasks:
            await cancelled(task)


async def cancelled(task: "asyncio.Task[Any]") -> None:
    """Stop what a stage was doing and wait until it has let go; what it failed with no longer matters."""
    if not task.done():
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def has_succeeded(task: "asyncio.Task[Any]") -> bool:
    """Of a task that has ended: a cancellation may have come too late to stop it."""
    return not task.cancelled() and task.exception() is None
