"""Advisories: what the scanner knows of vulnerabilities."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.context import Json, complaints, console, load_settings, runs, write_json
from models.errors import NotFound
from scanning.advisories import AdvisoryStore
from scanning.advisory_imports import Imported
from settings import Settings

app = typer.Typer(no_args_is_help=True, help="Advisories (OSV) that images are matched against.")


def advisory_store(settings: Settings) -> AdvisoryStore:
    """The store of these settings; a new home is made, as everywhere."""
    settings.advisories_place.parent.mkdir(parents=True, exist_ok=True)
    return AdvisoryStore(settings.advisories_place)


@app.command("import")
@runs
async def import_(
    places: Annotated[
        list[str] | None, typer.Argument(help="OSV exports: .jsonl, .json, .zip, a folder of these, or a URL.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Scores by CVE for records without one: {CVE: [[source, vector, score]]}.")
    ] = None,
    json_: Json = False,
) -> None:
    """Bring in OSV exports; imported again, only what changed is written."""
    if not places and scores is None:
        raise NotFound("Say what to import: an OSV export, a folder or URL of one, or --scores FILE.")
    store = advisory_store(load_settings())
    added = changed = skipped = 0
    for place in places or ():
        imported = await _import(store, place)
        added, changed, skipped = added + imported.added, changed + imported.changed, skipped + imported.skipped
    scored = await asyncio.to_thread(store.import_scores, scores) if scores is not None else 0
    total, snapshot = await asyncio.to_thread(store.count), await asyncio.to_thread(store.snapshot)
    if json_:
        write_json(
            {
                "added": added,
                "changed": changed,
                "skipped": skipped,
                "scores": scored,
                "total": total,
                "snapshot": snapshot,
            }
        )
        return
    console.print(f"{added:,} added, {changed:,} changed, {total:,} advisories in all.")
    if scores is not None:
        console.print(f"{scored:,} new scores.")
    if skipped:
        console.print(f"{skipped:,} could not be read and were skipped.")


async def _import(store: AdvisoryStore, place: str) -> Imported:
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.completed:,} records"),
        TimeElapsedColumn(),
        console=complaints,
        transient=True,
        disable=not complaints.is_terminal,
    ) as progress:
        task = progress.add_task(place, total=None)
        return await asyncio.to_thread(store.import_from, place, lambda count: progress.update(task, completed=count))


@app.command()
@runs
async def status(json_: Json = False) -> None:
    """How many advisories are in force, and their snapshot."""
    store = advisory_store(load_settings())
    count, snapshot = await asyncio.to_thread(store.count), await asyncio.to_thread(store.snapshot)
    if json_:
        write_json({"advisories": count, "snapshot": snapshot})
    elif not count:
        console.print("No advisories yet: scans find components, but no vulnerabilities.")
        console.print("Bring some in: wharfinger advisories import PATH|URL")
    else:
        console.print(f"{count:,} advisories, snapshot {snapshot}", soft_wrap=True)
