"""Scratch space of one worker: its own, however many share a home, and gone with it, however it ended."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "worker-"


@contextlib.contextmanager
def scratch(work: Path) -> Iterator[Path]:
    """A new folder below `work`. What workers that were killed have left there is removed first.

    Each worker holds a lock in its folder, which the kernel lets go when the process ends: a folder whose lock is free
    is nobody's, also where process ids mean nothing (containers that share a volume).
    """
    work.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        with _locked(work / ".lock", fcntl.LOCK_EX):
            _sweep(work)
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=work))
            # the scanner reads its layouts as somebody with fewer rights
            folder.chmod(0o755)
            held.enter_context(_locked(folder / ".lock", fcntl.LOCK_EX))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(work: Path) -> None:
    for left in work.glob(f"{_PREFIX}*"):
        with contextlib.suppress(BlockingIOError), _locked(left / ".lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
