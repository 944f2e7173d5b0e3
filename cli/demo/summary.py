"""What the demo shows at its end: the timeline, both iterations side by side, the mails, where to look."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.context import when
from cli.demo.proofs import Proof
from models.findings import Finding, Severity
from models.scans import ImageReport
from notifications.mailbox import read_mailbox
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


def show_layers(console: Console, reports: Sequence[ImageReport]) -> None:
    """Where the vulnerabilities of an iteration come from: layer by layer, equal layers of several images once."""
    layers: dict[str, tuple[str, dict[str, Severity]]] = {}
    for report in reports:
        for found in report.vulnerabilities:
            layers.setdefault(found.layer, (found.instruction, {}))[1][f"{found.id} {found.component}"] = found.severity
    drawn = _table("Iteration 1: vulnerabilities by layer", "layer", "instruction", *Severity, "such as")
    for layer, (instruction, found_there) in layers.items():
        classes = Counter(found_there.values())
        worst = sorted(found_there, key=lambda name: list(Severity).index(found_there[name]))[:3]
        counts = (str(classes[severity] or "") for severity in Severity)
        short = layer.removeprefix("sha256:")[:12]
        drawn.add_row(short, escape(instruction), *counts, escape(", ".join(worst)))
    console.print(drawn)


def show_iterations(console: Console, iterations: Sequence[IterationView]) -> None:
    """Counts, then the findings of both iterations side by side."""
    counts = _table("What the checks came to", "", *(f"iteration {iteration.number}" for iteration in iterations))
    for name in ("vulnerabilities", "requirements", "guidelines"):
        counts.add_row(name, *(str(getattr(iteration.outcome, name)) for iteration in iterations))
    counts.add_row("hold it up", *(str(len(iteration.outcome.blocking)) for iteration in iterations))
    console.print(counts)
    sides = [_by_title(iteration) for iteration in iterations]
    titles = list(dict.fromkeys(title for side in sides for title in side))
    titles.sort(key=lambda title: min(_weight(side[title][0]) for side in sides if title in side))
    drawn = _table("Findings side by side", "finding", *(f"iteration {iteration.number}" for iteration in iterations))
    for title in titles[:_MOST_ROWS]:
        drawn.add_row(escape(title), *(_mark(side.get(title, [])) for side in sides))
    console.print(drawn)
    if len(titles) > _MOST_ROWS:
        console.print(f"  [dim]and {len(titles) - _MOST_ROWS} more: wharfinger status shows all of them[/]")


def _by_title(iteration: IterationView) -> dict[str, list[Finding]]:
    """A rule that finds the same in every image is one line."""
    found: dict[str, list[Finding]] = {}
    for finding in iteration.findings:
        found.setdefault(finding.title, []).append(finding)
    return found


def _weight(finding: Finding) -> tuple[bool, int]:
    """What holds it up first, then the classes in their order."""
    order = list(Severity)
    return not finding.blocks, order.index(finding.severity) if finding.severity else len(order)


def _mark(findings: Sequence[Finding]) -> str:
    if not findings:
        return "[green]mended[/]"
    weight = findings[0].severity or findings[0].level
    times = f" in {len(findings)} places" if len(findings) > 1 else ""
    if any(finding.blocks for finding in findings):
        return f"[red]{weight}, holds it up{times}[/]"
    return f"[yellow]{weight}{times}[/]"


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
