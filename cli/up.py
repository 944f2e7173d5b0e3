"""`wharfinger up`: all of the hub on one machine. `wharfinger worker`: one more worker beside it, or in production."""

from typing import Annotated

import typer

import worker as worker_process
from cli.context import console, load_settings, runs
from cli.harbour import Harbour
from models.addresses import QUEUES


@runs
async def up() -> None:
    """Start everything on this machine and stay: Temporal, registry, mailbox, worker, pages. Ctrl-C ends it."""
    settings = load_settings()
    async with Harbour(settings, tell=lambda words: console.print(f"[dim]{words}[/]")) as harbour:
        show_addresses(harbour)
        console.print("Ctrl-C stops all of it; the data stays.")
        await harbour.until_stopped()
    console.print("Stopped.")


def show_addresses(harbour: Harbour) -> None:
    """Where to look."""
    rows = [("pages", harbour.base_url), ("Temporal UI", harbour.temporal.ui)]
    if harbour.registry is not None:
        rows.append(("registry", harbour.registry.url))
    if harbour.mail is not None:
        rows.append(("mailbox", str(harbour.mail.mailbox)))
    rows.append(("logs", str(harbour.home / "services" / "logs")))
    for name, place in rows:
        console.print(f"[bold]{name:12}[/] {place}", soft_wrap=True)


def worker(
    queues: Annotated[str, typer.Option(help=f"Comma-separated, of: {', '.join(QUEUES)}.")] = ",".join(QUEUES),
) -> None:
    """Run one worker process until SIGTERM; several may run beside one another."""
    load_settings()
    raise typer.Exit(worker_process.main(["--queues", queues]))


def add_to(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(worker)
