"""`wharfinger demo`: the whole journey of a submission on real servers, and what came of it."""

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from cli.context import console, load_settings, runs, write_json
from cli.demo import summary
from cli.demo.journey import Journey
from cli.demo.proofs import Evidence, Proof
from cli.demo.screen import Screen
from cli.demo.source import open_source_registry
from cli.harbour import Harbour
from cli.servers import RegistryServer
from cli.services import Services
from desk.hub import Hub, open_hub
from models import pages
from models.addresses import submission_address
from models.errors import WharfingerError
from models.scans import ImageReport
from settings import Settings
from store import submissions
from store.views import SubmissionView

#: beside a hub that somebody works with, never in it
FOLDER = "demo"
#: columns where the output is no terminal: a log's reader can scroll
_LOG_WIDTH = 150


def add_to(app: typer.Typer) -> None:
    app.command()(demo)


@runs
async def demo(
    exit_: Annotated[
        bool, typer.Option("--exit", help="Stop everything at the end; status 0 only if all held.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="With --exit: the proofs as one JSON document.")] = False,
) -> None:
    """A publisher applies, submits a vulnerable image, mends it, and is published: all of it on real servers."""
    console.quiet = json_
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    home = load_settings().home.absolute() / FOLDER
    screen = Screen(console)
    await _begin_anew(home)
    _leave_other_hubs_alone(home)
    console.print("[bold]Wharfinger[/] · a submission's journey from its publisher to the catalog, on real servers")
    async with open_source_registry(home, installed=RegistryServer.installed()) as source:
        settings = Settings(home=home, **source.settings())
        async with Harbour(settings, tell=lambda words: console.print(f"  [dim]{words}[/]")) as harbour:
            async with open_hub(harbour.settings()) as hub:
                mailbox = home / "services" / "mail" / "mailbox"
                journey = Journey(hub, screen, source, mailbox, home / "work")
                view = await journey.run()
                console.print(f"\n[bold]{summary.ended(view, screen.seconds)}[/]")
                proofs = await _show(hub, view, mailbox)
            summary.show_places(console, _places(harbour, view))
            if not exit_:
                console.print("\nEverything is up. [bold]Ctrl-C[/] stops it; the next demo begins anew.")
                await harbour.until_stopped()
    if json_:
        write_json([{"title": proof.title, "holds": proof.holds, "detail": proof.detail} for proof in proofs])
    failed = [proof.title for proof in proofs if not proof.holds]
    if failed:
        raise WharfingerError(f"The demo did not show: {'; '.join(failed)}.")
    console.print(f"[bold green]All {len(proofs)} proofs hold.[/] Stopped.")


async def _begin_anew(home: Path) -> None:
    """What an earlier demo left is removed, unless it still runs. Errors: FolderInUse."""
    home.mkdir(parents=True, exist_ok=True)
    async with Services(home / "services", watch=False):
        for left in home.iterdir():
            if left.name != "services":
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        for left in (home / "services").iterdir():
            if left.name != "lock":
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def _leave_other_hubs_alone(home: Path) -> None:
    """The demo is a hub of its own: what somebody has set for another, or written into .env, must not lead it there."""
    for name in [name for name in os.environ if name.startswith("WHARFINGER_")]:
        del os.environ[name]
    os.chdir(home)


async def _show(hub: Hub, view: SubmissionView, mailbox: Path) -> list[Proof]:
    async with hub.database.session() as session:
        events = await submissions.trail(session, submission_address(view.id), for_publisher=False)
        first = view.iterations[0]
        reports = [await hub.blobs.get_message(ImageReport, digest) for digest in first.image_reports]
    summary.show_timeline(console, events)
    summary.show_layers(console, reports)
    summary.show_iterations(console, view.iterations)
    summary.show_mails(console, mailbox)
    with console.status("proving it ..."):
        proofs = await Evidence(hub, view, mailbox).proofs()
    summary.show_proofs(console, proofs)
    return proofs


def _places(harbour: Harbour, view: SubmissionView) -> list[tuple[str, str]]:
    base = harbour.base_url
    return [
        ("product page", base + pages.product_page(view.publisher_slug, view.product_slug)),
        ("catalog", f"{base}/catalog"),
        ("workflow", harbour.temporal.ui_of(submission_address(view.id))),
        ("hub's registry", harbour.settings().hub_registry_place),
        ("mails", f"WHARFINGER_HOME={harbour.home} wharfinger mail read"),
        ("submission", f"WHARFINGER_HOME={harbour.home} wharfinger status {view.id}"),
        ("logs", str(harbour.home / "services" / "logs")),
    ]
