"""Submissions per second through the whole journey, beside a bare workflow with the same commands.

    python -m benchmarks.journey [--submissions 30] [--at-once 20] [--rounds 6] [--workers 2]

A journey is: the front desk takes a submission (rules of the page, blobs, rows), its product numbers it, onboarding
pins its tag, the checks run, a moderator approves as soon as it is ready, the image is copied by digest into the hub's
registry, and it is listed. One thing is replaced: the scan of an image answers a stored report instead of fetching the
image and running the scanner. The hub's registry is a folder, the embedded default; with --registry it is a
docker-registry. The mailroom rests while the clock runs: it holds up no submission.

Each side has as many worker processes (crew.py), which share the machine with the server and the desk; the sides
alternate on the same server.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHistory
from temporalio.common import WorkflowIDConflictPolicy

from benchmarks.bare import BARE_QUEUE, BareWorkflow, News, Score, listening, score_of
from benchmarks.crew import READY
from benchmarks.figures import note, show, within
from benchmarks.histories import NOTHING, Cost, cost_of, total
from benchmarks.house import (
    GLANCE,
    House,
    environment_of,
    open_house,
    registry_server,
    settings_of,
    temporal_server,
)
from benchmarks.stored import Reports, template
from cli.servers import PythonService, RegistryServer
from cli.service import Service
from desk.folder import SubmissionFolder
from models.addresses import SCANNING_QUEUE, new_id, product_address, scan_address, submission_address
from models.lifecycle import Stage
from models.scans import ImageReport
from settings import Settings

#: what the history of a submission of one iteration may cost: the limits of the design
MOST_EVENTS, MOST_BYTES, MOST_ACTIONS = 70, 9 * 1024, 24
LEAST_RATIO = 0.7
#: runs whose histories are looked at after the clock has stopped
_SAMPLE = 10


@dataclass(frozen=True, slots=True)
class Size:
    submissions: int
    at_once: int
    rounds: int
    #: processes of each side
    workers: int = 2
    #: publish into a docker-registry instead of a folder
    registry: bool = False


@dataclass(slots=True)
class Sides:
    """Submissions per second of each round, and what a run cost on either side."""

    product: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    #: CPU seconds of each round by process
    product_cpu: list[dict[str, float]] = field(default_factory=list)
    bare_cpu: list[dict[str, float]] = field(default_factory=list)
    #: means of whole journeys under load, and what each run of one that has the hub to itself cost
    product_cost: Cost = NOTHING
    bare_cost: Cost = NOTHING
    alone: dict[str, Cost] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """The median over the rounds: what disturbs one round disturbs both of its sides, or is left out."""
        return statistics.median(ours / bare for ours, bare in zip(self.product, self.bare, strict=True))


def cpu_of(crew: Sequence[Service], servers: Sequence[Service]) -> dict[str, float]:
    """CPU seconds spent so far: of this process, which is the front desk, of one side's workers, and of the servers."""
    said = {"the front desk": time.process_time(), "the workers": sum(_cpu_seconds(worker.pid) for worker in crew)}
    return said | {server.name: _cpu_seconds(server.pid) for server in servers}


