"""The scan of an image of about 1 GB, and of the next image that differs in its top layer, beside trivy alone.

    python -m benchmarks.scan [--megabytes 1000] [--rounds 3]

Trivy alone is the command as one types it (vulnerabilities and secrets) with a database of the very advisories that our
store holds. Both sides begin with an empty cache every round, then scan the second image with what they have kept; they
take turns, and medians are compared. Each scan is a process of its own. Its memory is what it and its children hold at
the same time, at most; its seconds are those of the scan, not of starting Python, for a worker runs already.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import trivy_db
from benchmarks.figures import note, show, within
from benchmarks.scan_image import MB, PLATFORM, Built, build
from models.policy import ImageLimits, SeverityClasses
from scanning import exports, trivy
from scanning.advisories import AdvisoryStore
from scanning.demo import DEMO_ADVISORIES
from scanning.scanner import Scanner

MOST_RATIO = 1.3
MOST_MEMORY_RATIO = 1.5
MOST_RESUBMISSION_RATIO = 0.25

_ROOT = Path(__file__).resolve().parents[1]
_SECONDS = 1_800.0
#: between two looks at the memory of a side
_PAUSE = 0.01
_PAGE = os.sysconf("SC_PAGE_SIZE")
_FLAGS = ("--quiet", "--scanners=vuln,secret", "--skip-db-update", "--skip-java-db-update", "--offline-scan")
_MORE_FLAGS = ("--skip-version-check", "--disable-telemetry", "--format=json", "--list-all-pkgs")


@dataclass(frozen=True, slots=True)
class Measured:
    """One scan: seconds, seconds of CPU, bytes of memory; the last two with all children."""

    seconds: float
    cpu: float
    memory: int


def once(advisories: str, layout: str, folder: str) -> None:
    """One scan by ourselves, in the process that is measured; its seconds are the last line of standard output."""
    place = Path(folder)
    store = AdvisoryStore(Path(advisories))
    scanner = Scanner(store, SeverityClasses(), ImageLimits(), place / "work", place / "cache", seconds=_SECONDS)
    began = time.perf_counter()
    report = asyncio.run(scanner.scan(Path(layout), PLATFORM, lambda _: None))
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "components": len(report.components), "version": report.scanner.version}))


@dataclass(frozen=True, slots=True)
class Bench:
    """`folder` has the advisories of both sides, and the caches of each round."""

    image: Built
    folder: Path

    def prepare(self) -> None:
        AdvisoryStore(self._advisories).import_from(DEMO_ADVISORIES)
        trivy_db.write(self.folder / "database", exports.records(DEMO_ADVISORIES))

    def ours(self, layout: Path, number: int) -> tuple[Measured, dict[str, object]]:
        """A scan with the caches of this round, and what it says of itself."""
        call = "import sys; from benchmarks.scan import once; once(*sys.argv[1:])"
        given = [str(self._advisories), str(layout), str(self.folder / f"ours-{number}")]
        measured, said = _run([sys.executable, "-c", call, *given])
        told = json.loads(said.splitlines()[-1])
        return Measured(told.pop("seconds"), measured.cpu, measured.memory), told

    def trivy(self, layout: Path, number: int) -> Measured:
        """The same with trivy alone."""
        cache = self.folder / f"trivy-{number}"
        if not cache.exists():
            shutil.copytree(self.folder / "database", cache)
        command = [trivy.program(), "image", *_FLAGS, *_MORE_FLAGS, f"--cache-dir={cache}", f"--input={layout}"]
        return _run(command)[0]

    @property
    def _advisories(self) -> Path:
        return self.folder / "advisories.sqlite"


def _run(command: Sequence[str]) -> tuple[Measured, str]:
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        process = subprocess.Popen(command, stdout=output, stdin=subprocess.DEVNULL, env=environment)
        watch = _Watch(process.pid)
        thread = threading.Thread(target=watch.until_the_end)
        thread.start()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        watch.over.set()
        thread.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{Path(command[0]).name} ended with status {process.returncode}.")
        output.seek(0)
        return Measured(seconds, used.ru_utime + used.ru_stime, watch.most), output.read().decode()


@dataclass
class _Watch:
    """What a process and all below it hold in memory at the same time, at most. Pages that they share count twice."""

    pid: int
    most: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def until_the_end(self) -> None:
        while not self.over.wait(_PAUSE):
            self.most = max(self.most, self._now())

    def _now(self) -> int:
        children: dict[int, list[int]] = defaultdict(list)
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                # the name in parentheses may have anything in it
                parent = stat.read_text().rpartition(")")[2].split()[1]
            except OSError:  # ended meanwhile
                continue
            children[int(parent)].append(int(stat.parent.name))
        total, todo = 0, [self.pid]
        while todo:
            pid = todo.pop()
            todo += children[pid]
            try:
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
            except OSError:
                continue
        return total


@dataclass
class Results:
    """Of all rounds: the first image and the second one, by ourselves and by trivy."""

    ours: list[Measured] = field(default_factory=list)
    trivy: list[Measured] = field(default_factory=list)
    ours_again: list[Measured] = field(default_factory=list)
    trivy_again: list[Measured] = field(default_factory=list)


def run(megabytes: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="wharfinger-scan-") as place:
        folder = Path(place)
        folder.chmod(0o711)  # trivy runs as nobody where we are root
        note(f"building two images from {megabytes} MB of this machine's files")
        bench = Bench(build(folder, megabytes), folder)
        bench.prepare()
        results, told = Results(), {}
        for number in range(1, rounds + 1):
            told = _round(bench, number, results)
            note(
                f"round {number} of {rounds}: scan {results.ours[-1].seconds:.2f} s, trivy alone "
                f"{results.trivy[-1].seconds:.2f} s; again {results.ours_again[-1].seconds:.2f} s"
            )
        _show(bench.image, results, told)


def _round(bench: Bench, number: int, results: Results) -> dict[str, object]:
    """Who begins changes from round to round; the first one finds the image's pages not yet in memory."""
    image = bench.image

    def by_ourselves() -> dict[str, object]:
        measured, told = bench.ours(image.before, number)
        results.ours.append(measured)
        results.ours_again.append(bench.ours(image.after, number)[0])
        return told

    def by_trivy() -> None:
        results.trivy.append(bench.trivy(image.before, number))
        results.trivy_again.append(bench.trivy(image.after, number))

    if number % 2:
        by_trivy()
        return by_ourselves()
    told = by_ourselves()
    by_trivy()
    return told


