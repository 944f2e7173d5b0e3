"""Every benchmark at its smallest: a table for people, and as the last line the figures that are promised."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scanning.demo import DEMO_ADVISORIES
from tests.parts.presence import needs

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.system


def figures_of(folder: Path, name: str, *flags: str) -> dict[str, float]:
    """Of one run, by its last line. The numbers mean nothing at this size."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", f"benchmarks.{name}", *flags],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    *table, last = done.stdout.splitlines()
    assert len(table) > 3
    assert not last.startswith(" ")
    figures: dict[str, float] = json.loads(last)
    return figures


@needs("temporal", "trivy")
def test_a_journey_is_measured_beside_a_bare_workflow(tmp_path: Path) -> None:
    figures = figures_of(tmp_path, "journey", "--submissions", "2", "--at-once", "2", "--rounds", "1")
    assert {"ratio_memory", "ratio_file", "events", "bytes", "actions"} <= figures.keys()
    assert figures["ratio_memory"] > 0
    assert figures["ratio_file"] > 0
    assert 40 < figures["events"] < 70
    assert 10 < figures["actions"] < 24


@needs("temporal")
def test_decisions_are_measured_beside_bare_updates(tmp_path: Path) -> None:
    figures = figures_of(tmp_path, "decisions", "--waiting", "6", "--decisions", "3")
    assert {"p95_ratio", "p95_ms"} <= figures.keys()
    assert figures["p95_ms"] > 0
    assert figures["waiting"] == 6


@needs("temporal", "trivy", "docker-registry")
def test_what_has_come_of_submissions_is_counted_where_it_went(tmp_path: Path) -> None:
    figures = figures_of(tmp_path, "restart", "--submissions", "2", "--kills", "0")
    assert {"lost", "doubled", "seconds"} <= figures.keys()
    assert (figures["lost"], figures["doubled"], figures["submissions"]) == (0, 0, 2)


@needs("trivy")
def test_a_scan_is_measured_beside_trivy_alone(tmp_path: Path) -> None:
    figures = figures_of(tmp_path, "scan", "--megabytes", "3", "--rounds", "1")
    assert {"ratio", "memory_ratio", "resubmission_ratio", "cpu_ratio"} <= figures.keys()
    assert min(figures.values()) > 0
    # both sides have trivy in memory
    assert figures["memory_ratio"] > 1
    assert figures["megabytes"] <= 3


@needs("trivy")
def test_the_scanner_and_trivy_are_compared_with_the_same_advisories(tmp_path: Path) -> None:
    written = tmp_path / "differences.json"
    figures = figures_of(tmp_path, "agreement", "--advisories", str(DEMO_ADVISORIES), "--json", str(written))
    assert figures["agreed"] == figures["agreed_pypi"] > 30
    assert figures["images"] == 5
    assert figures["unexplained"] == 0
    assert figures["differences"] == len(json.loads(written.read_text()))


def test_orders_of_versions_are_asked_of_their_tools_and_those_that_lack_are_named(tmp_path: Path) -> None:
    figures = figures_of(tmp_path, "versions", "--pairs", "30", "--only", "deb,npm,go")
    assert {name for name in figures if name.startswith("denied_")} <= {"denied_deb", "denied_npm", "denied_go"}
    assert all(count == 0 for name, count in figures.items() if name.startswith("denied_"))
