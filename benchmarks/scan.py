"""The scan of an image of about 200 MB, beside the very trivy command that it runs.

    python -m benchmarks.scan [--megabytes 200] [--rounds 5]

The image is built on the spot from real files of this machine: Debian's package database with shared libraries, the
standard library of this Python, and the packages of its environment, a layer each. Both sides begin with an empty cache
every time, alternate, and their medians are compared. The command is recorded from the scanner itself and run without
the scanner's sandbox, with nobody reading its report.
"""

import argparse
import asyncio
import statistics
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.figures import note, show
from models.policy import ImageLimits, SeverityClasses
from models.scans import ImageReport
from registry.building import FileSpec, ImageBuilder
from scanning import sandbox
from scanning.advisories import AdvisoryStore
from scanning.demo import DEMO_ADVISORIES
from scanning.scanner import Scanner

MOST_RATIO = 2.0
PLATFORM = "linux/amd64"

_SECONDS = 600.0
_MB = 1_000_000
#: a larger one would make the image's size a matter of luck
_LARGEST_FILE = 20 * _MB


@dataclass(frozen=True, slots=True)
class Built:
    """The layout, and the bytes of its layers: as they are pushed, and of the files in them."""

    layout: Path
    compressed: int
    files: int
    bytes: int


def build(layout: Path, megabytes: int) -> Built:
    """Three layers of a third of the size each, as far as this machine has so much."""
    builder = ImageBuilder(PLATFORM, user="10001", cmd=("python3",))
    count = size = 0
    for layer in _layers(megabytes * _MB // 3):
        builder.layer(layer.files, layer.instruction)
        count += len(layer.files)
        size += layer.size
    builder.write(layout, "1.0")
    blobs = sum(blob.stat().st_size for blob in (layout / "blobs" / "sha256").iterdir())
    return Built(layout, blobs, count, size)


@dataclass(frozen=True, slots=True)
class _Layer:
    instruction: str
    files: dict[str, bytes | FileSpec]
    size: int


def _layers(share: int) -> Iterator[_Layer]:
    system = [Path("/etc/os-release"), Path("/var/lib/dpkg/status")]
    libraries = Path("/usr/lib")
    yield _gathered("RUN apt-get install -y python3", [*system, *_below(libraries)], Path("/"), "", share)
    standard = Path(sysconfig.get_path("stdlib"))
    yield _gathered("COPY python /usr/local", _below(standard), standard, "usr/local/lib/python3/", share)
    site = Path(sysconfig.get_path("purelib"))
    yield _gathered("RUN pip install -r requirements.txt", _below(site), site, "srv/site-packages/", share)


def _below(folder: Path) -> Iterator[Path]:
    """Sorted, so that the same machine makes the same image."""
    return iter(sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()))


def _gathered(instruction: str, paths: Sequence[Path] | Iterator[Path], top: Path, under: str, share: int) -> _Layer:
    files: dict[str, bytes | FileSpec] = {}
    size = 0
    for path in paths:
        try:
            if path.stat().st_size > min(_LARGEST_FILE, share - size):
                continue
            content = path.read_bytes()
        except OSError:
            continue  # of another user, or gone meanwhile
        files[under + path.relative_to(top).as_posix()] = content
        size += len(content)
    return _Layer(instruction, files, size)


@dataclass(frozen=True, slots=True)
class Bench:
    """Scans one image, each time with caches of its own."""

    image: Built
    folder: Path

    async def scan(self, number: int) -> tuple[float, ImageReport, list[str]]:
        """Seconds, the report, and the trivy command that the scanner ran."""
        place = self.folder / f"scan-{number}"
        scanner = Scanner(
            self._advisories, SeverityClasses(), ImageLimits(), place / "work", place / "cache", seconds=_SECONDS
        )
        commands: list[list[str]] = []

        in_sandbox = sandbox.run

        async def recorded(command: Sequence[str], **given: Any) -> None:
            commands.append(list(command))
            await in_sandbox(command, **given)

        with patch.object(sandbox, "run", recorded):
            began = time.perf_counter()
            report = await scanner.scan(self.image.layout, PLATFORM, lambda _: None)
            seconds = time.perf_counter() - began
        return seconds, report, commands[0]

    @property
    def _advisories(self) -> AdvisoryStore:
        return AdvisoryStore(self.folder / "advisories.sqlite")

    def prepare(self) -> None:
        self._advisories.import_from(DEMO_ADVISORIES)

    def trivy(self, command: Sequence[str], number: int) -> float:
        """Seconds of the same command with an empty cache."""
        place = self.folder / f"trivy-{number}"
        place.mkdir()
        anew = [f"--cache-dir={place / 'cache'}" if part.startswith("--cache-dir=") else part for part in command]
        with (place / "report.json").open("wb") as report:
            began = time.perf_counter()
            subprocess.run(anew, stdout=report, stderr=subprocess.DEVNULL, check=True, timeout=_SECONDS, cwd=place)
            return time.perf_counter() - began


async def run(megabytes: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="wharfinger-scan-") as place:
        folder = Path(place)
        folder.chmod(0o711)  # trivy runs as nobody where we are root
        note(f"building an image from {megabytes} MB of this machine's files")
        image = await asyncio.to_thread(build, folder / "layout", megabytes)
        bench = Bench(image, folder)
        await asyncio.to_thread(bench.prepare)
        _, report, command = await bench.scan(0)  # the first run of both warms the page cache
        await asyncio.to_thread(bench.trivy, command, 0)
        scans: list[float] = []
        alone: list[float] = []
        for number in range(1, rounds + 1):
            seconds, report, command = await bench.scan(number)
            scans.append(seconds)
            alone.append(await asyncio.to_thread(bench.trivy, command, number))
            note(f"round {number} of {rounds}: scan {scans[-1]:.2f} s, trivy alone {alone[-1]:.2f} s")
    ours, theirs = statistics.median(scans), statistics.median(alone)
    ratio = ours / theirs
    show(
        f"Scan: {image.files:,} files, {image.bytes / _MB:.0f} MB, {image.compressed / _MB:.0f} MB as pushed",
        ("seconds", "scan", "trivy alone", "ratio"),
        [
            ("median", ours, theirs, f"{ratio:.2f} ({'<=' if ratio <= MOST_RATIO else 'NOT <='} {MOST_RATIO:g})"),
            ("fastest", min(scans), min(alone), f"{min(scans) / min(alone):.2f}"),
            ("slowest", max(scans), max(alone), f"{max(scans) / max(alone):.2f}"),
        ],
        {"ratio": ratio, "scan_seconds": ours, "trivy_seconds": theirs, "megabytes": round(image.bytes / _MB)},
        (f"{len(report.components)} components found, with {report.scanner.name} {report.scanner.version}.",),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scan", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=200, help="of files in the image")
    parser.add_argument("--rounds", type=int, default=5, help="of each side")
    given = parser.parse_args()
    asyncio.run(run(given.megabytes, given.rounds))


if __name__ == "__main__":
    main()
