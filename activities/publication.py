"""Publication: what was approved is copied by digest into the hub's registry, tags last, and listed."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from temporalio import activity

from activities.errors import translated
from activities.heartbeats import Progress, heartbeats
from activities.lookout import Lookout, Release, berths_of
from activities.news import NewsDesk
from activities.sources import Sources
from models.addresses import slug_of
from models.content import ContentManifest, Track
from models.errors import PUBLISHERS_ERRORS, NotFound, Permanent, ToolFailed
from models.images import ImageSource, PinnedTier, ReleaseSet
from models.policy import ImageLimits
from models.products import ListingStatus, PublicationOrder
from models.tables import ProductRow, PublisherRow
from models.watching import ExposureChange
from models.work import ListingOrder, PublicationDone
from registry.access import Access, SourceRules
from registry.client import HubRepository, RegistryClient
from registry.copying import CopyOutcome, Target, copy_tier, restore, tag_tier, withdraw
from registry.layout import LayoutSource
from registry.layout_target import LayoutTarget
from registry.sources import Source
from store import contents, products, publishers, watching
from store.blobs import Blobs
from store.database import Database, RowMissing

#: what trying again cannot help: the source is no longer what was approved, or what was stored of it is gone
_PROBLEMS: tuple[type[Permanent], ...] = (*PUBLISHERS_ERRORS, NotFound)


@dataclass(frozen=True, slots=True)
class HubRegistry:
    """The hub's own registry: repositories are `<publisher>/<product>/<tier>` below its namespace or its folder."""

    #: None: the hub's registry is a folder of OCI layouts, `host`
    client: RegistryClient | None
    host: str
    namespace: str = ""

    @classmethod
    def at(cls, place: str, rules: SourceRules, access: Access | None = None) -> "HubRegistry":
        """`host[:port]/namespace` or `oci:FOLDER`. Errors: ImageNotFound for what is neither."""
        if place.startswith("oci:"):
            return cls(None, str(Path(place.removeprefix("oci:")).absolute()))
        host, _, namespace = place.partition("/")
        # its address comes from the operator's settings, not from a publisher
        return cls(RegistryClient(host, replace(rules, allow_private_hosts=True), access), host, namespace)

    def repository(self, publisher: str, product: str, tier: str) -> Target:
        name = self._name(publisher, product, tier)
        return HubRepository(self.client, name) if self.client else LayoutTarget(Path(self.host), name)

    @asynccontextmanager
    async def opened(self, reference: str, limits: ImageLimits) -> AsyncIterator[Source]:
        """A repository of ours, by what people pull from it (`reference`), to be read."""
        if self.client is None:
            yield LayoutSource(Path(reference.removeprefix("oci:")), limits, "the hub's registry")
        else:
            yield HubRepository(self.client, reference.partition("/")[2])

    def reference(self, publisher: str, product: str, tier: str) -> str:
        """What people pull, without the tag."""
        return f"{'' if self.client else 'oci:'}{self.host}/{self._name(publisher, product, tier)}"

    def _name(self, publisher: str, product: str, tier: str) -> str:
        return "/".join(part for part in (self.namespace, publisher, product, slug_of(tier)) if part)


