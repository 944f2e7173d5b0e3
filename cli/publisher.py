"""Publishers on the command line: apply, verify, answer, list, show; their members are a noun of their own."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli import members
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
from desk import publishers as desk
from desk.folder import read_file
from desk.hub import Hub, open_database, open_hub
from desk.recorded import recorded
from models.addresses import new_id, publisher_address
from models.base import canonical_json, digest_of
from models.commands import (
    ApprovePublisher,
    AskInformation,
    ChangeProfile,
    Command,
    DeclinePublisher,
    DeferPublisher,
    GiveInformation,
)
from models.errors import InvalidManifest, NotAllowed, NotFound, Problem
from models.publishers import ApplicationSnapshot, ApplicationStatus, PublisherProfile
from policies import words
from store import people, publishers, trail

app = typer.Typer(no_args_is_help=True, help="Publishers: apply once, be verified once, then submit products.")
app.add_typer(members.app, name="members")

Id = Annotated[str, typer.Argument(help="Id or short name of the publisher.")]
Name = Annotated[str, typer.Option(help="Legal name, where it changes.")]
Website = Annotated[str, typer.Option(help="Address of the website, where it changes.")]
Phone = Annotated[str, typer.Option(help="Phone number, where it changes.")]
Email = Annotated[str, typer.Option(help="Address that gets all mail, where it changes.")]
Country = Annotated[str, typer.Option(help="ISO code of the phone number's country, where it changes.")]
Icon = Annotated[Path | None, typer.Option(help="Another picture.")]


class Verdict(StrEnum):
    """What a moderator makes of an application."""

    APPROVE = "approve"
    ASK = "ask"
    DECLINE = "decline"
    DEFER = "defer"


_COMMANDS: dict[Verdict, type[Command]] = {
    Verdict.APPROVE: ApprovePublisher,
    Verdict.ASK: AskInformation,
    Verdict.DECLINE: DeclinePublisher,
    Verdict.DEFER: DeferPublisher,
}


@app.command()
@runs
async def apply(
    name: Annotated[str, typer.Option(help="Legal name.")],
    website: Annotated[str, typer.Option(help="Address of the website, https.")],
    phone: Annotated[str, typer.Option(help="With the international prefix, or with --country.")],
    email: Annotated[str, typer.Option(help="Gets all mail; has to be confirmed.")],
    icon: Annotated[Path, typer.Option(help="Square picture, at least 512 pixels.")],
    country: Annotated[str, typer.Option(help="ISO code, for a phone number without prefix.")] = "",
    person: Annotated[str, typer.Option(help="Name of the person who applies.")] = "",
    json_: Json = False,
) -> None:
    """Apply as a publisher. Every problem of the profile is listed at once."""
    async with open_hub(load_settings()) as hub:
        content = _picture(hub, icon)
        profile = PublisherProfile(
            legal_name=name, website=website, phone=phone, email=email, country=country, icon=digest_of(content)
        )
        applied = await desk.apply(hub, profile, content, person)
    if json_:
        write_json(applied)
        return
    console.print(f"[bold]Applied[/] as {applied.slug}, id {applied.publisher}.")
    console.print(f"Next: open the link in the mail to {email} and confirm the address.", markup=False)
    console.print("Then a moderator verifies the application; the answer comes by mail.")


def _picture(hub: Hub, path: Path) -> bytes:
    try:
        return read_file(path, hub.policy.current().manifest.icon_bytes)
    except FileNotFoundError:
        problem = "there is no such file."
    except OSError as error:
        problem = f"cannot be read: {(error.strerror or str(error)).lower()}."
    except ValueError as error:
        problem = str(error)
    raise InvalidManifest([Problem("icon", f"{path}: {problem}")])


@app.command()
@runs
async def verify(
    publisher: Id,
    actor: Actor,
    verdict: Annotated[Verdict, typer.Argument(help="What becomes of the application.")] = Verdict.APPROVE,
    text: Annotated[str, typer.Option("--text", help="Reason or question; the publisher reads it.")] = "",
    json_: Json = False,
) -> None:
    """Verify a publisher (moderators)."""
    await _tell(publisher, actor, _COMMANDS[verdict], text, json_)


@app.command()
@runs
async def answer(
    publisher: Id,
    actor: Actor,
    text: Annotated[str, typer.Option("--text", help="The answer to the moderators' question.")],
    name: Name = "",
    website: Website = "",
    phone: Phone = "",
    email: Email = "",
    country: Country = "",
    icon: Icon = None,
    json_: Json = False,
) -> None:
    """Answer the moderators' question about an application, and correct its profile where it is wrong."""
    said = {"legal_name": name, "website": website, "phone": phone, "email": email, "country": country}
    await _amend(publisher, actor, GiveInformation, text, said, icon, json_)


