"""Advisories: what the scanner knows of vulnerabilities."""

import asyncio
from typing import Annotated

import typer

from cli.context import Json, console, load_settings, runs, write_json
from scanning.advisories import AdvisoryStore

app = typer.Typer(no_args_is_help=True, help="Advisories (OSV) that images are matched against.")


@app.command("import")
@runs
async def import_(
    place: Annotated[str, typer.Argument(help="OSV export: .jsonl, .json, .zip, a folder of these, or a URL.")],
    json_: Json = False,
) -> None:
    """Bring in an OSV export; imported again, only what changed is written."""
    settings = load_settings()
    settings.advisories_place.parent.mkdir(parents=True, exist_ok=True)
    store = AdvisoryStore(settings.advisories_place)
    imported = await asyncio.to_thread(store.import_from, place)
    if json_:
        write_json({"added": imported.added, "changed": imported.changed, "total": imported.total,
                    "skipped": imported.skipped, "snapshot": store.snapshot()})
        return
    console.print(f"{imported.added:,} added, {imported.changed:,} changed, {imported.total:,} advisories in all.")
    if imported.skipped:
        console.print(f"{imported.skipped:,} could not be read and were skipped.")


@app.command()
@runs
async def status(json_: Json = False) -> None:
    """How many advisories are in force, and their snapshot."""
    store = AdvisoryStore(load_settings().advisories_place)
    count, snapshot = await asyncio.to_thread(store.count), await asyncio.to_thread(store.snapshot)
    if json_:
        write_json({"advisories": count, "snapshot": snapshot})
        return
    if not count:
        console.print("No advisories yet: scans find components, but no vulnerabilities. wharfinger advisories import PATH|URL")
        return
    console.print(f"{count:,} advisories, snapshot {snapshot}")