@dataclass(frozen=True, slots=True)
class PublicationActivities:
    database: Database
    blobs: Blobs
    sources: Sources
    hub: HubRegistry
    lookout: Lookout

    @activity.defn
    async def publish(self, order: PublicationOrder) -> PublicationDone:
        """Idempotent: what is in the registry already is not sent again. `problem` when trying again cannot help."""
        with translated():
            async with heartbeats() as progress:
                try:
                    return await self._publish(order, progress)
                except _PROBLEMS as problem:
                    return PublicationDone(problem=str(problem))

    async def _publish(self, order: PublicationOrder, progress: Progress) -> PublicationDone:
        async with self.database.session(brief=True) as session:
            manifest = await contents.find(session, ContentManifest, order.content)
            product = await products.of_submission(session, order.submission)
            publisher = await publishers.get(session, product.publisher)
        if manifest is None:
            raise RowMissing(f"Content manifest {order.content} is not in the database.")
        if order.track is Track.LISTING:
            # words only: a recovery sets the tags of each publication, and an edit may be older than what is live now
            await self._save(order, product.id, [])
            return PublicationDone()
        release = await self.blobs.get_message(ReleaseSet, order.release)
        places = {tier.tier: self.hub.reference(publisher.slug, product.slug, tier.tier) for tier in release.tiers}
        if len(set(places.values())) < len(release.tiers):
            return PublicationDone(problem="Two tiers would be one repository of the hub's registry: rename one.")
        targets = {tier.tier: self._target(publisher, product, tier.tier) for tier in release.tiers}
        copies: list[tuple[PinnedTier, CopyOutcome]] = []
        for tier in release.tiers:
            copies.append((tier, await self._copy(_source(manifest, tier), targets[tier.tier], tier, progress)))
        # the bytes are kept before the first tag is set: what people can pull can be withdrawn and brought back
        for content in {digest: each for _, copy in copies for digest, each in copy.manifests.items()}.values():
            await self.blobs.put(content)
        for tier, copy in copies:
            await tag_tier(targets[tier.tier], tier, copy)
        images = [image for tier, copy in copies for image in _images(places[tier.tier], tier, copy)]
        await self._save(order, product.id, images)
        progress.says("taking it under watch")
        return PublicationDone(
            images=sum(copy.images for _, copy in copies),
            bytes=sum(copy.sent for _, copy in copies),
            changes=await self._watched(order, product, release, places),
        )

    async def _watched(
        self, order: PublicationOrder, product: ProductRow, release: ReleaseSet, places: Mapping[str, str]
    ) -> tuple[ExposureChange, ...]:
        """How the release set differs from what the product was exposed to before."""
        async with self.database.session() as session:
            reports = await watching.reports_of(session, product.id, order.release)
        berths = berths_of(release, places)
        live = Release(product.id, product.publisher, order.release, berths, reports)
        batch = f"{order.submission}/{order.revision}"
        found = await self.lookout.watch(live, order.submission, batch)
        if found.total:
            await NewsDesk(self.database, self.lookout.policy).of_batch(batch)
        return found.changes

    async def _copy(self, place: ImageSource, target: Target, tier: PinnedTier, progress: Progress) -> CopyOutcome:
        async with self.sources.open(place) as source:
            return await copy_tier(
                source,
                target,
                tier,
                progress=lambda done, total: progress.says(f"copied {done:,} of {total:,} bytes of {tier.tier}"),
            )

    def _target(self, publisher: PublisherRow, product: ProductRow, tier: str) -> Target:
        return self.hub.repository(publisher.slug, product.slug, tier)

    async def _save(self, order: PublicationOrder, product: str, images: list[dict[str, object]]) -> None:
        async with self.database.transaction(brief=True) as session:
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
        """A revoked product's manifests leave the registry; a recovered one's come back, by the same digests.

        Of every version that was ever published: an older one is no better than the one that was revoked.
        """
        with translated():
            async with heartbeats():
                async with self.database.session() as session:
                    product = await products.get(session, order.product)
                    publisher = await publishers.get(session, product.publisher)
                    publications = await products.publications(session, order.product)
                revoked = order.status is ListingStatus.REVOKED
                # the oldest first: a tag that several versions have had is the newest one's in the end
                for image in (image for publication in publications for image in publication.images):
                    target = self._target(publisher, product, image["tier"])
                    if revoked:
                        await withdraw(target, image["manifests"])
                    else:
                        await restore(target, image["tag"], [await self._kept(digest) for digest in image["manifests"]])
                async with self.database.transaction() as session:
                    for release in dict.fromkeys(publication.release for publication in publications):
                        at = datetime.now(UTC) if revoked else None
                        await products.withdrawn(session, order.product, release, at)
                    # what the clocks have revoked comes back when its advisories are withdrawn: that has to be seen
                    await watching.set_watched(session, order.product, order.by_clock or not revoked)

    async def _kept(self, digest: str) -> bytes:
        """A lost blob is the hub's matter, for the operators to restore: it must not end the product's process."""
        try:
            return await self.blobs.get(digest)
        except NotFound as lost:
            raise ToolFailed(f"The kept manifest {digest} is lost: restore it from a backup.") from lost


def _source(manifest: ContentManifest, pinned: PinnedTier) -> ImageSource:
    for tier in manifest.tiers:
        if tier.name == pinned.tier and tier.source is not None:
            return tier.source
    raise NotFound(f"The content manifest has no source for the tier {pinned.tier}.")


def _images(reference: str, tier: PinnedTier, copy: CopyOutcome) -> list[dict[str, object]]:
    """What the catalog shows: references in the hub's registry with digests and platforms.

    `manifests` keeps the bytes of each from garbage collection, and says what a revocation has to withdraw.
    """
    return [
        {
            "tier": tier.tier,
            "reference": f"{reference}:{tag.tag}",
            "tag": tag.tag,
            "digest": tag.digest,
            "platforms": [image.platform for image in tag.platforms],
            "manifests": list(copy.parts[tag.digest]),
        }
        for tag in tier.tags
    ]
