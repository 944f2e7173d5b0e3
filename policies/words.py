"""Whose turn it is, what comes next, by when: the same words on every object, page, mail and answer."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from models.findings import Severity
from models.lifecycle import ProposedAct, Snapshot, Stage, SubmissionState, Turn
from models.products import ListingStatus, ProductSnapshot
from models.publishers import ApplicationSnapshot, ApplicationStatus
from models.watching import BatchStatus, ChangeKind, MassChangeSnapshot, NewsLine


class Situation(NamedTuple):
    """`status` is the domain's status word; `turn` and `next` are for people; `by` is when the turn should be over."""

    status: str
    turn: str
    next: str
    by: datetime | None = None


_TURNS: dict[Turn, str] = {
    Turn.HUB: "the hub's",
    Turn.MODERATOR: "the moderators'",
    Turn.SECOND_APPROVER: "a second approver's",
    Turn.PUBLISHER: "the publisher's",
    Turn.CERTIFIER: "the certifiers'",
    Turn.NOBODY: "nobody's",
}

#: stage -> (status word of domain.md, what comes next)
_STAGES: dict[Stage, tuple[str, str]] = {
    Stage.ONBOARDING: ("submitted", "The sources are resolved to digests, then every check runs."),
    Stage.CHECKING: ("submitted", "The scan and all checks run; then a moderator reviews everything in one pass."),
    Stage.READY: ("in review", "A moderator approves, or returns everything that is wrong in one review."),
    Stage.WAITING: ("changes requested", "The publisher mends the findings and resubmits, or answers."),
    Stage.CERTIFYING: ("certifying", "The certifiers test every platform, then the product is published."),
    Stage.PUBLISHING: ("publishing", "The approved digests are copied into the hub's registry, tags last."),
    Stage.PUBLISHED: ("published", "Nothing: the product is in the catalog, and watched for new advisories."),
    Stage.REJECTED: ("rejected", "The publisher may appeal until the submission is closed for good."),
    Stage.EXPIRED: ("expired", "The publisher may revive it, or resubmit, until it is closed for good."),
    Stage.WITHDRAWN: ("withdrawn", "Nothing: a new submission can be made at any time."),
    Stage.SUPERSEDED: ("superseded", "Nothing: the newer submission takes its place."),
    Stage.CLOSED: ("closed", "Nothing: the term for a revival or an appeal is over."),
}


_PROPOSED: dict[ProposedAct, str] = {
    ProposedAct.REJECT: "reject it",
    ProposedAct.REJECT_DELAYED: "reject it after a last warning",
    ProposedAct.WAIVE: "waive a finding",
    ProposedAct.HOLD: "put the listing on hold",
    ProposedAct.REVOKE: "revoke the listing",
}


def of_submission(snapshot: Snapshot) -> Situation:
    status, next_ = _STAGES[snapshot.stage]
    turn = _TURNS[snapshot.turn]
    if snapshot.turn is Turn.SECOND_APPROVER and snapshot.proposal is not None:
        next_ = f"A second approver confirms or declines the proposal to {_PROPOSED[snapshot.proposal.act]}."
    elif snapshot.appealed and snapshot.stage is Stage.READY:
        next_ = "Somebody else than who rejected it judges the appeal."
    elif snapshot.stage is Stage.READY and snapshot.responded:
        next_ = "A moderator reads the publisher's answer and decides."
    elif snapshot.warned:
        next_ = "A last warning: the publisher mends the findings and resubmits, or answers; otherwise it is rejected."
    elif snapshot.uncertified:
        next_ = "The certification failed: the publisher mends and resubmits, or publishes without the badge."
    if not snapshot.paused:
        return Situation(status, turn, next_, snapshot.due)
    reason = snapshot.paused.strip().rstrip(".")
    return Situation(status, turn, f"Paused: {reason}. The clock stands still. Then: {next_}")


def as_told(snapshot: Snapshot) -> Snapshot:
    """What a publisher is told of it: a proposal is the hub's own matter until somebody has confirmed it."""
    if snapshot.proposal is None:
        return snapshot
    deadline = snapshot.proposal.suspended
    update = {
        "proposal": None,
        "turn": Turn.MODERATOR,
        "due": deadline.due if deadline else None,
        "overdue": bool(deadline and deadline.overdue),
    }
    return snapshot.model_copy(update=update)


