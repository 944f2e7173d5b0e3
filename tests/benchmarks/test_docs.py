"""docs/performance.md names every benchmark, and no flag that does not exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
NAMES = (
    *("journey", "decisions", "restart", "scan", "identify", "advisories", "rematch", "watch", "agreement", "versions"),
    "fuzz",
)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_knows_the_benchmark_and_its_flags(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \| .*`--.*$", PAGE, re.MULTILINE)
    said = subprocess.run(
        [sys.executable, "-P", "-m", f"benchmarks.{name}", "--help"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    there = set(re.findall(r"--[a-z-]+", said.stdout)) - {"--help"}
    assert set(re.findall(r"--[a-z-]+", row)) == there


def test_every_command_of_the_room_is_a_benchmark_of_the_page_or_its_worker() -> None:
    commands = {
        path.stem for path in (ROOT / "benchmarks").glob("*.py") if '__name__ == "__main__"' in path.read_text()
    }
    assert commands == {*NAMES, "crew"}
