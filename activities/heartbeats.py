"""Heartbeats of long work: a worker that dies is noticed within the heartbeat timeout, and a cancellation arrives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

#: well below the shortest heartbeat timeout of activities/options.py
_EVERY_SECONDS = 10.0
#: work that is over sooner sends none: each one is a write of the server's, and nobody could have read it
_FIRST_AFTER_SECONDS = 1.0


class Progress:
    """What the next heartbeat says: shown by `temporal workflow describe` and in the Temporal UI."""

    def __init__(self) -> None:
        self.words = "started"

    def says(self, words: str) -> None:
        self.words = words


@asynccontextmanager
async def heartbeats() -> AsyncIterator[Progress]:
    progress = Progress()

    async def beat() -> None:
        await asyncio.sleep(min(_FIRST_AFTER_SECONDS, _EVERY_SECONDS))
        while True:
            activity.heartbeat(progress.words)
            await asyncio.sleep(_EVERY_SECONDS)

    beating = asyncio.create_task(beat())
    try:
        yield progress
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
