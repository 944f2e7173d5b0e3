"""The hub's staff: who moderates, who is the second approver, who runs it."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.context import Json, console, load_settings, runs, table, write_json
from desk.hub import open_database, open_stores
from models.errors import NotAllowed
from models.publishers import Role
from store import people

app = typer.Typer(no_args_is_help=True, help="Staff roles. Whoever can run this on the hub's database is its operator.")

_STAFF = tuple(role for role in Role if role is not Role.PUBLISHER)

Email = Annotated[str, typer.Argument(help="Email address of the person.")]
Roles = Annotated[list[str], typer.Argument(help=f"Any of: {', '.join(_STAFF)}.")]


def _roles(names: list[str]) -> list[Role]:
    unknown = [name for name in names if name not in _STAFF]
    if unknown:
        raise NotAllowed(f"No such role: {', '.join(unknown)}. Roles are: {', '.join(_STAFF)}.")
    return [Role(name) for name in names]


@app.command()
@runs
async def add(
    email: Email,
    roles: Roles,
    name: Annotated[str, typer.Option(help="Name of the person; publishers never see it.")] = "",
    json_: Json = False,
) -> None:
    """Give somebody roles; a new person is made."""
    wanted = _roles(roles)
    now = datetime.now(UTC)
    async with open_stores(load_settings()) as (database, _, _):
        await database.migrate()
        async with database.transaction() as session:
            person = await people.find_or_create(session, email, name, now)
            await people.confirm_email(session, person.id, now)
            given = [role for role in wanted if await people.grant(session, person.id, role, now)]
    if json_:
        write_json({"person": person.id, "given": given})
        return
    said = f"{', '.join(given)} given" if given else "had these roles already"
    console.print(f"{person.email}: {said}.", markup=False)


@app.command()
@runs
async def remove(email: Email, roles: Roles, json_: Json = False) -> None:
    """Take roles away; what somebody did with them stays in the audit trail."""
    wanted = _roles(roles)
    async with open_database(load_settings()) as database, database.transaction() as session:
        person = await people.get(session, email)
        taken = [role for role in wanted if await people.revoke(session, person.id, role, datetime.now(UTC))]
    if json_:
        write_json({"person": person.id, "taken": taken})
        return
    said = f"{', '.join(taken)} taken away" if taken else "had none of these roles"
    console.print(f"{person.email}: {said}.", markup=False)


@app.command("list")
@runs
async def list_(json_: Json = False) -> None:
    """Everybody with a role."""
    async with open_database(load_settings()) as database, database.session() as session:
        staff = await people.staff(session)
    if json_:
        write_json(
            [
                {"person": one.person.id, "email": one.person.email, "name": one.person.name, "roles": one.roles}
                for one in staff
            ]
        )
        return
    table(
        "Staff",
        ("email", "name", "roles"),
        ((member.person.email, member.person.name, ", ".join(member.roles)) for member in staff),
        "Nobody has a role yet: wharfinger staff add EMAIL moderator.",
    )
