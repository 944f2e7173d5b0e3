"""What the watch tells a product: how its published images stand to the advisories of now."""

from datetime import datetime
from enum import StrEnum

from models.base import Message
from models.findings import Severity
from models.policy import Remediation, Watch


class ChangeKind(StrEnum):
    """What a new look at the advisories changed (domain.md: mails tell only what is new, escalated or retracted)."""

    NEW = "new"
    #: of a heavier class than before, or a fix exists now where there was none
    ESCALATED = "escalated"
    #: withdrawn, of a lighter class, or not about this version after all
    RETRACTED = "retracted"


class Exposure(Message):
    """A vulnerability of a component in the published images of a product: what its clock depends on, and no more."""

    #: as in findings: the vulnerability and the component without its version
    key: str
    severity: Severity
    fix_exists: bool = False
    #: the component comes with the base image
    inherited: bool = False


class ExposureChange(Message):
    """`exposure` is what holds now; of a retracted one, what held until now."""

    kind: ChangeKind
    exposure: Exposure


class ExposureNews(Message):
    """The signal to a product: told again (same `id`), it changes nothing.

    `release` is the release set that was matched: news of another one than the published one is too late.
    """

    id: str
    release: str
    #: when the advisories were matched
    at: datetime
    changes: tuple[ExposureChange, ...] = ()
    #: slices of the policy in force at that moment, which the clocks of these changes go by
    clocks: Remediation | None = None
    watch: Watch | None = None


class NewsLine(Message):
    """A change as a mail to the publisher shows it. `product` is `publisher/product`, by their short names."""

    product: str
    change: ChangeKind
    vulnerability: str
    component: str
    version: str = ""
    severity: Severity
    fixed_version: str = ""
    inherited: bool = False
    #: CISA knows that it is used in attacks
    exploited: bool = False
    url: str = ""


class Clock(Message):
    """The clock of one exposure; `due` is None while it stands still, since the base image has no fix for it yet.

    `begins` is when the publisher was, or will be, told: a clock runs from then.
    """

    key: str
    severity: Severity
    begins: datetime
    due: datetime | None = None
    #: None when the reminder has gone out, or when there is none
    remind_at: datetime | None = None
    #: its end has passed unmet, and the listing's label says so
    overdue: bool = False


class BatchStatus(StrEnum):
    """An update of advisories on its way to the products that it concerns."""

    MATCHING = "matching"
    #: so many products at once that the security team looks first
    WAITING = "waiting"
    TELLING = "telling"
    TOLD = "told"
    DISMISSED = "dismissed"


class MassChangeSnapshot(Message):
    """An update of advisories that concerns so many products that the security team looks first.

    Changed only by policies.mass_changes; it is all that its process knows of itself.
    """

    #: id of the batch
    id: str
    revision: int = 0
    status: BatchStatus = BatchStatus.WAITING
    #: names of packages that the update is about, and products that have one of them
    names: int = 0
    products: int = 0
    since: datetime
    remind_at: datetime | None = None
    #: of the decision
    reason: str = ""
    decided_by: str = ""
    #: id of the command that decided: told again, it is answered with what became of it
    command: str = ""
