"""The watch over published products on the command line: how they stand, what waits for whom, a look by hand."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cli.context import Actor, Json, MaybeActor, console, load_settings, runs, table, when, write_json
from cli.product import Id, product_of, show_snapshot
from desk import submissions
from desk import watching as desk
from desk.hub import Hub, open_database, open_hub
from desk.recorded import recorded
from models.addresses import new_id
from models.commands import AskWaiver, Command, Confirm, Decline, Waive
from models.errors import NotAllowed
from models.findings import VexJustification, VexState, Waiver, WaiverScope
from models.tables import ProductRow
from models.watching import Clock
from policies import words
from store import people, watch_views
from store.database import Database
from store.watch_views import ExposureView

app = typer.Typer(help="Published products under watch: clocks, updates of advisories, mass changes.")

Finding = Annotated[str, typer.Argument(help="Id of the vulnerability, or the key of the finding.")]
Batch = Annotated[str, typer.Argument(help="Id of the update, as `wharfinger watch` shows it.")]


@app.callback(invoke_without_command=True)
def watch(context: typer.Context, json_: Json = False) -> None:
    """What was told lately, whose clocks end next, which listings are on hold."""
    if context.invoked_subcommand is None:
        _overview(json_=json_)


@runs
async def _overview(json_: bool) -> None:
    async with open_database(load_settings()) as database, database.session() as session:
        found = await watch_views.overview(session)
    if json_:
        write_json(found)
        return
    open_ = words.tally(severity for severity, count in found.open.items() for _ in range(count))
    console.print(f"{found.watched} products watched; open: {open_ or 'nothing'}", markup=False)
    table(
        "\nClocks that end first",
        ("product", "critical", "major", "by"),
        ((clock.product, clock.critical, clock.major, clock.by) for clock in found.clocks),
        "\nNo clock runs.",
    )
    table(
        "\nOn hold",
        ("product", "critical", "major", "revoked"),
        ((clock.product, clock.critical, clock.major, clock.by) for clock in found.held),
        "\nNo listing is on hold.",
    )
    table(
        "\nUpdates of advisories",
        ("id", "status", "packages", "products", "changes", "begun"),
        ((one.id, one.status, one.names, one.products, one.changes, one.begun_at) for one in found.batches),
        "\nThe advisories have told nothing yet: `wharfinger watch run` looks now.",
    )
    for one in found.batches:
        if one.status == "waiting":
            console.print(
                f"\n{one.id} concerns {one.products} products and waits for the security team: "
                f"wharfinger watch confirm {one.id}, or decline.",
                markup=False,
            )


@app.command()
@runs
async def product(product: Id, actor: MaybeActor = "", json_: Json = False) -> None:
    """What is known against a product's published images, and by when it has to be mended."""
    async with open_hub(load_settings(), lazy=True) as hub:
        async with hub.database.session() as session:
            row = await product_of(session, product)
        if actor:
            await _refuse_strangers(hub.database, row, actor)
        async with hub.database.session() as session:
            found = await watch_views.exposures_of(session, row.id)
        clocks = {clock.key: clock for clock in await desk.clocks_of(hub.client, row.id)}
    views = sorted((_clocked(view, clocks.get(view.key)) for view in found), key=_urgency)
    if json_:
        write_json({"product": row.id, "status": row.status, "exposures": views})
        return
    table(
        f"{row.name}: {row.status}",
        ("vulnerability", "class", "package", "version", "fixed in", "from", "mend by"),
        (
            (
                view.vulnerability + (" (used in attacks)" if view.exploited else ""),
                view.severity,
                view.package,
                view.versions,
                view.fixed_version,
                "base image" if view.inherited else "",
                when(view.due) or ("once there is a fix" if view.key in clocks else ""),
            )
            for view in views
        ),
        f"{row.name}: {row.status}. Nothing is known against its published images.",
    )


async def _refuse_strangers(database: Database, row: ProductRow, actor: str) -> None:
    """Results of scans are the publisher's and the staff's. Raises NotAllowed."""
    async with database.session() as session:
        person = await people.get(session, actor)
        standing = await people.standing_of(session, person.id, row.publisher)
    if not standing.roles:
        raise NotAllowed("What is known against a product is for its publisher and the hub's staff.")


def _clocked(view: ExposureView, clock: Clock | None) -> ExposureView:
    return view.model_copy(update={"due": clock.due}) if clock else view


def _urgency(view: ExposureView) -> tuple[bool, float]:
    return view.due is None, view.due.timestamp() if view.due else 0.0


