"""What moderators and second approvers decide on a submission."""

from datetime import timedelta

from models import commands as c
from models.findings import READABLE
from models.lifecycle import Deadline, DeadlineKind, Proposal, ProposedAct, Stage, SubmissionState, Turn
from models.notices import NoticeKind as N
from policies.rights import DECIDES, effective
from policies.stages import Change, Told, clocked, dormant, moved, publishes, undoable, waits_for_publisher


def approve(told: Told, command: c.Command) -> Change:
    state = told.state
    if blocking := state.outcome.blocking:
        count = len(blocking) + state.outcome.unlisted
        raise told.refuse(f"{count} requirements are open ({', '.join(blocking[:5])}): waive them or ask for changes.")
    if not state.release:
        raise told.refuse("No source could be pinned in this iteration, so there is nothing to approve.")
    approved = state.model_copy(update=undoable(told, "approve"))
    if state.certify:
        certifying = moved(approved, Stage.CERTIFYING, Turn.CERTIFIER, told.now, None)
        return Change(certifying, (N.APPROVED, N.CERTIFICATION_STARTED))
    return Change(publishes(approved, told.now), (N.APPROVED,))


def request_changes(told: Told, command: c.Command) -> Change:
    if not told.text.strip():
        raise told.refuse("Say what has to change: the text of the review is empty.")
    state = told.state.model_copy(update=undoable(told, "request_changes"))
    return Change(waits_for_publisher(state, told.now), (N.CHANGES_REQUESTED,))


def reject(told: Told, command: c.Command) -> Change:
    assert isinstance(command, c.Reject)  # noqa: S101 - the table below pairs them
    if not told.text.strip():
        raise told.refuse("Say why it is rejected: the reason is empty.")
    act = ProposedAct.REJECT_DELAYED if command.delayed else ProposedAct.REJECT
    return _propose(told, Proposal(act=act, actor=told.actor, text=told.text), N.REJECTION_PROPOSED)


def waive(told: Told, command: c.Command) -> Change:
    assert isinstance(command, c.Waive)  # noqa: S101
    state = told.state
    if command.finding not in state.outcome.blocking:
        raise told.refuse(f"No open requirement has the key {command.finding}: only those need a waiver.")
    if command.finding.partition(":")[0] == READABLE:
        raise told.refuse("What cannot be read cannot be checked, and what was not checked cannot be waived.")
    if not command.waiver:
        raise told.refuse("The waiver itself is missing: its evidence, scope and expiry are stored before it is given.")
    if command.finding in state.outcome.critical or DECIDES.isdisjoint(effective(told.standing)):
        proposal = Proposal(
            act=ProposedAct.WAIVE,
            actor=told.actor,
            text=told.text,
            finding=command.finding,
            waiver=command.waiver,
        )
        return _propose(told, proposal, N.WAIVER_PROPOSED)
    return _waived(told, command.finding, command.waiver, state)


def _waived(told: Told, finding: str, waiver: str, state: SubmissionState) -> Change:
    outcome = state.outcome
    lighter = outcome.model_copy(
        update={
            "blocking": tuple(key for key in outcome.blocking if key != finding),
            "critical": tuple(key for key in outcome.critical if key != finding),
            "waived": outcome.waived + 1,
        }
    )
    update = {"outcome": lighter, **undoable(told, "waive", waiver)}
    return Change(state.model_copy(update=update), (N.WAIVER_GRANTED,), waiver)


def _propose(told: Told, proposal: Proposal, notice: N) -> Change:
    """The second approver is at turn; the moderators' clock stands still, and goes on when the proposal is dropped."""
    state = clocked(told.state, told.now)
    term = timedelta(days=state.terms.second_approver_reminder_days)
    update = {
        "turn": Turn.SECOND_APPROVER,
        "deadline": Deadline(kind=DeadlineKind.SECOND_APPROVAL, due=told.now + term),
        "proposal": proposal.model_copy(update={"suspended": state.deadline, "since": told.now}),
        **undoable(told, f"propose to {proposal.act}"),
    }
    return Change(state.model_copy(update=update), (notice,))


def _without_proposal(told: Told, proposal: Proposal) -> SubmissionState:
    deadline = proposal.suspended
    if deadline is not None:
        deadline = deadline.later(told.now - (proposal.since or told.now))
    update = {"turn": Turn.MODERATOR, "deadline": deadline, "proposal": None}
    return clocked(told.state, told.now).model_copy(update=update)


def confirm(told: Told, command: c.Command) -> Change:
    proposal = told.state.proposal
    assert proposal is not None  # noqa: S101 - stages.applies has looked
    if proposal.actor == told.actor:
        raise told.refuse("The approver is not the proposer: somebody else has to confirm.")
    back = _without_proposal(told, proposal)
    rejected_by = (proposal.actor, told.actor)
    before = told._replace(state=back)
    match proposal.act:
        case ProposedAct.WAIVE:
            return _waived(before, proposal.finding, proposal.waiver, back)
        case ProposedAct.REJECT_DELAYED:
            deadline = Deadline(
                kind=DeadlineKind.LAST_WARNING,
                due=told.now + timedelta(days=back.terms.last_warning_days),
                remind_at=told.now + timedelta(days=back.terms.last_warning_reminder_days),
            )
            warned = moved(back, Stage.WAITING, Turn.PUBLISHER, told.now, deadline)
            update = {"warned": True, "rejected_by": rejected_by, "responded": False, "appealed": False}
            return Change(warned.model_copy(update=update | undoable(before, "reject")), (N.LAST_WARNING,))
        case _:
            update = {"rejected_by": rejected_by, **undoable(before, "reject")}
            rejected = dormant(back, Stage.REJECTED, told.now)
            return Change(rejected.model_copy(update=update), (N.REJECTED,))


def decline(told: Told, command: c.Command) -> Change:
    proposal = told.state.proposal
    assert proposal is not None  # noqa: S101 - stages.applies has looked
    if proposal.actor == told.actor:
        raise told.refuse("The approver is not the proposer: your own proposal is taken back with undo.")
    state = _without_proposal(told, proposal).model_copy(update={"undoable": None})
    return Change(state, (N.PROPOSAL_DECLINED,))


def undo(told: Told, command: c.Command) -> Change:
    before = told.state.undoable
    assert before is not None  # noqa: S101 - stages.applies has looked
    state = clocked(told.state, told.now)
    deadline = before.deadline
    if (before.stage, before.turn) == (state.stage, state.turn):
        # a waiver moved nothing: the clock has been running all the while
        deadline = state.deadline
    elif deadline:
        deadline = deadline.later(told.now - before.at)
    restored = state.model_copy(
        update={
            "stage": before.stage,
            "turn": before.turn,
            "deadline": deadline,
            "proposal": None,
            "outcome": before.outcome,
            "warned": before.warned,
            # what the publisher has written to a proposal's second approver stays written
            "responded": before.responded or state.responded,
            "appealed": before.appealed,
            "rejected_by": before.rejected_by,
            "uncertified": False,
            "undoable": None,
        }
    )
    # a proposal was never told to the publisher, so there is nothing to correct
    notices = () if before.act.startswith("propose") else (N.CORRECTION,)
    return Change(restored, notices, before.waiver)
