"""Base images that the hub knows: by their layers it sees what an image is built from, and what a rebuild mends."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from activities.policy import PolicyInForce
from cli.advisories import advisory_store
from cli.context import Json, complaints, console, load_settings, runs, table, write_json
from cli.images import Place, place_of, scan_all
from desk.hub import open_blobs, open_database
from models.bases import KnownBase
from models.errors import WharfingerError
from models.scans import ImageReport
from registry.access import Access
from settings import Settings
from store import bases
from store.blobs import Blobs
from store.database import Database

app = typer.Typer(
    no_args_is_help=True,
    help="Known base images. Whoever can run this on the hub's database is its operator.",
)

Platform = Annotated[str, typer.Option(help="Only this one, as linux/arm64; else every platform.")]


@app.command()
@runs
async def add(
    references: Annotated[
        list[str], typer.Argument(help="host/name:tag or host/name@sha256:…, oci:FOLDER:TAG, archive:FILE[:TAG].")
    ],
    platform: Platform = "",
    username: Annotated[str, typer.Option(help="User name at the registry.")] = "",
    password: Annotated[
        str, typer.Option(envvar="WHARFINGER_SOURCE_PASSWORD", help="Better given in the environment.")
    ] = "",
    json_: Json = False,
) -> None:
    """Know base images, as their references point to now; what they pointed to before stays known."""
    settings = load_settings()
    access = Access(username, password) if username or password else None
    added: list[KnownBase] = []
    async with open_database(settings) as database:
        for reference in references:
            added += await _add(database, open_blobs(settings), settings, place_of(reference), platform, access)
    _show(added, json_, "Known from now on")


@app.command()
@runs
async def refresh(json_: Json = False) -> None:
    """Look at every known reference again: where a tag has moved, the new image becomes known beside the old one."""
    settings = load_settings()
    added: list[KnownBase] = []
    lost: list[str] = []
    async with open_database(settings) as database:
        async with database.session() as session:
            known = await bases.known(session)
        there = {(base.reference, base.digest) for base in known}
        for reference in dict.fromkeys(base.reference for base in known if "@" not in base.reference):
            try:
                looked = await _add(database, open_blobs(settings), settings, place_of(reference), "", None)
            except WharfingerError as error:
                lost.append(f"{reference}: {error}")
            else:
                added += [base for base in looked if (base.reference, base.digest) not in there]
    _show(added, json_, "New images of known bases", "No tag has moved.")
    if lost:
        for line in lost:
            complaints.print(line, markup=False, soft_wrap=True)
        raise typer.Exit(1)


@app.command("list")
@runs
async def list_(platform: Platform = "", json_: Json = False) -> None:
    """The known base images, by reference and platform; the latest of each first."""
    async with open_database(load_settings()) as database, database.session() as session:
        known = await bases.known(session)
    wanted = [base for base in known if not platform or base.platform.startswith(platform)]
    _show(wanted, json_, "Base images", "No base image is known yet: wharfinger bases add host/name:tag.")


@app.command()
@runs
async def remove(
    reference: Annotated[str, typer.Argument(help="As `bases list` shows it; @sha256:… after it for one image only.")],
    platform: Annotated[str, typer.Option(help="Only this one, as linux/arm64.")] = "",
    json_: Json = False,
) -> None:
    """Forget a base image: reports say no more that anything is built from it."""
    name, at, digest = reference.rpartition("@")
    async with open_database(load_settings()) as database, database.transaction() as session:
        known = {base.reference for base in await bases.known(session)}
        if at and reference not in known:
            gone = await bases.remove(session, name, digest, platform, datetime.now(UTC))
        else:
            gone = await bases.remove(session, reference, "", platform, datetime.now(UTC))
    if json_:
        write_json({"reference": reference, "removed": gone})
        return
    console.print(f"{gone} {'image' if gone == 1 else 'images'} of {reference} forgotten.", markup=False)


async def _add(
    database: Database, blobs: Blobs, settings: Settings, place: Place, platform: str, access: Access | None
) -> list[KnownBase]:
    """Scan it, so that it can be compared, and store it. Errors: PUBLISHERS_ERRORS, ToolFailed."""
    policy = PolicyInForce(settings.policy_place).current()
    looked = await scan_all(place, platform, settings, policy, advisory_store(settings), access)
    now = datetime.now(UTC)
    sign = "@" if looked.reference.startswith("sha256:") else ":"
    reference = f"{place.repository}{sign}{looked.reference}"
    async with database.session() as session:
        known = {(base.reference, base.digest): base for base in await bases.known(session)}
    added = []
    for report in looked.reports:
        before = known.get((reference, report.facts.digest))
        base = _base(reference, report, await blobs.put_message(report), before.added_at if before else now)
        async with database.transaction() as session:
            await bases.add(session, base)
        added.append(base)
    return added


def _base(reference: str, report: ImageReport, digest: str, at: datetime) -> KnownBase:
    created = report.facts.created
    return KnownBase(
        reference=reference,
        platform=report.facts.platform,
        digest=report.facts.digest,
        layers=tuple(layer.diff_id for layer in report.facts.layers),
        created=created if created is None or created.tzinfo else created.replace(tzinfo=UTC),
        added_at=at,
        report=digest,
    )


def _show(known: Sequence[KnownBase], json_: bool, title: str, empty: str = "") -> None:
    if json_:
        write_json(known)
        return
    table(
        title,
        ("reference", "platform", "layers", "built", "added", "digest"),
        (
            (
                base.reference,
                base.platform,
                len(base.layers),
                f"{base.created:%Y-%m-%d}" if base.created else "",
                base.added_at,
                base.digest,
            )
            for base in known
        ),
        empty,
    )
