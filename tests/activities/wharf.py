"""A submission whose images lie in a real registry, and the activities that bring them into the hub's own."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from temporalio.testing import ActivityEnvironment

from activities.examination import Examiner
from activities.lookout import Lookout
from activities.onboarding import OnboardingActivities
from activities.policy import PolicyInForce
from activities.publication import HubRegistry, PublicationActivities
from activities.sources import Sources
from cli.servers import RegistryServer
from models.content import ContentManifest, Tier, Track
from models.events import Onboarded
from models.images import ImageSource, ReleaseSet
from models.products import ListingStatus, PublicationOrder
from models.tables import PublicationRow
from models.work import IterationOrder, ListingOrder, PublicationDone
from registry.access import SourceRules
from registry.building import ImageBuilder, push_layout, write_index
from registry.client import HubRepository, RegistryClient
from scanning.advisories import AdvisoryStore
from store import contents, products, submissions
from store.blobs import Blobs
from store.database import Database
from store.secrets import Vault
from tests.parts.rows import MONDAY, Harbour, harbour, manifest

POLICY = Path(__file__).parents[2] / "policy.toml"


@dataclass
class Wharf:
    """`hub` and every source are namespaces of one registry; each test has its own."""

    house: Harbour
    blobs: Blobs
    vault: Vault
    rules: SourceRules
    registry: RegistryServer
    folder: Path
    client: RegistryClient
    namespace: str = field(default_factory=lambda: f"hub-{uuid4().hex}")
    policy: PolicyInForce = field(default_factory=lambda: PolicyInForce(POLICY))

    @property
    def database(self) -> Database:
        return self.house.database

    @property
    def sources(self) -> Sources:
        return Sources(self.database, self.vault, self.rules, self.policy)

    @property
    def onboarding(self) -> OnboardingActivities:
        examiner = Examiner(self.database, self.blobs, self.policy)
        return OnboardingActivities(self.database, self.blobs, self.sources, self.policy, examiner)

    @property
    def publication(self) -> PublicationActivities:
        hub = HubRegistry(self.client, self.registry.address, self.namespace)
        return PublicationActivities(self.database, self.blobs, self.sources, hub, self.lookout)

    @property
    def lookout(self) -> Lookout:
        return Lookout(self.database, self.blobs, AdvisoryStore(self.folder / "advisories.sqlite"), self.policy)

    def hub(self, tier: str) -> HubRepository:
        return HubRepository(self.client, f"{self.namespace}/harbour/crane/{tier}")

    async def push(self, *tags: str, platforms: Sequence[str] = ("linux/amd64", "linux/arm64")) -> str:
        """Fresh images under these tags in a fresh repository, whose name is returned."""
        layout, name = self.folder / uuid4().hex, f"team/{uuid4().hex}"
        for tag in tags:
            images = {
                platform: ImageBuilder(platform).layer({"a": uuid4().bytes}).write(layout) for platform in platforms
            }
            write_index(layout, tag, images)
            await push_layout(layout, tag, HubRepository(self.client, name))
        return f"{self.registry.address}/{name}"

    async def save(self, *tiers: tuple[str, ImageSource | None], **changes: object) -> str:
        """A content manifest with tiers of these names and sources; its digest."""
        made = tuple(Tier(name=name, description=name, installation="pull it", source=source) for name, source in tiers)
        return await self.save_manifest(manifest(tiers=made).model_copy(update=changes))

    async def save_manifest(self, content: ContentManifest) -> str:
        async with self.database.transaction() as session:
            return await contents.save(session, content)

    async def submit(self, content: str, track: Track = Track.VERSION) -> str:
        """One more submission of the product; its id."""
        submission = f"s-{uuid4().hex}"
        async with self.database.transaction() as session:
            await submissions.create(
                session,
                id=submission,
                product=self.house.product,
                publisher=self.house.publisher,
                content=content,
                submitter=self.house.member,
                at=MONDAY,
                track=track,
            )
        return submission

    async def onboards(self, content: str, submission: str = "") -> Onboarded:
        order = IterationOrder(submission=submission or self.house.submission, iteration=1, content=content)
        return await ActivityEnvironment().run(self.onboarding.onboard, order)

    async def release(self, onboarded: Onboarded) -> ReleaseSet:
        assert onboarded.refused is None
        return await self.blobs.get_message(ReleaseSet, onboarded.release)

    async def publishes(
        self, content: str, release: str, submission: str = "", track: Track = Track.VERSION
    ) -> PublicationDone:
        order = self.order(content, release, submission, track)
        return await ActivityEnvironment().run(self.publication.publish, order)

    def order(self, content: str, release: str, submission: str = "", track: Track = Track.VERSION) -> PublicationOrder:
        submission = submission or self.house.submission
        return PublicationOrder(submission=submission, track=track, content=content, release=release, revision=7)

    async def lists(self, status: ListingStatus, *, by_clock: bool = False) -> None:
        order = ListingOrder(product=self.house.product, status=status, revision=9, by_clock=by_clock)
        await ActivityEnvironment().run(self.publication.apply_listing, order)

    async def published(self) -> list[PublicationRow]:
        async with self.database.session() as session:
            return await products.publications(session, self.house.product)

    def among(self, rules: SourceRules) -> "Wharf":
        """The same wharf under other rules."""
        return replace(self, rules=rules)


async def open_wharf(database: Database, registry: RegistryServer, folder: Path, vault: Vault) -> Wharf:
    """`close` its client at the end."""
    rules = SourceRules(plain_http_hosts=(registry.address,), source_folders=(folder,), work_folder=folder / "work")
    client = RegistryClient(registry.address, rules)
    return Wharf(await harbour(database), Blobs(folder / "blobs"), vault, rules, registry, folder, client)
