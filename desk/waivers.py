"""Waivers in VEX's words: a product's as a document, and a document as waivers, or as asks for them.

An import grants nothing by itself: each waiver is a command of the person who imports, judged like any other. Of a
member of the publisher it is an ask; of the staff a waiver, which for a critical finding waits for a second approver.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from desk.hub import Hub
from desk.recorded import recorded
from desk.reports import readable
from desk.submissions import decide, store_waiver
from desk.vex import Became, Imported, Seen, asking, names_of, subjects_of, until, urn_of, words_of
from models.addresses import new_id
from models.commands import AskWaiver, Waive
from models.content import ContentManifest
from models.errors import NotAllowed, NotFound
from models.findings import Finding, Waiver, WaiverScope
from models.images import ReleaseSet
from models.lifecycle import Snapshot
from models.publishers import Role
from models.scans import ImageReport
from models.tables import ProductRow, PublisherRow
from models.vex import VexDocument, VexStatement
from policies.vex import Subject, answers, statements_of
from policies.vulnerabilities import key_for
from store import contents, people, products, waivers
from store.blobs import Blobs
from store.database import Database
from store.views import SubmissionView

# --- a product's waivers as a document ------------------------------------------------------------------------------


async def exported(database: Database, blobs: Blobs, product: ProductRow, author: str) -> VexDocument:
    """The waivers of vulnerabilities in force, and what the hub calls the images that they are for.

    Of the publisher's own repositories, which nobody else sees, it says nothing.
    """
    now = datetime.now(UTC)
    async with database.session() as session:
        publisher = await session.get_one(PublisherRow, product.publisher)
        given = await waivers.in_force(session, product.id, product.publisher, now)
        ever = await waivers.of_product(session, product.id)
        manifest = await contents.find(session, ContentManifest, product.content) if product.content else None
        images = await products.images_of_release(session, product.id, product.release) if product.release else []
    names = _names(publisher, product, images)
    subjects: dict[str, Sequence[str]] = {product.id: [name for tier in names.values() for name in tier]}
    for tier in manifest.tiers if manifest else ():
        if tier.source is not None:
            subjects[tier.source.repository] = names.get(tier.name) or [f"{urn_of(publisher, product)}:{tier.name}"]
    for waiver in given:
        if waiver.scope is WaiverScope.DIGEST and waiver.subject not in subjects:
            digests = await _digests_of(blobs, waiver.subject)
            subjects[waiver.subject] = [_image(product.slug, digest) for digest in digests]
    return VexDocument(
        id=f"{urn_of(publisher, product)}:vex",
        author=author,
        at=now,
        version=max(1, len(ever) + sum(row.withdrawn_at is not None for row in ever)),
        statements=tuple(statements_of(given, subjects)),
    )


async def _digests_of(blobs: Blobs, subject: str) -> list[str]:
    """The images of a release set, which is the hub's own word; of any other digest itself."""
    if not await blobs.exists(subject):
        return [subject]
    return [image.digest for _, image in (await blobs.get_message(ReleaseSet, subject)).images()]


def _image(name: str, digest: str) -> str:
    return f"pkg:oci/{quote(name)}@{quote(digest, safe='')}"


