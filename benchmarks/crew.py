"""A worker process for a benchmark: the product's workers with stored scans, or the bare ones.

    python -m benchmarks.crew product --reports FOLDER
    python -m benchmarks.crew bare --news PORT --heavy-at-once 2

Settings come from the environment, as those of `python -m worker` do. SIGTERM ends it.
"""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from temporalio.client import Client
from temporalio.worker import Worker

from activities.scratch import scratch
from benchmarks.bare import BARE_QUEUE, BARE_SCANNING_QUEUE, BareWorkflow, Nothing
from benchmarks.stored import Reports, answer_from
from desk.hub import connect, open_stores
from models.addresses import MODERATION_QUEUE, SCANNING_QUEUE, new_id
from settings import Settings
from worker import CACHED_WORKFLOWS, VERSION, Collaborators, settle_memory, workers
from workflows.sandbox import RUNNER

#: what the process says when it polls
READY = "the crew is at work"


@asynccontextmanager
async def product(settings: Settings, client: Client, reports: Path) -> AsyncIterator[None]:
    """As worker.py runs them, but for the scanner; the mailroom rests."""
    with scratch(settings.work_folder) as work:
        async with open_stores(settings) as (database, blobs, vault), AsyncExitStack() as stack:
            collaborators = Collaborators(settings, client, database, blobs, vault, work)
            answer_from(collaborators, Reports(reports))
            for worker in workers(client, settings, collaborators, (MODERATION_QUEUE, SCANNING_QUEUE)):
                await stack.enter_async_context(worker)
            yield


@asynccontextmanager
async def bare(settings: Settings, client: Client, news: int) -> AsyncIterator[None]:
    """As many workers, set like them."""
    with Nothing(news) as nothing:
        light = Worker(
            client,
            task_queue=BARE_QUEUE,
            workflows=[BareWorkflow],
            activities=[nothing.nothing],
            workflow_runner=RUNNER,
            build_id=VERSION,
            max_cached_workflows=CACHED_WORKFLOWS,
        )
        heavy = Worker(
            client,
            task_queue=BARE_SCANNING_QUEUE,
            activities=[nothing.nothing],
            build_id=VERSION,
            max_concurrent_activities=settings.scans_at_once,
        )
        async with light, heavy:
            yield


async def serve(side: str, reports: Path, news: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = Settings()
    client = await connect(settings.temporal, identity=f"w{new_id()[:4]}")
    async with product(settings, client, reports) if side == "product" else bare(settings, client, news):
        settle_memory()
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crew", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("side", choices=("product", "bare"))
    parser.add_argument("--reports", type=Path, default=Path(), help="product: folder of the stored reports' digests")
    parser.add_argument("--news", type=int, default=0, help="bare: the port that hears how far runs have come")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(serve(given.side, given.reports, given.news))


if __name__ == "__main__":
    main()
