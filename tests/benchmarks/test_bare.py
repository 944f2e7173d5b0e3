"""A bare run has the commands of the run that its score was read off: counted on the real server."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Worker

from benchmarks.bare import BARE_QUEUE, BARE_SCANNING_QUEUE, BareWorkflow, Nothing, Play, listening, score_of
from benchmarks.histories import cost_of, total
from tests.parts.presence import needs
from tests.parts.servers import temporal, temporal_client  # noqa: F401
from workflows.search_attributes import STAGE

pytestmark = [pytest.mark.system, needs("temporal")]

_SOON = timedelta(seconds=10)


class Work:
    """Tells when the run has recorded something, and so waits for its decision."""

    def __init__(self) -> None:
        self.recorded = asyncio.Event()

    @activity.defn
    async def work(self, what: str) -> str:
        if what == "record":
            self.recorded.set()
        return what


@workflow.defn(sandboxed=False)
class Helper:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity_method(Work.work, "child", start_to_close_timeout=_SOON)


@workflow.defn(sandboxed=False)
class Model:
    """One of everything that a submission does."""

    def __init__(self) -> None:
        self.told = self.decided = False

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity_method(Work.work, "light", start_to_close_timeout=_SOON)
        await workflow.execute_child_workflow(Helper.run, id=f"{workflow.info().workflow_id}/helper")
        workflow.upsert_search_attributes([STAGE.value_set("ready")])
        await workflow.execute_activity_method(Work.work, "record", start_to_close_timeout=_SOON)
        await workflow.wait_condition(lambda: self.decided)
        await workflow.execute_activity_method(Work.work, "publish", task_queue="heavy", start_to_close_timeout=_SOON)
        await workflow.wait_condition(lambda: self.told)

    @workflow.update
    async def decide(self) -> None:
        await workflow.execute_local_activity_method(Work.work, "who", start_to_close_timeout=_SOON)
        self.decided = True

    @workflow.signal
    def tell(self) -> None:
        self.told = True


async def modelled(client: Client) -> dict[str, WorkflowHistory]:
    """Histories of one run and its child."""
    done = Work()
    async with (
        Worker(client, task_queue="model", workflows=[Model, Helper], activities=[done.work]),
        Worker(client, task_queue="heavy", activities=[done.work]),
    ):
        handle = await client.start_workflow(Model.run, id="model", task_queue="model")
        await done.recorded.wait()
        await handle.execute_update(Model.decide)
        await handle.signal(Model.tell)
        await handle.result()
    return {name: await client.get_workflow_handle(name).fetch_history() for name in ("model", "model/helper")}


async def test_a_score_is_played_with_the_same_commands(temporal_client: Client) -> None:  # noqa: F811
    histories = await modelled(temporal_client)
    score = score_of(histories["model"], histories, "heavy")
    assert score.ends
    assert Counter(score.plays()) == {
        Play.ACTIVITY: 3,
        Play.HEAVY: 1,
        Play.LOCAL: 1,
        Play.UPSERT: 1,
        Play.CHILD: 1,
        Play.UPDATE: 1,
        Play.ANSWER: 1,
        Play.RECEIVE: 1,
    }
    async with AsyncExitStack() as stack:
        news, port = await stack.enter_async_context(listening())
        nothing = stack.enter_context(Nothing(port)).nothing
        for queue, workflows in ((BARE_QUEUE, [BareWorkflow]), (BARE_SCANNING_QUEUE, [])):
            worker = Worker(temporal_client, task_queue=queue, workflows=workflows, activities=[nothing])
            await stack.enter_async_context(worker)
        handle = await temporal_client.start_workflow(BareWorkflow.run, score, id="bare", task_queue=BARE_QUEUE)
        assert await news.ready.get() == "bare"
        await handle.execute_update(BareWorkflow.update)
        await handle.signal(BareWorkflow.signal)
        await handle.result()
    bare = {name: await temporal_client.get_workflow_handle(name).fetch_history() for name in ("bare", "bare/0")}
    assert commands_of(bare["bare"]) == commands_of(histories["model"])
    assert commands_of(bare["bare/0"]) == commands_of(histories["model/helper"])
    assert total(bare.values()).actions == total(histories.values()).actions


def commands_of(history: WorkflowHistory) -> Counter[str]:
    """What a run did and was told, without the tasks in which it did it."""
    names = (EventType.Name(event.event_type) for event in history.events)
    return Counter(name for name in names if "WORKFLOW_TASK" not in name)


async def test_actions_are_counted_as_they_are_billed(temporal_client: Client) -> None:  # noqa: F811
    histories = await modelled(temporal_client)
    # start, intent of the child, three activities, one marker, an update, an upsert, a signal
    assert cost_of(histories["model"]).actions == 9
    # start and activity
    assert cost_of(histories["model/helper"]).actions == 2
    assert cost_of(histories["model"]).events == len(histories["model"].events)