def iteration_word(snapshot: Snapshot) -> str:
    """checking | ready | waiting | responded | approved | rejected (domain.md)."""
    match snapshot.stage:
        case Stage.ONBOARDING | Stage.CHECKING:
            return "checking"
        case Stage.READY:
            return "responded" if snapshot.responded else "ready"
        case Stage.WAITING | Stage.EXPIRED:
            return "waiting"
        case Stage.CERTIFYING | Stage.PUBLISHING | Stage.PUBLISHED:
            return "approved"
        case _:
            return "rejected" if snapshot.stage is Stage.REJECTED else str(snapshot.stage)


_APPLICATION: dict[ApplicationStatus, tuple[str, str, str]] = {
    ApplicationStatus.UNCONFIRMED: (
        "email unconfirmed",
        "the publisher's",
        "The publisher opens the mailed link and confirms the address; only then the application is reviewed.",
    ),
    ApplicationStatus.SUBMITTED: ("submitted", "the moderators'", "A moderator verifies the publisher."),
    ApplicationStatus.MORE_INFORMATION: (
        "more information needed",
        "the publisher's",
        "The publisher answers the moderators' question.",
    ),
    ApplicationStatus.APPROVED: ("approved", "the publisher's", "The publisher may submit products."),
    ApplicationStatus.DECLINED: ("declined", "nobody's", "Nothing: the application has ended."),
    ApplicationStatus.DEFERRED: ("deferred", "the moderators'", "A moderator takes the application up again later."),
}


def of_application(snapshot: ApplicationSnapshot) -> Situation:
    status, turn, next_ = _APPLICATION[snapshot.status]
    return Situation(status, turn, next_, snapshot.due)


_LISTINGS: dict[ListingStatus, tuple[str, str]] = {
    ListingStatus.UNPUBLISHED: ("the publisher's", "A submission has to be approved and published."),
    ListingStatus.PUBLISHED: ("nobody's", "Nothing: published, and watched for new advisories."),
    ListingStatus.HOLD: ("the publisher's", "The publisher mends what the hold names; otherwise it is revoked."),
    ListingStatus.REVOKED: ("the publisher's", "The publisher mends what the revocation names; then it recovers."),
}


def of_product(snapshot: ProductSnapshot) -> Situation:
    turn, next_ = _LISTINGS[snapshot.status]
    by = snapshot.hold_until
    if snapshot.status is ListingStatus.PUBLISHED and snapshot.mend_by is not None:
        turn, by = _TURNS[Turn.PUBLISHER], snapshot.mend_by
        next_ = f"The publisher mends {_clocked(snapshot)}; what is not mended in time puts the listing on hold."
    elif snapshot.status is ListingStatus.HOLD and snapshot.by_clock:
        next_ = (
            "The publisher publishes a version without what is overdue, which ends the hold; otherwise it is revoked."
        )
    if snapshot.proposal is not None:
        turn = _TURNS[Turn.SECOND_APPROVER]
        next_ = f"A second approver confirms or declines the proposal to {_PROPOSED[snapshot.proposal.act]}."
    return Situation(str(snapshot.status), turn, next_, by)


def of_listing(snapshot: ProductSnapshot) -> Situation:
    """What the public is told of a product: scan results and proposals are not its business."""
    turn, next_ = _LISTINGS[snapshot.status]
    return Situation(str(snapshot.status), turn, next_, snapshot.hold_until)


def _clocked(snapshot: ProductSnapshot) -> str:
    one = snapshot.critical + snapshot.major == 1
    return f"{to_mend(snapshot)} {'vulnerability' if one else 'vulnerabilities'}"


def to_mend(snapshot: ProductSnapshot) -> str:
    """How many vulnerabilities of which class have a clock; empty for none."""
    return tally(Counter({Severity.CRITICAL: snapshot.critical, Severity.MAJOR: snapshot.major}).elements())


def tally(severities: Iterable[Severity]) -> str:
    """`2 critical, 1 of unknown class`; empty for none."""
    counts = Counter(severities)
    said = {Severity.UNKNOWN: "of unknown class"}
    order = (Severity.CRITICAL, Severity.MAJOR, Severity.MINOR, Severity.UNKNOWN)
    return ", ".join(f"{counts[one]} {said.get(one, one)}" for one in order if counts[one])


