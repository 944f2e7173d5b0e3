"""A publisher's application, brought to the desk."""

from dataclasses import dataclass
from datetime import UTC, datetime

from desk.handing_over import HandingOver
from desk.hub import Hub
from desk.refusal import refuse_unfit
from desk.telling import NoAnswer, tell
from models.addresses import publisher_address
from models.commands import ChangeProfile, Command, GiveInformation
from models.errors import NotFound, ToolFailed
from models.findings import Finding
from models.publishers import ApplicationSnapshot, PublisherProfile
from policies.profile import check_profile
from store import contents, people, publishers


@dataclass(frozen=True, slots=True)
class Applied:
    """Ids of the new publisher and of the person who applied."""

    publisher: str
    slug: str
    applicant: str


async def apply(hub: Hub, profile: PublisherProfile, icon: bytes, name: str = "") -> Applied:
    """Refused at once with every reason; accepted, the application is durable.

    Errors: InvalidManifest; NoAnswer where it is stored, and handed to its process later.
    """
    refuse_unfit(check(hub, profile, icon))
    now = datetime.now(UTC)
    await hub.blobs.put(icon)
    async with hub.database.transaction() as session:
        person = await people.find_or_create(session, profile.email, name, now)
        row = await publishers.apply(session, profile, person.id, now)
    try:
        await HandingOver(hub.client, hub.policy).application(row.id, row.profile, row.slug)
    except (ToolFailed, NotFound) as trouble:
        raise NoAnswer(
            f"The application of {row.slug} is stored, but nobody has taken it up yet. {trouble} It is handed over by "
            "itself then: there is no need to apply again."
        ) from trouble
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
