"""The command line as a whole: every file of cli/ that has commands is mounted, and its names are its own."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from starter import NOUNS, VERBS, app

ROOT = Path(__file__).resolve().parent.parent


def test_every_file_of_the_command_line_is_mounted() -> None:
    files = {
        path.stem if path.is_file() else path.name for path in (ROOT / "cli").iterdir() if path.name != "__pycache__"
    }
    with_commands = {
        name for name in files if any(f"\n{mark}" in _text(name) for mark in ("app = typer.Typer", "def add_to("))
    }
    below = {"members": "publisher"}  # a noun of a noun
    for inner, outer in below.items():
        assert f"{inner}.app" in _text(outer)
    assert with_commands == {*VERBS, *NOUNS, *below}


def _text(name: str) -> str:
    path = ROOT / "cli" / f"{name}.py"
    return (path if path.is_file() else ROOT / "cli" / name / "__init__.py").read_text()


@pytest.mark.parametrize("module", VERBS)
def test_a_module_mounts_exactly_the_verbs_that_are_said_of_it(module: str) -> None:
    from starter import _commands_of

    assert set(_commands_of(module)) == set(VERBS[module])


def test_the_help_names_every_command_with_a_sentence() -> None:
    said = CliRunner().invoke(app, ["--help"])
    assert said.exit_code == 0
    for name in [*NOUNS, *(verb for verbs in VERBS.values() for verb in verbs)]:
        line = next(line for line in said.output.splitlines() if line.startswith(f"│ {name} "))
        assert len(line.strip("│ ").split()) > 2, line


def test_a_command_does_not_import_what_the_others_need() -> None:
    code = (
        "import sys, starter; starter.app(['staff', '--help'], standalone_mode=False); print('worker' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    shell = f"set -o pipefail; '{sys.executable}' -m starter --help | head -n 1"
    done = subprocess.run(["bash", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
