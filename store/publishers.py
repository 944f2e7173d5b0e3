"""Publishers: the row an application starts from, their profiles and members."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.addresses import new_id, slug_of
from models.columns import storable
from models.errors import NotFound
from models.publishers import ApplicationStatus, PublisherProfile
from models.tables import MembershipRow, PersonRow, PublisherRow
from store import contents, people
from store.database import insert_new
from store.views import Page, PublisherView

_BY_ID_OR_SLUG = select(PublisherRow).where(
    (col(PublisherRow.id) == bindparam("publisher")) | (col(PublisherRow.slug) == bindparam("publisher"))
)


def free_slug(name: str, taken: Sequence[str]) -> str:
    """The slug of a name, with a number when it is taken."""
    slug, number = slug_of(name), 2
    candidate = slug
    while candidate in taken:
        candidate, number = f"{slug}-{number}", number + 1
    return candidate


async def apply(
    session: AsyncSession,
    profile: PublisherProfile,
    applicant: str,
    at: datetime,
    *,
    id: str = "",  # noqa: A002
) -> PublisherRow:
    """The row of a new application, before its process starts; the applicant (a person's id) is its first member.

    Applied again with the same id, it stays as it is.
    """
    if id and (known := await session.get(PublisherRow, id)) is not None:
        return known
    taken = select(PublisherRow.slug).where(
        col(PublisherRow.slug).startswith(slug_of(profile.legal_name), autoescape=True)
    )
    row = PublisherRow(
        id=id or new_id(),
        slug="",
        name=profile.legal_name,
        profile=await contents.save(session, profile),
        applied_at=at,
        changed_at=at,
    )
    inserted: list[str] = []
    while not inserted:  # on PostgreSQL somebody of the same name may take the slug between the look and the insert
        row.slug = free_slug(profile.legal_name, (await session.exec(taken)).all())
        inserted = await insert_new(session, PublisherRow, [row.model_dump()], ("slug",))
    row = await session.get_one(PublisherRow, row.id)
    await people.join(session, applicant, row.id, at)
    return row


async def get(session: AsyncSession, publisher: str) -> PublisherRow:
    """By id or slug. Errors: NotFound."""
    publisher = storable(publisher)
    row = (await session.exec(_BY_ID_OR_SLUG, params={"publisher": publisher})).first()
    if row is None:
        raise NotFound(f"There is no publisher {publisher}.")
    return row


async def save_profile(session: AsyncSession, profile: PublisherProfile) -> str:
    """Before a command names it by digest."""
    return await contents.save(session, profile)


async def profile(session: AsyncSession, digest: str) -> PublisherProfile | None:
    return await contents.find(session, PublisherProfile, digest)


async def view(session: AsyncSession, publisher: str) -> PublisherView:
    """What its members and the staff see. Errors: NotFound."""
    return await _view(session, await get(session, publisher))


async def listed(
    session: AsyncSession, *, status: ApplicationStatus | None = None, page: int = 1, size: int = 50
) -> Page[PublisherView]:
    """Those with the earliest due date first, then the oldest application."""
    statement = select(PublisherRow)
    if status is not None:
        statement = statement.where(col(PublisherRow.status) == status)
    total = (await session.exec(select(func.count()).select_from(statement.subquery()))).one()
    ordered = statement.order_by(
        col(PublisherRow.due).asc().nulls_last(), col(PublisherRow.applied_at), col(PublisherRow.id)
    )
    rows = await session.exec(ordered.offset((page - 1) * size).limit(size))
    return Page(items=tuple([await _view(session, row) for row in rows.all()]), total=total, page=page, size=size)


async def members(session: AsyncSession, publisher: str) -> list[PersonRow]:
    rows = await session.exec(
        select(PersonRow)
        .join(MembershipRow, col(MembershipRow.person) == col(PersonRow.id))
        .where(col(MembershipRow.publisher) == publisher)
        .order_by(col(PersonRow.name), col(PersonRow.id))
    )
    return list(rows.all())


async def _view(session: AsyncSession, row: PublisherRow) -> PublisherView:
    return PublisherView(
        id=row.id,
        slug=row.slug,
        name=row.name,
        status=row.status,
        due=row.due,
        revision=row.revision,
        applied_at=row.applied_at,
        profile=await profile(session, row.profile),
        members=tuple(person.email for person in await members(session, row.id)),
    )
