"""A submission, brought to the desk: checked, stored, and handed to its product's process."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.people import PeopleActivities
from desk.folder import SubmissionFolder
from desk.handing_over import HandingOver, NotBegun
from desk.hub import Hub
from desk.refusal import refuse_unfit
from desk.telling import NoAnswer, tell
from models.addresses import new_id, product_address, slug_of, submission_address
from models.base import canonical_json, digest_of
from models.commands import Command, Resubmit
from models.content import ContentManifest, Track
from models.errors import InvalidManifest, NotAllowed, NotFound, Problem
from models.findings import Finding, Waiver
from models.lifecycle import Snapshot
from models.policy import HubPolicy
from models.products import NewSubmission, ProductSnapshot, Submitted
from models.publishers import PublisherProfile, Role
from policies import waivers
from policies.eligibility import check_eligibility
from policies.manifest import check_manifest
from store import contents, people, products, publishers, submissions
from store.views import SubmissionView


@dataclass(frozen=True, slots=True)
class Accepted:
    """`number` counts within the product; `superseded` is the older submission of the track, if one was open."""

    submission: str
    product: str
    product_slug: str
    number: int
    superseded: str = ""


def examine(
    folder: SubmissionFolder, policy: HubPolicy, profile: PublisherProfile | None = None
) -> tuple[Finding, ...]:
    """The rules that need no image, with no hub at hand: what a publisher can know before submitting."""
    profile = profile or PublisherProfile(legal_name="", website="", phone="", email="")
    manifest = check_manifest(folder.manifest, folder.pictures, policy)
    return manifest + check_eligibility(folder.manifest, profile, policy)


async def check(hub: Hub, publisher: str, folder: SubmissionFolder) -> tuple[Finding, ...]:
    """The rules that need no image, as the hub applies them to this publisher."""
    async with hub.database.session(brief=True) as session:
        row = await publishers.get(session, publisher)
        profile = await publishers.profile(session, row.profile)
    return examine(folder, hub.policy.current(), profile)


async def submit(
    hub: Hub, actor: str, publisher: str, folder: SubmissionFolder, *, access: tuple[str, str] | None = None
) -> Accepted:
    """Refused at once with every reason; accepted, it is durable. `actor` is an id or an email address.

    `access` are the name and password of the private sources: encrypted in the store, named by id in the manifest.
    A refusal leaves nothing behind. Errors: InvalidManifest, NotAllowed, NotFound, ToolFailed.
    """
    refuse_unfit(await check(hub, publisher, folder), folder.problems)
    new, name = await _newcomer(hub, actor, publisher, folder.manifest)
    now = datetime.now(UTC)
    manifest = await _stored(hub, new.id, folder, access)
    async with hub.database.transaction(brief=True) as session:
        slug = slug_of(manifest.name)
        product = await products.find_or_create(session, new.publisher, slug, manifest.name, now)
        content = await contents.save(session, manifest)
        await submissions.create(
            session,
            id=new.id,
            product=product.id,
            publisher=new.publisher,
            track=new.track,
            certify=new.certify,
            content=content,
            submitter=new.actor,
            at=now,
        )
    told = new.model_copy(update={"product": product.id, "content": content})
    answer = await _hand_over(hub, told, f"{name}/{slug}")
    async with hub.database.transaction(brief=True) as session:
        # its process records the same in a moment; who has just been told the number may ask for it at once
        await submissions.numbered(session, new.id, answer.number)
    return Accepted(
        submission=new.id,
        product=product.id,
        product_slug=slug,
        number=answer.number,
        superseded=answer.superseded,
    )


async def may_submit(hub: Hub, actor: str, publisher: str, manifest: ContentManifest) -> None:
    """Whether the hub would take it from this person. Errors: as `submit`."""
    await _newcomer(hub, actor, publisher, manifest)


async def _newcomer(hub: Hub, actor: str, publisher: str, manifest: ContentManifest) -> tuple[NewSubmission, str]:
    """Who submits what, and the publisher's short name. The product's process asks the same again and decides.

    Asked here as well, so that what is refused is refused before anything is stored.
    """
    async with hub.database.session(brief=True) as session:
        person = await people.get(session, actor)
        row = await publishers.get(session, publisher)
        live = await _is_live(session, row.slug, slug_of(manifest.name))
    new = NewSubmission(
        id=new_id(),
        actor=person.id,
        publisher=row.id,
        # both get their real values when they are stored
        product=slug_of(manifest.name),
        content=manifest.digest,
        track=manifest.track,
        certify=manifest.wants_certification,
    )
    admission = await PeopleActivities(hub.database, hub.policy).may_submit(new)
    if admission.problem:
        raise NotAllowed(admission.problem)
    if manifest.track is Track.LISTING and not live:
        raise InvalidManifest([Problem("track", "a listing edit needs a published version: submit one first.")])
    return new, row.slug


async def _is_live(session: AsyncSession, publisher_slug: str, slug: str) -> bool:
    try:
        return bool((await products.by_slug(session, publisher_slug, slug)).release)
    except NotFound:
        return False


async def _hand_over(hub: Hub, new: NewSubmission, name: str) -> Submitted:
    try:
        return await HandingOver(hub.client, hub.policy).submission(new, name)
    except (NotAllowed, NotBegun):
        await _forget(hub, new.id)
        raise
    except NoAnswer as silence:
        raise NoAnswer(
            f"Submission {new.id} is stored, but nobody has taken it up yet. {silence} It is handed over again by "
            f"itself then: `wharfinger status {new.id}` shows its number."
        ) from silence


async def _forget(hub: Hub, submission: str) -> None:
    """A refused submission leaves no row that would wait for ever, and no credentials."""
    async with hub.database.transaction(brief=True) as session:
        await submissions.forget(session, submission)
        await hub.vault.delete_of(session, submission_address(submission))


async def resubmit(
    hub: Hub,
    submission: str,
    actor: str,
    folder: SubmissionFolder,
    *,
    text: str = "",
    access: tuple[str, str] | None = None,
) -> Snapshot:
    """The mended content starts the next iteration. Errors as `submit`."""
    async with hub.database.session(brief=True) as session:
        row = await submissions.get(session, submission)
        person = await people.get(session, actor)
        before = await contents.find(session, ContentManifest, row.content)
    refuse_unfit(await check(hub, row.publisher, folder), folder.problems)
    if folder.manifest.track is not row.track:
        raise InvalidManifest([Problem("track", f"this submission's is {row.track}: submit the other one by itself.")])
    await _refuse_stranger(hub, person.id, row)
    manifest = await _stored(hub, row.id, folder, access)
    if before is not None and access is None:
        manifest = _with_credentials_of(before, manifest)
    async with hub.database.transaction(brief=True) as session:
        content = await contents.save(session, manifest)
    command = Resubmit(id=f"resubmit-{new_id()}", actor=person.id, content=content, text=text)
    return await decide(hub, row.id, command)


async def _refuse_stranger(hub: Hub, person: str, row: SubmissionView) -> None:
    """The process decides; asked here as well, so that nothing of a refused one is stored."""
    async with hub.database.session(brief=True) as session:
        standing = await people.standing_of(session, person, row.publisher)
    if Role.PUBLISHER not in standing.roles:
        raise NotAllowed(f"Only a member of {row.publisher_name} may resubmit its submissions.")
    if row.closed_at is not None:
        raise NotAllowed(f"The submission is {row.status} for good: submit again.")


def _with_credentials_of(before: ContentManifest, manifest: ContentManifest) -> ContentManifest:
    """Credentials given at submission serve the later iterations for the same repositories."""
    known = {tier.source.repository: tier.source.credentials for tier in before.tiers if tier.source}
    tiers = tuple(
        tier.model_copy(update={"source": tier.source.model_copy(update={"credentials": secret})})
        if tier.source and (secret := known.get(tier.source.repository))
        else tier
        for tier in manifest.tiers
    )
    return manifest.model_copy(update={"tiers": tiers})


async def _stored(
    hub: Hub, submission: str, folder: SubmissionFolder, access: tuple[str, str] | None
) -> ContentManifest:
    """Pictures as blobs, credentials encrypted; the manifest names both."""
    for content in folder.pictures.values():
        await hub.blobs.put(content)
    if access is None:
        return folder.manifest
    async with hub.database.transaction(brief=True) as session:
        secret = await hub.vault.put(session, submission_address(submission), *access, datetime.now(UTC))
    tiers = tuple(
        tier.model_copy(update={"source": tier.source.model_copy(update={"credentials": secret})})
        if tier.source
        else tier
        for tier in folder.manifest.tiers
    )
    return folder.manifest.model_copy(update={"tiers": tiers})


async def decide(hub: Hub, submission: str, command: Command) -> Snapshot:
    """Any command of a submission's process."""
    return await tell(hub.client, submission_address(submission), command, Snapshot)


async def decide_product(hub: Hub, product: str, command: Command) -> ProductSnapshot:
    """Any command of a product's process."""
    return await tell(hub.client, product_address(product), command, ProductSnapshot)


async def store_waiver(hub: Hub, waiver: Waiver) -> str:
    """A waiver is stored before a command names it by digest. Errors: InvalidManifest, with every reason by field."""
    problems = list(waivers.problems_of(waiver, hub.policy.current().terms, datetime.now(UTC)))
    if problems:
        raise InvalidManifest(problems)
    content = canonical_json(waiver)
    await hub.blobs.put(content)
    return digest_of(content)
