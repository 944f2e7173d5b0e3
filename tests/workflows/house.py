"""A small house: a worker with the real activities over a real database, and people who act in it.

The scanner and the hub's registry are stand-ins; source images lie in an OCI layout folder. A test says what people do
and looks at what became of it: the process itself, the rows, the notices.
"""

import io
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import Worker

from activities.alarms import AlarmActivities
from activities.examination import ExaminationActivities, Examiner
from activities.mass_changes import MassChangeActivities
from activities.onboarding import OnboardingActivities
from activities.people import PeopleActivities
from activities.policy import PolicyInForce
from activities.reconciling import ReconcileActivities
from activities.recording import RecordingActivities
from activities.sources import Sources
from desk.handing_over import HandingOver
from models import commands as c
from models.addresses import (
    MODERATION_QUEUE,
    SCANNING_QUEUE,
    mass_change_address,
    new_id,
    product_address,
    publisher_address,
    slug_of,
    submission_address,
)
from models.content import ContentManifest, Licence, Price, Support, Tier
from models.images import ImageSource
from models.lifecycle import Snapshot
from models.products import NewSubmission, ProductSnapshot, Submitted
from models.publishers import ApplicationSnapshot, ApplicationStatus, PublisherProfile, PublisherStart, Role
from models.recording import ApplicationRecording
from models.watching import MassChangeSnapshot
from models.work import ProductStart, Watched
from registry.access import SourceRules
from registry.building import ImageBuilder, write_index
from store import contents, people, products, projection, publishers, submissions
from store.blobs import Blobs
from store.database import Database
from store.secrets import Vault, new_key
from tests.workflows.people import Case, Person, Process, answers, meet
from tests.workflows.stand_ins import Lookout, Quay, StoredScans
from workflows import search_attributes
from workflows.advisories import AdvisoryWorkflow, DigestWorkflow
from workflows.mass_change import MassChangeWorkflow
from workflows.product import ProductWorkflow
from workflows.publisher import PublisherWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.rescan import RescanWorkflow
from workflows.sandbox import STRICT_RUNNER
from workflows.scan import ScanWorkflow
from workflows.submission import SubmissionWorkflow

M = TypeVar("M")

#: the SDK waits for ever now and then for what it has cancelled at once
_GRACE = timedelta(seconds=5)

STORIES: tuple[type, ...] = (
    SubmissionWorkflow,
    ScanWorkflow,
    ProductWorkflow,
    PublisherWorkflow,
    ReconcileWorkflow,
    AdvisoryWorkflow,
    DigestWorkflow,
    MassChangeWorkflow,
    RescanWorkflow,
)


def icon() -> bytes:
    """Square, and as large as the profile asks for."""
    content = io.BytesIO()
    Image.new("RGB", (512, 512), (0, 90, 160)).save(content, "PNG")
    return content.getvalue()


def source_images(folder: Path) -> Path:
    """A layout with three versions of one image for two platforms each."""
    for version in ("1.0", "1.1", "2.0"):
        images = {}
        for platform in ("linux/amd64", "linux/arm64"):
            builder = ImageBuilder(platform, user="10001", created=datetime(2026, 3, 1, tzinfo=UTC))
            images[platform] = builder.layer({"etc/motd": f"{version} {platform}".encode()}).write(folder)
        write_index(folder, version, images)
    return folder


