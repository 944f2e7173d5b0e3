"""What a benchmark shows: progress on standard error, a table for people, and one JSON object as the last line."""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

#: progress is not part of what a program reads
progress = Console(stderr=True, highlight=False)


def note(words: str) -> None:
    """What is being done now."""
    progress.print(f"[dim]{words}[/]")


def show(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    figures: Mapping[str, float | int],
    remarks: Iterable[str] = (),
) -> None:
    """Write the table, the remarks below it, and the figures as the last line of standard output."""
    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 120)
    drawn = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        drawn.add_column(column, justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    console.print(drawn)
    for remark in remarks:
        console.print(remark, markup=False)
    console.file.flush()
    sys.stdout.write(json.dumps({name: rounded(value) for name, value in figures.items()}) + "\n")
    sys.stdout.flush()


def rounded(value: float) -> float:
    """Three digits that count: more would be noise."""
    if isinstance(value, int) or value == 0 or not math.isfinite(value):
        return value
    return round(value, max(0, 2 - math.floor(math.log10(abs(value)))))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def within(value: float, limit: float) -> str:
    """A figure beside the limit that it has to keep below."""
    return f"{rounded(value):g} ({'<' if value < limit else 'NOT <'} {limit:g})"


def _cell(value: object) -> str:
    return f"{rounded(value):g}" if isinstance(value, float) else str(value)
