"""Real servers and real processes: what starts, what survives, and that nothing is left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from cli.servers import PythonService, program
from cli.service import Service, ServiceFailed, ServiceMissing, until
from cli.services import FolderInUse, Interrupted, Services

ROOT = Path(__file__).resolve().parents[2]

#: Listens on the port of its first argument, and does as its second one says.
SERVER = """
import http.server, signal, sys, time
print("here I am", flush=True)
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if sys.argv[2] == "dies":
    sys.exit("I cannot bear it")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


class Small(Service):
    """A server that starts quickly and misbehaves on demand."""

    def __init__(self, folder: Path, *, manner: str = "obeys", name: str = "small") -> None:
        super().__init__(name, folder, ports=("http",))
        self.manner = manner

    def command(self) -> list[str]:
        return [sys.executable, "-S", "-c", SERVER, str(self.ports["http"]), self.manner]

    async def is_ready(self) -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", self.ports["http"])
        writer.close()
        await writer.wait_closed()
        return True


def alive(pid: int) -> bool:
    """A zombie is dead: whoever adopted it just has not looked."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def status_of(url: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(url)).status_code


def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)


async def test_a_service_keeps_its_port_from_run_to_run_but_takes_no_port_of_another(tmp_path: Path) -> None:
    first = Small(tmp_path / "one")
    async with first:
        port = first.ports["http"]
    async with Small(tmp_path / "one") as again:
        assert again.ports["http"] == port
    (tmp_path / "two").mkdir()
    async with Small(tmp_path / "one"):
        (tmp_path / "two" / "ports.json").write_text(json.dumps({"http": port}))
        async with Small(tmp_path / "two") as other:
            assert other.ports["http"] != port


async def test_a_wished_port_is_taken_where_it_is_free_and_known_before_the_start(tmp_path: Path) -> None:
    one = Small(tmp_path / "one")
    one.reserve()
    async with one:
        two = Small(tmp_path / "two")
        two.wished_ports = {"http": one.ports["http"]}
        two.reserve()
        assert two.ports["http"] not in one.ports.values()
    three = Small(tmp_path / "three")
    three.wished_ports = one.ports
    three.reserve()
    assert three.ports == one.ports


@pytest.mark.parametrize("memory", ["", "[]", '{"http": "x"}', '{"http": 99999}', '{"http": true}', "\xff"])
async def test_a_spoilt_memory_of_ports_is_no_obstacle(tmp_path: Path, memory: str) -> None:
    (tmp_path / "ports.json").write_bytes(memory.encode("latin-1"))
    async with Small(tmp_path) as service:
        assert service.ports["http"] in range(20_000, 32_000)


async def test_a_server_that_dies_at_its_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    service = Small(tmp_path, manner="dies")
    with pytest.raises(ServiceFailed, match=r"(?s)small ended by itself with exit status 1\..*I cannot bear it"):
        await service.start()
    assert not service.running
    assert not (tmp_path / "pid").exists()


async def test_a_server_that_never_answers_is_ended(tmp_path: Path) -> None:
    service = PythonService("mute", tmp_path, "http.server", ready=lambda _: asyncio.sleep(0, False), ports=("http",))
    service.patience = 0.5
    with pytest.raises(ServiceFailed, match="mute did not answer within"):
        await service.start()
    assert not service.running


async def test_a_server_deaf_to_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    service = Small(tmp_path, manner="deaf")
    await service.start()
    pid, service.grace = service.pid, 0.3
    await service.stop()
    assert not alive(pid)


async def test_a_service_is_ready_when_its_log_says_so(tmp_path: Path) -> None:
    async def has_spoken(service: PythonService) -> bool:
        return service.has_logged("Serving HTTP on")

    service = PythonService(
        "web",
        tmp_path,
        "http.server",
        ready=has_spoken,
        ports=("http",),
        arguments=lambda ports: ["--bind", "127.0.0.1", str(ports["http"])],
    )
    async with service:
        assert await status_of(f"http://127.0.0.1:{service.ports['http']}/") == 200
    async with service:
        assert service.has_logged("Serving HTTP on")


async def test_a_program_that_is_not_installed_is_named_with_its_remedy() -> None:
    with pytest.raises(ServiceMissing, match=r"no-such-program is not installed\. Install it\."):
        program("no-such-program", remedy="Install it.")


async def test_services_end_in_reverse_order_and_a_second_instance_is_refused(tmp_path: Path) -> None:
    ends: list[str] = []

    class Noted(Small):
        async def stop(self) -> None:
            ends.append(self.name)
            await super().stop()

    one, two = Noted(tmp_path / "1", name="one"), Noted(tmp_path / "2", name="two")
    async with Services(tmp_path, watch=False) as services:
        await services.start(one, two)
        with pytest.raises(FolderInUse, match=rf"in use by process {os.getpid()}"):
            async with Services(tmp_path, watch=False):
                pass
        assert two.running
    assert ends == ["two", "one"]
    assert not one.running
    async with Services(tmp_path, watch=False):
        pass


async def test_the_death_of_a_service_ends_the_work_and_is_told_with_its_log(tmp_path: Path) -> None:
    async def work() -> None:
        async with Services(tmp_path) as services:
            service, other = Small(tmp_path / "1"), Small(tmp_path / "2", name="other")
            await services.start(service, other)
            os.kill(service.pid, signal.SIGKILL)
            await asyncio.sleep(30)

    with pytest.raises(ServiceFailed, match=r"(?s)small ended by itself by SIGKILL.*here I am"):
        await asyncio.create_task(work())


async def test_an_error_that_a_death_caused_is_told_as_that_death(tmp_path: Path) -> None:
    async def work() -> None:
        async with Services(tmp_path) as services:
            service = Small(tmp_path / "1")
            await services.start(service)
            os.kill(service.pid, signal.SIGKILL)
            eventually(lambda: service.died)
            raise ConnectionRefusedError("nobody is there")

    with pytest.raises(ServiceFailed, match="by SIGKILL") as caught:
        await asyncio.create_task(work())
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


async def test_a_service_killed_on_purpose_is_no_death_and_starts_again(tmp_path: Path) -> None:
    async def work() -> None:
        async with Services(tmp_path) as services:
            service = Small(tmp_path / "1")
            await services.start(service)
            ports = dict(service.ports)
            service.kill9()
            services.check()
            await service.start()
            assert service.ports == ports
            services.check()

    await asyncio.create_task(work())


async def test_a_dead_service_is_started_again_on_its_port_and_somebody_is_told(tmp_path: Path) -> None:
    told: list[str] = []

    async def work() -> None:
        async with Services(tmp_path, revive=True, tell=told.append) as services:
            service, other = Small(tmp_path / "1"), Small(tmp_path / "2", name="other")
            await services.start(service, other)
            ports, first = dict(service.ports), service.pid
            os.kill(first, signal.SIGKILL)
            await until(lambda: "small is back." in told, seconds=30)
            assert service.running
            assert service.pid != first
            assert service.ports == ports

    await asyncio.create_task(work())
    assert [line.partition(":")[0] for line in told] == ["small ended by itself by SIGKILL", "small is back."]
    assert (tmp_path / "logs" / "small.log").read_text().count("here I am") == 2


async def test_a_service_that_cannot_live_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.services.PAUSES", (0.01, 0.02))
    told: list[str] = []

    async def work() -> None:
        async with Services(tmp_path, revive=True, tell=told.append) as services:
            service = Small(tmp_path / "1")
            await services.start(service)
            service.manner = "dies"
            os.kill(service.pid, signal.SIGKILL)
            await asyncio.sleep(30)

    with pytest.raises(ServiceFailed, match="I cannot bear it"):
        await asyncio.create_task(work())
    assert len(told) == 2


async def test_the_end_comes_while_a_service_is_brought_back(tmp_path: Path) -> None:
    told: list[str] = []
    service = Small(tmp_path / "1")

    async def work() -> None:
        async with Services(tmp_path, revive=True, tell=told.append) as services:
            await services.start(service)
            os.kill(service.pid, signal.SIGKILL)
            await until(lambda: bool(told), seconds=30)

    await asyncio.create_task(work())
    assert not service.running
    assert len(told) == 1


def test_a_log_that_has_grown_too_long_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.service.LONGEST_LOG", 4)
    service = Small(tmp_path)
    service.log.write_text("12345")
    asyncio.run(_start_and_stop(service))
    assert (tmp_path / "small.former.log").read_text() == "12345"
    assert "12345" not in service.log.read_text()


async def _start_and_stop(service: Service) -> None:
    async with service:
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_body_then_the_services_and_leaves_the_shells_status(
    tmp_path: Path, number: signal.Signals
) -> None:
    former = signal.getsignal(number)
    service = Small(tmp_path / "1")

    async def work() -> None:
        async with Services(tmp_path) as services:
            await services.start(service)
            os.kill(os.getpid(), number)
            await asyncio.sleep(30)

    with pytest.raises(Interrupted) as caught:
        # SystemExit must not reach the loop of the tests: a task hands it to run_forever.
        await _within(work)
    assert caught.value.code == 128 + number
    assert not service.running
    assert signal.getsignal(number) == former


async def _within(work: Callable[[], object]) -> None:
    await work()  # type: ignore[misc]


SUPERVISOR = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
from cli.services import Services
from test_services import Small

async def main():
    folder = Path(sys.argv[1])
    async with Services(folder) as services:
        one, two = Small(folder / "1"), Small(folder / "2", manner="deaf", name="two")
        two.grace = float(sys.argv[2])
        await services.start(one, two)
        print(one.pid, two.pid, flush=True)
        await services.until_stopped()
        print("stopped by request", flush=True)

asyncio.run(main())
"""


def supervisor(folder: Path, *, grace: float) -> tuple["subprocess.Popen[str]", list[int]]:
    """A supervising process with two services, and their process ids."""
    code = SUPERVISOR.format(root=str(ROOT), tests=str(Path(__file__).parent))
    process = subprocess.Popen([sys.executable, "-c", code, str(folder), str(grace)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, [int(word) for word in process.stdout.readline().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_the_supervisor_is_asked_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    process, children = supervisor(tmp_path, grace=0.2)
    assert len(children) == 2
    process.send_signal(number)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert said.strip() == "stopped by request"
    assert not any(alive(pid) for pid in children)


def test_a_second_ctrl_c_ends_the_deaf_ones_at_once(tmp_path: Path) -> None:
    process, children = supervisor(tmp_path, grace=120)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "stopped by request\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert not any(alive(pid) for pid in children)


def test_nothing_is_left_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    process, children = supervisor(tmp_path, grace=1)
    assert len(children) == 2
    process.kill()
    process.communicate(timeout=30)
    eventually(lambda: not any(alive(pid) for pid in children))