class House:
    """Worker, database, blobs, and the people of one publisher and of the hub."""

    publisher: str
    member: Person
    moderator: Person
    other_moderator: Person
    second: Person
    ops: Person
    security: Person

    def __init__(self, client: Client, database: Database, folder: Path, images: Path) -> None:
        self.client, self.database, self.images = client, database, images
        self.blobs = Blobs(folder / "blobs")
        self.policy = folder / "policy.toml"
        self.policy.touch()
        self.scans = StoredScans(self.blobs)
        self.quay = Quay(database)
        self.lookout = Lookout(client, database)
        self.reconciling = ReconcileActivities(
            client, database, self.blobs, HandingOver(client, PolicyInForce(self.policy))
        )
        #: addresses of the processes that were started here
        self.known: list[str] = []
        self._names = count(1)
        self._running = AsyncExitStack()
        self._folder = folder

    # --- the house itself ---------------------------------------------------------------------------------------

    async def found(self) -> "House":
        """A verified publisher with one member, and the hub's staff."""
        self.moderator = await self._staff("mo@hub.example", Role.MODERATOR)
        self.other_moderator = await self._staff("max@hub.example", Role.MODERATOR)
        self.second = await self._staff("sue@hub.example", Role.SECOND_APPROVER)
        self.ops = await self._staff("ott@hub.example", Role.OPS)
        self.security = await self._staff("sec@hub.example", Role.SECURITY)
        now = datetime.now(UTC)
        self.icon = await self.blobs.put(icon())
        async with self.database.transaction() as session:
            member = await people.find_or_create(session, "pat@harbour.example", "Pat", now)
            await people.confirm_email(session, member.id, now)
            row = await publishers.apply(session, self.profile(), member.id, now)
            verified = ApplicationSnapshot(
                id=row.id, revision=0, status=ApplicationStatus.APPROVED, profile=row.profile
            )
            await projection.record_application(session, ApplicationRecording(snapshot=verified), "before")
        self.member, self.publisher = Person(member.id), row.id
        return self

    async def _staff(self, email: str, role: Role) -> Person:
        now = datetime.now(UTC)
        async with self.database.transaction() as session:
            person = await people.find_or_create(session, email, at=now)
            await people.grant(session, person.id, role, now)
        return Person(person.id)

    def profile(self, name: str = "Harbour Works") -> PublisherProfile:
        return PublisherProfile(
            legal_name=name,
            website="https://harbour.example",
            phone="+4930123456",
            email="hub@harbour.example",
            icon=self.icon,
        )

    async def opens(self) -> None:
        """The worker starts; activities are made anew, as by a new process."""
        policy = PolicyInForce(self.policy)
        rules = SourceRules(source_folders=(self.images,))
        examiner = Examiner(self.database, self.blobs, policy)
        sources = Sources(self.database, Vault([new_key()]), rules, policy)
        people_, recording = PeopleActivities(self.database, policy), RecordingActivities(self.database, self.blobs)
        mass_changes = MassChangeActivities(self.database, policy)
        light: list[Callable[..., Any]] = [
            people_.standing_of,
            people_.may_submit,
            recording.record_submission,
            recording.record_product,
            recording.record_application,
            OnboardingActivities(self.database, self.blobs, sources, policy, examiner).onboard,
            ExaminationActivities(examiner).examine,
            self.scans.images_to_scan,
            self.reconciling.reconcile,
            self.reconciling.archive,
            mass_changes.watch_terms,
            mass_changes.record_mass_change,
            AlarmActivities(self.database).advisories_unread,
        ]
        moderation = Worker(
            self.client,
            task_queue=MODERATION_QUEUE,
            workflows=STORIES,
            activities=light,
            workflow_runner=STRICT_RUNNER,
            build_id="test",
            identity="test",
            graceful_shutdown_timeout=_GRACE,
            # a mistake fails the run instead of being tried again for ever
            workflow_failure_exception_types=[Exception],
        )
        heavy: list[Callable[..., Any]] = [
            self.scans.scan_image,
            self.quay.publish,
            self.quay.apply_listing,
            self.lookout.sync_advisories,
            self.lookout.rematch,
            self.lookout.tell_products,
            self.lookout.dismiss_batch,
            self.lookout.digest_notices,
            self.lookout.rescan_plan,
            self.lookout.rescan_image,
        ]
        scanning = Worker(
            self.client,
            task_queue=SCANNING_QUEUE,
            activities=heavy,
            build_id="test",
            identity="test",
            # the server's answer to a heartbeat brings a cancellation
            max_heartbeat_throttle_interval=timedelta(milliseconds=50),
        )
        for worker in (moderation, scanning):
            await self._running.enter_async_context(worker)

    async def closes(self) -> None:
        """The worker ends; what it was doing is abandoned."""
        await self._running.aclose()

    # --- what people hand in --------------------------------------------------------------------------------------

    def manifest(self, version: str = "1.0", name: str = "", **changes: object) -> ContentManifest:
        return ContentManifest(
            name=name or f"Crane {next(self._names)}",
            icon=self.icon,
            short_description="Lifts things.",
            category="databases",
            search_tags=("lifting",),
            long_description="It lifts things, one after the other. " * 5,
            support=Support(link="https://harbour.example/support", email="help@harbour.example"),
            tiers=(
                Tier(
                    name="Free",
                    description="The free one",
                    price=Price(),
                    installation="docker pull hub.example/harbour/crane",
                    source=ImageSource(repository=f"oci:{self.images}", tags=(version,)),
                ),
            ),
            licences=(Licence(title="Apache 2.0", url="https://harbour.example/licence"),),
            platforms=("linux/amd64", "linux/arm64"),
            documentation="https://harbour.example/docs",
            release_notes="Lifts more.",
        ).model_copy(update=changes)

    async def stored(self, manifest: ContentManifest) -> str:
        async with self.database.transaction() as session:
            return await contents.save(session, manifest)

    async def handed_in(self, manifest: ContentManifest) -> NewSubmission:
        """The rows that the desk makes before the process hears of it."""
        now = datetime.now(UTC)
        content = await self.stored(manifest)
        submission = new_id()
        async with self.database.transaction() as session:
            product = await products.find_or_create(session, self.publisher, slug_of(manifest.name), manifest.name, now)
            await submissions.create(
                session,
                id=submission,
                product=product.id,
                publisher=self.publisher,
                content=content,
                submitter=self.member.id,
                at=now,
                track=manifest.track,
                certify=manifest.wants_certification,
            )
        return NewSubmission(
            id=submission,
            actor=self.member.id,
            publisher=self.publisher,
            product=product.id,
            content=content,
            track=manifest.track,
            certify=manifest.wants_certification,
        )

    async def told(self, new: NewSubmission) -> Submitted:
        """One request starts the product's process where there is none, as the desk does it."""
        start = WithStartWorkflowOperation(
            ProductWorkflow.run,
            ProductStart(id=new.product, publisher=new.publisher),
            id=product_address(new.product),
            task_queue=MODERATION_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=search_attributes.at_start(new.publisher, new.product),
        )
        self.known += [product_address(new.product), submission_address(new.id)]
        with answers():
            return await self.client.execute_update_with_start_workflow(
                ProductWorkflow.submit, new, start_workflow_operation=start, id=f"submit-{new_id()}"
            )

    async def submits(self, manifest: ContentManifest | None = None) -> Case:
        new = await self.handed_in(manifest or self.manifest())
        await self.told(new)
        return self.case(new.id)

    async def resubmits(self, case: Case, manifest: ContentManifest) -> Snapshot:
        return await self.member.tells(case, c.Resubmit, content=await self.stored(manifest))

    def case(self, submission: str) -> Case:
        address = submission_address(submission)
        handle = self.client.get_workflow_handle(address)
        return Case(address, handle, Snapshot, self.database, self.client, submission)

    async def product_of(self, case: Case) -> Process[ProductSnapshot]:
        address = product_address((await case.row()).product)
        return Process(address, self.client.get_workflow_handle(address), ProductSnapshot, self.database, self.client)

    async def runs(self, story: type, answer: type[M]) -> M:
        """One run, as a schedule begins it, to its end. Waiting for a result would let the server's clock run on."""
        address = f"{story.__name__.removesuffix('Workflow').lower()}-{new_id()}"
        self.known.append(address)
        handle = await self.client.start_workflow(story.__name__, id=address, task_queue=MODERATION_QUEUE)
        process = Process(address, handle, Snapshot, self.database, self.client)
        await meet(process.has_ended, f"{address} does not end")
        done: M = await self.client.get_workflow_handle(address, result_type=answer).result()
        return done

    async def watches(self) -> Watched:
        """One look at the advisories."""
        return await self.runs(AdvisoryWorkflow, Watched)

    def mass_change(self, batch: str) -> Process[MassChangeSnapshot]:
        address = mass_change_address(batch)
        handle = self.client.get_workflow_handle(address, result_type=MassChangeSnapshot)
        return Process(address, handle, MassChangeSnapshot, self.database, self.client)

    async def applies(self, name: str) -> Process[ApplicationSnapshot]:
        """A new publisher; the member of the house applies for it as well."""
        now = datetime.now(UTC)
        async with self.database.transaction() as session:
            row = await publishers.apply(session, self.profile(name), self.member.id, now)
        address = publisher_address(row.id)
        self.known.append(address)
        handle = await self.client.start_workflow(
            PublisherWorkflow.run,
            PublisherStart(id=row.id, profile=row.profile, terms=PolicyInForce(self.policy).current().deadlines),
            id=address,
            task_queue=MODERATION_QUEUE,
            search_attributes=search_attributes.at_start(row.id),
        )
        return Process(address, handle, ApplicationSnapshot, self.database, self.client)