@app.command()
@runs
async def change(
    publisher: Id,
    actor: Actor,
    name: Name = "",
    website: Website = "",
    phone: Phone = "",
    email: Email = "",
    country: Country = "",
    icon: Icon = None,
    json_: Json = False,
) -> None:
    """Change the profile of an approved publisher. What is not named stays as it is."""
    said = {"legal_name": name, "website": website, "phone": phone, "email": email, "country": country}
    if not any(said.values()) and icon is None:
        raise NotAllowed("Nothing would change: name what changes, as --website or --icon.")
    await _amend(publisher, actor, ChangeProfile, "", said, icon, json_)


async def _amend(
    publisher: str,
    actor: str,
    kind: type[ChangeProfile] | type[GiveInformation],
    text: str,
    said: dict[str, str],
    icon: Path | None,
    json_: bool,
) -> None:
    """`said` are fields of the profile, empty where they stay."""
    changes = {field: value for field, value in said.items() if value}
    if not changes and icon is None:
        await _tell(publisher, actor, kind, text, json_)
        return
    async with open_hub(load_settings()) as hub:
        async with hub.database.session() as session:
            person = await people.get(session, actor)
            row = await publishers.get(session, publisher)
            profile = await publishers.profile(session, row.profile)
        if profile is None:
            raise NotFound(f"The profile of {publisher} is not in the database.")
        picture = _picture(hub, icon) if icon else await hub.blobs.get(profile.icon)
        amended = profile.model_copy(update=changes | {"icon": digest_of(picture)})
        digest = digest_of(canonical_json(amended))
        command = kind(id=f"{kind.act}-{new_id()}", actor=person.id, text=text, profile=digest)
        snapshot = await desk.amend(hub, row.id, amended, picture, command)
        await recorded(hub, snapshot)
    show(snapshot, json_)


async def _tell(publisher: str, actor: str, kind: type[Command], text: str, json_: bool) -> None:
    async with open_hub(load_settings()) as hub:
        async with hub.database.session() as session:
            person = await people.get(session, actor)
            row = await publishers.get(session, publisher)
        command = kind(id=f"{kind.act}-{new_id()}", actor=person.id, text=text)
        snapshot = await desk.decide(hub, row.id, command)
        await recorded(hub, snapshot)
    show(snapshot, json_)


def show(snapshot: ApplicationSnapshot, json_: bool) -> None:
    if json_:
        write_json(snapshot)
        return
    situation = words.of_application(snapshot)
    console.print(f"[bold]{situation.status}[/] · turn: {situation.turn}")
    console.print(f"Next: {situation.next}" + (f" By {when(situation.by)}." if situation.by else ""))


@app.command("list")
@runs
async def list_(
    status: Annotated[ApplicationStatus | None, typer.Option(help="Only these.")] = None,
    page: PageNumber = 1,
    size: PageSize = 50,
    json_: Json = False,
) -> None:
    """Publishers and their applications, the earliest due date first."""
    async with open_database(load_settings()) as database, database.session() as session:
        found = await publishers.listed(session, status=status, page=page, size=size)
    if json_:
        write_json(found)
        return
    table(
        f"Publishers: {found.total}",
        ("id", "short name", "name", "status", "due"),
        ((item.id, item.slug, item.name, item.status, when(item.due)) for item in found.items),
        "No publisher has applied yet: wharfinger publisher apply.",
    )
    more_pages(found)


@app.command("show")
@runs
async def show_one(publisher: Id, json_: Json = False) -> None:
    """One publisher: profile, status, members, and what has happened to its application."""
    async with open_database(load_settings()) as database, database.session() as session:
        view = await publishers.view(session, publisher)
        events = await trail.shown(session, publisher_address(view.id), for_publisher=False)
    if json_:
        write_json({"publisher": view, "events": events})
        return
    profile = view.profile
    rows = [("id", view.id), ("short name", view.slug), ("status", view.status), ("due", when(view.due))]
    if profile:
        rows += [("website", profile.website), ("phone", profile.phone), ("email", profile.email)]
    rows.append(("members", ", ".join(view.members)))
    table(view.name, ("", ""), rows, "")
    table("Timeline", ("when", "who", "what", "words"), timeline(events), "")
