"""What the store shows to pages and to the command line: frozen, and complete when written as JSON."""

from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from models.content import ContentManifest, Track
from models.findings import Finding
from models.lifecycle import Outcome, Snapshot, Stage, Turn
from models.products import ListingStatus
from models.publishers import ApplicationStatus, PublisherProfile
from models.tables import NoticeStatus


class View(BaseModel):
    model_config = ConfigDict(frozen=True)


V = TypeVar("V")


class Page(View, Generic[V]):
    """`total` counts all pages; the first page is 1."""

    items: tuple[V, ...]
    total: int
    page: int = 1
    size: int = 50


class PublisherView(View):
    id: str
    slug: str
    name: str
    status: ApplicationStatus
    due: datetime | None
    revision: int
    applied_at: datetime
    profile: PublisherProfile | None
    #: email addresses: for the publisher's own members and the staff
    members: tuple[str, ...]


class QueueItem(View):
    """One line of the moderators' queue."""

    id: str
    number: int | None
    product: str
    product_name: str
    product_slug: str
    publisher: str
    publisher_slug: str
    publisher_name: str
    track: Track
    stage: Stage
    #: the situation in words, as everywhere else
    status: str
    turn: Turn
    turn_words: str
    next: str
    iteration: int
    due: datetime | None
    overdue: bool
    assignee: str
    submitted_at: datetime
    revision: int


class IterationView(View):
    submission: str
    number: int
    content: str
    release: str
    policy: str
    outcome: Outcome
    difference: str
    changes: tuple[str, ...]
    #: digest of the stored report of all rules
    report: str
    #: digests of the stored reports of the images
    image_reports: tuple[str, ...]
    examined_at: datetime
    approved_at: datetime | None
    findings: tuple[Finding, ...] = ()


class SubmissionView(QueueItem):
    """Everything about a submission on one page. In lists `manifest` is None and `iterations` is empty."""

    snapshot: Snapshot | None
    manifest: ContentManifest | None
    certify: bool
    content: str
    release: str
    submitter: str
    closed_at: datetime | None
    iterations: tuple[IterationView, ...]


class EventView(View):
    """A line of the audit trail. `actor` is a name; empty for the hub, and for staff when the publisher reads."""

    at: datetime
    #: the act of a command, or the name of what happened by itself
    event: str
    title: str
    actor: str = ""
    text: str = ""
    revision: int = 0
    private: bool = False
    refused: str = ""


class ProductView(View):
    """A product in the lists of its publisher and of the staff."""

    id: str
    slug: str
    name: str
    publisher: str
    publisher_slug: str
    publisher_name: str
    status: ListingStatus
    #: id of the live submission, and the digests of its release set and manifest
    submission: str
    release: str
    content: str
    revision: int
    created_at: datetime
    changed_at: datetime


class ListingView(View):
    """A product as the public sees it. `manifest` has no source repository."""

    product: str
    slug: str
    name: str
    publisher: str
    publisher_slug: str
    publisher_name: str
    verified: bool
    status: ListingStatus
    category: str
    manifest: dict[str, Any]
    release: str
    images: tuple[dict[str, Any], ...]
    warning: str
    published_at: datetime


class DeliveryView(View):
    """One line of the delivery log."""

    id: str
    kind: str
    subject: str
    revision: int
    address: str
    status: NoticeStatus
    attempts: int
    queued_at: datetime
    next_try: datetime | None
    last_error: str
    message_id: str
    sent_at: datetime | None
