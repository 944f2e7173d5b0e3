"""The bare workflow: what Temporal itself needs for a run with the product's own commands, and nothing else.

A score is read off a history of the product: the same commands (activities, local activities, children, signals,
upserts, timers) in the same workflow tasks, waiting for as many signals and updates. Played, its activities do nothing
and its payloads are as small as they can be. So a bare run has the product's traffic on the server, without its
database, rules, mails and messages.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType, ParentClosePolicy
from temporalio.client import WorkflowHistory
from temporalio.common import SearchAttributeKey

#: task queues of the bare workers, as many as the product has
BARE_QUEUE = "bare"
BARE_SCANNING_QUEUE = "bare-scanning"

_STAGE = SearchAttributeKey.for_keyword("Stage")
_SHORT = timedelta(seconds=30)


class Play(StrEnum):
    ACTIVITY = "activity"
    #: on the queue of heavy work
    HEAVY = "heavy"
    LOCAL = "local"
    UPSERT = "upsert"
    #: the timer goes on until CANCEL
    TIMER = "timer"
    CANCEL = "cancel"
    #: a child whose end is waited for, and one that goes on by itself
    CHILD = "child"
    ABANDON = "abandon"
    #: to the parent, or to the child that was abandoned
    SIGNAL = "signal"
    RECEIVE = "receive"
    UPDATE = "update"
    ANSWER = "answer"


class Score(BaseModel):
    """`bars` holds the plays of one workflow task each. `ends`: whether the run ends, or stays open as a product's."""

    model_config = ConfigDict(frozen=True)

    bars: tuple[tuple[Play, ...], ...]
    children: tuple["Score", ...] = ()
    ends: bool = True

    def plays(self) -> Iterator[Play]:
        """Of this run and its children."""
        for bar in self.bars:
            yield from bar
        for child in self.children:
            yield from child.plays()


_COMMANDS = {
    EventType.EVENT_TYPE_MARKER_RECORDED: Play.LOCAL,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: Play.UPSERT,
    EventType.EVENT_TYPE_TIMER_STARTED: Play.TIMER,
    EventType.EVENT_TYPE_TIMER_CANCELED: Play.CANCEL,
    EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED: Play.SIGNAL,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: Play.RECEIVE,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: Play.UPDATE,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED: Play.ANSWER,
}


def score_of(history: WorkflowHistory, histories: Mapping[str, WorkflowHistory], heavy_queue: str) -> Score:
    """Read a run's score off its history; `histories` holds those of its children by workflow id."""
    bars: list[list[Play]] = [[]]
    children: list[Score] = []
    ends = False
    for event in history.events:
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                # what came in since the last task, a signal, is played before this task's commands
                received: list[Play] = [play for play in bars[-1] if play is Play.RECEIVE]
                bars[-1] = [play for play in bars[-1] if play is not Play.RECEIVE]
                bars.append(received)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                queue = event.activity_task_scheduled_event_attributes.task_queue.name
                bars[-1].append(Play.HEAVY if queue == heavy_queue else Play.ACTIVITY)
            case EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
                child = event.start_child_workflow_execution_initiated_event_attributes
                alone = child.parent_close_policy == ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON
                bars[-1].append(Play.ABANDON if alone else Play.CHILD)
                children.append(score_of(histories[child.workflow_id], histories, heavy_queue))
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
                ends = True
            case other if other in _COMMANDS:
                bars[-1].append(_COMMANDS[other])
    return Score(bars=tuple(tuple(bar) for bar in bars if bar), children=tuple(children), ends=ends)


