"""What runs beside a story is let go with it, and a mistake in it is not hidden."""

import asyncio

import pytest
from temporalio.exceptions import ApplicationError, ChildWorkflowError, RetryState

from workflows.perseverance import Beside, cancelled, has_succeeded, root_cause


async def test_a_mistake_in_what_runs_beside_is_raised_where_the_story_looks() -> None:
    async def wrong() -> None:
        raise LookupError("a mistake of ours")

    async def for_ever() -> None:
        await asyncio.Event().wait()

    beside = Beside(wrong(), for_ever())
    beside.check()
    assert not beside.has_failed()
    await asyncio.sleep(0)
    assert beside.has_failed()
    with pytest.raises(LookupError, match="a mistake of ours"):
        beside.check()
    await beside.let_go()


async def test_what_a_cancellation_came_too_late_for_has_succeeded() -> None:
    async def deaf() -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return 17
        return 0

    async def heard() -> None:
        await asyncio.Event().wait()

    late, stopped = asyncio.create_task(deaf()), asyncio.create_task(heard())
    await asyncio.sleep(0)
    await cancelled(late)
    await cancelled(stopped)
    assert has_succeeded(late)
    assert not has_succeeded(stopped)


def test_the_cause_that_people_read_is_the_innermost_one() -> None:
    failure = ChildWorkflowError(
        "Child Workflow execution failed",
        namespace="",
        workflow_id="scan/1",
        run_id="",
        workflow_type="ScanWorkflow",
        initiated_event_id=0,
        started_event_id=0,
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )
    failure.__cause__ = ApplicationError("no space left on device", type="ToolFailed")
    assert root_cause(failure) == "ToolFailed: no space left on device"
    assert root_cause(ValueError()) == "ValueError"
