"""People: members of publishers and the hub's staff. What somebody may do is looked up here, never believed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import bindparam, delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.addresses import new_id
from models.columns import storable
from models.errors import NotFound
from models.publishers import Role, Standing
from models.tables import MembershipRow, PersonRow, StaffChangeRow, StaffRoleRow
from store.database import insert_new, table_of

_ORDER = {role: place for place, role in enumerate(Role)}

_MEMBER, _STAFF = table_of(MembershipRow), table_of(StaffRoleRow)
_MEMBERSHIP = select(_MEMBER.c.since).where(
    _MEMBER.c.person == bindparam("person"), _MEMBER.c.publisher == bindparam("publisher")
)
_ROLES = select(_STAFF.c.role).where(_STAFF.c.person == bindparam("person"))


@dataclass(frozen=True, slots=True)
class StaffMember:
    person: PersonRow
    roles: tuple[Role, ...]


def address(email: str) -> str:
    """One spelling of an email address, so that one person is not two."""
    return email.strip().lower()


async def find_or_create(session: AsyncSession, email: str, name: str = "", at: datetime | None = None) -> PersonRow:
    """The person with this address. A new one is named after the address until a name is given."""
    email = address(email)
    row = PersonRow(id=new_id(), name=name or email.partition("@")[0], email=email, created_at=at or datetime.now(UTC))
    await insert_new(session, PersonRow, [row.model_dump()], ("email",))
    return (await session.exec(select(PersonRow).where(col(PersonRow.email) == email))).one()


async def get(session: AsyncSession, person: str) -> PersonRow:
    """By id or email address. Errors: NotFound."""
    person = storable(person)
    column = col(PersonRow.email) if "@" in person else col(PersonRow.id)
    row = (
        await session.exec(select(PersonRow).where(column == (address(person) if "@" in person else person)))
    ).first()
    if row is None:
        raise NotFound(f"There is nobody {person}.")
    return row


async def names_of(session: AsyncSession, ids: Iterable[str]) -> dict[str, str]:
    """Names by id; of nobody known there is none."""
    rows = await session.exec(select(PersonRow.id, PersonRow.name).where(col(PersonRow.id).in_(sorted(set(ids)))))
    return dict(rows.all())


async def confirm_email(session: AsyncSession, person: str, at: datetime) -> None:
    """Confirmed again, the first time counts."""
    await session.exec(
        update(PersonRow)
        .where(col(PersonRow.id) == person, col(PersonRow.email_confirmed_at).is_(None))
        .values(email_confirmed_at=at)
    )


async def join(session: AsyncSession, person: str, publisher: str, at: datetime) -> None:
    row = MembershipRow(person=person, publisher=publisher, since=at)
    await insert_new(session, MembershipRow, [row.model_dump()], ("person", "publisher"))


async def leave(session: AsyncSession, person: str, publisher: str) -> None:
    await session.exec(
        delete(MembershipRow).where(col(MembershipRow.person) == person, col(MembershipRow.publisher) == publisher)
    )


async def publishers_of(session: AsyncSession, person: str) -> list[str]:
    rows = await session.exec(
        select(MembershipRow.publisher)
        .where(col(MembershipRow.person) == person)
        .order_by(col(MembershipRow.since), col(MembershipRow.publisher))
    )
    return list(rows.all())


async def standing_of(session: AsyncSession, person: str, publisher: str) -> Standing:
    """The roles that somebody has towards one publisher; nobody known has none. The caller adds `reply_by`."""
    held = set(await roles_of(session, person))
    if (await session.exec(_MEMBERSHIP, params={"person": person, "publisher": publisher})).first() is not None:
        held.add(Role.PUBLISHER)
    return Standing(roles=tuple(sorted(held, key=_ORDER.__getitem__)))


async def roles_of(session: AsyncSession, person: str) -> tuple[Role, ...]:
    """The staff roles of a person."""
    roles = (await session.exec(_ROLES, params={"person": person})).all()
    return tuple(sorted(roles, key=_ORDER.__getitem__))


async def grant(session: AsyncSession, person: str, role: Role, at: datetime, *, by: str = "") -> bool:
    """Give a staff role; says whether it is new. The change is kept. `by` is empty for the command line's operator."""
    if role is Role.PUBLISHER:
        raise ValueError("Members of a publisher join it; `publisher` is no staff role.")
    row = StaffRoleRow(person=person, role=role, since=at)
    new = await insert_new(session, StaffRoleRow, [row.model_dump()], ("person", "role"))
    if new:
        session.add(StaffChangeRow(person=person, role=role, granted=True, by=by, at=at))
    return bool(new)


async def revoke(session: AsyncSession, person: str, role: Role, at: datetime, *, by: str = "") -> bool:
    """Take a staff role away; says whether there was one. The change is kept."""
    gone = await session.exec(
        delete(StaffRoleRow).where(col(StaffRoleRow.person) == person, col(StaffRoleRow.role) == role)
    )
    if gone.rowcount:
        session.add(StaffChangeRow(person=person, role=role, granted=False, by=by, at=at))
    return bool(gone.rowcount)


async def staff(session: AsyncSession, role: Role | None = None) -> list[StaffMember]:
    """Everybody with a staff role (or with this one), by name."""
    statement = select(PersonRow).where(col(PersonRow.id).in_(select(StaffRoleRow.person)))
    if role is not None:
        holders = select(StaffRoleRow.person).where(col(StaffRoleRow.role) == role)
        statement = statement.where(col(PersonRow.id).in_(holders))
    rows = (await session.exec(statement.order_by(col(PersonRow.name), col(PersonRow.id)))).all()
    return [StaffMember(row, await roles_of(session, row.id)) for row in rows]


async def staff_changes(session: AsyncSession) -> list[StaffChangeRow]:
    """The audit of who gave or took which role, oldest first."""
    return list((await session.exec(select(StaffChangeRow).order_by(col(StaffChangeRow.id)))).all())
