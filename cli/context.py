"""What every command shares: settings, one-line errors, --json, and who acts."""

import asyncio
import functools
import inspect
import json
import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec

import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.table import Table

from models.errors import InvalidManifest, WharfingerError
from settings import Settings

P = ParamSpec("P")

#: what people read; errors go to standard error
console = Console(highlight=False)
complaints = Console(stderr=True, highlight=False)

#: addresses of the servers that `wharfinger up` runs in a home, for the commands beside it
UP_FILE = "up.env"

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output: one JSON document.")]
Actor = Annotated[
    str, typer.Option("--as", envvar="WHARFINGER_ACTOR", help="Email address (or id) of the person who acts.")
]


def load_settings(home: Path | None = None) -> Settings:
    """The environment, then .env, then what a running `wharfinger up` has written down in its home."""
    try:
        home = home or Settings().home
        given: dict[str, Any] = {"_env_file": (home / UP_FILE, ".env")}
        return Settings(home=home, **given)
    except ValidationError as error:
        mistakes = "; ".join(
            f"WHARFINGER_{'__'.join(str(part).upper() for part in mistake['loc'])}: {mistake['msg']}"
            for mistake in error.errors(include_url=False, include_input=False)
        )
        raise WharfingerError(f"A setting is wrong: {mistakes}") from error


def runs(command: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """A command as a coroutine: errors become one line (or JSON) and status 1, Ctrl-C the shell's 130."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.get("json_", False))
        try:
            asyncio.run(_await(command(*args, **kwargs)))
        except WharfingerError as error:
            fail(error, as_json)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    run.__signature__ = inspect.signature(command)  # type: ignore[attr-defined]
    return run


async def _await(work: Awaitable[None]) -> None:
    await work


def fail(error: WharfingerError, as_json: bool) -> NoReturn:
    """Says what went wrong and what to do, and ends with status 1."""
    problems = error.problems if isinstance(error, InvalidManifest) else ()
    if as_json:
        document: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
        if problems:
            document["problems"] = [{"field": problem.field, "message": problem.message} for problem in problems]
        write_json(document)
    elif problems:
        complaints.print(f"[bold red]refused:[/] {len(problems)} to mend")
        for problem in problems:
            complaints.print("  ", end="")
            complaints.print(f"{problem.field}: {problem.message}", markup=False)
    else:
        complaints.print("[bold red]wharfinger:[/] ", end="")
        complaints.print(str(error), markup=False)
    raise typer.Exit(1)


def write_json(value: Any) -> None:
    """Documents of models and plain values."""
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False, indent=2) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (tuple, set, frozenset)):
        return list(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value)} cannot be written as JSON")


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]], empty: str) -> None:
    """A table for people, or a sentence when there is nothing to show."""
    lines = [[_cell(cell) for cell in row] for row in rows]
    if not lines:
        console.print(empty)
        return
    drawn = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        drawn.add_column(column, style=None, overflow="fold")
    for line in lines:
        drawn.add_row(*line)
    console.print(drawn)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return when(value)
    # names come from people: nothing of them is markup
    return "" if value is None else str(value).replace("[", "\\[")


def when(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else ""