def _cpu_seconds(pid: int) -> float:
    """Of a process on this machine, all its threads (proc(5): utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- the product's side -----------------------------------------------------------------------------------------------


async def travel(house: House, folders: list[SubmissionFolder], at_once: int) -> list[tuple[str, str]]:
    """Take all of them through the journey, `at_once` under way at a time; returns (submission, product) of each."""
    travelled: list[tuple[str, str]] = []
    under_way: set[str] = set()
    waiting = list(reversed(folders))
    decided: set[str] = set()

    async def submit(folder: SubmissionFolder) -> None:
        accepted = await house.submit(folder)
        under_way.add(accepted.submission)
        travelled.append((accepted.submission, accepted.product))

    async with asyncio.TaskGroup() as tasks:
        underway_or_arriving = 0
        while waiting or underway_or_arriving:
            while waiting and underway_or_arriving < at_once:
                underway_or_arriving += 1
                tasks.create_task(submit(waiting.pop()))
            for known in house.standing(under_way):
                if known.stage == Stage.PUBLISHED:
                    under_way.remove(known.id)
                    underway_or_arriving -= 1
                elif known.stage == Stage.READY and known.id not in decided:
                    decided.add(known.id)
                    tasks.create_task(house.approve(known.id, known.iteration, known.release))
            await asyncio.sleep(GLANCE)
    return travelled


async def histories_of(client: Client, submission: str, product: str) -> dict[str, WorkflowHistory]:
    """The runs that a submission's journey is made of, by workflow id; the product's first."""
    names = (product_address(product), submission_address(submission), scan_address(submission, 1))
    return {name: await client.get_workflow_handle(name).fetch_history() for name in names}


# --- the bare side ----------------------------------------------------------------------------------------------------


async def play(client: Client, news: News, score: Score, count: int, at_once: int) -> list[str]:
    """Play as many bare runs, `at_once` under way at a time; returns their workflow ids."""
    places = asyncio.Semaphore(at_once)
    ends: dict[str, asyncio.Event] = {}
    decided: dict[str, asyncio.Event] = {}

    async def heed(queue: "asyncio.Queue[str]", events: dict[str, asyncio.Event]) -> None:
        while True:
            # the submission's run is the child of the product's: named after it
            events[(await queue.get()).partition("/")[0]].set()

    async def one() -> str:
        name = f"bare-{new_id()}"
        ends[name], decided[name] = asyncio.Event(), asyncio.Event()
        async with places:
            start = WithStartWorkflowOperation(
                BareWorkflow.run,
                score,
                id=name,
                task_queue=BARE_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )
            await client.execute_update_with_start_workflow(BareWorkflow.update, start_workflow_operation=start)
            await decided[name].wait()
            child = client.get_workflow_handle(f"{name}/0")
            await child.execute_update(BareWorkflow.update)
            await ends[name].wait()
        return name

    heeding = [asyncio.create_task(heed(news.ready, decided)), asyncio.create_task(heed(news.done, ends))]
    try:
        return await asyncio.gather(*(one() for _ in range(count)))
    finally:
        for task in heeding:
            task.cancel()


# --- both, alternating ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Course:
    """One server with both sides' workers."""

    house: House
    reports: Reports
    report: ImageReport
    news: News
    servers: Sequence[Service]
    product: Sequence[Service]
    bare: Sequence[Service]
    size: Size

    async def run(self) -> Sides:
        """One journey alone, one round of the product to read the score off, and the rounds that count."""
        sides, size, client = Sides(), self.size, self.house.hub.client
        (alone,) = await travel(self.house, await self._prepared(1), 1)
        runs = await histories_of(client, *alone)
        sides.alone = {name.partition("/")[0]: cost_of(history) for name, history in runs.items()}
        score = await _score(self.house, await travel(self.house, await self._prepared(size.at_once), size.at_once))
        await play(client, self.news, score, size.at_once, size.at_once)
        for number in range(size.rounds):
            folders = await self._prepared(size.submissions)
            for side in ("product", "bare") if number % 2 == 0 else ("bare", "product"):
                crew = self.product if side == "product" else self.bare
                began, spent = time.perf_counter(), cpu_of(crew, self.servers)
                if side == "product":
                    travelled = await travel(self.house, folders, size.at_once)
                else:
                    played = await play(client, self.news, score, size.submissions, size.at_once)
                rate = size.submissions / (time.perf_counter() - began)
                cpu = {name: value - spent[name] for name, value in cpu_of(crew, self.servers).items()}
                (sides.product if side == "product" else sides.bare).append(rate)
                (sides.product_cpu if side == "product" else sides.bare_cpu).append(cpu)
                spent_each = ", ".join(f"{name} {1000 * value / size.submissions:.0f}" for name, value in cpu.items())
                note(f"round {number + 1} of {size.rounds}: {side} {rate:.2f} per second; CPU ms each: {spent_each}")
        sides.product_cost = await _mean_cost(client, travelled)
        sides.bare_cost = await _mean_bare_cost(client, played)
        return sides

    async def _prepared(self, count: int) -> list[SubmissionFolder]:
        folders = await asyncio.to_thread(self.house.prepare, count)
        images = [self.house.images[folder.manifest.name] for folder in folders]
        await self.reports.store(self.house.hub.blobs, self.report, images)
        return folders


async def measure(
    folder: Path, registry: RegistryServer | None, report: ImageReport, size: Size, *, in_memory: bool
) -> Sides:
    """All rounds on one server."""
    async with AsyncExitStack() as stack:
        temporal = await stack.enter_async_context(temporal_server(folder, in_memory=in_memory))
        settings = settings_of(folder, temporal, registry)
        house = await stack.enter_async_context(open_house(settings, folder / "sources"))
        news, port = await stack.enter_async_context(listening())
        crews: dict[str, list[Service]] = {"product": [], "bare": []}
        for side, crew in crews.items():
            arguments = [side, "--reports", str(folder / "reports"), "--news", str(port)]
            for number in range(size.workers):
                crew.append(_worker(folder, f"{side}-{number}", arguments, settings))
                await stack.enter_async_context(crew[-1])
        await house.settle()
        servers = [temporal, registry] if registry else [temporal]
        course = Course(
            house, Reports(folder / "reports"), report, news, servers, crews["product"], crews["bare"], size
        )
        return await course.run()


