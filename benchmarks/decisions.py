"""How long a moderator waits for the answer to a decision, with 1,000 submissions waiting, beside a bare update.

    python -m benchmarks.decisions [--waiting 1000] [--decisions 200]

The submissions wait for their first review: each is a run of its own with its rows, started in the state that
continue-as-new would carry over, since a thousand whole journeys to that point would take the benchmark's time. Then
decisions (changes requested, by the moderator, over the desk) alternate with updates of a workflow that does nothing
but answer, on the same server, with a pause after each so that none waits for what the one before has set going.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from benchmarks.bare import BareUpdate
from benchmarks.figures import note, percentile, show
from benchmarks.house import House, content_of, open_house, settings_of, temporal_server, working
from desk import submissions as desk
from models.addresses import MODERATION_QUEUE, new_id, submission_address
from models.base import digest_of
from models.commands import RequestChanges
from models.content import ContentManifest
from models.events import Examined, Onboarded
from models.lifecycle import Outcome, SubmissionState
from models.work import SubmissionStart
from policies import lifecycle
from store import contents, products
from store import submissions as rows
from workflows import search_attributes
from workflows.submission import SubmissionWorkflow

MOST_RATIO = 3.0
#: seconds after each answer, in which its record is written
_PAUSE = 0.1
#: submissions that are started at a time
_AT_ONCE = 20
_BARE_QUEUE = "bare-updates"
_RELEASE = digest_of(b"a release set")


async def let_wait(house: House, count: int) -> list[SubmissionState]:
    """As many submissions that wait for a moderator; returns their states."""
    places = asyncio.Semaphore(_AT_ONCE)
    manifest = content_of("Ledger", "registry.example/ledger").manifest

    async def one(number: int) -> SubmissionState:
        async with places:
            state = await _waiting_state(house, manifest, number)
            await house.hub.client.start_workflow(
                SubmissionWorkflow.run,
                SubmissionStart(
                    id=state.id,
                    publisher=state.publisher,
                    product=state.product,
                    content=state.content,
                    number=1,
                    state=state,
                ),
                id=submission_address(state.id),
                task_queue=MODERATION_QUEUE,
                search_attributes=search_attributes.at_start(state.publisher, state.product),
            )
        return state

    return await asyncio.gather(*(one(number) for number in range(count)))


async def _waiting_state(house: House, manifest: ContentManifest, number: int) -> SubmissionState:
    """The rows of a submission, and its state once everything is checked."""
    now, name = datetime.now(UTC), f"{manifest.name} {number}"
    state = SubmissionState(id=new_id(), publisher=house.publisher, product="", content="", number=1, submitted=now)
    async with house.hub.database.transaction() as session:
        product = await products.find_or_create(session, house.publisher, f"ledger-{number}", name, now)
        content = await contents.save(session, manifest.model_copy(update={"name": name}))
        await rows.create(
            session,
            id=state.id,
            product=product.id,
            publisher=house.publisher,
            content=content,
            submitter=house.member,
            at=now,
            number=1,
        )
    state = state.model_copy(update={"product": product.id, "content": content})
    policy = house.hub.policy.current()
    for event in (
        Onboarded(terms=policy.deadlines, policy=policy.digest, release=_RELEASE),
        Examined(outcome=Outcome()),
    ):
        state = lifecycle.happen(state, event, now).state
    return state


async def are_waiting(house: House, states: list[SubmissionState]) -> None:
    """Until every run has done its first step, and a query of each proves it."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(state: SubmissionState) -> None:
        async with places:
            await house.hub.client.get_workflow_handle(submission_address(state.id)).query("snapshot")

    await asyncio.gather(*(one(state) for state in states))


@asynccontextmanager
async def bare_runs(client: Client, count: int) -> AsyncIterator[list[WorkflowHandle[BareUpdate, None]]]:
    """As many runs that wait for an update, with a worker of their own."""
    async with Worker(client, task_queue=_BARE_QUEUE, workflows=[BareUpdate]):
        yield [
            await client.start_workflow(BareUpdate.run, id=f"bare-{new_id()}", task_queue=_BARE_QUEUE)
            for _ in range(count)
        ]


async def measure(house: House, waiting: int, decisions: int) -> tuple[list[float], list[float]]:
    """Seconds of each decision and of each bare update."""
    note(f"{waiting} submissions come to wait for a moderator")
    began = time.perf_counter()
    states = await let_wait(house, waiting)
    await are_waiting(house, states)
    note(f"they do, after {time.perf_counter() - began:.0f} s; now {decisions} decisions and as many bare updates")
    decided: list[float] = []
    bare: list[float] = []
    async with bare_runs(house.hub.client, decisions) as handles:
        # spread over all, the ones that came first as well as the last
        for number, handle in enumerate(handles):
            state = states[number * waiting // decisions]
            command = RequestChanges(
                id=f"request-changes-{new_id()}",
                actor=house.moderator,
                iteration=1,
                release=_RELEASE,
                text="Please say in the description which harbours it is for.",
            )
            decided.append(await _timed(desk.decide(house.hub, state.id, command)))
            bare.append(await _timed(handle.execute_update(BareUpdate.decide, command.text)))
    return decided, bare


async def _timed(answer: Awaitable[object]) -> float:
    began = time.perf_counter()
    await answer
    seconds = time.perf_counter() - began
    await asyncio.sleep(_PAUSE)
    return seconds


async def run(waiting: int, decisions: int) -> None:
    async with AsyncExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wharfinger-decisions-")))
        temporal = await stack.enter_async_context(temporal_server(place, in_memory=False))
        house = await stack.enter_async_context(open_house(settings_of(place, temporal), place / "sources"))
        await stack.enter_async_context(working(house))
        await house.settle()
        decided, bare = await measure(house, waiting, decisions)
    shares = {"p50": 0.5, "p95": 0.95, "slowest": 1.0}
    figures = {name: (percentile(decided, share), percentile(bare, share)) for name, share in shares.items()}
    ratio = figures["p95"][0] / figures["p95"][1]
    verdict = f"{ratio:.2f} ({'<=' if ratio <= MOST_RATIO else 'NOT <='} {MOST_RATIO:g})"
    show(
        f"Decisions: {decisions} of {waiting} waiting submissions, Temporal with a SQLite file",
        ("milliseconds until the answer", "decision", "bare update", "ratio"),
        [
            (name, 1000 * ours, 1000 * bare, verdict if name == "p95" else f"{ours / bare:.2f}")
            for name, (ours, bare) in figures.items()
        ],
        {
            "p95_ratio": ratio,
            "p95_ms": 1000 * figures["p95"][0],
            "bare_p95_ms": 1000 * figures["p95"][1],
            "waiting": waiting,
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decisions", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--waiting", type=int, default=1_000, help="submissions that wait for a moderator")
    parser.add_argument("--decisions", type=int, default=200, help="of these, and as many bare updates")
    given = parser.parse_args()
    if given.decisions > given.waiting:
        parser.error("a submission is decided once: there are fewer waiting than decisions")
    asyncio.run(run(given.waiting, given.decisions))


if __name__ == "__main__":
    main()
