"""The clocks of vulnerabilities in a published product: when they begin, remind and end (domain.md, "Scanning").

A clock runs from the moment that the publisher is told: of what is critical at once, of the rest by the day's digest. A
policy that is edited changes no clock that runs already.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from models.findings import Severity
from models.policy import Remediation, Watch
from models.watching import ChangeKind, Clock, Exposure, ExposureChange

Clocks = tuple[Clock, ...]

#: classes that have a term; the others wait for the security team, or for nobody
_TIMED = {Severity.MAJOR: 1, Severity.CRITICAL: 2}


def applied(
    clocks: Clocks, changes: Iterable[ExposureChange], at: datetime, remediation: Remediation, watch: Watch
) -> Clocks:
    """The clocks after news that came `at`; the same object when they change nothing."""
    known = {clock.key: clock for clock in clocks}
    for change in changes:
        exposure = change.exposure
        if change.kind is ChangeKind.RETRACTED or exposure.severity not in _TIMED:
            known.pop(exposure.key, None)
        else:
            fresh = _begun(exposure, at, remediation, watch)
            known[exposure.key] = _going_on(known.get(exposure.key), fresh, remediation)
    told = tuple(known.values())
    return clocks if told == clocks else told


def _begun(exposure: Exposure, at: datetime, remediation: Remediation, watch: Watch) -> Clock:
    begins = at if exposure.severity is Severity.CRITICAL else digest_after(at, watch)
    clock = Clock(key=exposure.key, severity=exposure.severity, begins=begins)
    if exposure.inherited and not exposure.fix_exists and watch.inherited_waits_for_fix:
        return clock
    return _due(clock, begins + _term(exposure.severity, remediation), begins, remediation)


def _going_on(known: Clock | None, fresh: Clock, remediation: Remediation) -> Clock:
    """The same news again start nothing anew; what has become heavier has the nearer end, what is lighter the later."""
    if known is None or known.due is None:
        return fresh
    if fresh.severity is known.severity:
        return known
    if fresh.due is None:
        return known.model_copy(update={"severity": fresh.severity})
    nearer = _TIMED[fresh.severity] > _TIMED[known.severity]
    due = min(known.due, fresh.due) if nearer else max(known.due, fresh.due)
    return _due(fresh, due, fresh.begins, remediation)


def _due(clock: Clock, due: datetime, since: datetime, remediation: Remediation) -> Clock:
    """A reminder that would come before the publisher is told is none."""
    remind_at = due - _reminder(clock.severity, remediation)
    coming = remind_at if remind_at > since else None
    return clock.model_copy(update={"due": due, "remind_at": coming, "overdue": False})


def _term(severity: Severity, remediation: Remediation) -> timedelta:
    if severity is Severity.CRITICAL:
        return timedelta(hours=remediation.critical_hours)
    return timedelta(days=remediation.major_days)


def _reminder(severity: Severity, remediation: Remediation) -> timedelta:
    if severity is Severity.CRITICAL:
        return timedelta(hours=remediation.critical_reminder_hours)
    return timedelta(days=remediation.major_reminder_days)


def digest_after(moment: datetime, watch: Watch) -> datetime:
    """When the next daily mail goes out."""
    today = moment.replace(hour=watch.digest_hour, minute=0, second=0, microsecond=0)
    return today if today > moment else today + timedelta(days=1)


def first_due(
    changes: Iterable[ExposureChange], at: datetime, remediation: Remediation, watch: Watch
) -> datetime | None:
    """When the first clock of these changes ends, of which nobody was told before; None when none of them has one."""
    return next_due(applied((), changes, at, remediation, watch))


def next_due(clocks: Clocks) -> datetime | None:
    return min((clock.due for clock in clocks if clock.due is not None), default=None)


def next_moment(clocks: Clocks) -> datetime | None:
    """When something has to happen by itself: a reminder, or the end of a term."""
    moments = [moment for clock in clocks for moment in (clock.remind_at, clock.due) if moment is not None]
    return min(moments, default=None)


def overdue(clocks: Clocks, now: datetime) -> Clocks:
    return tuple(clock for clock in clocks if clock.due is not None and clock.due <= now)


def noted(clocks: Clocks, now: datetime) -> Clocks:
    """What is overdue is known to be."""
    late = overdue(clocks, now)
    return tuple(clock.model_copy(update={"overdue": True}) if clock in late else clock for clock in clocks)


def next_overdue(clocks: Clocks) -> datetime | None:
    """When the first of those ends that are not known to be overdue."""
    return next_due(tuple(clock for clock in clocks if not clock.overdue))


def reminded(clocks: Clocks, now: datetime) -> Clocks:
    """One reminder for all whose moment has come; the same object when there is none."""
    if not any(_wants_reminder(clock, now) for clock in clocks):
        return clocks
    return tuple(
        clock.model_copy(update={"remind_at": None}) if _wants_reminder(clock, now) else clock for clock in clocks
    )


def _wants_reminder(clock: Clock, now: datetime) -> bool:
    return clock.remind_at is not None and clock.remind_at <= now


def renewed(clocks: Clocks, now: datetime, remediation: Remediation) -> Clocks:
    """Somebody has decided that the listing is fit as it is: the publisher has the whole of each term again."""
    return tuple(
        clock
        if clock.due is None
        else _due(clock, max(clock.due, now + _term(clock.severity, remediation)), now, remediation)
        for clock in clocks
    )
