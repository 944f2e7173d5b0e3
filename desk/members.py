"""Members of a publisher: who acts for it. Rows alone: they are looked up whenever a command is judged."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from models.addresses import publisher_address
from models.errors import InvalidManifest, NotAllowed, NotFound, Problem
from models.publishers import ApplicationStatus, Role
from models.recording import Entry
from models.tables import PersonRow, PublisherRow
from policies.profile import email_problem
from policies.rights import MEMBERSHIP_RIGHTS, may
from store import people, publishers, tokens, trail

#: in the audit trail, in place of a process's run
_DESK = "desk"


@dataclass(frozen=True, slots=True)
class Joined:
    """`new` is False for who was a member before; `asked` when a mail that asks to confirm the address goes out."""

    person: str
    email: str
    new: bool
    asked: bool


async def add(
    session: AsyncSession, publisher: str, actor: str, email: str, name: str = "", *, now: datetime
) -> Joined:
    """Let somebody act for the publisher; a new person is made, and asked to confirm the address.

    `publisher` is an id or slug, `actor` an id or email address. Errors: NotFound, NotAllowed, InvalidManifest for an
    address that is none.
    """
    row, admitting = await _judged(session, "add_member", publisher, actor)
    if row.status is ApplicationStatus.UNCONFIRMED and Role.PUBLISHER in admitting.roles:
        # one member's confirmation counts for the application: it has to be the applicant's
        raise NotAllowed("The address of the application is not confirmed yet: open the link in the mail to it first.")
    if problem := email_problem(people.address(email)):
        raise InvalidManifest([Problem("email", problem)])
    person = await people.find_or_create(session, email, name, now)
    known = {member.id for member in await publishers.members(session, row.id)}
    new = person.id not in known
    if new:
        await people.join(session, person.id, row.id, now)
        await _kept(session, row, "add_member", admitting.id, person, now)
    return Joined(person.id, person.email, new, await tokens.ask_to_confirm(session, row, person, "member", now))


async def remove(session: AsyncSession, publisher: str, actor: str, member: str, *, now: datetime) -> PersonRow:
    """What somebody did for the publisher stays in the audit trail. Errors: NotFound, and NotAllowed for the last."""
    row, removing = await _judged(session, "remove_member", publisher, actor)
    person = await people.get(session, member)
    known = {each.id for each in await publishers.members(session, row.id)}
    if person.id not in known:
        raise NotFound(f"{person.email} is no member of {row.name}.")
    if len(known) == 1:
        raise NotAllowed(f"{person.email} is the last member of {row.name}: add another one first.")
    await people.leave(session, person.id, row.id)
    await _kept(session, row, "remove_member", removing.id, person, now)
    return person


@dataclass(frozen=True, slots=True)
class _Actor:
    id: str
    roles: tuple[Role, ...]


async def _judged(session: AsyncSession, act: str, publisher: str, actor: str) -> tuple[PublisherRow, _Actor]:
    """The publisher's row, locked: of two who leave at once, the second is the last. Errors: NotFound, NotAllowed."""
    person = await people.get(session, actor)
    found = await publishers.get(session, publisher)
    row = await session.get_one(PublisherRow, found.id, with_for_update=True)
    standing = await people.standing_of(session, person.id, row.id)
    if not may(MEMBERSHIP_RIGHTS, act, standing):
        raise NotAllowed(f"Only a member of {row.name} or an admin of the hub changes its members.")
    return row, _Actor(person.id, standing.roles)


async def _kept(
    session: AsyncSession, row: PublisherRow, act: str, actor: str, person: PersonRow, now: datetime
) -> None:
    entry = Entry(event=act, at=now, actor=actor, text=person.email)
    await trail.write_events(session, publisher_address(row.id), _DESK, row.revision, [entry])
