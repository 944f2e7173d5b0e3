"""`wharfinger report`: what the hub's scans found in a submission, in every form that `wharfinger scan` writes."""

from typing import Annotated

import typer

from cli.context import Json, MaybeActor, load_settings, runs
from cli.scan import As, Fixable, Output, Platform, Severities, Shape, deliver, form_of, only
from desk import reports
from desk.hub import open_blobs, open_database


@runs
async def report(
    submission: Annotated[
        str, typer.Argument(help="Id of the submission, or PRODUCT/NUMBER; PUBLISHER/PRODUCT for what is published.")
    ],
    actor: MaybeActor = "",
    iteration: Annotated[int | None, typer.Option(min=1, help="Of this iteration; else of the latest.")] = None,
    platform: Platform = "",
    shape: As = Shape.TABLE,
    output: Output = None,
    severity: Severities = None,
    fixable: Fixable = False,
    components: Annotated[bool, typer.Option("--components", help="List every component.")] = False,
    json_: Json = False,
) -> None:
    """The stored scan report of a submission or a published product, with the waivers in force. For its publisher and
    the staff."""
    form = form_of(shape, output, json_)
    settings = load_settings()
    async with open_database(settings) as database:
        scanned = await reports.stored(
            database, open_blobs(settings), submission, actor, iteration=iteration, platform=platform
        )
    await deliver(only(scanned, severity, fixable), form, output, everything=components)


def add_to(app: typer.Typer) -> None:
    """Mount the command."""
    app.command()(report)
