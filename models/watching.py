"""What the watch tells a product: how its published images stand to the advisories of now."""

from datetime import datetime
from enum import StrEnum

from models.base import Message
from models.findings import Severity


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


class BatchStatus(StrEnum):
    """An update of advisories on its way to the products that it concerns."""

    MATCHING = "matching"
    #: so many products at once that the security team looks first
    WAITING = "waiting"
    TELLING = "telling"
    TOLD = "told"
    DISMISSED = "dismissed"
