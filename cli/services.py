"""The supervisor of the servers of one machine: starts them in order, revives the dead, ends them together.

`wharfinger up`, `wharfinger demo` and the tests use it. Ctrl-C reaches it alone, and it ends its services (service.py)
in reverse order.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from cli.service import Service, until
from models.errors import WharfingerError

#: Seconds before a dead service is started again: the first time, the second, ... After the last it is given up.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
#: Seconds after which a death no longer counts.
FORGIVEN_AFTER = 300.0


class FolderInUse(WharfingerError):
    """Another instance works in this folder."""


class Interrupted(SystemExit):
    """Somebody asked the supervisor to stop (Ctrl-C, SIGTERM): ends the program with the shell's usual status."""

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        super().__init__(128 + number)


class Services:
    """The supervisor: holds the work folder, starts services in order, notices a death, ends them in reverse order.

    ``async with Services(folder) as services: await services.start(temporal, registry)``. SIGINT, SIGTERM and SIGHUP
    end the body and then the services, and leave `Interrupted` behind; a second one ends them at once. A service that
    dies is started again where `revive` says so, after a pause that doubles; it ends the body with ServiceFailed
    otherwise, and when it has died more often than `PAUSES` allow. With `watch=False` (tests: a fixture is not the task
    that waits) nothing of this happens, and `check()` tells of the dead.
    """

    def __init__(
        self,
        folder: Path,
        *,
        watch: bool = True,
        revive: bool = False,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`tell` gets a sentence when a service has died and when it is back. Logs go to the folder's `logs`."""
        self.folder = folder.absolute()
        self._watch = watch
        self._revive = revive
        self._tell = tell
        self._services: list[Service] = []
        self._held = contextlib.ExitStack()
        self._watcher: asyncio.Task[None] | None = None
        self._revivals: dict[Service, asyncio.Task[None]] = {}
        self._deaths: dict[Service, list[float]] = {}
        self._reason: BaseException | None = None
        self._stopping = False

    async def __aenter__(self) -> Self:
        self._held.enter_context(_only_one(self.folder))
        if self._watch and (body := asyncio.current_task()) is not None:
            self._held.enter_context(_on_signals(lambda number: self._interrupt(body, Interrupted(number))))
            self._watcher = asyncio.create_task(self._notice_deaths(body))
        return self

    async def start(self, *services: Service) -> None:
        """Start these one after the other. Raises ServiceFailed, ServiceMissing; what runs already goes on."""
        for service in services:
            service.log = self.folder / "logs" / f"{service.name}.log"
            await service.start()
            self._services.append(service)

    def check(self) -> None:
        """Raises ServiceFailed where a service ended although nobody here ended it."""
        for service in self._services:
            if service.died:
                raise service.obituary()

    async def until_stopped(self) -> None:
        """Wait for Ctrl-C or SIGTERM, then return. Raises ServiceFailed when a service dies meanwhile."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not isinstance(self._reason, Interrupted):
                raise
            self._reason = None
            self._body().uncancel()

    async def stop(self) -> None:
        """End all, the last started first."""
        self._stopping = True
        for revival in self._revivals.values():
            revival.cancel()
        await asyncio.gather(*self._revivals.values(), return_exceptions=True)
        for service in reversed(self._services):
            await service.stop()

    async def __aexit__(self, _: type[BaseException] | None, error: BaseException | None, __: object) -> None:
        interrupted = self._reason is not None
        if isinstance(error, Exception) and not interrupted:
            # What the body says of a server that is gone is seldom what the server itself said.
            self._reason = next((service.obituary() for service in self._services if service.died), None)
        if self._watcher is not None:
            self._watcher.cancel()
        try:
            if interrupted:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)  # ours may not have come through yet: the body was just ending
                self._body().uncancel()
            await self.stop()
        finally:
            self._held.close()
        if self._reason is not None:
            raise self._reason from error

    def _body(self) -> "asyncio.Task[Any]":
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        return task

    def _interrupt(self, body: "asyncio.Task[Any]", reason: BaseException) -> None:
        if self._stopping:  # asked twice: no more patience
            for service in self._services:
                service.kill9()
        elif self._reason is None:
            self._reason = reason
            body.cancel()

    async def _notice_deaths(self, body: "asyncio.Task[Any]") -> None:
        while True:
            await until(lambda: any(self._untended()))
            for service in self._untended():
                if not self._revive:
                    return self._interrupt(body, service.obituary())
                self._revivals[service] = asyncio.create_task(self._bring_back(service, body))

    def _untended(self) -> list[Service]:
        """Who died and is not being brought back."""
        tended = {service for service, revival in self._revivals.items() if not revival.done()}
        return [service for service in self._services if service.died and service not in tended]

    async def _bring_back(self, service: Service, body: "asyncio.Task[Any]") -> None:
        failure: WharfingerError = service.obituary()
        while True:
            now = time.monotonic()
            deaths = [*(then for then in self._deaths.get(service, ()) if now - then < FORGIVEN_AFTER), now]
            self._deaths[service] = deaths
            if len(deaths) > len(PAUSES):
                return self._interrupt(body, failure)
            pause = PAUSES[len(deaths) - 1]
            reason = str(failure).partition("\n")[0].rstrip(".")
            self._tell(f"{reason}: starting it again in {pause:g} s. Its log: {service.log}")
            await asyncio.sleep(pause)
            try:
                await service.start()
            except WharfingerError as again:
                failure = again
            else:
                return self._tell(f"{service.name} is back.")


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the work folder. Raises FolderInUse; the kernel lets go when the process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise FolderInUse(
                f"{folder} is in use by process {lock.read().strip() or '?'}: stop that one, or choose another folder."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


@contextlib.contextmanager
def _on_signals(act: Callable[[int], None]) -> Iterator[None]:
    """Act on the signals that mean "stop", and put the former handlers back. Only a main thread gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    heeded = [number for number, handler in former.items() if handler is not signal.SIG_IGN]  # nohup stays nohup
    for number in heeded:
        loop.add_signal_handler(number, act, number)
    try:
        yield
    finally:
        for number in heeded:
            loop.remove_signal_handler(number)
            signal.signal(number, former[number] or signal.SIG_DFL)
