"""One real server on this machine: started on free ports of 127.0.0.1, asked until it answers, ended by its own id.

A service has a folder with its data, its pid and the ports of its last run, so that addresses stay the same from run to
run. It runs in a session of its own: Ctrl-C in a terminal reaches the supervisor alone (services.py). It never outlives
the process that started it, not even after kill -9 (tether.py). The kernel ties it to the *thread* that started it:
start services from a thread that lives as long as they shall.
"""

import asyncio
import contextlib
import json
import math
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from models.errors import WharfingerError

HOST = "127.0.0.1"
#: Below the range from which Linux takes the ports of outgoing connections (32768 and up), above the well-known ones.
OUR_PORTS = range(20_000, 32_000)
#: Seconds between two looks at a process or an address.
GLANCE = 0.05
#: Lines of a service's log that an error shows.
TAIL_LINES = 20
#: Bytes from which a log is put aside at the next start; one former log is kept.
LONGEST_LOG = 16 * 2**20


class ServiceFailed(WharfingerError):
    """A server did not start, or ended by itself; the message ends with the last lines of its log."""


class ServiceMissing(WharfingerError):
    """A server's program is not installed; the message says how to get it."""


class Service(ABC):
    """One server process. Start, stop, kill and start again as often as wanted: same data, same ports."""

    #: Seconds that a server may take until it answers.
    patience: float = 60.0
    #: Seconds between SIGTERM and SIGKILL.
    grace: float = 10.0

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        ports: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.folder = folder.absolute()
        #: where the process works: a relative path in its arguments or its environment means this
        self.working_folder = self.folder
        self.log = self.folder / f"{name}.log"
        self.ports: dict[str, int] = {}
        #: ports to take at the first run where they are free
        self.wished_ports: dict[str, int] = {}
        self._port_names = tuple(ports)
        self.environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begins = 0

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The program and its arguments; `self.ports` is known. Raises ServiceMissing."""

    @abstractmethod
    async def is_ready(self) -> bool:
        """Whether the server answers. An OSError counts as no."""

    def prepare(self) -> None:
        """Write what the server reads at its start; `self.ports` is known."""
        return

    async def once_ready(self) -> None:
        """What is to be set over the server's own API before anybody uses it."""
        return

    @property
    def pid(self) -> int:
        """Of the running process. Raises ServiceFailed where none runs."""
        if self._process is None:
            raise ServiceFailed(f"{self.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and not _has_ended(self._process)

    @property
    def died(self) -> bool:
        """True when the process ended although nobody here ended it."""
        return self._process is not None and _has_ended(self._process)

    def obituary(self) -> ServiceFailed:
        """What is known of a service that died: how, and the last lines of its log."""
        how = "" if self._process is None else _how_it_ended(self._process)
        return ServiceFailed(f"{self.name} ended by itself{how}.\n{self.log_tail()}")

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines that the current or last run wrote, and where the rest is."""
        try:
            with self.log.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(self._log_begins, end - 16_384))
                said = file.read().decode(errors="replace").splitlines()[-lines:]
        except FileNotFoundError:
            said = []
        return "\n".join([f"The end of {self.log}:", *(f"  {line}" for line in said or ["(empty)"])])

    def reserve(self) -> None:
        """Choose the ports now, so that others can be told of them before the first start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.ports:
            self.ports = _choose_ports(self.folder / "ports.json", self._port_names, self.wished_ports)

    async def start(self) -> None:
        """Start and wait until the server answers. Raises ServiceFailed, ServiceMissing."""
        if self.running:
            raise ServiceFailed(f"{self.name} is running already (process {self.pid})")
        self._bury()
        self.folder.mkdir(parents=True, exist_ok=True)
        first_time = not self.ports
        for tries_left in (2, 1, 0):
            self.reserve()
            self.prepare()
            self._spawn()
            try:
                await self._until_ready()
            except ServiceFailed as failure:
                await self.stop()
                if first_time and tries_left and "address already in use" in str(failure).lower():
                    self.ports = {}  # somebody was faster between our look and the server's
                    continue
                raise
            except BaseException:
                await self.stop()
                raise
            return

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after the grace. Does nothing where none runs."""
        process = self._process
        if process is None:
            return
        if not _has_ended(process):
            process.terminate()
            await until(lambda: _has_ended(process), seconds=self.grace)
        self._bury()

    def kill9(self) -> None:
        """SIGKILL, as a failure test wants it: at once, with whatever it started itself. `start` revives it."""
        if self._process is not None:
            self._process.kill()
        self._bury()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _spawn(self) -> None:
        command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("tether.py")), str(os.getpid())]
        command += self.command()
        _put_aside(self.log)
        with self.log.open("ab") as log:
            self._log_begins = log.tell()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.working_folder,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        (self.folder / "pid").write_text(f"{self._process.pid}\n")

    async def _until_ready(self) -> None:
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            if self.died:
                raise self.obituary()
            with contextlib.suppress(OSError, TimeoutError):
                if await asyncio.wait_for(self.is_ready(), timeout=5) and not self.died:
                    return await self.once_ready()
            await asyncio.sleep(GLANCE)
        raise ServiceFailed(f"{self.name} did not answer within {self.patience:.0f} seconds.\n{self.log_tail()}")

    def _bury(self) -> None:
        """End the process group and forget it. The leader is not reaped before: its id cannot be another's yet."""
        if (process := self._process) is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._process = None
        (self.folder / "pid").unlink(missing_ok=True)


async def until(condition: Callable[[], bool], *, seconds: float = math.inf) -> None:
    """Look until it is so, or the time is over: no kernel and loop of ours offers an event for the end of a process."""
    deadline = time.monotonic() + seconds
    while True:
        if condition() or time.monotonic() > deadline:
            return
        await asyncio.sleep(GLANCE)


def _put_aside(log: Path) -> None:
    """A new file for a log that has grown too long."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LONGEST_LOG:
            log.replace(log.with_suffix(".former.log"))


def _choose_ports(memory: Path, names: Sequence[str], wishes: Mapping[str, int]) -> dict[str, int]:
    """The ports of the last run where they are free, then the wished ones, else others; remembered in `memory`."""
    try:
        remembered = json.loads(memory.read_text())
    except (OSError, ValueError):
        remembered = {}
    ports: dict[str, int] = {}
    with contextlib.ExitStack() as taken:
        for name in names:
            tries = [remembered.get(name) if isinstance(remembered, dict) else None, wishes.get(name)]
            while True:
                port = tries.pop(0) if tries else secrets.choice(OUR_PORTS)
                if type(port) is int and port > 0 and (bound := _bind(port)):
                    break
            taken.enter_context(bound)
            ports[name] = port
    memory.write_text(json.dumps(ports))
    return ports


def _bind(port: int) -> socket.socket | None:
    """Take a port for a moment; None where it is another's."""
    probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that waits out old connections is free
        probe.bind((HOST, port))
    except (OSError, OverflowError):
        probe.close()
        return None
    return probe


def _exit(process: "subprocess.Popen[bytes]") -> os.waitid_result | None:
    """How the process ended; None while it runs. It is not reaped: its id stays ours until `wait`."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    return process.returncode is not None or _exit(process) is not None


def _how_it_ended(process: "subprocess.Popen[bytes]") -> str:
    if (ended := _exit(process)) is None:
        return ""
    if ended.si_code == os.CLD_EXITED:
        return f" with exit status {ended.si_status}"
    return f" by {signal.Signals(ended.si_status).name}"
