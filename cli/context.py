"""What every command shares: settings, one-line errors, --json, and who acts."""

import asyncio
import dataclasses
import functools
import inspect
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec

import typer
from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from models.errors import InvalidManifest, ToolFailed, WharfingerError
from settings import Settings
from store.views import EventView, Page

P = ParamSpec("P")

#: a pipe has no width: what goes to the next program, or into a log, is folded late. Characters.
_PIPE_WIDTH = 200
_WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH

#: what people read; errors go to standard error
console = Console(highlight=False, width=_WIDTH)
complaints = Console(stderr=True, highlight=False)

#: addresses of the servers that `wharfinger up` runs in a home, for the commands beside it
UP_FILE = "up.env"

#: SQLSTATEs of a table or a column that a migration has not made yet
_NO_SUCH_TABLE = ("42P01", "42703")

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output: one JSON document.")]
Actor = Annotated[
    str, typer.Option("--as", envvar="WHARFINGER_ACTOR", help="Email address (or id) of the person who acts.")
]
MaybeActor = Annotated[
    str, typer.Option("--as", envvar="WHARFINGER_ACTOR", help="Email address (or id) of the person who looks.")
]
PageNumber = Annotated[int, typer.Option("--page", min=1, help="Which page of a long list.")]
PageSize = Annotated[int, typer.Option("--size", min=1, max=500, help="Lines of a page.")]


def load_settings(home: Path | None = None, *, beside_up: bool = True) -> Settings:
    """The environment, then .env, then what a running `wharfinger up` has written down in its home.

    `beside_up` is False for `up` itself: what a killed one has left behind is not true any more.
    """
    try:
        home = home or Settings().home
        files = (home / UP_FILE, ".env") if beside_up else (".env",)
        given: dict[str, Any] = {"_env_file": files}
        return Settings(home=home, **given)
    except ValidationError as error:
        mistakes = "; ".join(
            f"WHARFINGER_{'__'.join(str(part).upper() for part in mistake['loc'])}: {mistake['msg']}"
            for mistake in error.errors(include_url=False, include_input=False)
        )
        raise WharfingerError(f"A setting is wrong: {mistakes}") from error
    except SettingsError as error:
        # a list or table that is no JSON: its own message names the field and nothing else
        raise WharfingerError(f"A setting is wrong: {error}. Lists are written as JSON: '[\"one\"]'.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise WharfingerError(f"The file with the settings cannot be read: {error}") from error


def runs(command: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """A command as a coroutine: errors become one line (or JSON) and status 1, Ctrl-C the shell's 130."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.get("json_", False))
        try:
            asyncio.run(_await(command(*args, **kwargs)))
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:  # `wharfinger queue | head`: the program's own matter
            raise
        except (WharfingerError, SQLAlchemyError, ValidationError, OSError) as error:
            fail(said(error), as_json)

    run.__signature__ = inspect.signature(command)  # type: ignore[attr-defined]
    return run


def said(error: Exception) -> WharfingerError:
    """An error of a library in our words: what went wrong, and what to do."""
    match error:
        case WharfingerError():
            return error
        case DBAPIError():
            return _of_database(error)
        case SQLAlchemyError():
            return ToolFailed(f"The database cannot be used: look at WHARFINGER_DATABASE. ({_first_line(error)})")
        case ValidationError():
            mistakes = error.errors(include_url=False, include_input=False)
            return WharfingerError("; ".join(f"{'.'.join(map(str, m['loc']))}: {m['msg']}." for m in mistakes))
        case OSError(filename=str() as name):
            return ToolFailed(f"{name}: {(error.strerror or str(error)).lower()}.")
        case _:
            return ToolFailed(_first_line(error))


def _of_database(error: DBAPIError) -> ToolFailed:
    """A statement is nobody's business; what the driver said of it may help."""
    reason = _first_line(error.orig or error)
    if getattr(error.orig, "sqlstate", None) in _NO_SUCH_TABLE or "no such table" in reason or "no such col" in reason:
        return ToolFailed(
            f"The database has not been brought up to this version yet: start `wharfinger up` or a worker. ({reason})"
        )
    return ToolFailed(f"The database does not answer as it should: {reason}. Is WHARFINGER_DATABASE right?")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0].strip().rstrip(".")


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
            complaints.print(f"  {problem.field}: {problem.message}", markup=False, soft_wrap=True)
    else:
        complaints.print("[bold red]wharfinger:[/] ", end="")
        complaints.print(str(error), markup=False, soft_wrap=True)
    raise typer.Exit(1)


def write_json(value: Any, *, indent: int | None = 2) -> None:
    """Documents of models and plain values, complete: a field that holds its default is written as well."""
    text = json.dumps(value, default=_plain, ensure_ascii=False, indent=indent)
    # half a surrogate pair (a path of an image that is not UTF-8) has no UTF-8 form
    sys.stdout.write(text.encode("utf-8", "replace").decode("utf-8") + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (tuple, set, frozenset)):
        return list(value)
    if isinstance(value, (Path, Decimal)):
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


def more_pages(found: Page[Any]) -> None:
    """How to see the rest of a long list."""
    if found.total > found.page * found.size:
        console.print(f"Page {found.page} of {-(-found.total // found.size)}: --page {found.page + 1} shows more.")


def timeline(events: Iterable[EventView]) -> list[tuple[object, ...]]:
    """Rows of what has happened: when, who, what, in which words."""
    rows: list[tuple[object, ...]] = []
    for event in events:
        what = event.title + (" (private)" if event.private else "")
        words = f"refused: {event.refused}" if event.refused else event.text
        rows.append((event.at, event.actor, what, words))
    return rows


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return when(value)
    # names come from people: nothing of them is markup
    return "" if value is None else str(value).replace("[", "\\[")


def when(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else ""
