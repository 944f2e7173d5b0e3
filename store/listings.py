"""The public catalog: what it shows of a product, and how it is searched."""

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, update
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.columns import storable
from models.content import ContentManifest
from models.errors import NotFound
from models.products import ListingStatus, ProductSnapshot
from models.publishers import ApplicationStatus
from models.tables import ListingRow, ProductRow, PublisherRow
from store import contents, products
from store.database import RowMissing, put_row, table_of
from store.views import ListingView, Page

#: what a search finds: a revoked product has a tombstone page, but is not listed
_LISTED = (ListingStatus.PUBLISHED, ListingStatus.HOLD)

_PUBLISHER, _PRODUCT = table_of(PublisherRow), table_of(ProductRow)
_NAME = select(_PUBLISHER.c.name).where(_PUBLISHER.c.id == bindparam("publisher")).with_for_update(read=True)
_RENAME = update(_PRODUCT).where(_PRODUCT.c.id == bindparam("of"))


def public_part(manifest: ContentManifest) -> dict[str, Any]:
    """The manifest without its sources: consumers never see a source repository (domain.md, "Public catalog")."""
    shown = manifest.model_dump(mode="json")
    for tier in shown["tiers"]:
        tier.pop("source", None)
    return shown


async def show(session: AsyncSession, product: ProductRow, snapshot: ProductSnapshot, at: datetime) -> None:
    """Bring the listing up to a product's snapshot; nothing is shown before the first publication."""
    if snapshot.status is ListingStatus.UNPUBLISHED or not snapshot.content:
        return
    warning = snapshot.reason if snapshot.status in (ListingStatus.HOLD, ListingStatus.REVOKED) else ""
    manifest = await contents.find(session, ContentManifest, snapshot.content)
    if manifest is None:
        raise RowMissing(f"Content manifest {snapshot.content} of product {product.id} is not in the database.")
    # its name stays as it is until the listing that has it is there to be renamed with it
    publisher = (await session.exec(_NAME, params={"publisher": product.publisher})).one()
    row = {
        "product": product.id,
        "publisher": product.publisher,
        "slug": product.slug,
        "name": manifest.name,
        "status": snapshot.status,
        "category": manifest.category,
        "manifest": public_part(manifest),
        "release": snapshot.release,
        "images": await products.images_of_release(session, product.id, snapshot.release),
        "warning": warning,
        "search": _searched(manifest, publisher),
        "published_at": at,
        "changed_at": at,
    }
    await put_row(session, ListingRow, row, ("product",), keep=("published_at",))
    await session.exec(_RENAME, params={"of": product.id, "name": manifest.name})


def _searched(manifest: ContentManifest, publisher: str) -> str:
    return "\n".join((manifest.name, publisher, manifest.short_description, *manifest.search_tags)).lower()


async def publisher_renamed(session: AsyncSession, publisher: str, name: str) -> None:
    """Its products are found by the new name from now on."""
    for row in (await session.exec(select(ListingRow).where(ListingRow.publisher == publisher))).all():
        row.search = _searched(ContentManifest.model_validate(row.manifest), name)
        session.add(row)


async def search(
    session: AsyncSession, words: str = "", *, category: str = "", page: int = 1, size: int = 50
) -> Page[ListingView]:
    """Listed products that contain all the words, by name."""
    statement = (
        select(ListingRow, PublisherRow)
        .join(PublisherRow, col(PublisherRow.id) == col(ListingRow.publisher))
        .where(col(ListingRow.status).in_(_LISTED))
    )
    for word in storable(words).lower().split():
        statement = statement.where(col(ListingRow.search).contains(word, autoescape=True))
    if category:
        statement = statement.where(col(ListingRow.category) == storable(category))
    total = (await session.exec(select(func.count()).select_from(statement.subquery()))).one()
    ordered = statement.order_by(func.lower(ListingRow.name), col(ListingRow.product))
    rows = await session.exec(ordered.offset((page - 1) * size).limit(size))
    return Page(items=tuple(_view(row, publisher) for row, publisher in rows.all()), total=total, page=page, size=size)


async def get(session: AsyncSession, publisher_slug: str, slug: str) -> ListingView:
    """A product's page, or its tombstone (status `revoked`, `warning` says why). Errors: NotFound."""
    found = (
        await session.exec(
            select(ListingRow, PublisherRow)
            .join(PublisherRow, col(PublisherRow.id) == col(ListingRow.publisher))
            .where(col(PublisherRow.slug) == storable(publisher_slug), col(ListingRow.slug) == storable(slug))
        )
    ).first()
    if found is None:
        raise NotFound(f"There is no product {publisher_slug}/{slug} in the catalog.")
    return _view(*found)


def _view(row: ListingRow, publisher: PublisherRow) -> ListingView:
    gone = row.status is ListingStatus.REVOKED
    return ListingView(
        product=row.product,
        slug=row.slug,
        name=row.name,
        publisher=publisher.id,
        publisher_slug=publisher.slug,
        publisher_name=publisher.name,
        verified=publisher.status is ApplicationStatus.APPROVED,
        status=row.status,
        category=row.category,
        manifest={} if gone else row.manifest,
        release=row.release,
        images=() if gone else tuple(row.images),
        warning=row.warning,
        published_at=row.published_at,
    )
