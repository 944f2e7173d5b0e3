"""Members of a publisher on the command line: list, add, remove."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.context import Actor, Json, console, load_settings, runs, table, when, write_json
from desk import members as desk
from desk.hub import open_database
from store import publishers

app = typer.Typer(no_args_is_help=True, help="Members of a publisher: they submit, answer, and get its mails.")

Publisher = Annotated[str, typer.Argument(help="Id or short name of the publisher.")]
Email = Annotated[str, typer.Argument(help="Email address of the member.")]


@app.command("list")
@runs
async def list_(publisher: Publisher, json_: Json = False) -> None:
    """Everybody who acts for the publisher."""
    async with open_database(load_settings()) as database, database.session() as session:
        row = await publishers.get(session, publisher)
        found = await publishers.members(session, row.id)
    if json_:
        write_json(
            [
                {"person": one.id, "email": one.email, "name": one.name, "confirmed": one.email_confirmed_at}
                for one in found
            ]
        )
        return
    table(
        f"Members of {row.name}: {len(found)}",
        ("email", "name", "address confirmed"),
        ((one.email, one.name, when(one.email_confirmed_at) or "not yet") for one in found),
        f"{row.name} has no members: an admin adds one with wharfinger publisher members add.",
    )


@app.command()
@runs
async def add(
    publisher: Publisher,
    email: Email,
    actor: Actor,
    name: Annotated[str, typer.Option(help="Name of a new person.")] = "",
    json_: Json = False,
) -> None:
    """Add a member (members, and admins of the hub). A new person is asked by mail to confirm the address."""
    async with open_database(load_settings()) as database, database.transaction() as session:
        joined = await desk.add(session, publisher, actor, email, name, now=datetime.now(UTC))
    if json_:
        write_json(joined)
        return
    said = "is a member now" if joined.new else "was a member already"
    console.print(f"{joined.email} {said}.", markup=False)
    if joined.asked:
        console.print("Next: the link in the mail to this address confirms it; then the publisher's mails come to it.")


@app.command()
@runs
async def remove(publisher: Publisher, email: Email, actor: Actor, json_: Json = False) -> None:
    """Remove a member (members, and admins of the hub); never the last one."""
    async with open_database(load_settings()) as database, database.transaction() as session:
        person = await desk.remove(session, publisher, actor, email, now=datetime.now(UTC))
    if json_:
        write_json({"person": person.id, "email": person.email})
        return
    console.print(f"{person.email} is no member any more. What was done stays in the audit trail.", markup=False)
