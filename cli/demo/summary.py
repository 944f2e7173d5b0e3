"""What the demo shows at its end: the timeline, both iterations side by side, the mails, where to look."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.context import when
from cli.demo.proofs import Proof
from models.findings import Finding
from notifications.mailbox import read_mailbox
from policies.vulnerabilities import RULE
from store.views import EventView, IterationView, SubmissionView

_MOST_ROWS = 24


def show_timeline(console: Console, events: Sequence[EventView]) -> None:
    """Who did what, and how long after the beginning."""
    drawn = _table("Timeline", "time (UTC)", "after", "what", "who", "")
    began = events[0].at if events else None
    for event in events:
        after = f"{(event.at - began).total_seconds():.1f} s" if began else ""
        text = event.text if len(event.text) <= 60 else event.text[:59] + "…"
        drawn.add_row(f"{event.at:%H:%M:%S}", after, event.title, escape(event.actor or "the hub"), escape(text))
    console.print(drawn)


def show_iterations(console: Console, iterations: Sequence[IterationView]) -> None:
    """Counts, then the findings of both iterations side by side."""
    counts = _table("What the checks came to", "", *(f"iteration {iteration.number}" for iteration in iterations))
    for name in ("vulnerabilities", "requirements", "guidelines"):
        counts.add_row(name, *(str(getattr(iteration.outcome, name)) for iteration in iterations))
    counts.add_row("hold it up", *(str(len(iteration.outcome.blocking)) for iteration in iterations))
    console.print(counts)
    sides = [{finding.key: finding for finding in iteration.findings} for iteration in iterations]
    keys = list(dict.fromkeys(key for side in sides for key in side))
    drawn = _table("Findings side by side", "finding", *(f"iteration {iteration.number}" for iteration in iterations))
    for key in keys[:_MOST_ROWS]:
        named = next(side[key] for side in sides if key in side)
        drawn.add_row(escape(_title(named)), *(_mark(side.get(key)) for side in sides))
    console.print(drawn)
    if len(keys) > _MOST_ROWS:
        console.print(f"  [dim]and {len(keys) - _MOST_ROWS} more: wharfinger status shows all of them[/]")


def _title(finding: Finding) -> str:
    title = finding.title if len(finding.title) <= 70 else finding.title[:69] + "…"
    return title if finding.rule == RULE or not finding.where else f"{title} ({finding.where[:40]})"


def _mark(finding: Finding | None) -> str:
    if finding is None:
        return "[green]mended[/]"
    weight = finding.severity or finding.level
    return f"[red]{weight}, holds it up[/]" if finding.blocks else f"[yellow]{weight}[/]"


def show_mails(console: Console, mailbox: Path) -> None:
    drawn = _table("Mails", "time", "to", "subject", "first line")
    for mail in read_mailbox(mailbox):
        first = next((line for line in mail.text.splitlines() if line.strip()), "")
        drawn.add_row(
            f"{mail.date:%H:%M:%S}" if mail.date else "", escape(mail.to), escape(mail.subject), escape(first)
        )
    console.print(drawn)


def show_proofs(console: Console, proofs: Sequence[Proof]) -> None:
    drawn = _table("Proofs", "", "what", "seen")
    for proof in proofs:
        drawn.add_row("[green]✓[/]" if proof.holds else "[red]✗[/]", proof.title, escape(proof.detail))
    console.print(drawn)


def show_places(console: Console, places: Sequence[tuple[str, str]]) -> None:
    console.print("[bold]Where to look[/]")
    for name, place in places:
        console.print(f"  {name:18} {escape(place)}", soft_wrap=True)


def ended(view: SubmissionView, seconds: float) -> str:
    """The last line of the story."""
    return (
        f"{view.product_name} by {view.publisher_name}: {view.status} on {when(view.closed_at)}, after "
        f"{len(view.iterations)} iterations, {seconds:.0f} s after the beginning."
    )


def _table(title: str, *columns: str) -> Table:
    drawn = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        drawn.add_column(column, overflow="fold")
    return drawn
