"""Waivers in VEX's words: a product's as a document, and a document as waivers, or as asks for them.

An import grants nothing by itself: each waiver is a command of the person who imports, judged like any other. Of a
member of the publisher it is an ask; of the staff a waiver, which for a critical finding waits for a second approver.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import quote

from sqlmodel.ext.asyncio.session import AsyncSession

from desk.hub import Hub
from desk.recorded import recorded
from desk.reports import readable
from desk.submissions import decide, store_waiver
from models.addresses import new_id
from models.commands import LONGEST_TEXT, AskWaiver, Waive
from models.content import ContentManifest
from models.errors import NotAllowed, NotFound
from models.findings import Finding, Waiver, WaiverScope
from models.images import ReleaseSet
from models.lifecycle import Snapshot
from models.publishers import Role
from models.scans import ImageReport, Vulnerability
from models.tables import ProductRow, PublisherRow
from models.vex import VexDocument, VexStatement
from policies.vex import Subject, answers, statements_of
from policies.vulnerabilities import key_for
from store import contents, people, products, waivers
from store.blobs import Blobs
from store.database import Database
from store.views import SubmissionView

#: a vulnerability of an image, and what documents may call that image
Seen = tuple[Vulnerability, Subject]


class Became(StrEnum):
    """What a statement was turned into."""

    ASKED = "asked"
    GRANTED = "granted"
    #: a second approver has to confirm it
    PROPOSED = "proposed"
    REFUSED = "refused"
    #: would be brought in
    MATCHED = "matched"


@dataclass(frozen=True, slots=True)
class Imported:
    finding: str
    title: str
    became: Became
    #: why it was refused
    reason: str = ""


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
            subjects[tier.source.repository] = names.get(tier.name) or [f"{_urn(publisher, product)}:{tier.name}"]
    for waiver in given:
        if waiver.scope is WaiverScope.DIGEST and waiver.subject not in subjects:
            digests = await _digests_of(blobs, waiver.subject)
            subjects[waiver.subject] = [_image(product.slug, digest) for digest in digests]
    return VexDocument(
        id=f"{_urn(publisher, product)}:vex",
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


def _urn(publisher: PublisherRow, product: ProductRow) -> str:
    return f"urn:wharfinger:product:{publisher.slug}/{product.slug}"


def _image(name: str, digest: str) -> str:
    return f"pkg:oci/{quote(name)}@{quote(digest, safe='')}"


def _names(publisher: PublisherRow, product: ProductRow, images: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """What documents call a product's images in the hub's registry, by tier; an id of the hub's own comes first."""
    names: dict[str, list[str]] = {"": [_urn(publisher, product)]}
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
        images = await _hub_images(session, view)
    answered = [
        (finding, statement)
        for finding, statement in answers(
            document.statements, _blocking(view), await _seen(hub.blobs, view, images), now
        )
    ]
    if dry_run:
        return [Imported(finding.key, finding.title, Became.MATCHED) for finding, _ in answered]
    told: list[Imported] = []
    for finding, statement in answered:
        if Role.PUBLISHER in roles:
            told.append(await _ask(hub, view, person.id, finding, statement))
        else:
            until = _until(statement, now, days, hub.policy.current().terms.waiver_days)
            waiver = _waiver(view, person.id, finding, statement, scope, until)
            told.append(await _waive(hub, view, person.id, finding, waiver))
    return told


def _blocking(view: SubmissionView) -> list[Finding]:
    """What holds the submission up now: what was waived since the examination does not."""
    if view.snapshot is None or not view.iterations:
        raise NotFound(f"Submission {view.id} has not been examined yet.")
    blocking = set(view.snapshot.outcome.blocking)
    return [finding for finding in view.iterations[-1].findings if finding.key in blocking]


async def _hub_images(session: AsyncSession, view: SubmissionView) -> list[str]:
    """Names that the hub gives to the product and its published images."""
    row = await products.get(session, view.product)
    publisher = await session.get_one(PublisherRow, row.publisher)
    images = await products.images_of_release(session, row.id, row.release) if row.release else []
    references = [str(image["reference"]).partition("@")[0] for image in images]
    return [
        _urn(publisher, row),
        f"{publisher.slug}/{row.slug}",
        *references,
        *(reference.rpartition(":")[0] for reference in references),
    ]


async def _seen(blobs: Blobs, view: SubmissionView, names: Sequence[str]) -> dict[str, list[Seen]]:
    """Where each finding was seen, and what a document may call the image."""
    latest = view.iterations[-1]
    release = await blobs.get_message(ReleaseSet, latest.release) if latest.release else ReleaseSet(tiers=())
    called: dict[str, tuple[set[str], set[str]]] = {}
    for tier in release.tiers:
        for tag in tier.tags:
            for image in tag.platforms:
                own, digests = called.setdefault(image.digest, (set(names), {image.digest, release.digest}))
                own |= {tier.repository, f"{tier.repository}:{tag.tag}"}
                digests.add(tag.digest)
    seen: dict[str, list[Seen]] = {}
    for digest in latest.image_reports:
        report = await blobs.get_message(ImageReport, digest)
        own, digests = called.get(report.facts.digest, (set(names), {report.facts.digest}))
        subject = Subject(frozenset(own), frozenset(digests))
        for found in report.vulnerabilities:
            seen.setdefault(key_for(found), []).append((found, subject))
    return seen


def _until(statement: VexStatement, now: datetime, days: int, most: int) -> datetime:
    wanted = statement.expires or now + timedelta(days=days)
    # a moment less than the longest term: the clock goes on until the process judges it
    return min(wanted, now + timedelta(days=most) - timedelta(minutes=1))


def _waiver(
    view: SubmissionView, owner: str, finding: Finding, said: VexStatement, scope: WaiverScope, until: datetime
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
        evidence=_words(said),
        owner=owner,
        scope=scope,
        subject=subject,
        expires=until,
        severity=finding.severity,
    )


def _words(said: VexStatement) -> str:
    """What the evidence is: the statement's words, or its justification where it has no more to say."""
    by = f" ({said.author})" if said.author else ""
    return f"{said.words or said.justification or said.state}{by}"[:LONGEST_TEXT]


async def _ask(hub: Hub, view: SubmissionView, actor: str, finding: Finding, said: VexStatement) -> Imported:
    text = f"VEX: {said.state}{f', {said.justification}' if said.justification else ''}. {_words(said)}"[:LONGEST_TEXT]
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
