"""What the clocks of vulnerabilities do to a listing: reminder, hold, warning; and how it recovers by itself.

What was not mended in time puts the listing on hold, by the clock alone; as soon as nothing is overdue any more it
comes off it, by itself as well. A hold that people have decided stays theirs. Source: domain.md, "Scanning".
"""

from datetime import datetime

from models.notices import NoticeKind as N
from models.products import ListingStatus, ProductState
from models.watching import ExposureNews
from policies import clocks, product, words
from policies.product import Change

_REMEMBERED = 100


def told(state: ProductState, news: ExposureNews, now: datetime) -> Change:
    """News of the advisories. Told again, or of images that are not published any more, they change nothing.

    A change of the revision says that there is something to record; what has no clock is only remembered as told.
    """
    if news.id in state.told:
        return Change(state)
    if state.status is ListingStatus.UNPUBLISHED or news.release != state.release:
        return Change(_kept(state, news))
    remediation, watch = news.clocks or state.clocks, news.watch or state.watch
    known = clocks.applied(state.exposures, news.changes, now, remediation, watch)
    remembered = state.model_copy(
        update={
            "exposures": known,
            "clocks": remediation,
            "watch": watch,
            "told": (*state.told, news.id)[-_REMEMBERED:],
        }
    )
    if known is state.exposures:
        return Change(remembered)
    revised = remembered.model_copy(update={"revision": state.revision + 1})
    if revised.by_clock and not clocks.overdue(known, now):
        return Change(product.recovered(revised), (N.RECOVERED, N.LISTING_RECOVERED))
    if revised.by_clock and revised.status is ListingStatus.HOLD:
        return Change(product.held_by_clock(revised, now))
    return Change(revised)


def _kept(state: ProductState, news: ExposureNews) -> ProductState:
    """News of a version that is being published are kept until that is concluded; of any other they are too late."""
    if news in state.early or not any(order.release == news.release for order in state.queue):
        return state
    return state.model_copy(update={"early": (*state.early, news)})


def next_moment(state: ProductState) -> datetime | None:
    """When the clocks do something by themselves; None while they do not run: unpublished or revoked."""
    match state.status:
        case ListingStatus.PUBLISHED:
            return clocks.next_moment(state.exposures)
        case ListingStatus.HOLD:
            more = clocks.next_overdue(state.exposures) if state.by_clock else None
            return min(filter(None, (state.warn_at, more)), default=None)
        case _:
            return None


def struck(state: ProductState, now: datetime) -> Change:
    """What the clocks do `now`; nothing before their moment."""
    moment = next_moment(state)
    if moment is None or moment > now:
        return Change(state)
    if state.status is ListingStatus.HOLD and state.warn_at is not None and state.warn_at <= now:
        warned = state.model_copy(update={"warn_at": None, "revision": state.revision + 1})
        return Change(warned, (N.REVOKE_WARNING,))
    if state.status is ListingStatus.HOLD:
        # the label says how many: more have come to their end
        more = product.held_by_clock(state, now)
        return Change(more.model_copy(update={"revision": state.revision + 1}))
    if clocks.overdue(state.exposures, now):
        held = product.held_by_clock(state, now)
        return Change(held.model_copy(update={"revision": state.revision + 1}), (N.ON_HOLD, N.LISTING_ON_HOLD))
    reminded = clocks.reminded(state.exposures, now)
    return Change(
        state.model_copy(update={"exposures": reminded, "revision": state.revision + 1}), (N.REMEDIATION_REMINDER,)
    )


def event(change: Change) -> tuple[str, str]:
    """Name and words of what the clocks did, for the audit trail."""
    if N.REMEDIATION_REMINDER in change.notices:
        return "remediation_reminder", count(change.state)
    if N.REVOKE_WARNING in change.notices:
        return "revoke_warning", ""
    return "overdue", change.state.reason


def count(state: ProductState) -> str:
    """`1 critical, 2 major`: what has a clock."""
    return words.tally(clock.severity for clock in state.exposures)
