"""The rule about missing parts, on tests that lack one on purpose."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.presence import PARTS, needs

ROOT = Path(__file__).resolve().parents[2]

LACKING = """
import pytest
from tests.parts import presence

presence.PARTS["moon"] = presence.Part(lambda: None, "build a rocket")

@presence.needs("moon")
def test_by_mark():
    raise AssertionError("it ran")

@pytest.fixture
def moon():
    presence.require("moon")

def test_by_fixture(moon):
    raise AssertionError("it ran")
"""


def outcome(folder: Path, *, ci: str) -> str:
    """The closing lines of a run of tests that lack a part."""
    (folder / "test_moon.py").write_text(LACKING)
    (folder / "conftest.py").write_text("from tests.conftest import pytest_runtest_setup\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "-p", "no:cacheprovider", "-q", folder],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "CI": ci},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return run.stdout


def test_a_test_that_lacks_a_part_is_skipped_with_the_remedy_on_a_persons_machine(tmp_path: Path) -> None:
    said = outcome(tmp_path, ci="")
    assert "2 skipped" in said
    assert "not on this machine: moon (build a rocket)" in said


def test_a_test_that_lacks_a_part_fails_in_ci(tmp_path: Path) -> None:
    said = outcome(tmp_path, ci="1")
    assert "2 errors" in said
    assert "skipped" not in said
    assert "not on this machine: moon (build a rocket)" in said


def test_a_part_that_nobody_knows_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        needs("no-such-part")
    assert all(part.remedy for part in PARTS.values())
