"""A tool of others, run with as little as it needs: no network, no rights, no settings of ours, and all of it bounded.

Whatever ends the run - its time, a cancellation, an error - ends the whole process group with it.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from models.errors import ToolFailed

#: user and group nobody, on every Linux
_NOBODY = 65_534
#: characters of a tool's complaint that are repeated
_COMPLAINT = 600


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds and bytes. `file` is of any one file that the tool writes, `data` of its memory."""

    seconds: float
    data: int = 8 * 2**30
    file: int = 16 * 2**30


@dataclass(frozen=True, slots=True)
class Failed(Exception):
    """The tool ended with an error; `complaint` is the end of what it said."""

    status: int
    complaint: str


async def run(
    command: Sequence[str],
    *,
    scratch: Path,
    reads: Sequence[Path],
    writes: Sequence[Path],
    output: Path,
    bounds: Bounds,
) -> None:
    """Run until the end; standard output goes to `output`. `scratch` is the tool's home, work folder and TMPDIR.

    As root, the tool runs as nobody where the folders that it `reads` and `writes` can be handed over.
    Errors: Failed, ToolFailed when it took too long.
    """
    lowered = await asyncio.to_thread(_hand_over, Path(command[0]), scratch, reads, writes)
    complaints = output.with_suffix(".err")
    process = _start(_wrapped(command, bounds, lowered), scratch, output, complaints)
    ended = _end_of(process)
    try:
        async with asyncio.timeout(bounds.seconds):
            await asyncio.shield(ended)
    except TimeoutError as slow:
        raise ToolFailed(f"{Path(command[0]).name} did not end within {bounds.seconds:,.0f} s.") from slow
    finally:
        # the leader is not reaped before: its id cannot be another's yet
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(ended)
        status = process.wait()
    if status != 0:
        raise Failed(status, _last_words(complaints))


def _start(command: Sequence[str], scratch: Path, output: Path, complaints: Path) -> "subprocess.Popen[bytes]":
    """At once, not by way of asyncio: cancelled halfway it would end the leader, and leave the rest of the group."""
    with output.open("wb") as out, complaints.open("wb") as err:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=scratch,
            env=_environment(scratch),
            start_new_session=True,
        )


def _end_of(process: "subprocess.Popen[bytes]") -> "asyncio.Future[None]":
    """Done when the process has ended; a thread waits for it, and leaves it to be reaped."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def wait() -> None:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        loop.call_soon_threadsafe(ended.set_result, None)

    threading.Thread(target=wait, name=f"end of {process.pid}", daemon=True).start()
    return ended


def _wrapped(command: Sequence[str], bounds: Bounds, lowered: bool) -> list[str]:
    """util-linux's tools, each of which becomes the next: the process stays one."""
    wrapped: list[str] = [*_without_network()]
    if shutil.which("prlimit"):
        wrapped += ["prlimit", "--core=0", f"--data={bounds.data}", f"--fsize={bounds.file}"]
        wrapped += [f"--cpu={int(bounds.seconds * (os.cpu_count() or 1)) + 10}", "--"]
    if shutil.which("setpriv"):
        # not even kill -9 of ourselves leaves it running
        wrapped += ["setpriv", "--no-new-privs", "--pdeathsig", "KILL"]
        if lowered:
            wrapped += [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
            wrapped += ["--bounding-set=-all", "--inh-caps=-all"]
        wrapped += ["--"]
    return [*wrapped, *command]


@cache
def _without_network() -> tuple[str, ...]:
    """An empty network name space, where the kernel gives us one."""
    for wrapper in (("unshare", "--net", "--"), ("unshare", "--user", "--map-current-user", "--net", "--")):
        if shutil.which("unshare"):
            tried = subprocess.run([*wrapper, "true"], capture_output=True, check=False, stdin=subprocess.DEVNULL)
            if tried.returncode == 0:
                return wrapper
    return ()


def _environment(scratch: Path) -> dict[str, str]:
    return {"PATH": os.defpath, "HOME": str(scratch), "TMPDIR": str(scratch), "LANG": "C.UTF-8"}


def _hand_over(program: Path, scratch: Path, reads: Sequence[Path], writes: Sequence[Path]) -> bool:
    """Give the folders to nobody, if we are root and nobody can reach them."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return False
    tops = (scratch, *reads, *writes)
    if not all(_is_open(parent) for top in (program, *tops) for parent in top.resolve().parents):
        return False
    if not all(_is_readable(path) for top in reads for path in top.rglob("*")):
        return False
    for top in tops:
        os.chown(top, _NOBODY, _NOBODY)
    for top in writes:
        for path in top.rglob("*"):
            os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)
    return True


def _is_open(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)


def _is_readable(path: Path) -> bool:
    mode = path.stat().st_mode
    return bool(mode & stat.S_IROTH) and (not stat.S_ISDIR(mode) or bool(mode & stat.S_IXOTH))


def _last_words(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8192))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return " ".join(lines[-3:])[-_COMPLAINT:]
