"""What is stored: the tables. They never cross a process boundary; that is what the frozen messages are for.

While a process is open its workflow is the authority, and the rows of publisher, product and submission are its
projection: `revision` says how new they are. Digests name stored blobs. Instants are aware and in UTC.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Integer, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.columns import Json, Prose, Word
from models.content import Track
from models.findings import FindingStatus, Level, Severity, WaiverScope
from models.lifecycle import Stage, Turn
from models.notices import NoticeKind
from models.products import ListingStatus
from models.publishers import ApplicationStatus, Role

#: every constraint has a name, so that a migration can speak of it on both databases
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

#: a counter that never runs out on PostgreSQL, and SQLite's own row number there
Serial = BigInteger().with_variant(Integer(), "sqlite")


class NoticeStatus(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    #: the mail server said no for good
    REFUSED = "refused"
    #: the policy's attempts are used up, or there is nobody to send it to
    GIVEN_UP = "given_up"


class PublisherRow(SQLModel, table=True):
    __tablename__ = "publisher"

    id: str = Field(primary_key=True)
    slug: str = Field(unique=True)
    name: str = Field(sa_type=Prose)
    status: ApplicationStatus = Field(default=ApplicationStatus.UNCONFIRMED, sa_type=Word(ApplicationStatus))
    #: -1 until the process has recorded something
    revision: int = -1
    #: digest of the profile in force, a row of `content`
    profile: str = ""
    due: datetime | None = None
    snapshot: dict[str, Any] = Field(default_factory=dict, sa_type=Json)
    applied_at: datetime
    changed_at: datetime


class PersonRow(SQLModel, table=True):
    __tablename__ = "person"

    id: str = Field(primary_key=True)
    name: str = Field(sa_type=Prose)
    #: lower case
    email: str = Field(unique=True)
    email_confirmed_at: datetime | None = None
    created_at: datetime


class MembershipRow(SQLModel, table=True):
    __tablename__ = "membership"

    person: str = Field(primary_key=True, foreign_key="person.id", ondelete="CASCADE")
    publisher: str = Field(primary_key=True, foreign_key="publisher.id", ondelete="CASCADE", index=True)
    since: datetime


class StaffRoleRow(SQLModel, table=True):
    __tablename__ = "staff_role"

    person: str = Field(primary_key=True, foreign_key="person.id", ondelete="CASCADE")
    role: Role = Field(primary_key=True, sa_type=Word(Role))
    since: datetime


class StaffChangeRow(SQLModel, table=True):
    """Audit of the staff's roles: who gave or took what, and when. `by` is empty for the command line's operator."""

    __tablename__ = "staff_change"

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    person: str = Field(index=True)
    role: Role = Field(sa_type=Word(Role))
    granted: bool
    by: str = ""
    at: datetime


class ProductRow(SQLModel, table=True):
    __tablename__ = "product"
    __table_args__ = (UniqueConstraint("publisher", "slug"),)

    id: str = Field(primary_key=True)
    publisher: str = Field(foreign_key="publisher.id", index=True)
    slug: str
    name: str = Field(sa_type=Prose)
    status: ListingStatus = Field(default=ListingStatus.UNPUBLISHED, sa_type=Word(ListingStatus))
    revision: int = -1
    snapshot: dict[str, Any] = Field(default_factory=dict, sa_type=Json)
    #: what is live: id of the submission, digests of its release set and content manifest
    submission: str = ""
    release: str = ""
    content: str = ""
    created_at: datetime
    changed_at: datetime


class ContentRow(SQLModel, table=True):
    """A content manifest or a profile by its digest, so that pages need no blob. Private: it names the sources."""

    __tablename__ = "content"

    digest: str = Field(primary_key=True)
    document: dict[str, Any] = Field(sa_type=Json)
    stored_at: datetime


class SubmissionRow(SQLModel, table=True):
    __tablename__ = "submission"
    __table_args__ = (UniqueConstraint("product", "number"),)

    id: str = Field(primary_key=True)
    product: str = Field(foreign_key="product.id", index=True)
    publisher: str = Field(foreign_key="publisher.id", index=True)
    #: within the product; None until the product's process has numbered it
    number: int | None = None
    track: Track = Field(default=Track.VERSION, sa_type=Word(Track))
    certify: bool = False
    stage: Stage = Field(default=Stage.ONBOARDING, sa_type=Word(Stage), index=True)
    turn: Turn = Field(default=Turn.HUB, sa_type=Word(Turn), index=True)
    iteration: int = 1
    due: datetime | None = Field(default=None, index=True)
    overdue: bool = False
    assignee: str = ""
    revision: int = -1
    snapshot: dict[str, Any] = Field(default_factory=dict, sa_type=Json)
    content: str
    release: str = ""
    submitter: str
    submitted_at: datetime
    changed_at: datetime
    closed_at: datetime | None = None


class IterationRow(SQLModel, table=True):
    """One pass of all checks: what was examined, under which policy, what came of it."""

    __tablename__ = "iteration"

    submission: str = Field(primary_key=True, foreign_key="submission.id", ondelete="CASCADE")
    number: int = Field(primary_key=True)
    content: str
    release: str = ""
    policy: str = ""
    outcome: dict[str, Any] = Field(default_factory=dict, sa_type=Json)
    #: digest of the stored comparison with the previous and the last approved iteration; empty when there is none
    difference: str = ""
    #: in words, a line each: since the previous iteration, of a first one since the last approved one
    changes: list[str] = Field(default_factory=list, sa_type=Json)
    #: digest of the stored report of all rules
    report: str = ""
    #: digests of the stored reports of the images, one for each image and platform
    reports: list[str] = Field(default_factory=list, sa_type=Json)
    examined_at: datetime
    approved_at: datetime | None = None


class FindingRow(SQLModel, table=True):
    __tablename__ = "finding"

    submission: str = Field(primary_key=True, foreign_key="submission.id", ondelete="CASCADE")
    iteration: int = Field(primary_key=True)
    #: place in the order of the checks
    position: int = Field(primary_key=True)
    key: str = Field(sa_type=Prose)
    rule: str
    level: Level = Field(sa_type=Word(Level))
    severity: Severity | None = Field(default=None, sa_type=Word(Severity))
    status: FindingStatus = Field(sa_type=Word(FindingStatus))
    finding: dict[str, Any] = Field(sa_type=Json)


class WaiverRow(SQLModel, table=True):
    """A waiver that took effect. `withdrawn_at` is set when the decision that granted it was undone."""

    __tablename__ = "waiver"

    digest: str = Field(primary_key=True)
    submission: str = Field(primary_key=True, foreign_key="submission.id", ondelete="CASCADE")
    product: str = Field(foreign_key="product.id", index=True)
    publisher: str = Field(foreign_key="publisher.id", index=True)
    finding: str = Field(sa_type=Prose)
    scope: WaiverScope = Field(sa_type=Word(WaiverScope))
    subject: str = Field(sa_type=Prose)
    expires: datetime
    waiver: dict[str, Any] = Field(sa_type=Json)
    granted_at: datetime
    granted_by: str = ""
    withdrawn_at: datetime | None = None


class EventRow(SQLModel, table=True):
    """The audit trail. `subject` is the address of the process: publisher/<id>, product/<id>, submission/<id>."""

    __tablename__ = "event"
    __table_args__ = (UniqueConstraint("subject", "run", "revision", "position"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    subject: str = Field(index=True)
    run: str
    revision: int
    position: int
    #: digest of the entry: the same entry recorded again is the same event
    digest: str
    event: str
    actor: str = ""
    command: str = ""
    at: datetime
    text: str = Field(default="", sa_type=Prose)
    private: bool = False
    refused: str = Field(default="", sa_type=Prose)


class NoticeRow(SQLModel, table=True):
    """Outbox and delivery log. `id` is derived from the unique key, so that a Message-ID made of it never changes."""

    __tablename__ = "notice"
    __table_args__ = (UniqueConstraint("subject", "revision", "occasion", "kind", "recipient", name="uq_notice_key"),)

    id: str = Field(primary_key=True)
    subject: str = Field(index=True)
    revision: int
    #: id of the command that caused it: two replies recorded with one revision are two mails
    occasion: str = ""
    kind: NoticeKind = Field(sa_type=Word(NoticeKind))
    #: id of a person, or of a subscription
    recipient: str
    address: str = ""
    for_publisher: bool = True
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=Json)
    status: NoticeStatus = Field(default=NoticeStatus.QUEUED, sa_type=Word(NoticeStatus))
    attempts: int = 0
    queued_at: datetime
    next_try: datetime | None = Field(default=None, index=True)
    #: who is sending it, and until when the others keep off
    claim: str = ""
    lease_until: datetime | None = None
    last_error: str = Field(default="", sa_type=Prose)
    message_id: str = ""
    sent_at: datetime | None = None


class PublicationRow(SQLModel, table=True):
    """What a submission brought into the hub's registry; once per submission."""

    __tablename__ = "publication"

    submission: str = Field(primary_key=True, foreign_key="submission.id")
    product: str = Field(foreign_key="product.id", index=True)
    release: str
    content: str
    #: references in the hub's registry with their digests
    images: list[dict[str, Any]] = Field(default_factory=list, sa_type=Json)
    published_at: datetime
    withdrawn_at: datetime | None = None


