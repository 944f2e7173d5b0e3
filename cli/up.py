"""`wharfinger up`: all of the hub on one machine. `wharfinger worker`: one more worker beside it, or in production."""

from typing import Annotated

import typer

from cli.context import Json, complaints, console, fail, load_settings, runs, write_json
from cli.harbour import Harbour
from models.addresses import QUEUES
from models.errors import WharfingerError


@runs
async def up(json_: Json = False) -> None:
    """Start everything on this machine and stay: Temporal, registry, mailbox, worker, pages. Ctrl-C ends it."""
    settings = load_settings(beside_up=False)
    async with Harbour(settings, tell=lambda words: complaints.print(f"[dim]{words}[/]")) as harbour:
        if json_:
            write_json(addresses(harbour))
        else:
            show_addresses(harbour)
            console.print("\nIn another terminal, first of all: wharfinger staff add YOU@EXAMPLE.COM moderator")
            console.print("Ctrl-C stops all of it; the data stays.")
        await harbour.until_stopped()
    complaints.print("Stopped.")


def addresses(harbour: Harbour) -> dict[str, str]:
    """Where to look, by what it is."""
    found = {"pages": harbour.base_url, "Temporal UI": harbour.temporal.ui, "Temporal": harbour.temporal.address}
    if harbour.registry is not None:
        found["registry"] = harbour.registry.url
    if harbour.mail is not None:
        found["mailbox"] = str(harbour.mail.mailbox)
    return found | {"logs": str(harbour.home / "services" / "logs")}


def show_addresses(harbour: Harbour) -> None:
    """The same for people."""
    for name, place in addresses(harbour).items():
        console.print(f"[bold]{name:12}[/] {place}", soft_wrap=True)


def worker(
    queues: Annotated[str, typer.Option(help=f"Comma-separated, of: {', '.join(QUEUES)}.")] = ",".join(QUEUES),
    json_: Annotated[bool, typer.Option("--json", help="The log as JSON, a line for each event.")] = False,
) -> None:
    """Run one worker process until SIGTERM; several may run beside one another."""
    try:
        settings = load_settings()
    except WharfingerError as error:
        fail(error, json_)
    if json_:
        settings = settings.model_copy(update={"log_format": "json"})
    import worker as worker_process  # its activities are slow to import, and no other command needs them

    raise typer.Exit(worker_process.main(["--queues", queues], settings))


def add_to(app: typer.Typer) -> None:
    """Mount the commands."""
    app.command()(up)
    app.command()(worker)
