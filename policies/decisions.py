"""What moderators and second approvers decide on a submission."""

from datetime import timedelta

from models import commands as c
from models.lifecycle import Deadline, DeadlineKind, Proposal, ProposedAct, Stage, SubmissionState, Turn
from models.notices import NoticeKind as N
from policies.stages import Change, Told, dormant, moved, publishes, undoable, waits_for_publisher


def approve(told: Told, command: c.Command) -> Change:
    state = told.state
    if blocking := state.outcome.blocking:
        raise told.refuse(
            f"{len(blocking)} requirements are open ({', '.join(blocking[:5])}): waive them or ask for changes."
        )
    cleared = state.model_copy(update={"warned": False, "uncertified": False, **undoable(told, "approve")})
    if state.certify:
        certifying = moved(cleared, Stage.CERTIFYING, Turn.CERTIFIER, told.now, None)
        return Change(certifying, (N.APPROVED, N.CERTIFICATION_STARTED))
    return Change(publishes(cleared, told.now), (N.APPROVED,))


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
    if command.finding in state.outcome.critical:
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
    """The second approver is at turn; what was running before comes back when the proposal is dropped."""
    term = timedelta(days=told.state.terms.second_approver_reminder_days)
    deadline = Deadline(kind=DeadlineKind.SECOND_APPROVAL, due=told.now + term)
    update = {
        "turn": Turn.SECOND_APPROVER,
        "deadline": deadline,
        "proposal": proposal.model_copy(update={"suspended": told.state.deadline}),
        **undoable(told, f"propose to {proposal.act}"),
    }
    return Change(told.state.model_copy(update=update), (notice,))


def _without_proposal(state: SubmissionState) -> SubmissionState:
    deadline = state.proposal.suspended if state.proposal else state.deadline
    return state.model_copy(update={"turn": Turn.MODERATOR, "deadline": deadline, "proposal": None})


def confirm(told: Told, command: c.Command) -> Change:
    proposal = told.state.proposal
    assert proposal is not None  # noqa: S101 - _applies has looked
    if proposal.actor == told.actor:
        raise told.refuse("The approver is not the proposer: somebody else has to confirm.")
    back = _without_proposal(told.state)
    before = told._replace(state=back)
    match proposal.act:
        case ProposedAct.WAIVE:
            return _waived(before, proposal.finding, proposal.waiver, back)
        case ProposedAct.REJECT_DELAYED:
            deadline = Deadline(
                kind=DeadlineKind.LAST_WARNING,
                due=told.now + timedelta(days=back.terms.last_warning_days),
                remind_at=told.now + timedelta(days=back.terms.last_warning_days / 2),
            )
            warned = moved(back, Stage.WAITING, Turn.PUBLISHER, told.now, deadline)
            update = {"warned": True, "rejected_by": proposal.actor, "responded": False}
            return Change(warned.model_copy(update=update | undoable(before, "reject")), (N.LAST_WARNING,))
        case _:
            update = {"rejected_by": proposal.actor, **undoable(before, "reject")}
            rejected = dormant(back, Stage.REJECTED, told.now)
            return Change(rejected.model_copy(update=update), (N.REJECTED,))


def decline(told: Told, command: c.Command) -> Change:
    state = _without_proposal(told.state).model_copy(update={"undoable": None})
    return Change(state, (N.PROPOSAL_DECLINED,))


def undo(told: Told, command: c.Command) -> Change:
    before = told.state.undoable
    assert before is not None  # noqa: S101 - _applies has looked
    restored = told.state.model_copy(
        update={
            "stage": before.stage,
            "turn": before.turn,
            "deadline": before.deadline,
            "proposal": before.proposal,
            "outcome": before.outcome or told.state.outcome,
            "warned": before.warned,
            "responded": before.responded,
            "appealed": before.appealed,
            "rejected_by": before.rejected_by,
            "undoable": None,
        }
    )
    # a proposal was never told to the publisher, so there is nothing to correct
    notices = () if before.act.startswith("propose") else (N.CORRECTION,)
    return Change(restored, notices, before.waiver)
