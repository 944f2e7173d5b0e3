"""A submission, brought to the desk: checked, stored, and handed to its product's process."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.client import WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from desk.folder import SubmissionFolder
from desk.hub import Hub
from desk.publishers import refuse_unfit
from desk.telling import tell, translated_back
from models.addresses import MODERATION_QUEUE, new_id, product_address, submission_address
from models.base import canonical_json, digest_of
from models.commands import Command, Resubmit
from models.content import ContentManifest, Track
from models.errors import InvalidManifest, NotAllowed, Problem, ToolFailed
from models.findings import Finding, Waiver
from models.lifecycle import Snapshot
from models.products import NewSubmission, ProductSnapshot, Submitted
from models.work import ProductStart
from policies.eligibility import check_eligibility
from policies.manifest import check_manifest
from store import contents, people, products, publishers, submissions
from store.publishers import slug_of
from workflows import search_attributes
from workflows.product import ProductWorkflow

#: starting a product and numbering a submission takes milliseconds; without a worker it never ends. Seconds.
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """`number` counts within the product; `superseded` is the older submission of the track, if one was open."""

    submission: str
    product: str
    product_slug: str
    number: int
    superseded: str = ""


async def check(hub: Hub, publisher: str, folder: SubmissionFolder) -> tuple[Finding, ...]:
    """The rules that need no image: what `submit --dry-run` shows."""
    async with hub.database.session() as session:
        row = await publishers.get(session, publisher)
        profile = await publishers.profile(session, row.profile)
    policy = hub.policy.current()
    manifest = check_manifest(folder.manifest, folder.pictures, policy)
    return manifest + (check_eligibility(folder.manifest, profile, policy) if profile else ())


async def submit(
    hub: Hub, actor: str, publisher: str, folder: SubmissionFolder, *, access: tuple[str, str] | None = None
) -> Accepted:
    """Refused at once with every reason; accepted, it is durable. `actor` is an id or an email address.

    `access` are the name and password of the private sources: encrypted in the store, named by id in the manifest.
    Errors: InvalidManifest, NotAllowed, NotFound, ToolFailed.
    """
    refuse_unfit(await check(hub, publisher, folder))
    submission = new_id()
    now = datetime.now(UTC)
    manifest = await _stored(hub, submission, folder, access)
    slug = slug_of(manifest.name)
    async with hub.database.transaction() as session:
        person = await people.get(session, actor)
        row = await publishers.get(session, publisher)
        product = await products.find_or_create(session, row.id, slug, manifest.name, now)
        if manifest.track is Track.LISTING and not product.release:
            raise InvalidManifest([Problem("track", "a listing edit needs a published version: submit one first.")])
        content = await contents.save(session, manifest)
        await submissions.create(
            session,
            id=submission,
            product=product.id,
            publisher=row.id,
            track=manifest.track,
            certify=manifest.wants_certification,
            content=content,
            submitter=person.id,
            at=now,
        )
    new = NewSubmission(
        id=submission,
        actor=person.id,
        publisher=row.id,
        product=product.id,
        content=content,
        track=manifest.track,
        certify=manifest.wants_certification,
    )
    answer = await _hand_over(hub, new, f"{row.slug}/{slug}")
    return Accepted(
        submission=submission,
        product=product.id,
        product_slug=slug,
        number=answer.number,
        superseded=answer.superseded,
    )


async def _hand_over(hub: Hub, new: NewSubmission, name: str) -> Submitted:
    """One request starts the product's process where there is none and tells it of the submission."""
    start = WithStartWorkflowOperation(
        ProductWorkflow.run,
        ProductStart(id=new.product, publisher=new.publisher),
        id=product_address(new.product),
        task_queue=MODERATION_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=search_attributes.at_start(new.publisher, new.product),
        static_summary=f"Product {name}",
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            return await hub.client.execute_update_with_start_workflow(
                ProductWorkflow.submit, new, start_workflow_operation=start, id=f"submit-{new.id}"
            )
    except (WorkflowUpdateFailedError, RPCError) as error:
        refusal = translated_back(error, product_address(new.product))
        if isinstance(refusal, NotAllowed):
            await _forget(hub, new.id)
        raise refusal from error
    except TimeoutError as silence:
        raise ToolFailed(
            f"The hub has taken submission {new.id} but does not answer yet: is a worker running? "
            f"It goes on by itself; see `wharfinger status {new.id}`."
        ) from silence


async def _forget(hub: Hub, submission: str) -> None:
    """A refused submission leaves no row that would wait for ever."""
    async with hub.database.transaction() as session:
        await submissions.forget(session, submission)


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
    async with hub.database.session() as session:
        row = await submissions.get(session, submission)
        person = await people.get(session, actor)
        before = await contents.find(session, ContentManifest, row.content)
    refuse_unfit(await check(hub, row.publisher, folder))
    manifest = await _stored(hub, submission, folder, access)
    if before is not None and access is None:
        manifest = _with_credentials_of(before, manifest)
    async with hub.database.transaction() as session:
        content = await contents.save(session, manifest)
    command = Resubmit(id=f"resubmit-{new_id()}", actor=person.id, content=content, text=text)
    return await decide(hub, submission, command)


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
    async with hub.database.transaction() as session:
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
    return await tell(hub.client, product_address(product), command, ProductSnapshot)


async def store_waiver(hub: Hub, waiver: Waiver) -> str:
    """A waiver is stored before a command names it by digest."""
    content = canonical_json(waiver)
    await hub.blobs.put(content)
    return digest_of(content)


def open_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Those that hold an item up."""
    return [finding for finding in findings if finding.blocks]
