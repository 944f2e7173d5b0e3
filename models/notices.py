"""Notices: every mail the hub sends, by kind, and the one typed model that a mail is rendered from."""

from datetime import datetime
from enum import StrEnum

from models.base import Message


class Audience(StrEnum):
    """Who gets a notice; resolved to people when it is recorded."""

    PUBLISHER = "publisher"
    MODERATORS = "moderators"
    SECOND_APPROVERS = "second_approvers"
    CERTIFIERS = "certifiers"
    SECURITY = "security"
    SUBSCRIBERS = "subscribers"
    OPS = "ops"
    ACTOR = "actor"
    ASSIGNEE = "assignee"


class NoticeKind(StrEnum):
    """One folder of notifications/ each."""

    # a publisher's application
    CONFIRM_EMAIL = "confirm_email"
    APPLICATION_TO_REVIEW = "application_to_review"
    APPLICATION_RECEIVED = "application_received"
    APPLICATION_QUESTION = "application_question"
    APPLICATION_ANSWERED = "application_answered"
    APPLICATION_APPROVED = "application_approved"
    APPLICATION_DECLINED = "application_declined"
    APPLICATION_DEFERRED = "application_deferred"
    # a submission
    SUBMISSION_RECEIVED = "submission_received"
    SUBMISSION_REFUSED = "submission_refused"
    READY_FOR_REVIEW = "ready_for_review"
    IN_REVIEW = "in_review"
    REVIEW_REMINDER = "review_reminder"
    REVIEW_OVERDUE = "review_overdue"
    CHANGES_REQUESTED = "changes_requested"
    CHANGES_REMINDER = "changes_reminder"
    EXPIRED = "expired"
    REVIVED = "revived"
    ANSWERED = "answered"
    APPROVED = "approved"
    REJECTION_PROPOSED = "rejection_proposed"
    WAIVER_PROPOSED = "waiver_proposed"
    PROPOSAL_REMINDER = "proposal_reminder"
    PROPOSAL_DECLINED = "proposal_declined"
    LAST_WARNING = "last_warning"
    LAST_WARNING_REMINDER = "last_warning_reminder"
    REJECTED = "rejected"
    APPEALED = "appealed"
    APPEAL_RECEIVED = "appeal_received"
    WAIVER_ASKED = "waiver_asked"
    WAIVER_GRANTED = "waiver_granted"
    REPLY = "reply"
    CORRECTION = "correction"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    PAUSED = "paused"
    RESUMED = "resumed"
    ASSIGNED = "assigned"
    COMMAND_REFUSED = "command_refused"
    CERTIFICATION_STARTED = "certification_started"
    CERTIFICATION_FAILED = "certification_failed"
    PUBLISHED = "published"
    PUBLICATION_FAILED = "publication_failed"
    # a product
    HOLD_PROPOSED = "hold_proposed"
    REVOCATION_PROPOSED = "revocation_proposed"
    ON_HOLD = "on_hold"
    REVOKED = "revoked"
    RECOVERED = "recovered"
    # the watch over a product
    VULNERABILITIES_FOUND = "vulnerabilities_found"
    VULNERABILITY_DIGEST = "vulnerability_digest"
    REMEDIATION_REMINDER = "remediation_reminder"
    STILL_ON_HOLD = "still_on_hold"
    REVOKE_WARNING = "revoke_warning"
    CLASS_TO_GIVE = "class_to_give"
    MASS_CHANGE_TO_CONFIRM = "mass_change_to_confirm"
    MASS_CHANGE_DECIDED = "mass_change_decided"
    ADVISORIES_UNREAD = "advisories_unread"
    # subscribers of the catalog
    SUBSCRIPTION_CONFIRM = "subscription_confirm"
    RELEASE_PUBLISHED = "release_published"
    VULNERABILITIES_PUBLISHED = "vulnerabilities_published"
    LISTING_ON_HOLD = "listing_on_hold"
    LISTING_RECOVERED = "listing_recovered"


_P, _M, _S2 = Audience.PUBLISHER, Audience.MODERATORS, Audience.SECOND_APPROVERS
_K = NoticeKind

