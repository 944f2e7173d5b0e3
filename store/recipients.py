"""Who gets a notice: the audience of its kind, resolved to people and addresses when it is recorded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.notices import AUDIENCES, Audience, NoticeKind
from models.publishers import Role
from models.tables import MembershipRow, PersonRow, StaffRoleRow, SubscriptionRow

_ROLES: dict[Audience, Role] = {
    Audience.MODERATORS: Role.MODERATOR,
    Audience.SECOND_APPROVERS: Role.SECOND_APPROVER,
    Audience.CERTIFIERS: Role.CERTIFIER,
    Audience.SECURITY: Role.SECURITY,
    Audience.OPS: Role.OPS,
}


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
    people = (
        await session.exec(
            select(PersonRow)
            .join(MembershipRow, col(MembershipRow.person) == col(PersonRow.id))
            .where(col(MembershipRow.publisher) == publisher)
            .order_by(col(PersonRow.id))
        )
    ).all()
    asks_for_confirmation = kind is NoticeKind.CONFIRM_EMAIL
    wanted = _or_all(people, lambda person: (person.email_confirmed_at is None) is asks_for_confirmation)
    return [Recipient(person.id, person.email, for_publisher=True) for person in wanted]


async def _staff(session: AsyncSession, audience: Audience, circle: Circle) -> list[Recipient]:
    """Staff with the role, or the admins while nobody has it. Members of the publisher never act as staff on it."""
    members = select(MembershipRow.person).where(col(MembershipRow.publisher) == circle.publisher)
    role = _ROLES[audience]
    rows = (
        await session.exec(
            select(PersonRow, StaffRoleRow.role)
            .join(StaffRoleRow, col(StaffRoleRow.person) == col(PersonRow.id))
            .where(col(StaffRoleRow.role).in_([role, Role.ADMIN]), col(PersonRow.id).not_in(members))
            .order_by(col(PersonRow.id))
        )
    ).all()
    people = [person for person, held in rows if held is role] or [person for person, _ in rows]
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
    rows = await session.exec(
        select(SubscriptionRow)
        .where(col(SubscriptionRow.product) == product, col(SubscriptionRow.confirmed_at).is_not(None))
        .order_by(col(SubscriptionRow.id))
    )
    return [Recipient(row.id, row.address, for_publisher=True) for row in rows.all()]


def _or_all(people: Sequence[PersonRow], wanted: Callable[[PersonRow], bool]) -> list[PersonRow]:
    return [person for person in people if wanted(person)] or list(people)
