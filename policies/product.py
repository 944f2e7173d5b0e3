"""The life of a product: which submission counts, one publication at a time, hold, revoke, recover.

What the clocks of vulnerabilities do to it by themselves is policies/remediation.py.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from models import commands as c
from models.content import Track
from models.errors import NotAllowed
from models.findings import Severity
from models.lifecycle import Proposal, ProposedAct
from models.notices import NoticeKind as N
from models.policy import Remediation
from models.products import (
    ListingBefore,
    ListingStatus,
    NewSubmission,
    OpenSubmission,
    ProductSnapshot,
    ProductState,
    PublicationOrder,
)
from models.publishers import Standing
from models.watching import Clock, ExposureChange
from policies import clocks, words
from policies.rights import DECIDES, PRODUCT_RIGHTS, demand, effective

_REMEMBERED = 100


class Change(NamedTuple):
    state: ProductState
    notices: tuple[N, ...] = ()
    #: the older submission of the same track, which has to be told
    superseded: str = ""
    #: digest of the waiver that takes effect, or is taken back
    waiver: str = ""


def submit(state: ProductState, new: NewSubmission, terms: Remediation) -> Change:
    """Number a submission. A newer one of the same track supersedes the older, unless that is being published."""
    if new.publisher != state.publisher:
        raise NotAllowed("This product belongs to another publisher.")
    if new.product != state.id:
        raise NotAllowed(f"This is the process of the product {state.id}, not of {new.product}.")
    if any(known.id == new.id for known in state.open):
        return Change(state)
    if new.id in state.seen:
        raise NotAllowed(f"Submission {new.id} was handed in before.")
    publishing = {order.submission for order in state.queue}
    older = next((o for o in state.open if o.track is new.track and o.id not in publishing), None)
    number = state.numbered + 1
    kept = tuple(known for known in state.open if known is not older)
    changed = state.model_copy(
        update={
            "clocks": terms,
            "numbered": number,
            "open": (*kept, OpenSubmission(id=new.id, number=number, track=new.track)),
            "seen": (*state.seen, new.id)[-_REMEMBERED:],
        }
    )
    return Change(_revised(changed), superseded=older.id if older else "")


def order(state: ProductState, publication: PublicationOrder) -> ProductState:
    """Queue a publication; ordered again, it is queued once. A submission's newer order takes the older one's place."""
    if publication in state.queue:
        return state
    return state.model_copy(update={"queue": (*recall(state, publication.submission).queue, publication)})


def recall(state: ProductState, submission: str) -> ProductState:
    """An undone approval leaves the queue."""
    return state.model_copy(update={"queue": tuple(o for o in state.queue if o.submission != submission)})


def closed(state: ProductState, submission: str) -> ProductState:
    """A submission has ended: it is superseded by nothing any more."""
    return state.model_copy(update={"open": tuple(o for o in state.open if o.id != submission)})


def published(
    state: ProductState,
    publication: PublicationOrder,
    changes: Sequence[ExposureChange] = (),
    now: datetime | None = None,
) -> Change:
    """A new version in the catalog also ends a hold or a revocation: it is the way to mend one.

    `changes` is how its vulnerabilities differ from those of the version before: one that does not mend what is overdue
    is on hold in its turn. A listing edit brings no image, so it mends nothing and is no release. A proposal still
    waits for its approver.
    """
    done = _without(closed(state, publication.submission), publication)
    update: dict[str, object] = {"content": publication.content, "submission": publication.submission}
    if publication.track is Track.LISTING:
        return Change(_revised(done.model_copy(update=update)))
    update |= {"release": publication.release or state.release, "before": None, "withdrawn": False}
    done = done.model_copy(update=update)
    if now is not None:
        done = _exposed(done, changes, now)
        if clocks.overdue(done.exposures, now):
            return Change(_revised(held_by_clock(done, now)), (N.STILL_ON_HOLD, N.RELEASE_PUBLISHED))
    notices = [N.RELEASE_PUBLISHED]
    if state.status in (ListingStatus.HOLD, ListingStatus.REVOKED):
        notices.insert(0, N.RECOVERED)
    if state.by_clock:
        notices.append(N.LISTING_RECOVERED)
    return Change(recovered(_revised(done)), tuple(notices))


def _exposed(state: ProductState, changes: Sequence[ExposureChange], now: datetime) -> ProductState:
    """A revocation by people has stopped the clocks: they begin anew with the version that ends it."""
    known = clocks.applied(state.exposures, changes, now, state.clocks, state.watch)
    if state.status is ListingStatus.REVOKED and not state.by_clock:
        known = clocks.renewed(known, now, state.clocks)
    return state.model_copy(update={"exposures": known})


def recovered(state: ProductState) -> ProductState:
    """Published as before: nothing is held against it. A proposal still waits for its approver."""
    return state.model_copy(
        update={
            "status": ListingStatus.PUBLISHED,
            "reason": "",
            "hold_until": None,
            "warn_at": None,
            "by_clock": False,
            "before": None,
        }
    )


def held_by_clock(state: ProductState, now: datetime) -> ProductState:
    """On hold for what is overdue, by the policy's clocks alone; a hold of theirs that lasts already keeps its term.

    Nobody's decision, so there is nothing to undo. A proposal to revoke still waits for its approver, one to hold has
    what it asked for.
    """
    lasts = state.status is ListingStatus.HOLD and state.by_clock
    until = state.hold_until if lasts else now + timedelta(days=state.clocks.hold_days)
    proposal = state.proposal
    return state.model_copy(
        update={
            "status": ListingStatus.HOLD,
            "exposures": clocks.noted(state.exposures, now),
            "reason": words.overdue_reason(clock.severity for clock in clocks.overdue(state.exposures, now)),
            "hold_until": until,
            "warn_at": state.warn_at if lasts else _warned_at(state, now, until),
            "by_clock": True,
            "before": None,
            "decided_by": "",
            "proposal": None if proposal is not None and proposal.act is ProposedAct.HOLD else proposal,
        }
    )


def _warned_at(state: ProductState, now: datetime, until: datetime | None) -> datetime | None:
    """A warning that would come before its hold is none."""
    moment = until and until - timedelta(days=state.clocks.revoke_warning_days)
    return moment if moment is not None and moment > now else None


def is_live(state: ProductState, publication: PublicationOrder) -> bool:
    """Ordered again after it was published: told again, published once."""
    return (publication.submission, publication.content) == (state.submission, state.content)


def shown(state: ProductState, *, withdrawn: bool) -> ProductState:
    """The registry has done what a revocation or a recovery asks of it."""
    return state.model_copy(update={"withdrawn": withdrawn})


def failed(state: ProductState, publication: PublicationOrder) -> ProductState:
    """Trying again cannot help: the order leaves the queue, the submission stays open."""
    return _without(state, publication)


def _without(state: ProductState, publication: PublicationOrder) -> ProductState:
    """A newer order of the same submission stays."""
    return state.model_copy(update={"queue": tuple(queued for queued in state.queue if queued != publication)})


def tell(state: ProductState, command: c.Command, standing: Standing, now: datetime) -> Change:
    """Judge hold, revoke, recover and their confirmation. NotAllowed says what is allowed now. Repeated: no change."""
    if command.id in state.seen:
        return Change(state)
    demand(PRODUCT_RIGHTS, command, standing)
    if command.release and command.release != state.release:
        raise NotAllowed(f"That was about release set {command.release}, which is not the published one now.")
    change = _judged(state, command, standing, now)
    seen = (*state.seen, command.id)[-_REMEMBERED:]
    return change._replace(state=_revised(change.state.model_copy(update={"seen": seen})))


def _judged(state: ProductState, command: c.Command, standing: Standing, now: datetime) -> Change:
    live = {ListingStatus.PUBLISHED, ListingStatus.HOLD}
    match command:
        case c.Hold() if state.status is ListingStatus.PUBLISHED and state.proposal is None:
            return _proposed(state, ProposedAct.HOLD, command, N.HOLD_PROPOSED)
        case c.Revoke() if state.status in live and state.proposal is None:
            return _proposed(state, ProposedAct.REVOKE, command, N.REVOCATION_PROPOSED)
        case c.Recover() if state.status in (ListingStatus.HOLD, ListingStatus.REVOKED) and state.proposal is None:
            decided = _decided(state, command.actor, now)
            told = (N.RECOVERED, N.LISTING_RECOVERED) if state.by_clock else (N.RECOVERED,)
            return Change(_listed(decided, ListingStatus.PUBLISHED), told)
        case c.Waive() if state.proposal is None:
            return _waive(state, command, standing, now)
        case c.AskWaiver():
            _refuse_unknown(state, command.finding)
            return Change(state.model_copy(), (N.WAIVER_ASKED,))
        case c.Confirm() | c.Decline() if state.proposal is not None and state.proposal.actor == command.actor:
            raise NotAllowed("The approver is not the proposer: somebody else confirms or declines.")
        case c.Confirm() if state.proposal is not None:
            return _confirmed(state, state.proposal, command.actor, now)
        case c.Decline() if state.proposal is not None:
            return Change(state.model_copy(update={"proposal": None}), (N.PROPOSAL_DECLINED,))
        case c.Undo() if state.proposal is not None:
            return Change(state.model_copy(update={"proposal": None}))
        case c.Undo() if state.before is not None and state.before.waiver:
            # its exposure is open again for the next look at the advisories, which starts its clock anew
            return Change(state.model_copy(update={"before": None}), (N.CORRECTION,), waiver=state.before.waiver)
        case c.Undo() if state.before is not None:
            return _undone(state, state.before, command.actor, now)
        case _:
            waiting = f", with a proposal to {state.proposal.act}" if state.proposal else ""
            raise NotAllowed(f"{command.act} does not apply: the listing is {state.status}{waiting}.")


def _proposed(state: ProductState, act: ProposedAct, command: c.Command, notice: N) -> Change:
    if not command.text.strip():
        raise NotAllowed("Say why: the public and the publisher see the reason.")
    proposal = Proposal(act=act, actor=command.actor, text=command.text)
    return Change(state.model_copy(update={"proposal": proposal, "before": None}), (notice,))


def _waive(state: ProductState, command: c.Waive, standing: Standing, now: datetime) -> Change:
    """What is critical needs a second approver, and so does what a reviewer proposes."""
    clock = _refuse_unknown(state, command.finding)
    if clock.severity is Severity.CRITICAL or DECIDES.isdisjoint(effective(standing)):
        proposal = Proposal(
            act=ProposedAct.WAIVE,
            actor=command.actor,
            text=command.text,
            finding=command.finding,
            waiver=command.waiver,
        )
        return Change(state.model_copy(update={"proposal": proposal, "before": None}), (N.WAIVER_PROPOSED,))
    return _waived(state, command.finding, command.waiver, now)


def _refuse_unknown(state: ProductState, finding: str) -> Clock:
    """Only what has a clock needs a waiver; what waits for a class or is minor holds nothing against the listing."""
    for clock in state.exposures:
        if clock.key == finding:
            return clock
    raise NotAllowed(f"Nothing with the key {finding} has to be mended: only what has a clock needs a waiver.")


def _waived(state: ProductState, finding: str, waiver: str, now: datetime) -> Change:
    """Its clock ends, and with it the hold if nothing else is overdue. When the waiver ends, a new clock begins."""
    kept = tuple(clock for clock in state.exposures if clock.key != finding)
    waived = state.model_copy(update={"exposures": kept, "proposal": None})
    notices: tuple[N, ...] = (N.WAIVER_GRANTED,)
    if state.by_clock and not clocks.overdue(kept, now):
        waived, notices = recovered(waived), (N.WAIVER_GRANTED, N.RECOVERED, N.LISTING_RECOVERED)
    elif state.by_clock and state.status is ListingStatus.HOLD:
        waived = held_by_clock(waived, now)
    before = ListingBefore(status=waived.status, at=now, waiver=waiver)
    return Change(waived.model_copy(update={"before": before}), notices, waiver=waiver)


def _confirmed(state: ProductState, proposal: Proposal, actor: str, now: datetime) -> Change:
    if proposal.act is ProposedAct.WAIVE:
        return _waived(state, proposal.finding, proposal.waiver, now)
    decided = _decided(state, actor, now)
    if proposal.act is ProposedAct.HOLD:
        until = now + timedelta(days=state.clocks.hold_days)
        held = _listed(decided, ListingStatus.HOLD, proposal.text, until)
        return Change(held.model_copy(update={"warn_at": _warned_at(state, now, until)}), (N.ON_HOLD,))
    return Change(_listed(decided, ListingStatus.REVOKED, proposal.text), (N.REVOKED,))


def _undone(state: ProductState, before: ListingBefore, actor: str, now: datetime) -> Change:
    """The latest decision is taken back, once; a hold that comes back has as much time as it had left."""
    until = before.hold_until and before.hold_until + (now - before.at)
    decided = _decided(state, actor, now).model_copy(update={"before": None})
    undone = _listed(decided, before.status, before.reason, until)
    warn_at = _warned_at(state, now, until)
    return Change(undone.model_copy(update={"by_clock": before.by_clock, "warn_at": warn_at}), (N.CORRECTION,))


def hold_over(state: ProductState, now: datetime) -> Change:
    """A hold lasts at most its term, then the listing is revoked: the policy's clock acts alone (domain.md)."""
    if state.status is not ListingStatus.HOLD or state.hold_until is None or state.hold_until > now:
        return Change(state)
    # nobody's decision: there is nothing to undo, but a revoked listing can be recovered
    by_itself = state.model_copy(update={"before": None, "decided_by": ""})
    return Change(_revised(_listed(by_itself, ListingStatus.REVOKED, state.reason)), (N.REVOKED,))


