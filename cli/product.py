"""Products on the command line: hold, revoke, recover and their second approver; list and show."""

from typing import Annotated, Any

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from cli.context import (
    Actor,
    Json,
    PageNumber,
    PageSize,
    console,
    load_settings,
    more_pages,
    runs,
    table,
    timeline,
    when,
    write_json,
)
from desk import submissions as desk
from desk.hub import open_database, open_hub
from desk.recorded import recorded
from models.addresses import new_id, product_address
from models.commands import Command, Confirm, Decline, Hold, Recover, Revoke, Undo
from models.products import ListingStatus, ProductSnapshot
from models.tables import ProductRow
from policies import words
from store import people, products, publishers, submissions, trail

app = typer.Typer(
    no_args_is_help=True,
    help="Products in the catalog: hold (a warning label, pulls go on), revoke (the images leave the hub), recover.",
)

Id = Annotated[str, typer.Argument(metavar="PRODUCT", help="PUBLISHER/PRODUCT (short names), or the product's id.")]
Reason = Annotated[str, typer.Option("--text", help="Why: the publisher and the public read it.")]
Words = Annotated[str, typer.Option("--text", help="Words for the audit trail.")]


@app.command()
@runs
async def hold(product: Id, actor: Actor, text: Reason, json_: Json = False) -> None:
    """Propose a hold; it takes effect when a second approver confirms."""
    await _tell(product, actor, Hold, text, json_)


@app.command()
@runs
async def revoke(product: Id, actor: Actor, text: Reason, json_: Json = False) -> None:
    """Propose to revoke; it takes effect when a second approver confirms."""
    await _tell(product, actor, Revoke, text, json_)


@app.command()
@runs
async def recover(product: Id, actor: Actor, text: Words = "", json_: Json = False) -> None:
    """Bring a held or revoked listing back."""
    await _tell(product, actor, Recover, text, json_)


@app.command()
@runs
async def confirm(product: Id, actor: Actor, text: Words = "", json_: Json = False) -> None:
    """Confirm the proposal, as the second approver."""
    await _tell(product, actor, Confirm, text, json_)


@app.command()
@runs
async def decline(product: Id, actor: Actor, text: Words = "", json_: Json = False) -> None:
    """Decline the proposal, as the second approver: it is dropped."""
    await _tell(product, actor, Decline, text, json_)


@app.command()
@runs
async def undo(product: Id, actor: Actor, text: Words = "", json_: Json = False) -> None:
    """Take the latest decision or proposal back."""
    await _tell(product, actor, Undo, text, json_)


async def _tell(product: str, actor: str, kind: type[Command], text: str, json_: bool) -> None:
    async with open_hub(load_settings()) as hub:
        async with hub.database.session() as session:
            person = await people.get(session, actor)
            row = await product_of(session, product)
        command = kind(id=f"{kind.act}-{new_id()}", actor=person.id, text=text)
        snapshot = await desk.decide_product(hub, row.id, command)
        await recorded(hub, snapshot)
    show_snapshot(snapshot, json_)


def show_snapshot(snapshot: ProductSnapshot, json_: bool) -> None:
    if json_:
        write_json(snapshot)
        return
    situation = words.of_product(snapshot)
    console.print(f"[bold]{situation.status}[/] · turn: {situation.turn}")
    console.print(f"Next: {situation.next}" + (f" By {when(situation.by)}." if situation.by else ""), markup=False)


async def product_of(session: AsyncSession, name: str) -> ProductRow:
    """By `publisher/product` or by id. Errors: NotFound."""
    publisher, slash, slug = name.strip("/").partition("/")
    return await products.by_slug(session, publisher, slug) if slash else await products.get(session, publisher)


@app.command("list")
@runs
async def list_(
    publisher: Annotated[str, typer.Option(help="Only of this publisher (id or short name).")] = "",
    status: Annotated[ListingStatus | None, typer.Option(help="Only these.")] = None,
    page: PageNumber = 1,
    size: PageSize = 50,
    json_: Json = False,
) -> None:
    """Products by name, published or not."""
    async with open_database(load_settings()) as database, database.session() as session:
        owner = (await publishers.get(session, publisher)).id if publisher else None
        found = await products.listed(session, publisher=owner, status=status, page=page, size=size)
    if json_:
        write_json(found)
        return
    table(
        f"Products: {found.total}",
        ("product", "name", "publisher", "status", "id"),
        ((f"{p.publisher_slug}/{p.slug}", p.name, p.publisher_name, p.status, p.id) for p in found.items),
        "There is no product yet: the first submission makes one.",
    )
    more_pages(found)


@app.command("show")
@runs
async def show(product: Id, json_: Json = False) -> None:
    """One product: its listing, what can be pulled, its submissions, and what has happened to it."""
    async with open_database(load_settings()) as database, database.session() as session:
        row = await product_of(session, product)
        publisher = await publishers.get(session, row.publisher)
        snapshot = ProductSnapshot.model_validate(row.snapshot) if row.snapshot else _fresh(row)
        images = await products.images_of_release(session, row.id, row.release) if row.release else []
        found = await submissions.queue(session, product=row.id, ended=True, size=500)
        events = await trail.shown(session, product_address(row.id), for_publisher=False)
    situation = words.of_product(snapshot)
    if json_:
        document: dict[str, Any] = {
            "product": {"id": row.id, "slug": f"{publisher.slug}/{row.slug}", "name": row.name},
            "status": situation.status,
            "turn": situation.turn,
            "next": situation.next,
            "by": situation.by,
            "snapshot": snapshot,
            "images": images,
            "submissions": found.items,
            "events": events,
        }
        write_json(document)
        return
    rows: list[tuple[object, ...]] = [
        ("id", row.id),
        ("product", f"{publisher.slug}/{row.slug}"),
        ("status", situation.status),
        ("reason", snapshot.reason),
        ("turn", situation.turn),
        ("next", situation.next),
        ("by", situation.by),
    ]
    if snapshot.proposal is not None:
        rows.insert(3, ("proposed", f"{snapshot.proposal.act}: {snapshot.proposal.text}"))
    table(row.name, ("", ""), (line for line in rows if line[1]), "")
    table(
        "\nPull",
        ("tier", "reference", "digest", "platforms"),
        ((i["tier"], i["reference"], i["digest"], ", ".join(i["platforms"])) for i in images),
        "\nNothing can be pulled yet.",
    )
    table(
        "\nSubmissions",
        ("number", "id", "track", "status", "iteration"),
        ((f"#{one.number or '?'}", one.id, one.track, one.status, one.iteration) for one in found.items),
        "\nThere is no submission.",
    )
    table("\nTimeline", ("when", "who", "what", "words"), timeline(events), "\nNothing has happened yet.")


def _fresh(row: ProductRow) -> ProductSnapshot:
    """Before its process has recorded anything."""
    return ProductSnapshot(id=row.id, revision=row.revision, status=row.status)