class Nothing:
    """Activities that cost what any activity costs. They tell whoever listens at a port how far a run has come."""

    def __init__(self, news_port: int) -> None:
        self._place = ("127.0.0.1", news_port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @activity.defn
    async def nothing(self, news: str) -> None:
        """`news` is "ready" before the run waits for its decision, "done" before its end, and empty otherwise."""
        if news:
            self._socket.sendto(f"{news} {activity.info().workflow_id}".encode(), self._place)


class News(asyncio.DatagramProtocol):
    """Hears it: a run that is ready, a run that is done, by workflow id."""

    def __init__(self) -> None:
        self.ready: asyncio.Queue[str] = asyncio.Queue()
        self.done: asyncio.Queue[str] = asyncio.Queue()

    def datagram_received(self, data: bytes, _addr: object) -> None:
        word, _, workflow_id = data.decode().partition(" ")
        (self.ready if word == "ready" else self.done).put_nowait(workflow_id)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[News, int]]:
    """The news, and the port at which they arrive."""
    transport, news = await asyncio.get_running_loop().create_datagram_endpoint(News, local_addr=("127.0.0.1", 0))
    try:
        yield news, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


@workflow.defn
class BareWorkflow:
    """Plays a score."""

    @workflow.init
    def __init__(self, score: Score) -> None:
        self._received = 0
        self._updates: list[asyncio.Future[None]] = []
        self._next_update = 0
        self._timers: list[asyncio.Task[None]] = []
        self._peer: workflow.ExternalWorkflowHandle[Any] | None = None
        self._children = list(score.children)
        self._decided = False

    @workflow.run
    async def run(self, score: Score) -> None:
        if (parent := workflow.info().parent) is not None:
            self._peer = workflow.get_external_workflow_handle(parent.workflow_id)
        last = max((place for place, bar in enumerate(score.bars) if Play.ACTIVITY in bar), default=0)
        for place, bar in enumerate(score.bars):
            is_decided_next = Play.UPDATE in score.bars[min(place + 1, len(score.bars) - 1)] and Play.UPDATE not in bar
            done = score.ends and place == last and self._decided
            await self._play(bar, "ready" if is_decided_next else "done" if done else "")
        if not score.ends:
            await workflow.wait_condition(lambda: False)

    async def _play(self, bar: tuple[Play, ...], news: str) -> None:
        pending: list[Any] = []
        for play in bar:
            match play:
                case Play.ACTIVITY | Play.HEAVY:
                    queue = BARE_SCANNING_QUEUE if play is Play.HEAVY else BARE_QUEUE
                    pending.append(
                        workflow.start_activity_method(
                            Nothing.nothing, news, task_queue=queue, start_to_close_timeout=_SHORT
                        )
                    )
                    news = ""
                case Play.LOCAL:
                    await workflow.execute_local_activity_method(Nothing.nothing, "", start_to_close_timeout=_SHORT)
                case Play.UPSERT:
                    workflow.upsert_search_attributes([_STAGE.value_set("played")])
                case Play.TIMER:
                    self._timers.append(asyncio.create_task(asyncio.sleep(35 * 86_400)))
                case Play.CANCEL:
                    self._timers.pop().cancel()
                case Play.CHILD:
                    pending.append(await self._start(workflow.ParentClosePolicy.REQUEST_CANCEL))
                case Play.ABANDON:
                    child = await self._start(workflow.ParentClosePolicy.ABANDON)
                    self._peer = workflow.get_external_workflow_handle(child.id)
                case Play.SIGNAL:
                    if self._peer is not None:
                        pending.append(asyncio.ensure_future(self._peer.signal("signal")))
                case Play.RECEIVE:
                    await workflow.wait_condition(lambda: self._received > 0)
                    self._received -= 1
                case Play.UPDATE:
                    await workflow.wait_condition(lambda: len(self._updates) > self._next_update)
                case Play.ANSWER:
                    self._updates[self._next_update].set_result(None)
                    self._next_update += 1
                    self._decided = True
        await asyncio.gather(*pending)

    async def _start(self, policy: workflow.ParentClosePolicy) -> Any:
        score = self._children.pop(0)
        name = f"{workflow.info().workflow_id}/{len(self._children)}"
        return await workflow.start_child_workflow(BareWorkflow.run, score, id=name, parent_close_policy=policy)

    @workflow.signal
    def signal(self) -> None:
        self._received += 1

    @workflow.update
    async def update(self) -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._updates.append(answer)
        await answer


@workflow.defn
class BareUpdate:
    """Waits, and answers."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update
    async def decide(self, text: str) -> str:
        return text
