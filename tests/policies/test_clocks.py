"""When the clocks of vulnerabilities begin, remind and end; and that no news shorten what runs."""

from datetime import datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from models.findings import Severity
from models.policy import Remediation, Watch
from models.watching import ChangeKind, Clock, Exposure, ExposureChange
from policies import clocks
from tests.policies.samples import DAY, MONDAY

TERMS, WATCH = Remediation(), Watch()
HOUR = timedelta(hours=1)
#: MONDAY is at nine: the next digest is on Tuesday at six
DIGEST = MONDAY + 21 * HOUR


def change(
    key: str = "CVE-1", severity: Severity = Severity.CRITICAL, kind: ChangeKind = ChangeKind.NEW, **fields: Any
) -> ExposureChange:
    return ExposureChange(kind=kind, exposure=Exposure(key=key, severity=severity, **fields))


def after(*changes: ExposureChange, known: clocks.Clocks = (), at: datetime = MONDAY) -> clocks.Clocks:
    return clocks.applied(known, changes, at, TERMS, WATCH)


def only(found: clocks.Clocks) -> Clock:
    assert len(found) == 1
    return found[0]


def test_what_is_critical_has_72_hours_from_now_on_and_a_reminder_a_day_before() -> None:
    clock = only(after(change()))
    assert (clock.begins, clock.due, clock.remind_at) == (MONDAY, MONDAY + 72 * HOUR, MONDAY + 48 * HOUR)


def test_what_is_major_has_seven_days_from_the_days_digest_on() -> None:
    clock = only(after(change(severity=Severity.MAJOR)))
    assert (clock.begins, clock.due, clock.remind_at) == (DIGEST, DIGEST + 7 * DAY, DIGEST + 5 * DAY)


@pytest.mark.parametrize("severity", [Severity.MINOR, Severity.UNKNOWN])
def test_what_is_minor_or_waits_for_a_class_has_no_clock(severity: Severity) -> None:
    assert after(change(severity=severity)) == ()


def test_what_comes_with_the_base_image_waits_for_a_fix() -> None:
    waiting = after(change(inherited=True))
    assert (only(waiting).due, clocks.next_moment(waiting), clocks.overdue(waiting, MONDAY + 999 * DAY)) == (
        None,
        None,
        (),
    )
    later = MONDAY + 40 * DAY
    fixed = after(change(inherited=True, fix_exists=True, kind=ChangeKind.ESCALATED), known=waiting, at=later)
    assert only(fixed).due == later + 72 * HOUR
    assert only(after(change(inherited=True, fix_exists=True))).due is not None


def test_a_policy_may_want_it_mended_without_a_fix() -> None:
    strict = Watch(inherited_waits_for_fix=False)
    assert only(clocks.applied((), [change(inherited=True)], MONDAY, TERMS, strict)).due == MONDAY + 72 * HOUR


def test_what_becomes_critical_has_the_nearer_of_both_ends() -> None:
    major = after(change(severity=Severity.MAJOR))
    soon = after(change(kind=ChangeKind.ESCALATED), known=major, at=MONDAY + DAY)
    assert (only(soon).due, only(soon).severity) == (MONDAY + DAY + 72 * HOUR, Severity.CRITICAL)
    late = after(change(kind=ChangeKind.ESCALATED), known=major, at=DIGEST + 6 * DAY)
    assert only(late).due == DIGEST + 7 * DAY


def test_what_becomes_lighter_is_never_due_earlier() -> None:
    critical = after(change())
    lighter = after(change(severity=Severity.MAJOR), known=critical)
    assert only(lighter).due == DIGEST + 7 * DAY
    assert after(change(severity=Severity.MINOR), known=critical) == ()


def test_what_is_retracted_has_no_clock_any_more_and_what_nobody_knew_is_retracted_in_vain() -> None:
    known = after(change(), change("CVE-2"))
    assert [clock.key for clock in after(change(kind=ChangeKind.RETRACTED), known=known)] == ["CVE-2"]
    assert after(change("CVE-3", kind=ChangeKind.RETRACTED), known=known) is known
    # of a lighter class: the old word is taken back, and the new one given, in one breath
    both = after(change(kind=ChangeKind.RETRACTED), change(severity=Severity.MAJOR), known=after(change()))
    assert only(both).due == DIGEST + 7 * DAY


def test_an_edited_policy_changes_no_clock_that_runs() -> None:
    known = after(change())
    edited = Remediation(critical_hours=1, major_days=1, critical_reminder_hours=1)
    assert clocks.applied(known, [change()], MONDAY + HOUR, edited, WATCH) is known
    fresh = clocks.applied(known, [change("CVE-2")], MONDAY, edited, WATCH)[1]
    assert fresh.due == MONDAY + HOUR
    assert fresh.remind_at is None, "it would come with the news themselves"


def test_one_reminder_goes_out_for_all_whose_moment_has_come() -> None:
    known = after(change(), change("CVE-2"), change("CVE-3", Severity.MAJOR))
    assert clocks.next_moment(known) == MONDAY + 48 * HOUR
    assert clocks.reminded(known, MONDAY + 47 * HOUR) is known
    reminded = clocks.reminded(known, MONDAY + 48 * HOUR)
    assert [clock.remind_at is None for clock in reminded] == [True, True, False]
    assert clocks.next_moment(reminded) == MONDAY + 72 * HOUR
    assert clocks.next_due(reminded) == MONDAY + 72 * HOUR


def test_the_first_end_of_news_is_what_their_mail_names() -> None:
    news = [change("CVE-1", Severity.MAJOR), change("CVE-2", Severity.MINOR)]
    assert clocks.first_due(news, MONDAY, TERMS, WATCH) == DIGEST + 7 * DAY
    assert clocks.first_due(news[1:], MONDAY, TERMS, WATCH) is None


@pytest.mark.parametrize(
    ("hour", "days", "hours"),
    [(6, 1, 6), (9, 1, 9), (10, 0, 10), (0, 1, 0), (23, 0, 23)],
)
def test_the_next_digest_is_never_now(hour: int, days: int, hours: int) -> None:
    midnight = MONDAY.replace(hour=0)
    assert clocks.digest_after(MONDAY, Watch(digest_hour=hour)) == midnight + days * DAY + hours * HOUR


NEWS = st.builds(
    change,
    st.sampled_from(["CVE-1", "CVE-2", "CVE-3"]),
    st.sampled_from(list(Severity)),
    st.sampled_from(list(ChangeKind)),
    fix_exists=st.booleans(),
    inherited=st.booleans(),
)


@given(st.lists(NEWS, max_size=20), st.lists(st.integers(0, 200), min_size=20, max_size=20))
def test_whatever_is_told_no_end_comes_nearer_but_by_a_heavier_class(
    news: list[ExposureChange], pauses: list[int]
) -> None:
    known: clocks.Clocks = ()
    now = MONDAY
    for told, hours in zip(news, pauses, strict=False):
        now += hours * HOUR
        before = {clock.key: clock for clock in known}
        known = after(told, known=known, at=now)
        assert after(told, known=known, at=now) == known, "told twice is told once"
        for clock in known:
            if clock.due is not None:
                assert clock.remind_at is None or now < clock.remind_at < clock.due or clock in before.values()
            earlier = before.get(clock.key)
            if earlier is None or earlier.due is None or clock.due is None:
                continue
            heavier = (earlier.severity, clock.severity) == (Severity.MAJOR, Severity.CRITICAL)
            assert clock.due >= earlier.due or (heavier and clock.due == now + 72 * HOUR)