#: who gets a notice of a kind; a kind that is missing here fails a test
AUDIENCES: dict[NoticeKind, Audience] = {
    _K.CONFIRM_EMAIL: _P,
    _K.APPLICATION_TO_REVIEW: _M,
    _K.APPLICATION_RECEIVED: _P,
    _K.APPLICATION_QUESTION: _P,
    _K.APPLICATION_ANSWERED: _M,
    _K.APPLICATION_APPROVED: _P,
    _K.APPLICATION_DECLINED: _P,
    _K.APPLICATION_DEFERRED: _P,
    _K.SUBMISSION_RECEIVED: _P,
    _K.SUBMISSION_REFUSED: _P,
    _K.READY_FOR_REVIEW: _M,
    _K.IN_REVIEW: _P,
    _K.REVIEW_REMINDER: _M,
    _K.REVIEW_OVERDUE: _M,
    _K.CHANGES_REQUESTED: _P,
    _K.CHANGES_REMINDER: _P,
    _K.EXPIRED: _P,
    _K.REVIVED: _M,
    _K.ANSWERED: _M,
    _K.APPROVED: _P,
    _K.REJECTION_PROPOSED: _S2,
    _K.WAIVER_PROPOSED: _S2,
    _K.PROPOSAL_REMINDER: _S2,
    _K.PROPOSAL_DECLINED: _M,
    _K.LAST_WARNING: _P,
    _K.LAST_WARNING_REMINDER: _P,
    _K.REJECTED: _P,
    _K.APPEALED: _M,
    _K.APPEAL_RECEIVED: _P,
    _K.WAIVER_ASKED: _M,
    _K.WAIVER_GRANTED: _P,
    _K.REPLY: _P,
    _K.CORRECTION: _P,
    _K.WITHDRAWN: _M,
    _K.SUPERSEDED: _P,
    _K.PAUSED: _P,
    _K.RESUMED: _P,
    _K.ASSIGNED: Audience.ASSIGNEE,
    _K.COMMAND_REFUSED: Audience.ACTOR,
    _K.CERTIFICATION_STARTED: _P,
    _K.CERTIFICATION_FAILED: _P,
    _K.PUBLISHED: _P,
    _K.PUBLICATION_FAILED: Audience.OPS,
    _K.HOLD_PROPOSED: _S2,
    _K.REVOCATION_PROPOSED: _S2,
    _K.ON_HOLD: _P,
    _K.REVOKED: _P,
    _K.RECOVERED: _P,
    _K.VULNERABILITIES_FOUND: _P,
    _K.VULNERABILITY_DIGEST: _P,
    _K.REMEDIATION_REMINDER: _P,
    _K.STILL_ON_HOLD: _P,
    _K.REVOKE_WARNING: _P,
    _K.CLASS_TO_GIVE: Audience.SECURITY,
    _K.MASS_CHANGE_TO_CONFIRM: Audience.SECURITY,
    _K.MASS_CHANGE_DECIDED: Audience.SECURITY,
    _K.ADVISORIES_UNREAD: Audience.OPS,
    _K.SUBSCRIPTION_CONFIRM: Audience.SUBSCRIBERS,
    _K.RELEASE_PUBLISHED: Audience.SUBSCRIBERS,
    _K.VULNERABILITIES_PUBLISHED: Audience.SUBSCRIBERS,
    _K.LISTING_ON_HOLD: Audience.SUBSCRIBERS,
    _K.LISTING_RECOVERED: Audience.SUBSCRIBERS,
}


class NoticeFinding(Message):
    """A finding as a mail shows it."""

    title: str
    level: str
    #: what a waiver names; empty where none is needed
    key: str = ""
    where: str = ""
    evidence: str = ""
    remedy: str = ""
    severity: str = ""
    status: str = "open"


class NoticeLink(Message):
    """A link opens a page; it never decides."""

    title: str
    url: str


class Notice(Message):
    """All that a mail of any kind may show. Texts come from people: templates escape them."""

    kind: NoticeKind
    hub: str
    #: whose turn it is, in words: the first line of every mail
    turn: str
    #: what happens next, in words
    next: str
    by: datetime | None = None
    recipient_name: str = ""
    #: where the mail goes: commands that it names can be copied whole
    recipient_address: str = ""
    #: True when the reader is a member of the publisher, who must not learn who moderates
    for_publisher: bool = True
    publisher_name: str = ""
    #: the short names by which commands call publisher and product
    publisher_slug: str = ""
    product_name: str = ""
    product_slug: str = ""
    submission: str = ""
    number: int = 0
    iteration: int = 0
    status: str = ""
    #: the words of the person who acted: review, reply, reason
    text: str = ""
    #: who acted; empty where the reader must not know
    actor_name: str = ""
    findings: tuple[NoticeFinding, ...] = ()
    #: findings that are not listed because the list is long
    more_findings: int = 0
    #: how many vulnerabilities of which class, in words: all that a subscriber learns of them
    tally: str = ""
    #: id of an update of advisories that the security team decides on
    batch: str = ""
    #: what changed since the previous iteration, of a first one since the last approved one; a line each
    changes: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    links: tuple[NoticeLink, ...] = ()
    unsubscribe_url: str = ""
