"""Advisories: what the scanner knows of vulnerabilities."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.context import Json, complaints, console, load_settings, runs, table, write_json
from models.errors import NotFound
from models.scans import Score
from scanning.advisories import AdvisoryStore
from scanning.advisory_imports import Imported
from scanning.advisory_sources import Source, SourceKind
from scanning.advisory_sync import Synced
from scanning.advisory_sync import sync as sync_all
from scanning.advisory_views import AdvisoryView, RecordView
from scanning.mirror import OSV_EXPORTS, export_url
from scanning.mirror import mirror as mirror_exports
from settings import Settings

app = typer.Typer(no_args_is_help=True, help="Advisories (OSV, NVD, CISA) that images are matched against.")
sources_app = typer.Typer(no_args_is_help=True, help="Sources that `sync` and the hourly watch import from.")
app.add_typer(sources_app, name="sources")

Ecosystems = Annotated[
    list[str] | None, typer.Option("--ecosystem", help="OSV's own export of an ecosystem: Debian, PyPI, npm, ...")
]
#: packages of one record that a terminal shows
_MOST_SHOWN = 20


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
    nvd: Annotated[
        list[str] | None, typer.Option(help="CVEs in NVD's JSON form 2.0, for what is identified by its content.")
    ] = None,
    scores: Annotated[
        list[str] | None, typer.Option(help="Scores by CVE for records without one: {CVE: [[source, vector, score]]}.")
    ] = None,
    kev: Annotated[list[str] | None, typer.Option(help="CISA's catalog of known exploited vulnerabilities.")] = None,
    json_: Json = False,
) -> None:
    """Bring in advisories from files, folders and URLs; imported again, only what changed is read."""
    asked = {SourceKind.OSV: places, SourceKind.NVD: nvd, SourceKind.SCORES: scores, SourceKind.EXPLOITED: kev}
    wanted = [(kind, place) for kind, given in asked.items() for place in given or ()]
    if not wanted:
        raise NotFound("Say what to import: an OSV export, a folder or URL of one, --nvd, --scores or --kev.")
    store = advisory_store(load_settings())
    done = [(kind, await _import(store, kind, place)) for kind, place in wanted]
    records = [imported for kind, imported in done if kind in (SourceKind.OSV, SourceKind.NVD)]
    told: dict[str, Any] = {
        "added": sum(imported.added for imported in records),
        "changed": sum(imported.changed for imported in records),
        "skipped": sum(imported.skipped for _, imported in done),
        "problems": [problem for _, imported in done for problem in imported.problems],
        "scores": sum(imported.added for kind, imported in done if kind is SourceKind.SCORES),
        "exploited": sum(imported.added + imported.changed for kind, imported in done if kind is SourceKind.EXPLOITED),
        "total": await asyncio.to_thread(store.count),
        "snapshot": await asyncio.to_thread(store.snapshot),
    }
    if json_:
        write_json(told)
        return
    console.print(f"{told['added']:,} added, {told['changed']:,} changed, {told['total']:,} advisories in all.")
    if scores:
        console.print(f"{told['scores']:,} new scores.")
    if kev:
        console.print(f"{told['exploited']:,} entries of known exploited vulnerabilities are new or gone.")
    _print_skipped(told["skipped"], told["problems"])


async def _import(store: AdvisoryStore, kind: SourceKind, place: str) -> Imported:
    with _progress(place) as say:
        return await asyncio.to_thread(store.import_from, place, lambda count: say(f"{count:,} records"), kind)


def _print_skipped(skipped: int, problems: list[str]) -> None:
    if skipped:
        console.print(f"{skipped:,} could not be read and were skipped:")
    for problem in problems:
        console.print(f"  {problem}", markup=False, soft_wrap=True)
    if skipped > len(problems) > 0:
        console.print(f"  and {skipped - len(problems):,} more")


@contextmanager
def _progress(title: str) -> Iterator[Callable[[str], None]]:
    """A line that moves, where somebody looks at it."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[said]}", markup=False),
        TimeElapsedColumn(),
        console=complaints,
        transient=True,
        disable=not complaints.is_terminal,
    ) as progress:
        task = progress.add_task(title, total=None, said="")
        yield lambda said: progress.update(task, said=said)