def _decided(state: ProductState, actor: str, now: datetime) -> ProductState:
    """A person decides: what was the clocks' is that person's now, and what is published again has its terms anew."""
    known = state.exposures
    if state.status is not ListingStatus.PUBLISHED:
        known = clocks.renewed(known, now, state.clocks)
    return state.model_copy(
        update={
            "before": ListingBefore(
                status=state.status,
                at=now,
                reason=state.reason,
                hold_until=state.hold_until,
                by_clock=state.by_clock,
            ),
            "decided_by": actor,
            "by_clock": False,
            "exposures": known,
        }
    )


def _listed(
    state: ProductState, status: ListingStatus, reason: str = "", until: datetime | None = None
) -> ProductState:
    return state.model_copy(
        update={"status": status, "reason": reason, "hold_until": until, "warn_at": None, "proposal": None}
    )


def _revised(state: ProductState) -> ProductState:
    return state.model_copy(update={"revision": state.revision + 1})


def snapshot_of(state: ProductState) -> ProductSnapshot:
    classes = Counter(clock.severity for clock in state.exposures)
    return ProductSnapshot(
        id=state.id,
        revision=state.revision,
        status=state.status,
        numbered=state.numbered,
        release=state.release,
        content=state.content,
        submission=state.submission,
        proposal=state.proposal,
        reason=state.reason,
        hold_until=state.hold_until,
        waiting=tuple(queued.submission for queued in state.queue),
        critical=classes[Severity.CRITICAL],
        major=classes[Severity.MAJOR],
        mend_by=clocks.next_due(state.exposures),
        by_clock=state.by_clock,
    )
