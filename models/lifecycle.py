"""The state of a submission, and what is shown of it. What may happen next is policies/lifecycle.py."""

from datetime import datetime, timedelta
from enum import StrEnum

from models.base import Message
from models.content import Track
from models.policy import Deadlines


class Stage(StrEnum):
    ONBOARDING = "onboarding"
    CHECKING = "checking"
    READY = "ready"
    WAITING = "waiting"
    CERTIFYING = "certifying"
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    #: dormant for its whole term, and now ended for good
    CLOSED = "closed"


#: stages in which the run has ended for good
CLOSED_STAGES = frozenset({Stage.PUBLISHED, Stage.WITHDRAWN, Stage.SUPERSEDED, Stage.CLOSED})
#: stages that can still be revived or appealed
DORMANT_STAGES = frozenset({Stage.REJECTED, Stage.EXPIRED})


class Turn(StrEnum):
    HUB = "hub"
    MODERATOR = "moderator"
    SECOND_APPROVER = "second_approver"
    PUBLISHER = "publisher"
    CERTIFIER = "certifier"
    NOBODY = "nobody"


class DeadlineKind(StrEnum):
    FIRST_REVIEW = "first_review"
    REPLY = "reply"
    CHANGES = "changes"
    LAST_WARNING = "last_warning"
    SECOND_APPROVAL = "second_approval"
    DORMANT = "dormant"


class Deadline(Message):
    """One per item. `remind_at` is cleared when the reminder has gone out; `overdue` marks one that passed unmet."""

    kind: DeadlineKind
    due: datetime
    remind_at: datetime | None = None
    overdue: bool = False

    @property
    def next_moment(self) -> datetime | None:
        """When something has to happen by itself; None when all of it has happened."""
        if self.remind_at is not None:
            return self.remind_at
        return None if self.overdue else self.due

    def later(self, by: timedelta) -> "Deadline":
        """The same time left after the clock has stood still for so long."""
        return self.model_copy(update={"due": self.due + by, "remind_at": self.remind_at and self.remind_at + by})


class Pause(Message):
    """Ops stopped the clock, with a reason that everybody sees. `since` is when: the time left is kept."""

    reason: str
    actor: str
    since: datetime


class ProposedAct(StrEnum):
    """Harmful decisions by people, which a second approver confirms."""

    REJECT = "reject"
    REJECT_DELAYED = "reject_delayed"
    WAIVE = "waive"
    HOLD = "hold"
    REVOKE = "revoke"


class Proposal(Message):
    """A decision that waits for its second approver. `text` is the reason given; `finding` what a waiver is for."""

    act: ProposedAct
    actor: str
    text: str
    finding: str = ""
    #: the proposed waiver as stored, by digest, since a waiver's evidence may be long
    waiver: str = ""
    #: the deadline that goes on when the proposal is dropped, with what was left of it at `since`
    suspended: Deadline | None = None
    since: datetime | None = None


class Outcome(Message):
    """What the checks of one iteration came to: counts and keys; the findings themselves are stored."""

    #: keys of open requirement findings: they hold the item up until mended or waived
    blocking: tuple[str, ...] = ()
    #: open requirement findings beyond those named, so that a history stays small; they have to be mended
    unlisted: int = 0
    #: those of `blocking` whose waiver needs a second approver
    critical: tuple[str, ...] = ()
    requirements: int = 0
    guidelines: int = 0
    vulnerabilities: int = 0
    waived: int = 0
    accepted: int = 0
    #: checks of the hub that broke: nothing is held against the publisher, and the moderator knows what was not seen
    errors: int = 0
    #: by when a moderator answers, counted in working days by the activity
    reply_by: datetime | None = None


class Undoable(Message):
    """The latest decision, `at` which it was taken, and what undoing it goes back to."""

    act: str
    actor: str
    at: datetime
    stage: Stage
    turn: Turn
    deadline: Deadline | None = None
    outcome: Outcome = Outcome()
    warned: bool = False
    responded: bool = False
    appealed: bool = False
    rejected_by: tuple[str, ...] = ()
    #: digest of the waiver that the decision put in force
    waiver: str = ""


class SubmissionState(Message):
    """Everything that a submission's process knows of itself. Changed only by policies.lifecycle: tell and happen."""

    id: str
    publisher: str
    product: str
    #: digest of the stored content manifest
    content: str
    track: Track = Track.VERSION
    certify: bool = False
    #: within the product
    number: int = 0
    terms: Deadlines = Deadlines()
    policy: str = ""
    stage: Stage = Stage.ONBOARDING
    turn: Turn = Turn.HUB
    revision: int = 0
    iteration: int = 1
    submitted: datetime
    #: digest of the release set, empty until it is pinned
    release: str = ""
    deadline: Deadline | None = None
    outcome: Outcome = Outcome()
    proposal: Proposal | None = None
    undoable: Undoable | None = None
    paused: Pause | None = None
    #: how long ops stopped the clock before there was a deadline: the first review's term begins later by it
    stood: timedelta = timedelta(0)
    #: a delayed rejection: the term ends in `rejected`, not in `expired`
    warned: bool = False
    #: the publisher has answered in words, without a new iteration
    responded: bool = False
    #: proposer and second approver of the last rejection: an appeal is judged by somebody else
    rejected_by: tuple[str, ...] = ()
    appealed: bool = False
    #: certification ended without a badge: the publisher mends, or publishes without it
    uncertified: bool = False
    assignee: str = ""
    #: ids of the commands judged already (the server forgets update ids at continue-as-new)
    seen: tuple[str, ...] = ()

    @property
    def closed(self) -> bool:
        return self.stage in CLOSED_STAGES

    @property
    def dormant(self) -> bool:
        return self.stage in DORMANT_STAGES

    def remaining(self, now: datetime) -> timedelta | None:
        """Time left of the deadline; what was left when the clock was stopped, while it is paused."""
        if self.deadline is None:
            return None
        return self.deadline.due - (self.paused.since if self.paused else now)


class Snapshot(Message):
    """What callers, the projection and the pages see of a submission."""

    id: str
    revision: int
    stage: Stage
    turn: Turn
    iteration: int
    number: int = 0
    release: str = ""
    content: str = ""
    due: datetime | None = None
    overdue: bool = False
    outcome: Outcome = Outcome()
    proposal: Proposal | None = None
    paused: str = ""
    responded: bool = False
    warned: bool = False
    appealed: bool = False
    uncertified: bool = False
    assignee: str = ""