@app.command()
@runs
async def sync(json_: Json = False) -> None:
    """Import what has changed from every source that is remembered; the watch does the same every hour."""
    store = advisory_store(load_settings())
    if not await asyncio.to_thread(store.sources):
        raise NotFound("No source is remembered: wharfinger advisories sources add PATH|URL, or --ecosystem Debian.")
    with _progress("") as say:
        synced = await asyncio.to_thread(sync_all, store, say)
    if json_:
        write_json(_synced_document(synced))
    else:
        for one in synced.sources:
            done = one.imported
            said = one.problem or f"{done.added:,} added, {done.changed:,} changed, {done.skipped:,} skipped"
            console.print(f"{one.source.kind} {one.source.location}: {said}", markup=False, soft_wrap=True)
        console.print(f"Snapshot {synced.snapshot}", soft_wrap=True)
    if synced.problems:
        raise typer.Exit(1)


def _synced_document(synced: Synced) -> dict[str, object]:
    return {
        "sources": [
            {
                "kind": one.source.kind,
                "location": one.source.location,
                "added": one.imported.added,
                "changed": one.imported.changed,
                "skipped": one.imported.skipped,
                "problem": one.problem or "; ".join(one.imported.problems),
            }
            for one in synced.sources
        ],
        "added": synced.added,
        "changed": synced.changed,
        "skipped": synced.skipped,
        "mark": synced.mark,
        "snapshot": synced.snapshot,
    }


@sources_app.command("add")
@runs
async def sources_add(
    places: Annotated[list[str] | None, typer.Argument(help="A file, folder or URL.")] = None,
    ecosystem: Ecosystems = None,
    kind: Annotated[SourceKind, typer.Option(help="What the places have.")] = SourceKind.OSV,
    json_: Json = False,
) -> None:
    """Remember where advisories come from; they are imported by the next `advisories sync`."""
    urls = [export_url(name) for name in ecosystem or ()]
    if not places and not urls:
        raise NotFound("Say where advisories come from: a file, a folder, a URL, or --ecosystem Debian.")
    wanted = [(_location(place), kind) for place in places or ()] + [(url, SourceKind.OSV) for url in urls]
    store = advisory_store(load_settings())
    for location, its_kind in wanted:
        await asyncio.to_thread(store.remember, location, its_kind)
    await _show_sources(store, json_)


def _location(place: str) -> str:
    """A path as the worker finds it, wherever it runs. Errors: NotFound."""
    if place.startswith(("https://", "http://")):
        return place
    path = Path(place).absolute()
    if not path.exists():
        raise NotFound(f"There is nothing at {place}.")
    return str(path)


@sources_app.command("list")
@runs
async def sources_list(json_: Json = False) -> None:
    """Remembered sources: when each was asked, when it last had something new, and what went wrong."""
    await _show_sources(advisory_store(load_settings()), json_)


@sources_app.command("remove")
@runs
async def sources_remove(
    places: Annotated[list[str], typer.Argument(help="As `sources list` shows them.")], json_: Json = False
) -> None:
    """Ask a source no longer; what came from it stays. (A record goes when its database withdraws it.)"""
    store = advisory_store(load_settings())
    for place in places:
        known = place if place.startswith(("https://", "http://")) else str(Path(place).absolute())
        if not await asyncio.to_thread(store.forget, known):
            raise NotFound(f"{place} is no source: wharfinger advisories sources list shows them.")
    await _show_sources(store, json_)


async def _show_sources(store: AdvisoryStore, json_: bool) -> None:
    found = await asyncio.to_thread(store.sources)
    if json_:
        write_json([_source_document(source) for source in found])
        return
    rows = [(one.kind, one.location, _ago(one.looked_at), _ago(one.changed_at), one.problem) for one in found]
    columns = ("Kind", "Source", "Asked", "Had something new", "Problem")
    table("Sources", columns, rows, "No source is remembered: wharfinger advisories sources add PATH|URL")


def _source_document(source: Source) -> dict[str, object]:
    names = ("kind", "location", "looked_at", "changed_at", "skipped", "problem")
    return {name: getattr(source, name) for name in names}


def _ago(moment: str) -> str:
    """How long ago, in the largest unit that fits; `never` for none."""
    if not moment:
        return "never"
    then = datetime.fromisoformat(moment)
    seconds = (datetime.now(UTC) - then).total_seconds()
    for name, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:,.0f} {name} ago"
    return "now" if seconds < 120 else "a minute ago"


