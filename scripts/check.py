"""Everything that holds without a server: lint, types, import contracts, migrations, replay, length of files.

All steps run, so that one round shows every complaint; the last line says what failed. `scripts/check.py types lint`
runs those alone. Needs no system package.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
BESIDE = Path(sys.executable).parent

#: A file's lines; more is two files. Migrations are as long as the schema is.
LONGEST_FILE = 400
EXEMPT = ("store/migrations/versions/",)

#: The step's complaint; empty when there is none.
Look = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that has to hold."""

    name: str
    what: str
    look: Look
    #: how somebody mends it without reading
    remedy: str = ""


@dataclass(slots=True)
class Outcome:
    step: Step
    seconds: float
    complaint: str = field(default="")


def run(*command: str, **variables: str) -> str:
    """What a command that failed has said; empty when it went well."""
    program = BESIDE / command[0]
    words = [str(program) if program.exists() else command[0], *command[1:]]
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip() or f"exit status {done.returncode}"


def tool(*command: str) -> Look:
    return lambda: run(*command)


def migrations() -> str:
    """The tables and the migrations say the same: an empty database, brought up to date, has nothing left to change."""
    with tempfile.TemporaryDirectory() as folder:
        place = f"url=sqlite:///{folder}/check.sqlite"
        return run("alembic", "-x", place, "upgrade", "head") or run("alembic", "-x", place, "check")


def replay() -> str:
    """Every recorded history still replays on the workflows as they are now."""
    tests = ROOT / "tests" / "workflows" / "test_replay.py"
    if not tests.exists():
        tests = ROOT / "tests" / "test_replay.py"
    if not tests.exists():
        return "There is no test_replay.py."
    return run("pytest", "-q", "-p", "no:cacheprovider", str(tests))


def sources() -> Iterator[Path]:
    """Our Python files; a fresh machine may have no git to ask."""
    for folder, inner, names in os.walk(ROOT):
        inner[:] = [name for name in inner if not name.startswith(".") and name not in {"__pycache__", "build", "dist"}]
        for name in names:
            path = Path(folder) / name
            if path.suffix == ".py" and not path.relative_to(ROOT).as_posix().startswith(EXEMPT):
                yield path


def lengths() -> str:
    lines = ((len(path.read_text(encoding="utf-8").splitlines()), path.relative_to(ROOT)) for path in sources())
    return "\n".join(f"{path}: {count} lines" for count, path in sorted(lines, reverse=True) if count > LONGEST_FILE)


STEPS = (
    Step("lint", "ruff check", tool("ruff", "check", "--quiet", "."), "ruff check --fix"),
    Step("format", "ruff format --check", tool("ruff", "format", "--quiet", "--diff", "."), "ruff format"),
    Step("types", "mypy, strict", tool("mypy", "--no-error-summary", ".")),
    Step("imports", "an import points down", tool("lint-imports")),
    Step("migrations", "alembic upgrade, alembic check", migrations, "alembic revision --autogenerate -m ..."),
    Step("replay", "every recorded history", replay),
    Step("lengths", f"no file over {LONGEST_FILE} lines", lengths, "two nouns, two files"),
)


def main(names: Sequence[str]) -> int:
    """The number of failed steps is not the exit status: 0 or 1, and 2 for a step that nobody knows."""
    console = Console(highlight=False, soft_wrap=True)
    if unknown := set(names) - {step.name for step in STEPS}:
        console.print(f"no such step: {', '.join(sorted(unknown))}; steps: {' '.join(step.name for step in STEPS)}")
        return 2
    outcomes: list[Outcome] = []
    for step in STEPS:
        if names and step.name not in names:
            continue
        with console.status(f"{step.name}: {step.what}"):
            begin = time.monotonic()
            complaint = step.look()
        outcomes.append(Outcome(step, time.monotonic() - begin, complaint))
        if complaint:
            console.rule(f"[bold red]{step.name}", align="left")
            console.print(complaint, markup=False)
    console.print(summary(outcomes))
    failed = [outcome.step.name for outcome in outcomes if outcome.complaint]
    console.print(f"[bold red]failed:[/] {', '.join(failed)}" if failed else "[bold green]all is well")
    return 1 if failed else 0


def summary(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("check", "", "what", "seconds", "to mend"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for outcome in outcomes:
        sign = "[red]failed" if outcome.complaint else "[green]ok"
        remedy = outcome.step.remedy if outcome.complaint else ""
        table.add_row(outcome.step.name, sign, outcome.step.what, f"{outcome.seconds:.1f}", remedy)
    return table


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