def overdue_reason(severities: Iterable[Severity]) -> str:
    """Of a hold by the clocks: the public reads it, so it says how many and never which."""
    counted = Counter(severities)
    one = counted.total() == 1
    return (
        f"{counted.total()} {'vulnerability was' if one else 'vulnerabilities were'} not mended in time: "
        f"{tally(counted.elements())}. {'It is' if one else 'They are'} shown to the publisher alone, by "
        "`wharfinger watch product`."
    )


#: to subscribers, who cannot do anything about it but look after their own containers
PUBLIC_NEWS = Situation("published", _TURNS[Turn.PUBLISHER], "The publisher mends them in a new version.")


def of_news(lines: Iterable[NewsLine], by: datetime | None) -> Situation:
    """To a publisher, of what the advisories say of its products now. `by` is when the first clock ends."""
    if all(line.change is ChangeKind.RETRACTED for line in lines):
        return Situation("", _TURNS[Turn.NOBODY], "Nothing: what is retracted needs no mending.")
    if by is None:
        return Situation("", _TURNS[Turn.PUBLISHER], "The publisher mends them or documents them; no clock runs.")
    next_ = "The publisher mends them in a new version; a product with overdue ones goes on hold."
    return Situation("", _TURNS[Turn.PUBLISHER], next_, by)


UNREAD_ADVISORIES = Situation("", "the operators'", "The operators mend the source or its address; it is asked again.")


def of_unclassed(by: datetime | None) -> Situation:
    return Situation("", "the security team's", "The security team gives each a class; the clocks start then.", by)


def of_mass_change(snapshot: MassChangeSnapshot) -> Situation:
    match snapshot.status:
        case BatchStatus.WAITING:
            next_ = "The security team confirms it, and the products are told; or declines, and nobody is."
            return Situation("waiting", "the security team's", next_, snapshot.remind_at)
        case BatchStatus.TELLING:
            return Situation("telling", _TURNS[Turn.HUB], "Products and publishers are told; clocks start.")
        case BatchStatus.DISMISSED:
            return Situation("dismissed", _TURNS[Turn.NOBODY], "Nothing: no product is told of this update.")
        case _:
            return Situation(str(snapshot.status), _TURNS[Turn.NOBODY], "Nothing: every product has been told.")


def snapshot_of(state: SubmissionState) -> Snapshot:
    """What is shown of a submission's state."""
    return Snapshot(
        id=state.id,
        revision=state.revision,
        stage=state.stage,
        turn=state.turn,
        iteration=state.iteration,
        number=state.number,
        release=state.release,
        content=state.content,
        due=state.deadline.due if state.deadline else None,
        overdue=bool(state.deadline and state.deadline.overdue),
        outcome=state.outcome,
        proposal=state.proposal,
        paused=state.paused.reason if state.paused else "",
        responded=state.responded,
        warned=state.warned,
        appealed=state.appealed,
        uncertified=state.uncertified,
        assignee=state.assignee,
    )


def status_page(state: SubmissionState) -> str:
    """Markdown for the Temporal UI: the run reads like a status page."""
    situation = of_submission(snapshot_of(state))
    lines = [
        f"**{situation.status}** · iteration {state.iteration} · revision {state.revision}",
        f"- turn: **{situation.turn}**" + (f", by {situation.by:%Y-%m-%d %H:%M} UTC" if situation.by else ""),
        f"- next: {situation.next}",
    ]
    if state.release:
        lines.append(f"- release set: `{state.release}`")
    outcome = state.outcome
    if outcome.requirements or outcome.guidelines or outcome.vulnerabilities:
        lines.append(
            f"- findings: {outcome.requirements} requirements ({len(outcome.blocking) + outcome.unlisted} open), "
            f"{outcome.guidelines} guidelines, {outcome.vulnerabilities} vulnerabilities, {outcome.waived} waived"
        )
    if outcome.errors:
        lines.append(f"- checks of the hub that broke: {outcome.errors}")
    if state.proposal:
        lines.append(f"- proposed: {_PROPOSED[state.proposal.act]}")
    return "\n".join(lines)