@app.command()
@runs
async def mirror(
    folder: Annotated[Path, typer.Argument(help="Where the exports are kept; fetched again, only what changed is.")],
    ecosystem: Ecosystems = None,
    base: Annotated[str, typer.Option(help="Address below which each ecosystem has its all.zip.")] = OSV_EXPORTS,
    json_: Json = False,
) -> None:
    """Keep OSV's exports in a folder, from which a machine without a network imports (`advisories import FOLDER`)."""
    if not ecosystem:
        raise NotFound("Say which ecosystems: --ecosystem Debian --ecosystem PyPI")
    with _progress("") as say:
        done = await asyncio.to_thread(
            mirror_exports, folder, ecosystem, base, lambda name, size: say(f"{name}: {size / 1e6:,.1f} MB")
        )
    if json_:
        write_json(done)
    else:
        for one in done:
            state = "new" if one.changed else "as it was"
            said = one.problem or f"{one.records:,} records, {one.size / 1e6:,.1f} MB, {state}"
            console.print(f"{one.ecosystem}: {said}", markup=False, soft_wrap=True)
    if any(one.problem for one in done):
        raise typer.Exit(1)


@app.command()
@runs
async def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="A CVE, or the id of an advisory: GHSA-…, PYSEC-…, DSA-….")],
    json_: Json = False,
) -> None:
    """What is known of a vulnerability: its records with their ranges, scores, and whether it is exploited."""
    store = advisory_store(load_settings())
    found = await asyncio.to_thread(store.show, id_)
    if found is None:
        raise NotFound(f"Nothing is known under {id_}.")
    if json_:
        write_json(found)
        return
    _print_advisory(found)


def _print_advisory(found: AdvisoryView) -> None:
    others = ", ".join(cve for cve in found.cves if cve != found.id)
    console.print(f"{found.id} ({others})" if others else found.id, markup=False, style="bold")
    if found.exploited is not None:
        used = ", also by ransomware" if found.exploited.ransomware else ""
        due = f", to be mended by {found.exploited.due}" if found.exploited.due else ""
        console.print(f"Known to be exploited since {found.exploited.added}{used}{due} (CISA).")
    _print_scores(found.scores)
    for record in found.records:
        _print_record(record)


def _print_record(record: RecordView) -> None:
    state = "" if record.in_force else " (out of force: withdrawn, rejected or not analysed)"
    console.print(f"\n{record.id}{state}", markup=False, style="bold")
    for name, said in (
        ("modified", record.modified),
        ("summary", record.summary),
        ("aliases", ", ".join(record.aliases)),
        ("sums up", ", ".join(record.upstream)),
        ("url", record.url),
    ):
        if said:
            console.print(f"  {name}: {said}", markup=False, soft_wrap=True)
    _print_scores(record.scores)
    for affected in record.affected[:_MOST_SHOWN]:
        versions = "; ".join(affected.versions[:_MOST_SHOWN])
        more = " …" if len(affected.versions) > _MOST_SHOWN else ""
        console.print(f"  {affected.ecosystem} {affected.name}: {versions}{more}", markup=False, soft_wrap=True)
    if len(record.affected) > _MOST_SHOWN:
        console.print(f"  and {len(record.affected) - _MOST_SHOWN:,} more packages (--json has all)")


def _print_scores(scores: tuple[Score, ...]) -> None:
    for score in scores:
        console.print(f"  {score.score} (CVSS {score.version}, {score.source}) {score.vector}", markup=False)


@app.command()
@runs
async def status(json_: Json = False) -> None:
    """How many advisories are in force, of which ecosystems, how old they are, and their snapshot."""
    store = advisory_store(load_settings())
    overview = await asyncio.to_thread(store.overview)
    snapshot = await asyncio.to_thread(store.snapshot)
    if json_:
        write_json(
            {
                "advisories": overview.advisories,
                "snapshot": snapshot,
                "scored": overview.scored,
                "exploited": overview.exploited,
                "ecosystems": overview.ecosystems,
                "sources": [_source_document(source) for source in overview.sources],
            }
        )
        return
    if not overview.advisories:
        console.print("No advisories yet: scans find components, but no vulnerabilities.")
        console.print("Bring some in: wharfinger advisories import PATH|URL")
        return
    console.print(f"{overview.advisories:,} advisories, snapshot {snapshot}", soft_wrap=True)
    console.print(f"{overview.scored:,} CVEs with a score of their own, {overview.exploited:,} known to be exploited.")
    rows = [(one.ecosystem, f"{one.advisories:,}", f"{one.packages:,}", one.newest[:10]) for one in overview.ecosystems]
    table("", ("Ecosystem", "Advisories", "Packages", "Newest of"), rows, "")
    for source in overview.sources:
        state = source.problem or f"asked {_ago(source.looked_at)}"
        console.print(f"{source.kind} {source.location}: {state}", markup=False, soft_wrap=True)
