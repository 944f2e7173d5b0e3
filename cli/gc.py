"""`wharfinger gc`: what nothing needs any more is deleted."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from activities.policy import PolicyInForce
from cli.context import Json, load_settings, runs, table, write_json
from desk.hub import open_blobs, open_database
from registry.fetch import BlobCache
from store import collect, tokens
from store.database import Database


@runs
async def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; nothing is deleted.")] = False,
    json_: Json = False,
) -> None:
    """Delete blobs that no row names and that are older than the policy's grace, expired links, and what the scanner's
    caches hold above their cap."""
    settings, now = load_settings(), datetime.now(UTC)
    keeping = PolicyInForce(settings.policy_place).current().keeping
    async with open_database(settings) as database:
        blobs = open_blobs(settings)
        plan = await collect.plan(database, blobs, keeping, now)
        done = await collect.collect(database, blobs, plan, dry_run=dry_run)
        links = await _expired_links(database, now, dry_run)
    cache = BlobCache(settings.home / "blob-cache")
    trimmed = await asyncio.to_thread(cache.trim, keeping.scanner_cache_bytes, dry_run=dry_run)
    if json_:
        write_json(
            {
                "dry_run": dry_run,
                "blobs": done,
                "kept": {"blobs": plan.kept, "bytes": plan.kept_bytes, "too_young": plan.too_young},
                "links": links,
                "cache": trimmed,
            }
        )
        return
    verb = "would go" if dry_run else "deleted"
    table(
        "",
        ("", verb, "bytes", "stays"),
        (
            ("blobs", f"{len(done.deleted):,}", _size(done.bytes), f"{plan.kept:,}, {_size(plan.kept_bytes)}"),
            ("blobs too young to go", "", "", f"{plan.too_young:,}"),
            ("half written blobs", f"{done.abandoned:,}", "", ""),
            ("expired links", f"{links:,}", "", ""),
            ("scanner's cache", f"{trimmed.deleted:,}", _size(trimmed.deleted_bytes), _size(trimmed.left_bytes)),
        ),
        "",
    )


async def _expired_links(database: Database, now: datetime, dry_run: bool) -> int:
    """Mailed links that no click can use any more."""
    async with database.transaction() as session:
        gone = await tokens.expired(session, now)
        if not dry_run:
            for token in gone:
                await session.delete(token)
    return len(gone)


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def add_to(app: typer.Typer) -> None:
    """Mount the command."""
    app.command()(gc)
