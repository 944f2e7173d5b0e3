"""The state of a product: what is open, what is live, and whether the listing is fit."""

from datetime import datetime
from enum import StrEnum

from models.base import Message
from models.commands import Name
from models.content import Track
from models.lifecycle import Proposal
from models.policy import Remediation, Watch
from models.watching import Clock, ExposureNews


class ListingStatus(StrEnum):
    UNPUBLISHED = "unpublished"
    PUBLISHED = "published"
    HOLD = "hold"
    REVOKED = "revoked"


class OpenSubmission(Message):
    """The one submission of a track that may still change something; a newer one supersedes it."""

    id: str
    number: int
    track: Track


class PublicationOrder(Message):
    """An approved submission asks to be published; the product does one after the other."""

    submission: str
    track: Track = Track.VERSION
    content: str
    release: str = ""
    #: revision of the submission that asks: part of the idempotency key
    revision: int


class ListingBefore(Message):
    """What undoing the latest decision goes back to. `at` is when it was taken: a hold stands still since."""

    status: ListingStatus
    at: datetime
    reason: str = ""
    hold_until: datetime | None = None
    by_clock: bool = False
    #: digest of the waiver that the decision put in force: the listing is then as it was
    waiver: str = ""


class ProductState(Message):
    """Everything a product's process knows. Changed only by the functions of policies.product."""

    id: str
    publisher: str
    #: slices of the policy in force at the latest submission, or at the latest news of advisories
    clocks: Remediation = Remediation()
    watch: Watch = Watch()
    status: ListingStatus = ListingStatus.UNPUBLISHED
    revision: int = 0
    #: number of the latest submission
    numbered: int = 0
    open: tuple[OpenSubmission, ...] = ()
    queue: tuple[PublicationOrder, ...] = ()
    #: digest of the published release set and of the content manifest shown
    release: str = ""
    content: str = ""
    submission: str = ""
    proposal: Proposal | None = None
    #: why the listing is on hold or revoked; the public sees it
    reason: str = ""
    #: a hold that nobody ends turns into a revocation then
    hold_until: datetime | None = None
    #: None when the latest decision cannot be undone any more
    before: ListingBefore | None = None
    #: the registry has been told of the revocation: the release's manifests are not in it
    withdrawn: bool = False
    decided_by: str = ""
    seen: tuple[str, ...] = ()
    #: what has to be mended in the published images, and by when; nothing without a clock is here
    exposures: tuple[Clock, ...] = ()
    #: the hold, or the revocation that it has led to, is nobody's decision: clocks have run out
    by_clock: bool = False
    #: when the publisher is warned that the hold will end in a revocation; None when that is done
    warn_at: datetime | None = None
    #: ids of the latest news of advisories: told again, they change nothing
    told: tuple[str, ...] = ()
    #: news of a version whose publication is not concluded yet
    early: tuple[ExposureNews, ...] = ()


class ProductSnapshot(Message):
    id: str
    revision: int
    status: ListingStatus
    numbered: int = 0
    release: str = ""
    content: str = ""
    submission: str = ""
    proposal: Proposal | None = None
    reason: str = ""
    hold_until: datetime | None = None
    waiting: tuple[str, ...] = ()
    #: vulnerabilities with a clock, by class, those that wait for a fix of the base image among them
    critical: int = 0
    major: int = 0
    #: when the first of the clocks ends; None when none runs
    mend_by: datetime | None = None
    by_clock: bool = False


class Submitted(Message):
    """Answer to a submission: its number within the product, and the older one that it superseded."""

    submission: str
    number: int
    superseded: str = ""


class NewSubmission(Message):
    """Tells a product of a new submission whose content is stored already."""

    id: Name
    actor: Name
    publisher: Name
    product: Name
    content: Name
    track: Track = Track.VERSION
    certify: bool = False
