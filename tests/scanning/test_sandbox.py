"""A tool that is run for an image from strangers gets little, and nothing of it is left behind."""

import asyncio
import contextlib
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models.errors import ToolFailed
from scanning import sandbox
from scanning.sandbox import Bounds
from tests.parts.presence import needs

SHELL = "/bin/sh"


async def run(folder: Path, *command: str, seconds: float = 30, bounds: Bounds | None = None) -> str:
    """What the tool wrote."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    output = folder / "output"
    await sandbox.run(command, scratch=scratch, reads=(), writes=(), output=output, bounds=bounds or Bounds(seconds))
    return output.read_text()


def is_alive(pid: int) -> bool:
    """A process that has ended but was not reaped by its parent (pid 1 takes its time) is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


#: prints its own id and its child's, then both stay
STAY = f"{shutil.which('sleep')} 600 & echo $$ $!; wait"


async def pids_in(path: Path) -> list[int]:
    await eventually(lambda: path.exists() and path.read_text().endswith("\n"))
    return [int(word) for word in path.read_text().split()]


async def test_a_tool_that_takes_too_long_ends_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="sh did not end within 1 s"):
        await run(tmp_path, SHELL, "-c", STAY, seconds=1)
    for pid in await pids_in(tmp_path / "output"):
        await eventually(lambda pid=pid: not is_alive(pid))  # type: ignore[misc]


async def test_a_cancelled_run_ends_the_tool_with_its_children(tmp_path: Path) -> None:
    running = asyncio.create_task(run(tmp_path, SHELL, "-c", STAY))
    pids = await pids_in(tmp_path / "output")
    assert all(is_alive(pid) for pid in pids)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    for pid in pids:
        await eventually(lambda pid=pid: not is_alive(pid))  # type: ignore[misc]


@pytest.mark.parametrize("steps", range(0, 12, 2))
async def test_a_run_cancelled_at_any_moment_leaves_no_process(tmp_path: Path, steps: int) -> None:
    running = asyncio.create_task(run(tmp_path, SHELL, "-c", STAY))
    for _ in range(steps):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    here = str(tmp_path / "scratch")
    # what was killed takes its moment to die
    await eventually(lambda: not any(leads_to(link, here) for link in Path("/proc").glob("[0-9]*/cwd")))


def leads_to(link: Path, target: str) -> bool:
    with contextlib.suppress(OSError):
        return str(link.readlink()) == target
    return False


@needs("setpriv")
async def test_a_tool_does_not_outlive_us_even_after_kill_9(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys; from pathlib import Path; from scanning import sandbox\n"
        "folder = Path(sys.argv[1])\n"
        "asyncio.run(sandbox.run(['/bin/sh', '-c', 'echo $$; exec sleep 600'], scratch=folder, reads=(), writes=(),"
        " output=folder / 'output', bounds=sandbox.Bounds(600)))\n"
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    ours = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(scratch), env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    (pid,) = await pids_in(scratch / "output")
    ours.kill()
    await ours.wait()
    await eventually(lambda: not is_alive(pid))


async def test_a_tool_sees_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHARFINGER_SECRET_KEYS", "hunter2")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org")
    monkeypatch.setenv("TRIVY_SERVER", "http://elsewhere.example.org")
    said = await run(tmp_path, SHELL, "-c", "env; pwd")
    names = {line.partition("=")[0] for line in said.splitlines()}
    assert names <= {"PATH", "HOME", "TMPDIR", "LANG", "PWD", "OLDPWD", "SHLVL", "_", str(tmp_path / "scratch")}
    assert f"HOME={tmp_path / 'scratch'}\n" in said
    assert said.endswith(f"{tmp_path / 'scratch'}\n")


async def test_a_tool_cannot_reach_the_network_not_even_this_machine(tmp_path: Path) -> None:
    if not sandbox._without_network():
        pytest.skip("this kernel gives us no network name space")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        with pytest.raises(sandbox.Failed) as failed:
            await run(tmp_path, sys.executable, "-I", "-S", "-c", code)
    assert "unreachable" in failed.value.complaint or "refused" in failed.value.complaint


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that everybody may enter; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="sandbox-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@needs("setpriv")
async def test_as_root_a_tool_runs_as_nobody_and_can_write_its_own_folders_only(open_folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give rights up")
    scratch, cache, ours = open_folder / "scratch", open_folder / "cache", open_folder / "ours"
    for folder in (scratch, cache, ours):
        folder.mkdir(mode=0o755)
    (cache / "old").write_text("")
    script = f"id -u; id -G; touch mine {cache}/old {cache}/new && echo written; touch {ours}/theirs || echo refused"
    output = open_folder / "output"
    await sandbox.run(
        [SHELL, "-c", script], scratch=scratch, reads=(), writes=(cache,), output=output, bounds=Bounds(30)
    )
    assert output.read_text().split() == ["65534", "65534", "written", "refused"]


async def test_a_folder_that_nobody_can_reach_is_used_as_the_user_that_we_are(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    assert (await run(closed, SHELL, "-c", "id -u")).strip() == str(os.geteuid())


async def test_a_failure_says_the_end_of_what_the_tool_said(tmp_path: Path) -> None:
    with pytest.raises(sandbox.Failed) as failed:
        await run(tmp_path, SHELL, "-c", "yes noise | head -n 10000 >&2; echo the reason >&2; exit 7")
    assert failed.value.status == 7
    assert failed.value.complaint.endswith("the reason")
    assert len(failed.value.complaint) <= 600


@needs("prlimit")
async def test_a_tool_that_writes_without_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(sandbox.Failed):
        await run(tmp_path, SHELL, "-c", "cat /dev/zero > big", bounds=Bounds(30, file=2**20))
    assert (tmp_path / "scratch" / "big").stat().st_size <= 2**20


@needs("prlimit")
async def test_a_tool_that_wants_more_memory_than_it_may_have_fails(tmp_path: Path) -> None:
    with pytest.raises(sandbox.Failed) as failed:
        await run(tmp_path, sys.executable, "-I", "-S", "-c", "bytearray(2**30)", bounds=Bounds(30, data=256 * 2**20))
    assert "MemoryError" in failed.value.complaint