def _worker(folder: Path, name: str, arguments: Sequence[str], settings: Settings) -> PythonService:
    async def is_at_work(service: PythonService) -> bool:
        return service.has_logged(READY)

    return PythonService(
        name,
        folder / name,
        "benchmarks.crew",
        arguments=lambda _: arguments,
        ready=is_at_work,
        environment=environment_of(settings),
    )


async def _score(house: House, travelled: list[tuple[str, str]]) -> Score:
    """Of the journey with the median number of events: under load, what is to be recorded comes together."""
    journeys = [await histories_of(house.hub.client, *each) for each in travelled]
    journeys.sort(key=lambda journey: total(journey.values()).events)
    journey = journeys[len(journeys) // 2]
    return score_of(next(iter(journey.values())), journey, SCANNING_QUEUE)


async def _mean_cost(client: Client, travelled: list[tuple[str, str]]) -> Cost:
    sample = travelled[:_SAMPLE]
    costs = [total((await histories_of(client, *each)).values()) for each in sample]
    return _mean(costs)


async def _mean_bare_cost(client: Client, played: list[str]) -> Cost:
    costs = []
    for name in played[:_SAMPLE]:
        runs = [await client.get_workflow_handle(run).fetch_history() for run in (name, f"{name}/0", f"{name}/0/0")]
        costs.append(total(runs))
    return _mean(costs)


def _mean(costs: list[Cost]) -> Cost:
    return Cost(
        *(
            round(sum(getattr(cost, name) for cost in costs) / len(costs))
            for name in ("events", "bytes", "actions", "workflow_tasks")
        )
    )


# --- what is shown ----------------------------------------------------------------------------------------------------


def _show(memory: Sides, file: Sides, size: Size) -> None:
    rows: list[tuple[object, ...]] = []
    for name, sides in (("in memory", memory), ("SQLite file", file)):
        verdict = f"{sides.ratio:.2f} ({'>=' if sides.ratio >= LEAST_RATIO else 'NOT >='} {LEAST_RATIO})"
        rows.append((f"Temporal {name}", statistics.median(sides.product), statistics.median(sides.bare), verdict))
    for process in file.product_cpu[0]:
        ours, bare = (_cpu_ms(cpu, process, size) for cpu in (file.product_cpu, file.bare_cpu))
        rows.append((f"CPU of {process}, ms a submission (file)", ours, bare, ""))
    for name in ("events", "bytes", "actions", "workflow_tasks"):
        said = f"{name.replace('_', ' ')} of all its runs"
        rows.append((said, getattr(file.product_cost, name), getattr(file.bare_cost, name), ""))
    own = memory.alone["submission"]
    show(
        f"Journey: {size.submissions} submissions a round, {size.at_once} at once, {size.workers} worker processes",
        ("submissions per second", "product", "bare", "ratio"),
        rows,
        {
            "ratio_memory": memory.ratio,
            "ratio_file": file.ratio,
            "events": own.events,
            "bytes": own.bytes,
            "actions": own.actions,
            "per_second_memory": statistics.median(memory.product),
            "per_second_file": statistics.median(file.product),
        },
        (
            f"The history of one submission of one iteration: events {within(own.events, MOST_EVENTS)}, bytes "
            f"{within(own.bytes, MOST_BYTES)}, billable actions {within(own.actions, MOST_ACTIONS)}.",
            "Beside it: "
            + "; ".join(
                f"its {name}'s run {cost.events} events, {cost.bytes} bytes, {cost.actions} actions"
                for name, cost in memory.alone.items()
                if name != "submission"
            )
            + ".",
        ),
    )


def _cpu_ms(rounds: list[dict[str, float]], process: str, size: Size) -> float:
    return 1000 * statistics.median(cpu[process] for cpu in rounds) / size.submissions


async def run(size: Size) -> None:
    note("one real scan of an image makes the stored report")
    report = await template()
    async with AsyncExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wharfinger-journey-")))
        registry = await stack.enter_async_context(registry_server(place)) if size.registry else None
        sides = []
        for name in ("memory", "file"):
            note(f"Temporal with its data in {'memory' if name == 'memory' else 'a SQLite file'}")
            sides.append(await measure(place / name, registry, report, size, in_memory=name == "memory"))
    _show(sides[0], sides[1], size)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journey", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--submissions", type=int, default=30, help="of each round and side")
    parser.add_argument("--at-once", type=int, default=20, help="under way at a time")
    parser.add_argument("--rounds", type=int, default=6, help="of each side, on each server")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of each side")
    parser.add_argument("--registry", action="store_true", help="publish into a docker-registry, not into a folder")
    given = parser.parse_args()
    asyncio.run(run(Size(given.submissions, given.at_once, given.rounds, given.workers, given.registry)))


if __name__ == "__main__":
    main()
