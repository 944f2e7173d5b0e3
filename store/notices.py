"""A queued notice made whole: everything that its mail may show to this reader, and nothing else.

A publisher's reader never learns who moderates; a subscriber learns what the catalog shows, no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from models import pages
from models.content import ContentManifest, Track
from models.errors import Permanent
from models.findings import Finding, Level, Severity
from models.notices import AUDIENCES, Audience, Notice, NoticeFinding, NoticeLink
from models.notices import NoticeKind as N
from models.products import ListingStatus
from models.tables import (
    IterationRow,
    MembershipRow,
    NoticeRow,
    PersonRow,
    ProductRow,
    PublisherRow,
    SubmissionRow,
    SubscriptionRow,
)
from store import contents, iterations, products, tokens

#: findings that a mail lists; the page has them all
MOST_FINDINGS = 20
#: characters of a finding's evidence in a mail
_EVIDENCE = 500

#: what goes with the findings of the iteration
_WITH_FINDINGS = frozenset(
    {
        N.SUBMISSION_REFUSED,
        N.READY_FOR_REVIEW,
        N.REVIEW_REMINDER,
        N.REVIEW_OVERDUE,
        N.CHANGES_REQUESTED,
        N.CHANGES_REMINDER,
        N.LAST_WARNING,
        N.LAST_WARNING_REMINDER,
        N.REJECTION_PROPOSED,
        N.REJECTED,
        N.ANSWERED,
        N.WAIVER_ASKED,
        N.APPEALED,
        N.EXPIRED,
        N.REVIVED,
    }
)
_WITH_CHANGES = frozenset({N.READY_FOR_REVIEW, N.REVIEW_REMINDER, N.REVIEW_OVERDUE, N.CHANGES_REQUESTED, N.APPROVED})
#: of a listing: the reason is the product's own, however long ago it was given
_WITH_A_REASON = frozenset({N.ON_HOLD, N.REVOKED, N.STILL_ON_HOLD, N.REVOKE_WARNING, N.LISTING_ON_HOLD})
#: events whose text is no one's words: the id of a submission, or how many of what
_UNSAID = frozenset({"published", "exposures", "remediation_reminder"})
_WITH_IMAGES = frozenset({N.PUBLISHED, N.RELEASE_PUBLISHED, N.RECOVERED})

_SEVERITIES = {Severity.CRITICAL: 0, Severity.MAJOR: 1, Severity.UNKNOWN: 1, Severity.MINOR: 2, None: 1}


class SubscriptionEnded(Permanent):
    """The reader has unsubscribed since the notice was queued: it must not be sent."""


@dataclass(frozen=True, slots=True)
class MailDesk:
    """What all mails of the hub have in common. `base_url` has no slash at its end; `mail_domain` ends Message-IDs."""

    hub: str
    base_url: str
    mail_domain: str = "localhost"

    async def notice(self, session: AsyncSession, row: NoticeRow) -> tuple[Notice, str, str]:
        """See `build_notice`."""
        return await build_notice(session, row, hub=self.hub, base_url=self.base_url)


@dataclass(frozen=True, slots=True)
class _Scene:
    """The rows that a notice speaks of."""

    publisher: PublisherRow | None = None
    product: ProductRow | None = None
    submission: SubmissionRow | None = None
    iteration: IterationRow | None = None


async def build_notice(
    session: AsyncSession,
    row: NoticeRow,
    *,
    hub: str,
    base_url: str,
    now: datetime | None = None,
    term: timedelta = tokens.TERM,
) -> tuple[Notice, str, str]:
    """The notice, its recipient's address and name (empty when there is none).

    The session has to be a transaction: a link that confirms an address is made here, good for `term`. An earlier
    attempt's link stays good, so that a mail that went out twice does no harm. Errors: SubscriptionEnded.
    """
    shown: dict[str, Any] = row.payload
    scene = await _scene(session, row)
    person = await session.get(PersonRow, row.recipient)
    subscriber = AUDIENCES[row.kind] is Audience.SUBSCRIBERS
    findings = await _findings(session, row, scene)
    told, untold = _told_vulnerabilities(row)
    links = _links(row, scene, base_url.rstrip("/"))
    if link := await _confirmation(session, row, base_url.rstrip("/"), now or datetime.now(UTC), term):
        links = (link, *links)
    notice = Notice(
        kind=row.kind,
        hub=hub,
        turn=shown.get("turn", ""),
        next=shown.get("next", ""),
        by=datetime.fromisoformat(shown["by"]) if shown.get("by") else None,
        recipient_name=person.name if person else "",
        recipient_address=row.address,
        for_publisher=row.for_publisher,
        publisher_name=scene.publisher.name if scene.publisher else "",
        publisher_slug=scene.publisher.slug if scene.publisher else "",
        product_name=scene.product.name if scene.product else "",
        product_slug=scene.product.slug if scene.product else "",
        submission=scene.submission.id if scene.submission and not subscriber else "",
        number=(scene.submission.number or 0) if scene.submission and not subscriber else 0,
        iteration=0 if subscriber else shown.get("iteration", 0),
        status=shown.get("status", ""),
        text=await _text(session, row, scene),
        actor_name=await _actor(session, row, scene),
        findings=told or tuple(_shown(finding) for finding in findings[:MOST_FINDINGS]),
        more_findings=untold or max(len(findings) - MOST_FINDINGS, 0),
        tally=shown.get("tally", ""),
        batch=shown.get("batch", ""),
        changes=tuple(scene.iteration.changes) if scene.iteration and row.kind in _WITH_CHANGES else (),
        images=await _images(session, row, scene),
        links=links,
        unsubscribe_url=await _unsubscribe(session, row, base_url.rstrip("/")),
    )
    return notice, row.address, notice.recipient_name


async def _scene(session: AsyncSession, row: NoticeRow) -> _Scene:
    kind, _, id_ = row.subject.partition("/")
    if kind == "publisher":
        return _Scene(publisher=await session.get(PublisherRow, id_))
    # a product's notice is about the submission that it published last, if it names one
    submission_id = id_ if kind == "submission" else row.payload.get("submission", "")
    submission = await session.get(SubmissionRow, submission_id) if submission_id else None
    product_id = submission.product if submission and kind == "submission" else id_
    product = await session.get(ProductRow, product_id)
    publisher = await session.get(PublisherRow, product.publisher) if product else None
    number = row.payload.get("iteration")
    iteration = await session.get(IterationRow, (submission.id, number)) if submission and number else None
    return _Scene(publisher, product, submission, iteration)


async def _text(session: AsyncSession, row: NoticeRow, scene: _Scene) -> str:
    """The words of the person who acted, or the reason of what was decided; of a release, its notes."""
    if row.kind is N.RELEASE_PUBLISHED:
        digest = scene.submission.content if scene.submission else ""
        manifest = await contents.find(session, ContentManifest, digest)
        return manifest.release_notes if manifest else ""
    if row.payload.get("event") in _UNSAID and row.kind not in _WITH_A_REASON:
        return ""
    # a refused command is told to the one who gave it; nothing else that is private leaves the staff
    if row.payload.get("private") and row.for_publisher and row.kind is not N.COMMAND_REFUSED:
        return ""
    said: list[str] = [row.payload.get("text", ""), row.payload.get("reason", "")]
    if row.kind in _WITH_A_REASON:
        # what the listing shows of it is what its publisher reads
        said.reverse()
    return said[0] or said[1]


async def _actor(session: AsyncSession, row: NoticeRow, scene: _Scene) -> str:
    """Name of who acted: to staff always, to a publisher only of its own members, to subscribers never."""
    actor = row.payload.get("actor", "")
    if not actor or AUDIENCES[row.kind] is Audience.SUBSCRIBERS:
        return ""
    if row.for_publisher:
        publisher = scene.publisher.id if scene.publisher else ""
        if await session.get(MembershipRow, (actor, publisher)) is None:
            return ""
    person = await session.get(PersonRow, actor)
    return person.name if person else ""


async def _findings(session: AsyncSession, row: NoticeRow, scene: _Scene) -> Sequence[Finding]:
    """What holds the item up first, then by weight; waived and accepted ones are no news."""
    if row.kind not in _WITH_FINDINGS or scene.submission is None:
        return ()
    found = await iterations.findings(session, scene.submission.id, row.payload.get("iteration", 0))
    listed = [finding for finding in found if finding.status == "open"]
    return sorted(
        listed,
        key=lambda finding: (not finding.blocks, finding.level is not Level.REQUIREMENT, _SEVERITIES[finding.severity]),
    )


def _told_vulnerabilities(row: NoticeRow) -> tuple[tuple[NoticeFinding, ...], int]:
    """What the watch has found, as it was when the notice was queued; and how many are not listed."""
    listed = tuple(NoticeFinding.model_validate(finding) for finding in row.payload.get("findings", ()))
    return listed, row.payload.get("more_findings", 0)


def _shown(finding: Finding) -> NoticeFinding:
    return NoticeFinding(
        title=finding.title,
        level=finding.level,
        key=finding.key if finding.blocks else "",
        where=finding.where,
        evidence=finding.evidence if len(finding.evidence) <= _EVIDENCE else finding.evidence[:_EVIDENCE] + " …",
        remedy=finding.remedy,
        severity=finding.severity or "",
        status=finding.status,
    )


async def _images(session: AsyncSession, row: NoticeRow, scene: _Scene) -> tuple[str, ...]:
    """References in the hub's registry by tag and digest: what can be pulled from now on."""
    if row.kind not in _WITH_IMAGES or scene.submission is None:
        return ()
    if scene.submission.track is Track.LISTING and scene.product is not None:
        # an edit brings none: those that are live stay so, and they may be newer than the edit
        images = await products.images_of_release(session, scene.product.id, scene.product.release)
    else:
        publication = await products.publication_of(session, scene.submission.id)
        images = publication.images if publication else []
    return tuple(f"{image['reference']}@{image['digest']}" for image in images)