class ListingRow(SQLModel, table=True):
    """What the public catalog shows: never a source repository, never a scan result."""

    __tablename__ = "listing"

    product: str = Field(primary_key=True, foreign_key="product.id", ondelete="CASCADE")
    publisher: str = Field(foreign_key="publisher.id", index=True)
    slug: str
    name: str = Field(sa_type=Prose)
    status: ListingStatus = Field(sa_type=Word(ListingStatus), index=True)
    category: str = Field(index=True, sa_type=Prose)
    #: the manifest without its sources
    manifest: dict[str, Any] = Field(sa_type=Json)
    release: str = ""
    #: references in the hub's registry with digests and platforms
    images: list[dict[str, Any]] = Field(default_factory=list, sa_type=Json)
    #: the warning label of a hold, the reason on a tombstone
    warning: str = Field(default="", sa_type=Prose)
    #: name, publisher, summary and tags in lower case
    search: str = Field(default="", sa_type=Prose)
    published_at: datetime
    changed_at: datetime


class SubscriptionRow(SQLModel, table=True):
    """A consumer's subscription to a product's mails; silent until its address is confirmed."""

    __tablename__ = "subscription"
    __table_args__ = (UniqueConstraint("product", "address"),)

    id: str = Field(primary_key=True)
    product: str = Field(foreign_key="product.id", ondelete="CASCADE")
    address: str
    #: the token of its unsubscribe links: every mail carries the same one, and it can end this subscription, no more
    token: str = Field(unique=True)
    created_at: datetime
    confirmed_at: datetime | None = None


