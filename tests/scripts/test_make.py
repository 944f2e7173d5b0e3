"""What a person types does what the README says."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def recipe(target: str, **variables: str) -> str:
    """The commands that make would run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "DEMO"))}
    words = ["make", "--dry-run", "--no-print-directory", target]
    return subprocess.run(
        words, cwd=ROOT, env={**environment, **variables}, capture_output=True, text=True, check=True, timeout=30
    ).stdout


@pytest.mark.parametrize(("value", "exits"), [(None, False), ("", False), ("0", False), ("1", True), ("yes", True)])
def test_the_demo_stays_up_unless_it_is_told_to_exit(value: str | None, exits: bool) -> None:
    variables = {} if value is None else {"DEMO_EXIT": value}
    assert ("wharfinger demo --exit" in recipe("demo", **variables)) is exits
    assert "wharfinger demo" in recipe("demo", **variables)


def test_everything_begins_with_the_environment() -> None:
    for target in ("setup", "check", "test", "demo"):
        assert recipe(target).startswith("exec scripts/setup.sh")


def test_only_the_check_needs_no_debian_package() -> None:
    assert "apt.sh test" in recipe("test")
    assert "apt.sh demo" in recipe("demo")
    assert "apt.sh" not in recipe("check")


def test_the_scripts_are_programs_and_a_shell_understands_them() -> None:
    for script in (ROOT / ".ci" / "run", *(ROOT / "scripts").glob("*.sh")):
        assert os.access(script, os.X_OK)
        subprocess.run(["sh", "-n", script], check=True, timeout=30)