def _show(image: Built, results: Results, told: dict[str, object]) -> None:
    def median(measured: list[Measured], what: Callable[[Measured], float]) -> float:
        return statistics.median(what(one) for one in measured)

    def row(name: str, ours: list[Measured], theirs: list[Measured], what: Callable[[Measured], float]) -> list[object]:
        return [name, median(ours, what), median(theirs, what)]

    def seconds(one: Measured) -> float:
        return one.seconds

    def memory(one: Measured) -> float:
        return one.memory / MB

    def cpu(one: Measured) -> float:
        return one.cpu

    ratio = median(results.ours, seconds) / median(results.trivy, seconds)
    memory_ratio = median(results.ours, memory) / median(results.trivy, memory)
    again = median(results.ours_again, seconds) / median(results.ours, seconds)
    cpu_ratio = median(results.ours, cpu) / median(results.trivy, cpu)
    show(
        f"Scan: {image.files:,} files, {image.bytes / MB:.0f} MB, {image.compressed / MB:.0f} MB as pushed",
        ("median", "scan", "trivy alone", "ratio"),
        [
            [*row("seconds", results.ours, results.trivy, seconds), within(ratio, MOST_RATIO)],
            [*row("seconds of CPU", results.ours, results.trivy, cpu), f"{cpu_ratio:.2f}"],
            [*row("memory, MB", results.ours, results.trivy, memory), within(memory_ratio, MOST_MEMORY_RATIO)],
            [*row("seconds, other top layer", results.ours_again, results.trivy_again, seconds), ""],
            ["beside the first scan", again, "", within(again, MOST_RESUBMISSION_RATIO)],
        ],
        {
            "ratio": ratio,
            "memory_ratio": memory_ratio,
            "resubmission_ratio": again,
            "cpu_ratio": cpu_ratio,
            "scan_seconds": median(results.ours, seconds),
            "trivy_seconds": median(results.trivy, seconds),
            "megabytes": round(image.bytes / MB),
        },
        (f"{told['components']} components found, with wharfinger {told['version']}.",),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scan", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=1_000, help="of files in the image")
    parser.add_argument("--rounds", type=int, default=3, help="of each side")
    given = parser.parse_args()
    run(given.megabytes, given.rounds)


if __name__ == "__main__":
    main()