def _links(row: NoticeRow, scene: _Scene, base_url: str) -> tuple[NoticeLink, ...]:
    links: list[NoticeLink] = []
    if scene.submission and AUDIENCES[row.kind] is not Audience.SUBSCRIBERS:
        number = f" #{scene.submission.number}" if scene.submission.number else ""
        links.append(NoticeLink(title=f"Submission{number}", url=base_url + pages.submission_page(scene.submission.id)))
    if scene.product and scene.publisher and scene.product.status is not ListingStatus.UNPUBLISHED:
        page = pages.product_page(scene.publisher.slug, scene.product.slug)
        links.append(NoticeLink(title=f"{scene.product.name} in the catalog", url=base_url + page))
    if scene.publisher and not scene.product:
        links.append(NoticeLink(title="Application", url=base_url + pages.publisher_page(scene.publisher.id)))
    return tuple(links)


async def _confirmation(
    session: AsyncSession, row: NoticeRow, base_url: str, now: datetime, term: timedelta
) -> NoticeLink | None:
    match row.kind:
        case N.CONFIRM_EMAIL:
            raw = await tokens.new_confirmation(session, row.recipient, now, term)
            return NoticeLink(title="Confirm this address", url=base_url + pages.confirm_email_page(raw))
        case N.SUBSCRIPTION_CONFIRM:
            raw = await tokens.new(session, tokens.SUBSCRIPTION, row.recipient, now, term)
            return NoticeLink(title="Confirm the subscription", url=base_url + pages.confirm_subscription_page(raw))
        case _:
            return None


async def _unsubscribe(session: AsyncSession, row: NoticeRow, base_url: str) -> str:
    """Only what somebody has subscribed to can be unsubscribed: a decision on a submission is told in any case."""
    if AUDIENCES[row.kind] is not Audience.SUBSCRIBERS:
        return ""
    subscription = await session.get(SubscriptionRow, row.recipient)
    if subscription is None:
        raise SubscriptionEnded("The subscription has ended, and with it its mails.")
    return base_url + pages.unsubscribe_page(subscription.token)
