"""Products: the row that a first submission makes, and what each publication brought into the hub's registry."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, update
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.addresses import new_id
from models.columns import storable
from models.errors import NotAllowed, NotFound
from models.products import ListingStatus
from models.tables import ProductRow, PublicationRow, PublisherRow, SubmissionRow
from store.database import RowMissing, insert_new, put_row, table_of
from store.views import Page, ProductView

_OF_PUBLISHER = select(ProductRow).where(
    ProductRow.publisher == bindparam("publisher"), ProductRow.slug == bindparam("slug")
)
_BY_SLUG = (
    select(ProductRow)
    .join(PublisherRow, col(PublisherRow.id) == col(ProductRow.publisher))
    .where(PublisherRow.slug == bindparam("publisher"), ProductRow.slug == bindparam("slug"))
)
_OF_SUBMISSION = (
    select(ProductRow)
    .join(SubmissionRow, col(SubmissionRow.product) == col(ProductRow.id))
    .where(SubmissionRow.id == bindparam("submission"))
)
_PUBLICATION = table_of(PublicationRow)
_IMAGES = (
    select(_PUBLICATION.c.images)
    .where(_PUBLICATION.c.product == bindparam("product"), _PUBLICATION.c.release == bindparam("release"))
    .order_by(_PUBLICATION.c.published_at.desc(), _PUBLICATION.c.submission)
)


async def find_or_create(
    session: AsyncSession,
    publisher: str,
    slug: str,
    name: str,
    at: datetime | None = None,
    *,
    id: str = "",  # noqa: A002 - the field's word
) -> ProductRow:
    """The publisher's product of this slug. `publisher` is an id; `id` is only for a new row.

    Errors: NotAllowed when the id is another product's.
    """
    now = at or datetime.now(UTC)
    row = ProductRow(id=id or new_id(), publisher=publisher, slug=slug, name=name, created_at=now, changed_at=now)
    taken = await session.get(ProductRow, id) if id else None
    if taken is not None and (taken.publisher, taken.slug) != (publisher, slug):
        raise NotAllowed(f"The product id {row.id} belongs to another product.")
    await insert_new(session, ProductRow, [row.model_dump()], ("publisher", "slug"))
    return (await session.exec(_OF_PUBLISHER, params={"publisher": publisher, "slug": slug})).one()


async def get(session: AsyncSession, product: str) -> ProductRow:
    """By id. Errors: NotFound."""
    row = await session.get(ProductRow, product)
    if row is None:
        raise NotFound(f"There is no product {product}.")
    return row


async def by_slug(session: AsyncSession, publisher_slug: str, slug: str) -> ProductRow:
    """Errors: NotFound."""
    path = {"publisher": storable(publisher_slug), "slug": storable(slug)}
    row = (await session.exec(_BY_SLUG, params=path)).first()
    if row is None:
        raise NotFound(f"There is no product {publisher_slug}/{slug}.")
    return row


async def of_submission(session: AsyncSession, submission: str) -> ProductRow:
    """Errors: RowMissing."""
    row = (await session.exec(_OF_SUBMISSION, params={"submission": submission})).first()
    if row is None:
        raise RowMissing(f"Submission {submission} has no row; the reconciler restores it.")
    return row


async def next_number(session: AsyncSession, product: str) -> int:
    """What the product's next submission will be numbered, as far as the rows know: its process decides."""
    statement = select(func.max(SubmissionRow.number)).where(SubmissionRow.product == product)
    return ((await session.exec(statement)).one() or 0) + 1


async def listed(
    session: AsyncSession,
    *,
    publisher: str | None = None,
    status: ListingStatus | None = None,
    page: int = 1,
    size: int = 50,
) -> Page[ProductView]:
    """Products of all publishers or of one (an id), by name: for staff and for the publisher's own members."""
    statement = select(ProductRow, PublisherRow).join(PublisherRow, col(PublisherRow.id) == col(ProductRow.publisher))
    if publisher is not None:
        statement = statement.where(ProductRow.publisher == publisher)
    if status is not None:
        statement = statement.where(ProductRow.status == status)
    total = (await session.exec(select(func.count()).select_from(statement.subquery()))).one()
    ordered = statement.order_by(func.lower(ProductRow.name), col(ProductRow.id))
    rows = await session.exec(ordered.offset((page - 1) * size).limit(size))
    return Page(items=tuple(_view(*found) for found in rows.all()), total=total, page=page, size=size)


async def save_publication(
    session: AsyncSession,
    *,
    submission: str,
    product: str,
    release: str,
    content: str,
    images: Sequence[dict[str, Any]],
    at: datetime,
) -> None:
    """What the submission brought into the hub's registry. Saved again, the first time of publication counts.

    `images` are references in the hub's registry with digests and platforms: the public sees them.
    """
    row = {
        "submission": submission,
        "product": product,
        "release": release,
        "content": content,
        "images": list(images),
        "published_at": at,
        "withdrawn_at": None,
    }
    await put_row(session, PublicationRow, row, ("submission",), keep=("published_at",))


async def publication_of(session: AsyncSession, submission: str) -> PublicationRow | None:
    return await session.get(PublicationRow, submission)


async def publications(session: AsyncSession, product: str) -> list[PublicationRow]:
    """Everything that was ever published of the product, the oldest first."""
    statement = (
        select(PublicationRow)
        .where(PublicationRow.product == product)
        .order_by(col(PublicationRow.published_at), col(PublicationRow.submission))
    )
    return list((await session.exec(statement)).all())


async def images_of_release(session: AsyncSession, product: str, release: str) -> list[dict[str, Any]]:
    """What can be pulled of a release set; a listing edit leaves the images of the version in place."""
    published = (await session.exec(_IMAGES, params={"product": product, "release": release})).all()
    return next((images for images in published if images), [])


async def withdrawn(session: AsyncSession, product: str, release: str, at: datetime | None) -> None:
    """The release set's manifests have left the hub's registry, or (`at` None) are back."""
    await session.exec(
        update(PublicationRow)
        .where(col(PublicationRow.product) == product, col(PublicationRow.release) == release)
        .values(withdrawn_at=at)
    )


def _view(row: ProductRow, publisher: PublisherRow) -> ProductView:
    return ProductView(
        **row.model_dump(exclude={"snapshot"}), publisher_slug=publisher.slug, publisher_name=publisher.name
    )