def _names(publisher: PublisherRow, product: ProductRow, images: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """What documents call a product's images in the hub's registry, by tier; an id of the hub's own comes first."""
    names: dict[str, list[str]] = {"": [urn_of(publisher, product)]}
    for image in images:
        repository = str(image["reference"]).partition("@")[0].rpartition(":")[0]
        purl = f"pkg:oci/{quote(repository.rpartition('/')[2])}?repository_url={quote(repository, safe='')}"
        tier = names.setdefault(str(image["tier"]), [])
        if purl not in tier:
            tier.append(purl)
    return names


# --- a document as waivers ------------------------------------------------------------------------------------------


async def bring_in(
    hub: Hub,
    name: str,
    actor: str,
    document: VexDocument,
    *,
    scope: WaiverScope = WaiverScope.DIGEST,
    days: int = 90,
    dry_run: bool = False,
) -> list[Imported]:
    """Every open requirement that the document answers, as a waiver or an ask of this person.

    `scope` is what a waiver holds for: by default the very release set that was examined. A statement's own expiry
    goes before `days`; the policy's longest term before both. Errors: NotFound (also for who is neither of the
    publisher nor of the staff), NotAllowed, InvalidManifest, ToolFailed.
    """
    now = datetime.now(UTC)
    async with hub.database.session() as session:
        view = await readable(session, name, actor)
        person = await people.get(session, actor)
        roles = (await people.standing_of(session, person.id, view.publisher)).roles
        names = await names_of(session, await products.get(session, view.product))
    answered = [
        (finding, statement)
        for finding, statement in answers(
            document.statements, _blocking(view), await _seen(hub.blobs, view, names), now
        )
    ]
    if dry_run:
        return [Imported(finding.key, finding.title, Became.MATCHED) for finding, _ in answered]
    told: list[Imported] = []
    for finding, statement in answered:
        if Role.PUBLISHER in roles:
            told.append(await _ask(hub, view, person.id, finding, statement))
        else:
            ends = until(statement, now, days, hub.policy.current().terms.waiver_days)
            waiver = _waiver(view, person.id, finding, statement, scope, ends)
            told.append(await _waive(hub, view, person.id, finding, waiver))
    return told


def _blocking(view: SubmissionView) -> list[Finding]:
    """What holds the submission up now: what was waived since the examination does not."""
    if view.snapshot is None or not view.iterations:
        raise NotFound(f"Submission {view.id} has not been examined yet.")
    blocking = set(view.snapshot.outcome.blocking)
    return [finding for finding in view.iterations[-1].findings if finding.key in blocking]


async def _seen(blobs: Blobs, view: SubmissionView, names: Sequence[str]) -> dict[str, list[Seen]]:
    """Where each finding was seen, and what a document may call the image."""
    latest = view.iterations[-1]
    release = await blobs.get_message(ReleaseSet, latest.release) if latest.release else ReleaseSet(tiers=())
    subjects = subjects_of(release, names)
    seen: dict[str, list[Seen]] = {}
    for digest in latest.image_reports:
        report = await blobs.get_message(ImageReport, digest)
        image = report.facts.digest
        subject = subjects.get(image) or Subject(frozenset(names), frozenset({image}))
        for found in report.vulnerabilities:
            seen.setdefault(key_for(found), []).append((found, subject))
    return seen


def _waiver(
    view: SubmissionView, owner: str, finding: Finding, said: VexStatement, scope: WaiverScope, ends: datetime
) -> Waiver:
    match scope:
        case WaiverScope.PRODUCT:
            subject = view.product
        case WaiverScope.DIGEST:
            subject = view.release
        case WaiverScope.REPOSITORY:
            tiers = view.manifest.tiers if view.manifest else ()
            sources = {tier.source.repository for tier in tiers if tier.source}
            if len(sources) != 1:
                raise NotAllowed(
                    f"The submission has {len(sources)} source repositories: waive each by `wharfinger decide`, or "
                    "import with --scope digest or --scope product."
                )
            subject = sources.pop()
    return Waiver(
        finding=finding.key,
        state=said.state,
        justification=said.justification,
        evidence=words_of(said),
        owner=owner,
        scope=scope,
        subject=subject,
        expires=ends,
        severity=finding.severity,
    )


async def _ask(hub: Hub, view: SubmissionView, actor: str, finding: Finding, said: VexStatement) -> Imported:
    text = asking(said)
    # the same document brought in again asks nothing new
    sign = hashlib.sha256(f"{view.id}\n{view.iteration}\n{actor}\n{finding.key}\n{text}".encode("utf-8", "replace"))
    command = AskWaiver(
        id=f"vex-{sign.hexdigest()[:24]}",
        actor=actor,
        iteration=view.iteration,
        release=view.release,
        finding=finding.key,
        text=text,
    )
    return await _told(hub, view, finding, command, Became.ASKED)


async def _waive(hub: Hub, view: SubmissionView, actor: str, finding: Finding, waiver: Waiver) -> Imported:
    command = Waive(
        id=f"vex-{new_id()}",
        actor=actor,
        iteration=view.iteration,
        release=view.release,
        finding=finding.key,
        waiver=await store_waiver(hub, waiver),
        text=waiver.evidence,
    )
    return await _told(hub, view, finding, command, Became.GRANTED)


async def _told(
    hub: Hub, view: SubmissionView, finding: Finding, command: AskWaiver | Waive, became: Became
) -> Imported:
    """A refusal is of this one finding; the others are told all the same."""
    try:
        snapshot: Snapshot = await decide(hub, view.id, command)
    except NotAllowed as refusal:
        return Imported(finding.key, finding.title, Became.REFUSED, str(refusal))
    await recorded(hub, snapshot)
    proposed = snapshot.proposal is not None and snapshot.proposal.finding == finding.key
    return Imported(finding.key, finding.title, Became.PROPOSED if proposed and became is Became.GRANTED else became)
