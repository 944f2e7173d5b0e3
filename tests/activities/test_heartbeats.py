"""Long work is heard of while it runs, and its errors arrive as what they are."""

import asyncio

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import translated
from activities.heartbeats import heartbeats
from models.errors import LONGEST_MESSAGE, ImageNotFound, ToolFailed


async def test_the_first_heartbeat_comes_soon_and_a_cancellation_ends_the_work() -> None:
    heard = asyncio.Event()
    said: list[object] = []
    environment = ActivityEnvironment()

    def hear(*details: object) -> None:
        said.extend(details)
        heard.set()

    environment.on_heartbeat = hear

    async def work() -> None:
        async with heartbeats() as progress:
            progress.says("half of it")
            await asyncio.Event().wait()

    running = asyncio.create_task(environment.run(work))
    await asyncio.wait_for(heard.wait(), 10)
    assert said[0] in ("started", "half of it")
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_work_that_is_over_at_once_sends_no_heartbeat() -> None:
    said: list[object] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = said.append

    async def work() -> None:
        async with heartbeats():
            await asyncio.sleep(0)

    await environment.run(work)
    assert not said


async def test_errors_of_the_taxonomy_say_whether_trying_again_can_help() -> None:
    with pytest.raises(ApplicationError) as permanent, translated():
        raise ImageNotFound("No such tag.")
    assert (permanent.value.type, permanent.value.non_retryable) == ("ImageNotFound", True)
    with pytest.raises(ApplicationError) as passing, translated():
        raise ToolFailed("x" * 3 * LONGEST_MESSAGE)
    assert (passing.value.type, passing.value.non_retryable) == ("ToolFailed", False)
    assert len(passing.value.message) == LONGEST_MESSAGE
    with pytest.raises(ValueError, match="ours"), translated():
        raise ValueError("a mistake of ours is not hidden")
