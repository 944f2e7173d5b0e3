"""Publishers and the people who act: profile, application, roles."""

from datetime import datetime
from enum import StrEnum

from models.base import Message
from models.policy import Deadlines


class Role(StrEnum):
    """Who may do what is the table of policies/rights.py."""

    REVIEWER = "reviewer"
    MODERATOR = "moderator"
    SECOND_APPROVER = "second_approver"
    CERTIFIER = "certifier"
    SECURITY = "security"
    SUPPORT = "support"
    ADMIN = "admin"
    OPS = "ops"
    #: a member of the publisher that the command is about
    PUBLISHER = "publisher"


class ApplicationStatus(StrEnum):
    """Life of a publisher's application (domain.md, "Publisher profile")."""

    UNCONFIRMED = "unconfirmed"
    SUBMITTED = "submitted"
    MORE_INFORMATION = "more_information"
    APPROVED = "approved"
    DECLINED = "declined"
    DEFERRED = "deferred"


class PublisherProfile(Message):
    """Filled in once, used by every product. `icon` is the digest of a stored blob."""

    legal_name: str
    website: str
    phone: str
    email: str
    icon: str = ""
    #: ISO country, used to read a phone number written without an international prefix
    country: str = ""
    #: asks for certification, which asks for partner application
    wants_certification: bool = False


class Standing(Message):
    """Who somebody is towards one publisher, looked up when a command is judged, never believed from the message.

    `reply_by` rides along because working days and holidays are computed in activities, not in workflows.
    """

    roles: tuple[Role, ...] = ()
    reply_by: datetime | None = None


class ApplicationState(Message):
    """Everything that a publisher's process knows of itself. Changed only by the functions of policies.application."""

    id: str
    #: digest of the stored profile
    profile: str
    status: ApplicationStatus = ApplicationStatus.UNCONFIRMED
    revision: int = 0
    applied: datetime
    #: by when the side whose turn it is acts; None when nobody has to
    due: datetime | None = None
    remind_at: datetime | None = None
    seen: tuple[str, ...] = ()


class ApplicationSnapshot(Message):
    id: str
    revision: int
    status: ApplicationStatus
    profile: str
    due: datetime | None = None


class PublisherStart(Message):
    """Starts a PublisherWorkflow; `terms` is the slice of the policy in force, `state` what continue-as-new carries."""

    id: str
    profile: str
    terms: Deadlines
    state: ApplicationState | None = None
