"""Scratch space: a worker's own, and swept when its worker was killed."""

import subprocess
import sys
from pathlib import Path

from activities.scratch import scratch

ROOT = Path(__file__).resolve().parents[2]
_WORKER = """
import sys, pathlib
from activities.scratch import scratch
with scratch(pathlib.Path(sys.argv[1])) as folder:
    (folder / "layout").mkdir()
    print(folder, flush=True)
    sys.stdin.read()
"""


def a_worker(work: Path) -> "tuple[subprocess.Popen[str], Path]":
    process = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(work)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_folder_is_gone_when_its_worker_ends(tmp_path: Path) -> None:
    with scratch(tmp_path / "work") as folder:
        (folder / "layout").mkdir()
        assert folder.parent == tmp_path / "work"
    assert not folder.exists()


def test_what_a_killed_worker_left_is_swept_and_a_living_ones_is_not(tmp_path: Path) -> None:
    killed, left = a_worker(tmp_path)
    living, kept = a_worker(tmp_path)
    with killed, living:
        killed.kill()
        killed.wait()
        assert (left / "layout").is_dir()
        with scratch(tmp_path) as folder:
            assert folder not in (left, kept)
            assert not left.exists()
            assert (kept / "layout").is_dir()
        living.communicate("", timeout=30)
    assert not kept.exists()