class TokenRow(SQLModel, table=True):
    """A one-time link: only its hash is kept."""

    __tablename__ = "token"

    hash: str = Field(primary_key=True)
    purpose: str
    subject: str = Field(index=True)
    expires: datetime
    used_at: datetime | None = None


class SecretRow(SQLModel, table=True):
    """Credentials, encrypted. Messages name them secret/<id>."""

    __tablename__ = "secret"

    id: str = Field(primary_key=True)
    #: address of the process that needs it: deleted when that one closes
    subject: str = Field(index=True)
    ciphertext: str = Field(sa_type=Prose)
    created_at: datetime


class ScanRow(SQLModel, table=True):
    """A finished analysis of one image: the same question is not asked twice."""

    __tablename__ = "scan"
    __table_args__ = (
        UniqueConstraint(
            "image", "platform", "advisory_snapshot", "scanner", "scanner_version", name="uq_scan_question"
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    image: str = Field(index=True)
    platform: str
    advisory_snapshot: str
    scanner: str
    scanner_version: str
    report: str
    at: datetime


class PolicyRow(SQLModel, table=True):
    """Every policy that anything was judged under."""

    __tablename__ = "policy"

    digest: str = Field(primary_key=True)
    policy: dict[str, Any] = Field(sa_type=Json)
    first_used_at: datetime


class ArchivedHistoryRow(SQLModel, table=True):
    """A closed run's history as a blob: Temporal forgets it at the end of the namespace's retention."""

    __tablename__ = "archived_history"

    workflow: str = Field(primary_key=True)
    run: str = Field(primary_key=True)
    history: str
    status: str
    events: int = 0
    closed_at: datetime
