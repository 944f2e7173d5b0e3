"""Publication: what was approved is copied by digest into the hub's registry, tags last, and listed."""

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.errors import translated
from activities.heartbeats import Progress, heartbeats
from activities.sources import Sources
from models.content import ContentManifest, Track
from models.errors import PUBLISHERS_ERRORS, NotFound
from models.images import PinnedTier, ReleaseSet
from models.products import ListingStatus, PublicationOrder
from models.work import ListingOrder, PublicationDone
from registry.client import RegistryClient, RegistryRepository
from registry.copying import publish_tier, restore_tier, withdraw_tier
from store import contents, products, publishers
from store.blobs import Blobs
from store.database import Database, RowMissing
from store.publishers import slug_of


@dataclass(frozen=True, slots=True)
class HubRegistry:
    """The hub's own registry: repositories are `<publisher>/<product>/<tier>` below its namespace."""

    client: RegistryClient
    host: str
    namespace: str = ""

    def repository(self, publisher: str, product: str, tier: str) -> RegistryRepository:
        return RegistryRepository(self.client, self.name(publisher, product, tier))

    def name(self, publisher: str, product: str, tier: str) -> str:
        return "/".join(part for part in (self.namespace, publisher, product, slug_of(tier)) if part)


@dataclass(frozen=True, slots=True)
class PublicationActivities:
    database: Database
    blobs: Blobs
    sources: Sources
    hub: HubRegistry

    @activity.defn
    async def publish(self, order: PublicationOrder) -> PublicationDone:
        """Idempotent: what is in the registry already is not sent again. `problem` when trying again cannot help."""
        with translated():
            async with heartbeats() as progress:
                try:
                    return await self._publish(order, progress)
                except (*PUBLISHERS_ERRORS, NotFound) as problem:
                    return PublicationDone(problem=str(problem))

    async def _publish(self, order: PublicationOrder, progress: Progress) -> PublicationDone:
        async with self.database.session() as session:
            manifest = await contents.find(session, ContentManifest, order.content)
            product = await products.of_submission(session, order.submission)
            publisher = await publishers.get(session, product.publisher)
        if manifest is None:
            raise RowMissing(f"Content manifest {order.content} is not in the database.")
        if order.track is Track.LISTING:
            async with self.database.session() as session:
                images = await products.images_of_release(session, product.id, order.release)
            await self._save(order, product.id, images)
            return PublicationDone()
        release = await self.blobs.get_message(ReleaseSet, order.release)
        images, copied, sent = [], 0, 0
        for pinned in release.tiers:
            tier = next(tier for tier in manifest.tiers if tier.name == pinned.tier)
            if tier.source is None:
                raise NotFound(f"The content manifest has no source for the tier {tier.name}.")
            target = self.hub.repository(publisher.slug, product.slug, tier.name)
            async with self.sources.open(tier.source) as source:
                outcome = await publish_tier(
                    source,
                    target,
                    pinned,
                    progress=lambda done, total: progress.says(f"copied {done:,} of {total:,} bytes"),
                )
            if outcome.problem:
                return PublicationDone(problem=outcome.problem)
            copied, sent = copied + outcome.images, sent + outcome.sent
            images += self._images(self.hub.name(publisher.slug, product.slug, tier.name), pinned)
        await self._save(order, product.id, images)
        return PublicationDone(images=copied, bytes=sent)

    def _images(self, name: str, tier: PinnedTier) -> list[dict[str, object]]:
        """What the catalog shows: references in the hub's registry with digests and platforms."""
        return [
            {
                "tier": tier.tier,
                "reference": f"{self.hub.host}/{name}:{tag.tag}",
                "digest": tag.digest,
                "platforms": [image.platform for image in tag.platforms],
            }
            for tag in tier.tags
        ]

    async def _save(self, order: PublicationOrder, product: str, images: list[dict[str, object]]) -> None:
        async with self.database.transaction() as session:
            await products.save_publication(
                session,
                submission=order.submission,
                product=product,
                release=order.release,
                content=order.content,
                images=images,
                at=datetime.now(UTC),
            )

    @activity.defn
    async def apply_listing(self, order: ListingOrder) -> None:
        """A revoked product's manifests leave the registry; a recovered one's come back, by the same digests."""
        with translated():
            async with heartbeats():
                async with self.database.session() as session:
                    product = await products.get(session, order.product)
                    publisher = await publishers.get(session, product.publisher)
                release = await self.blobs.get_message(ReleaseSet, product.release)
                for tier in release.tiers:
                    target = self.hub.repository(publisher.slug, product.slug, tier.tier)
                    if order.status is ListingStatus.REVOKED:
                        await withdraw_tier(target, tier)
                    else:
                        await restore_tier(target, tier)
