"""Rows to test with: a publisher with members, the hub's staff, a product and its submission."""

from dataclasses import dataclass
from datetime import UTC, datetime

from models.base import digest_of
from models.content import ContentManifest, Support, Tier, Track
from models.images import ImageSource
from models.lifecycle import Outcome, Snapshot, Stage, Turn
from models.products import ListingStatus, ProductSnapshot
from models.publishers import ApplicationSnapshot, ApplicationStatus, PublisherProfile, Role
from models.recording import ApplicationRecording, Entry, ProductRecording, SubmissionRecording
from models.tables import PersonRow
from store import contents, people, products, projection, publishers, submissions
from store.database import Database

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
RELEASE = digest_of(b"release set")

PROFILE = PublisherProfile(
    legal_name="Harbour Works",
    website="https://harbour.example",
    phone="+4930123456",
    email="hub@harbour.example",
)


def manifest(name: str = "Crane", **changes: object) -> ContentManifest:
    return ContentManifest(
        name=name,
        short_description="Lifts things.",
        category="databases",
        search_tags=("lifting",),
        long_description="It lifts things.",
        support=Support(link="https://harbour.example/support"),
        tiers=(
            Tier(
                name="Free",
                description="The free one",
                installation="pull it",
                source=ImageSource(repository="registry.example/private/crane", tags=("1.0",)),
            ),
        ),
        release_notes="Lifts more.",
    ).model_copy(update=changes)


@dataclass(frozen=True)
class Harbour:
    """Ids of what stands in the database: `member` belongs to the publisher, `moderator` and `second` to the hub."""

    database: Database
    publisher: str
    product: str
    submission: str
    content: str
    member: str
    moderator: str
    second: str

    async def records(
        self, revision: int, stage: Stage, *entries: Entry, run: str = "run-1", overwrite: bool = False, **more: object
    ) -> int:
        """The submission's process records a snapshot."""
        turns = {Stage.READY: Turn.MODERATOR, Stage.WAITING: Turn.PUBLISHER}
        snapshot = Snapshot(
            id=self.submission,
            revision=revision,
            stage=stage,
            turn=turns.get(stage, Turn.HUB),
            iteration=1,
            release=RELEASE,
            content=self.content,
        ).model_copy(update=more)
        recording = SubmissionRecording(snapshot=snapshot, entries=entries)
        return await self.database.write(
            lambda session: projection.record_submission(session, recording, run, overwrite=overwrite)
        )

    async def product_records(
        self, revision: int, status: ListingStatus, *entries: Entry, reason: str = "", **more: object
    ) -> int:
        snapshot = ProductSnapshot(
            id=self.product,
            revision=revision,
            status=status,
            release=RELEASE,
            content=self.content,
            submission=self.submission,
            reason=reason,
        ).model_copy(update=more)
        recording = ProductRecording(snapshot=snapshot, entries=entries)
        return await self.database.write(lambda session: projection.record_product(session, recording, "run-1"))

    async def application_records(
        self, revision: int, status: ApplicationStatus, *entries: Entry, profile: str = ""
    ) -> int:
        snapshot = ApplicationSnapshot(id=self.publisher, revision=revision, status=status, profile=profile)
        recording = ApplicationRecording(snapshot=snapshot, entries=entries)
        return await self.database.write(lambda session: projection.record_application(session, recording, "run-1"))


async def staff(database: Database, email: str, *roles: Role) -> PersonRow:
    async with database.transaction() as session:
        person = await people.find_or_create(session, email, at=MONDAY)
        for role in roles:
            await people.grant(session, person.id, role, MONDAY)
        return person


async def harbour(database: Database, *, slug: str = "harbour", name: str = "Crane") -> Harbour:
    """A verified publisher with one member, and a submission that its product has numbered 1."""
    moderator = await staff(database, "mo@hub.example", Role.MODERATOR)
    second = await staff(database, "sue@hub.example", Role.SECOND_APPROVER)
    async with database.transaction() as session:
        member = await people.find_or_create(session, f"pat@{slug}.example", "Pat", MONDAY)
        await people.confirm_email(session, member.id, MONDAY)
        profile = PROFILE.model_copy(update={"legal_name": slug.title()})
        publisher = await publishers.apply(session, profile, member.id, MONDAY)
        product = await products.find_or_create(session, publisher.id, name.lower(), name, MONDAY)
        content = await contents.save(session, manifest(name))
        submission = f"s-{slug}-{name.lower()}"
        await submissions.create(
            session,
            id=submission,
            product=product.id,
            publisher=publisher.id,
            content=content,
            submitter=member.id,
            at=MONDAY,
            track=Track.VERSION,
        )
        await submissions.numbered(session, submission, 1)
    return Harbour(database, publisher.id, product.id, submission, content, member.id, moderator.id, second.id)


def outcome(*blocking: str) -> Outcome:
    return Outcome(blocking=blocking, requirements=len(blocking))
