"""A publisher's application, brought to the desk."""

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from desk.hub import Hub
from desk.refusal import refuse_unfit
from desk.telling import tell, translated_back
from models.addresses import MODERATION_QUEUE, publisher_address
from models.commands import ChangeProfile, Command, GiveInformation
from models.findings import Finding
from models.publishers import ApplicationSnapshot, PublisherProfile, PublisherStart
from policies.profile import check_profile
from store import contents, people, publishers
from workflows import search_attributes
from workflows.publisher import PublisherWorkflow


@dataclass(frozen=True, slots=True)
class Applied:
    """Ids of the new publisher and of the person who applied."""

    publisher: str
    slug: str
    applicant: str


async def apply(hub: Hub, profile: PublisherProfile, icon: bytes, name: str = "") -> Applied:
    """Refused at once with every reason; accepted, the application is durable. Errors: InvalidManifest."""
    refuse_unfit(check(hub, profile, icon))
    now = datetime.now(UTC)
    await hub.blobs.put(icon)
    async with hub.database.transaction() as session:
        person = await people.find_or_create(session, profile.email, name, now)
        row = await publishers.apply(session, profile, person.id, now)
    try:
        await hub.client.start_workflow(
            PublisherWorkflow.run,
            PublisherStart(id=row.id, profile=row.profile, terms=hub.policy.current().deadlines),
            id=publisher_address(row.id),
            task_queue=MODERATION_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=search_attributes.at_start(row.id),
            static_summary=f"Publisher {row.slug}",
        )
    except RPCError as error:
        raise translated_back(error, publisher_address(row.id)) from error
    return Applied(publisher=row.id, slug=row.slug, applicant=person.id)


def check(hub: Hub, profile: PublisherProfile, icon: bytes) -> tuple[Finding, ...]:
    """Every rule of the publisher profile."""
    return check_profile(profile, {profile.icon: icon}, hub.policy.current())


async def amend(
    hub: Hub, publisher: str, profile: PublisherProfile, icon: bytes, command: ChangeProfile | GiveInformation
) -> ApplicationSnapshot:
    """A changed profile is checked and stored before the command names it."""
    refuse_unfit(check(hub, profile, icon))
    await hub.blobs.put(icon)
    async with hub.database.transaction() as session:
        digest = await contents.save(session, profile)
    return await decide(hub, publisher, command.model_copy(update={"profile": digest}))


async def decide(hub: Hub, publisher: str, command: Command) -> ApplicationSnapshot:
    """Any command of a publisher's process."""
    return await tell(hub.client, publisher_address(publisher), command, ApplicationSnapshot)