@app.command()
@runs
async def waive(
    product: Id,
    finding: Finding,
    actor: Actor,
    text: Annotated[str, typer.Option("--text", help="The evidence that it does no harm.")],
    state: Annotated[VexState, typer.Option(help="OpenVEX status.")] = VexState.NOT_AFFECTED,
    justification: Annotated[VexJustification | None, typer.Option(help="OpenVEX justification.")] = None,
    days: Annotated[int, typer.Option(min=1, help="For how long.")] = 90,
    json_: Json = False,
) -> None:
    """A vulnerability of a published product need not be mended; of a critical one a second approver decides."""
    async with open_hub(load_settings()) as hub:
        row, clock, person = await _found(hub, product, finding, actor)
        waiver = Waiver(
            finding=clock.key,
            state=state,
            justification=justification,
            evidence=text,
            owner=person,
            scope=WaiverScope.PRODUCT,
            subject=row.id,
            expires=datetime.now(UTC) + timedelta(days=days),
            severity=clock.severity,
        )
        digest = await submissions.store_waiver(hub, waiver)
        command = Waive(id=f"waive-{new_id()}", actor=person, text=text, finding=clock.key, waiver=digest)
        snapshot = await submissions.decide_product(hub, row.id, command)
        await recorded(hub, snapshot)
    show_snapshot(snapshot, json_)


@app.command("ask-waiver")
@runs
async def ask_waiver(
    product: Id,
    finding: Finding,
    actor: Actor,
    text: Annotated[str, typer.Option("--text", help="Why it does no harm.")],
    json_: Json = False,
) -> None:
    """As a member of the publisher, ask that a vulnerability need not be mended."""
    async with open_hub(load_settings()) as hub:
        row, clock, person = await _found(hub, product, finding, actor)
        command = AskWaiver(id=f"ask-waiver-{new_id()}", actor=person, text=text, finding=clock.key)
        snapshot = await submissions.decide_product(hub, row.id, command)
        await recorded(hub, snapshot)
    show_snapshot(snapshot, json_)


async def _found(hub: Hub, product: str, finding: str, actor: str) -> tuple[ProductRow, Clock, str]:
    """The product, the clock of the finding, and who acts; strangers do not learn what there is. Errors: NotAllowed."""
    async with hub.database.session() as session:
        row = await product_of(session, product)
        person = await people.get(session, actor)
    await _refuse_strangers(hub.database, row, actor)
    clocks = await desk.clocks_of(hub.client, row.id)
    named = [one for one in clocks if one.key == finding] or [one for one in clocks if finding in one.key.split(":")]
    if len(named) != 1:
        listed = f" Say which: {', '.join(one.key for one in named)}." if named else ""
        raise NotAllowed(f"{len(named)} of the vulnerabilities that have to be mended are called {finding}.{listed}")
    return row, named[0], person.id


@app.command()
@runs
async def confirm(
    batch: Batch, actor: Actor, text: Annotated[str, typer.Option("--text", help="Why.")] = "", json_: Json = False
) -> None:
    """An update that concerns very many products is right: products and publishers are told, clocks start."""
    await _judge(batch, Confirm, actor, text, json_)


@app.command()
@runs
async def decline(
    batch: Batch,
    actor: Actor,
    reason: Annotated[str, typer.Option("--reason", help="Why nobody shall be told of it.")],
    json_: Json = False,
) -> None:
    """An update that concerns very many products is a mistake: nobody is told of what is new in it."""
    await _judge(batch, Decline, actor, reason, json_)


async def _judge(batch: str, kind: type[Command], actor: str, text: str, json_: bool) -> None:
    async with open_hub(load_settings()) as hub:
        async with hub.database.session() as session:
            person = await people.get(session, actor)
        command = kind(id=f"{kind.act}-{new_id()}", actor=person.id, text=text)
        snapshot = await desk.judge(hub, batch, command)
    if json_:
        write_json(snapshot)
        return
    situation = words.of_mass_change(snapshot)
    console.print(f"[bold]{situation.status}[/] · {snapshot.products} products")
    console.print(f"Next: {situation.next}", markup=False)


@app.command()
@runs
async def run(json_: Json = False) -> None:
    """Look at the advisories now: import what has changed, match it with what is published, tell it."""
    async with open_hub(load_settings()) as hub:
        done = await desk.look_now(hub.client)
    if json_:
        write_json(done)
        return
    synced = done.synced
    console.print(f"Imported: {synced.added} new, {synced.changed} changed, {synced.total} in all.", markup=False)
    if synced.problem:
        console.print(f"Not read: {synced.problem}", markup=False)
    console.print(f"Told: {done.products} products of {done.changes} changes.", markup=False)
    for batch in done.waiting:
        console.print(f"Waits for the security team: wharfinger watch confirm {batch}, or decline.", markup=False)


@app.command()
@runs
async def rescan(json_: Json = False) -> None:
    """Scan again now what an older scanner has seen, without waiting for the night."""
    async with open_hub(load_settings()) as hub:
        done = await desk.rescan_now(hub.client)
    if json_:
        write_json(done)
        return
    console.print(f"{done.scanned} images scanned again, {done.problems} with a problem.", markup=False)
