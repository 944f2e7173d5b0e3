"""Orders: what a workflow hands to an activity or to another workflow. Ids and digests only."""

from datetime import datetime

from models.base import Message
from models.content import Track
from models.events import Examined
from models.lifecycle import SubmissionState
from models.policy import Remediation
from models.products import ListingStatus, ProductState
from models.watching import ExposureChange, MassChangeSnapshot


class SubmissionStart(Message):
    """Starts a SubmissionWorkflow. The content manifest is stored under its digest; `state` is what continue-as-new
    carries over.
    """

    id: str
    publisher: str
    product: str
    content: str
    #: within the product, given by the product's process
    number: int
    track: Track = Track.VERSION
    certify: bool = False
    state: SubmissionState | None = None


class ProductStart(Message):
    """Starts a ProductWorkflow; `state` is what continue-as-new carries over."""

    id: str
    publisher: str
    state: ProductState | None = None


class IterationOrder(Message):
    """One iteration of a submission: what onboarding and the checks work on.

    `policy` is the digest of the one in force when the iteration began: it is judged by that, whatever is edited since.
    """

    submission: str
    iteration: int = 1
    content: str
    release: str = ""
    policy: str = ""


class ScanOrder(Message):
    """Scan every image of a release set, then run all the rules over what was found."""

    publisher: str
    order: IterationOrder


class ImageOrder(Message):
    """One image to scan, by digest, from the source repository of its tier."""

    submission: str
    iteration: int
    content: str
    tier: str
    digest: str
    platform: str
    size: int


class ImageProblem(Message):
    """Why an image cannot be scanned, in words that the publisher can act on. `error` is the taxonomy's name of it."""

    digest: str
    platform: str
    tier: str
    error: str
    message: str


class ImageScanned(Message):
    """Digest of the stored report, or the problem that only the publisher can mend."""

    report: str = ""
    problem: ImageProblem | None = None


class ScanResult(Message):
    """Answer of a scan of a submission's iteration."""

    examined: Examined


class StandingQuestion(Message):
    """Who somebody is towards a publisher. `at` is when the command is judged: working days are counted from then."""

    actor: str
    publisher: str
    at: datetime


class MailShift(Message):
    """One turn of the mailroom's activity: it drains the outbox for at most `seconds`, then reports."""

    seconds: int


class MailsHandled(Message):
    sent: int = 0
    refused: int = 0
    postponed: int = 0


class PublicationDone(Message):
    """What a publication wrote; `problem` is why it cannot succeed by trying again."""

    images: int = 0
    bytes: int = 0
    problem: str = ""
    #: how the vulnerabilities of the new version differ from what the product knew
    changes: tuple[ExposureChange, ...] = ()


class Repaired(Message):
    """What the reconciler found and did, by subject."""

    compared: int = 0
    repaired: tuple[str, ...] = ()
    archived: int = 0


class ImagesToScan(Message):
    """Images without a report under the advisories in force, and the reports of those that have one."""

    images: tuple[ImageOrder, ...] = ()
    reports: tuple[str, ...] = ()


class Examination(Message):
    """All rules over one iteration: digests of the stored reports, and what could not be read."""

    order: IterationOrder
    reports: tuple[str, ...] = ()
    problems: tuple[ImageProblem, ...] = ()


class Admission(Message):
    """Whether somebody may submit: `problem` is empty when so. `clocks` is the slice of the policy in force."""

    problem: str = ""
    clocks: Remediation = Remediation()


class ListingOrder(Message):
    """The listing's manifests leave the registry (revoked) or come back."""

    product: str
    status: ListingStatus
    revision: int
    #: revoked by the clocks of the policy: it comes back when the advisories behind it are withdrawn
    by_clock: bool = False


class SyncDone(Message):
    """What came of asking the remembered sources of advisories; `mark` is the store's afterwards.

    `problem` is of the sources that could not be read: what the others said is in all the same.
    """

    added: int = 0
    changed: int = 0
    skipped: int = 0
    total: int = 0
    mark: int = 0
    problem: str = ""


class AdvisoryBatch(Message):
    """What an update of advisories changes for the products; `mass`: so many that the security team looks first.

    With an empty `id` nothing has changed since the last batch, and there is nothing to tell.
    """

    id: str = ""
    mark_before: int = 0
    mark_after: int = 0
    #: names of packages that the update is about
    names: int = 0
    products: int = 0
    mass: bool = False


class BatchOrder(Message):
    """Tell the batch to its products, or (dismissed) only what it takes back. `actor` and `reason` of who decided."""

    batch: str
    actor: str = ""
    reason: str = ""


class MassChangeStart(Message):
    """Starts a MassChangeWorkflow; `state` is what continue-as-new carries over."""

    batch: AdvisoryBatch
    state: MassChangeSnapshot | None = None


class Watched(Message):
    """What one look at the advisories came to: what was imported, told, and what waits for the security team."""

    synced: SyncDone = SyncDone()
    products: int = 0
    changes: int = 0
    #: ids of batches
    told: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


class Told(Message):
    """How many products were told of how many changes."""

    products: int = 0
    changes: int = 0


class DigestOrder(Message):
    """The digests of a day; `at` is the moment that they are due: told again of the same day, nobody gets two."""

    at: datetime


class Digested(Message):
    """Mails that were put in the outbox, and for how many publishers and products."""

    publishers: int = 0
    products: int = 0
    notices: int = 0


class RescanOrder(Message):
    """A published image to look at again, in the hub's own registry, as the scanner has changed since its report."""

    image: str
    platform: str
    publisher: str
    repository: str


class RescanPlan(Message):
    """Images to scan again tonight, and how many more there are."""

    images: tuple[RescanOrder, ...] = ()
    left: int = 0


class Rescanned(Message):
    """Digest of the new report; `problem` is why the image cannot be scanned: the old report stays in force."""

    report: str = ""
    problem: str = ""


class RescansDone(Message):
    """One night's images: how many have a new report, and how many could not be scanned."""

    scanned: int = 0
    problems: int = 0
