"""Waivers on the command line: what was granted and until when, and VEX documents out of them and into them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from cli.context import Actor, Json, MaybeActor, complaints, console, load_settings, runs, table, when, write_json
from cli.product import Id as Product
from cli.product import product_of
from desk import listing_waivers
from desk import waivers as desk
from desk.hub import open_blobs, open_database, open_hub
from desk.vex import Became, Imported
from models.errors import InvalidManifest, NotAllowed, NotFound, Problem
from models.findings import WaiverScope
from models.tables import ProductRow, WaiverRow
from scanning.reports import vex_documents
from scanning.reports.vex_documents import VexForm
from store import people, waivers

app = typer.Typer(
    no_args_is_help=True,
    help="Waivers of findings, in VEX's words. One of a critical finding needs a second approver, however it is given.",
)

#: days before its end in which a waiver is said to end soon
_SOON = 14


@app.command("list")
@runs
async def list_(
    product: Product,
    actor: MaybeActor = "",
    every: Annotated[bool, typer.Option("--all", help="Also what has expired or was taken back.")] = False,
    json_: Json = False,
) -> None:
    """A product's waivers, and until when each holds. For its publisher and the staff."""
    now = datetime.now(UTC)
    async with open_database(load_settings()) as database, database.session() as session:
        row = await _readable(session, product, actor)
        found = await waivers.of_product(session, row.id)
    shown = [one for one in found if every or _standing(one, now) not in ("expired", "taken back")]
    if json_:
        write_json([{**one.waiver, "standing": _standing(one, now), "granted_at": one.granted_at} for one in shown])
        return
    table(
        f"Waivers: {len(shown)}",
        ("standing", "until", "finding", "state", "scope", "evidence"),
        (
            (
                _standing(one, now),
                when(one.expires),
                one.finding,
                ", ".join(str(said) for said in (one.waiver["state"], one.waiver.get("justification")) if said),
                one.scope,
                one.waiver["evidence"],
            )
            for one in shown
        ),
        "There is no waiver." if every else "No waiver is in force.",
    )


@app.command("export")
@runs
async def export(
    product: Product,
    actor: MaybeActor = "",
    form: Annotated[VexForm, typer.Option("--format", help="Form of the document.")] = VexForm.OPENVEX,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File that it is written to.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="It is JSON anyway.")] = False,
) -> None:
    """The waivers of vulnerabilities that are in force as a VEX document (JSON in both forms)."""
    settings = load_settings()
    async with open_database(settings) as database:
        async with database.session() as session:
            row = await _readable(session, product, actor)
        document = await desk.exported(database, open_blobs(settings), row, settings.hub_name)
    written = vex_documents.write(document, form)
    if output is None:
        typer.echo(written, nl=False)
    else:
        output.write_bytes(written)
        complaints.print(f"{len(document.statements)} statements written to {output}.", markup=False, soft_wrap=True)


@app.command("import")
@runs
async def import_(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="OpenVEX, or CycloneDX with vulnerabilities.")],
    actor: Actor,
    submission: Annotated[str, typer.Option(help="Id, or PRODUCT/NUMBER: what holds it up is looked for.")] = "",
    product: Annotated[
        str, typer.Option(help="PUBLISHER/PRODUCT, published: what has to be mended in it is looked for.")
    ] = "",
    scope: Annotated[
        WaiverScope, typer.Option(help="What a waiver holds for; digest: the release set that was examined.")
    ] = WaiverScope.DIGEST,
    days: Annotated[int, typer.Option(min=1, help="For how long, where the document does not say.")] = 90,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it answers, and do nothing.")] = False,
    json_: Json = False,
) -> None:
    """Bring a VEX document: a member of the publisher asks for waivers by it, the staff grants or proposes them."""
    if bool(submission) == bool(product):
        raise NotAllowed("Say what the document is for: --submission or --product.")
    document = vex_documents.read(_content(path))
    async with open_hub(load_settings(), lazy=True) as hub:
        if product:
            async with hub.database.session() as session:
                row = await _readable(session, product, actor)
            done = await listing_waivers.bring_in(hub, row, actor, document, scope=scope, days=days, dry_run=dry_run)
        else:
            done = await desk.bring_in(hub, submission, actor, document, scope=scope, days=days, dry_run=dry_run)
    if json_:
        write_json({"statements": len(document.statements), "findings": done})
        return
    _show(done, len(document.statements), f"product confirm {product}" if product else f"decide {submission} confirm")


def _show(done: list[Imported], statements: int, confirm: str) -> None:
    table(
        f"{statements} statements, {len(done)} findings answered",
        ("became", "finding", ""),
        ((one.became, one.finding, one.reason or one.title) for one in done),
        f"{statements} statements, and none answers anything that has to be mended.",
    )
    if any(one.became is Became.PROPOSED for one in done):
        console.print(f"A second approver has to confirm it: wharfinger {confirm} --as EMAIL", markup=False)


async def _readable(session: AsyncSession, name: str, actor: str) -> ProductRow:
    """To others than its publisher and the staff there is no such product. Errors: NotFound."""
    row = await product_of(session, name)
    if actor:
        person = await people.get(session, actor)
        if not (await people.standing_of(session, person.id, row.publisher)).roles:
            raise NotFound(f"There is no product {name}.")
    return row


def _content(path: Path) -> bytes:
    if path.stat().st_size > vex_documents.LARGEST:
        raise InvalidManifest([Problem(str(path), f"is larger than {vex_documents.LARGEST // 2**20} MiB.")])
    return path.read_bytes()


def _standing(row: WaiverRow, now: datetime) -> str:
    if row.withdrawn_at is not None:
        return "taken back"
    if row.expires <= now:
        return "expired"
    left = (row.expires - now).days
    return f"{left} days left" if left < _SOON else "in force"
