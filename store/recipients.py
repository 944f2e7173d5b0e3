"""Who gets a notice: the audience of its kind, resolved to people and addresses when it is recorded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.notices import AUDIENCES, Audience, NoticeKind
from models.publishers import Role
from models.tables import MembershipRow, PersonRow, StaffRoleRow, SubscriptionRow
from store.database import table_of

_ROLES: dict[Audience, Role] = {
    Audience.MODERATORS: Role.MODERATOR,
    Audience.SECOND_APPROVERS: Role.SECOND_APPROVER,
    Audience.CERTIFIERS: Role.CERTIFIER,
    Audience.SECURITY: Role.SECURITY,
    Audience.OPS: Role.OPS,
}

_PERSON, _MEMBER = table_of(PersonRow), table_of(MembershipRow)
_ROLE, _SUBSCRIPTION = table_of(StaffRoleRow), table_of(SubscriptionRow)
_MEMBERS = (
    select(_PERSON.c.id, _PERSON.c.email, _PERSON.c.email_confirmed_at)
    .join(_MEMBER, _MEMBER.c.person == _PERSON.c.id)
    .where(_MEMBER.c.publisher == bindparam("publisher"))
    .order_by(_PERSON.c.id)
)
_STAFF = (
    select(_PERSON.c.id, _PERSON.c.email, _ROLE.c.role)
    .join(_ROLE, _ROLE.c.person == _PERSON.c.id)
    .where(
        _ROLE.c.role.in_([bindparam("role", type_=_ROLE.c.role.type), Role.ADMIN]),
        _PERSON.c.id.not_in(select(_MEMBER.c.person).where(_MEMBER.c.publisher == bindparam("publisher"))),
    )
    .order_by(_PERSON.c.id)
)
_SUBSCRIBERS = (
    select(_SUBSCRIPTION.c.id, _SUBSCRIPTION.c.address)
    .where(_SUBSCRIPTION.c.product == bindparam("product"), _SUBSCRIPTION.c.confirmed_at.is_not(None))
    .order_by(_SUBSCRIPTION.c.id)
)


@dataclass(frozen=True, slots=True)
class Recipient:
    """`id` is a person's or a subscription's; `for_publisher` hides who moderates."""

    id: str
    address: str
    for_publisher: bool


@dataclass(frozen=True, slots=True)
class Circle:
    """Those whom an event may concern: ids; `proposer` may not be the second approver."""

    publisher: str
    product: str = ""
    actor: str = ""
    assignee: str = ""
    proposer: str = ""


async def recipients(session: AsyncSession, kind: NoticeKind, circle: Circle) -> list[Recipient]:
    """In a fixed order; empty when there is nobody at all, which the delivery log then shows."""
    audience = AUDIENCES[kind]
    match audience:
        case Audience.PUBLISHER:
            return await _members(session, kind, circle.publisher)
        case Audience.SUBSCRIBERS:
            return await _subscribers(session, circle.product)
        case Audience.ACTOR:
            return await _person(session, circle.actor, circle.publisher)
        case Audience.ASSIGNEE:
            return await _person(session, circle.assignee, circle.publisher)
        case _:
            return await _staff(session, audience, circle)


async def _members(session: AsyncSession, kind: NoticeKind, publisher: str) -> list[Recipient]:
    """Members with a confirmed address; while there is none, every member: nobody is left untold."""
    people = (await session.exec(_MEMBERS, params={"publisher": publisher})).all()
    asks_for_confirmation = kind is NoticeKind.CONFIRM_EMAIL
    wanted = _or_all(people, lambda person: (person.email_confirmed_at is None) is asks_for_confirmation)
    return [Recipient(person.id, person.email, for_publisher=True) for person in wanted]


async def _staff(session: AsyncSession, audience: Audience, circle: Circle) -> list[Recipient]:
    """Staff with the role, or the admins while nobody has it. Members of the publisher never act as staff on it."""
    role = _ROLES[audience]
    rows: Sequence[Any] = (await session.exec(_STAFF, params={"role": role, "publisher": circle.publisher})).all()
    people = [person for person in rows if person.role is role] or list(rows)
    if audience is Audience.SECOND_APPROVERS:
        people = _or_all(people, lambda person: person.id not in (circle.proposer, circle.actor))
    return [Recipient(person.id, person.email, for_publisher=False) for person in people]


async def _person(session: AsyncSession, person: str, publisher: str) -> list[Recipient]:
    found = await session.get(PersonRow, person)
    if found is None:
        return []
    member = await session.get(MembershipRow, (person, publisher))
    return [Recipient(found.id, found.email, for_publisher=member is not None)]


async def _subscribers(session: AsyncSession, product: str) -> list[Recipient]:
    rows: Sequence[Any] = (await session.exec(_SUBSCRIBERS, params={"product": product})).all()
    return [Recipient(row.id, row.address, for_publisher=True) for row in rows]


def _or_all(people: Sequence[Any], wanted: Callable[[Any], bool]) -> list[Any]:
    return [person for person in people if wanted(person)] or list(people)
