"""A VEX document over a published product: what it says is harmless is waived, or asked to be, while the clocks run."""

import hashlib
from datetime import UTC, datetime
from urllib.parse import quote

from desk.hub import Hub
from desk.recorded import recorded
from desk.submissions import decide_product, store_waiver
from desk.vex import Became, Imported, Seen, asking, names_of, subjects_of, until, words_of
from desk.watching import clocks_of
from models.addresses import new_id
from models.commands import AskWaiver, Waive
from models.errors import NotAllowed
from models.findings import Finding, Level, Waiver, WaiverScope
from models.images import ReleaseSet
from models.publishers import Role
from models.scans import Vulnerability
from models.tables import ProductRow
from models.vex import VexDocument
from policies.vex import answers
from policies.vulnerabilities import RULE
from store import people, watch_views
from store.watch_views import ExposureView


async def bring_in(
    hub: Hub,
    product: ProductRow,
    actor: str,
    document: VexDocument,
    *,
    scope: WaiverScope = WaiverScope.DIGEST,
    days: int = 90,
    dry_run: bool = False,
) -> list[Imported]:
    """Everything with a clock that the document answers, as a waiver or an ask of this person; else as `desk.waivers`.

    It has to be about every published image, whichever of them has the package. Errors: NotFound, NotAllowed,
    InvalidManifest, ToolFailed.
    """
    if scope is WaiverScope.REPOSITORY:
        raise NotAllowed("A waiver of a published product holds for it or its release set: --scope product or digest.")
    now = datetime.now(UTC)
    async with hub.database.session() as session:
        person = await people.get(session, actor)
        roles = (await people.standing_of(session, person.id, product.publisher)).roles
        names = await names_of(session, product)
        exposures = await watch_views.exposures_of(session, product.id)
    clocked = {clock.key for clock in await clocks_of(hub.client, product.id)}
    release = await hub.blobs.get_message(ReleaseSet, product.release)
    seen = {one.key: _seen(one, release, names) for one in exposures if one.key in clocked}
    findings = [_finding(one) for one in exposures if one.key in clocked]
    told: list[Imported] = []
    for finding, said in answers(document.statements, findings, seen, now):
        if dry_run:
            told.append(Imported(finding.key, finding.title, Became.MATCHED))
            continue
        command: AskWaiver | Waive
        if Role.PUBLISHER in roles:
            command = _ask(product, person.id, finding, asking(said))
        else:
            waiver = Waiver(
                finding=finding.key,
                state=said.state,
                justification=said.justification,
                evidence=words_of(said),
                owner=person.id,
                scope=scope,
                subject=product.id if scope is WaiverScope.PRODUCT else product.release,
                expires=until(said, now, days, hub.policy.current().terms.waiver_days),
                severity=finding.severity,
            )
            command = Waive(
                id=f"vex-{new_id()}",
                actor=person.id,
                release=product.release,
                finding=finding.key,
                waiver=await store_waiver(hub, waiver),
                text=waiver.evidence,
            )
        told.append(await _told(hub, product, finding, command))
    return told


def _seen(exposure: ExposureView, release: ReleaseSet, names: list[str]) -> list[Seen]:
    """In every image, in every version: which image has which, the rows of exposures do not say."""
    versions = exposure.versions.split(", ") if exposure.versions else [""]
    return [
        (
            Vulnerability(
                id=exposure.vulnerability,
                advisory=exposure.vulnerability,
                purl=f"{exposure.package}@{quote(version)}" if version else exposure.package,
                component=exposure.package,
                version=version,
            ),
            subject,
        )
        for version in versions
        for subject in subjects_of(release, names).values()
    ]


def _finding(exposure: ExposureView) -> Finding:
    return Finding(
        key=exposure.key,
        rule=RULE,
        level=Level.REQUIREMENT,
        title=f"{exposure.vulnerability} in {exposure.package.rpartition('/')[2]} {exposure.versions}".strip(),
        why="",
        remedy="",
        severity=exposure.severity,
    )


def _ask(product: ProductRow, actor: str, finding: Finding, text: str) -> AskWaiver:
    # the same document brought in again asks nothing new
    sign = hashlib.sha256(f"{product.id}\n{product.release}\n{actor}\n{finding.key}\n{text}".encode("utf-8", "replace"))
    return AskWaiver(
        id=f"vex-{sign.hexdigest()[:24]}", actor=actor, release=product.release, finding=finding.key, text=text
    )


async def _told(hub: Hub, product: ProductRow, finding: Finding, command: AskWaiver | Waive) -> Imported:
    """A refusal is of this one finding; the others are told all the same."""
    try:
        snapshot = await decide_product(hub, product.id, command)
    except NotAllowed as refusal:
        return Imported(finding.key, finding.title, Became.REFUSED, str(refusal))
    await recorded(hub, snapshot)
    if isinstance(command, AskWaiver):
        return Imported(finding.key, finding.title, Became.ASKED)
    proposed = snapshot.proposal is not None and snapshot.proposal.finding == finding.key
    return Imported(finding.key, finding.title, Became.PROPOSED if proposed else Became.GRANTED)
