"""How long each activity may take and how it is tried again. Business deadlines are timers of workflows."""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import Priority, RetryPolicy
from temporalio.workflow import ActivityCancellationType

from models.addresses import MAIL_QUEUE, SCANNING_QUEUE

#: Permanent errors say so themselves (activities/errors.py): their names in every policy would be a tenth of a history.
#: Unlimited attempts: an outage delays, never fails.
_PATIENT = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=1),
)


class Options(TypedDict, total=False):
    """Keyword arguments of workflow.execute_activity_method."""

    task_queue: str
    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType
    priority: Priority


class LocalOptions(TypedDict, total=False):
    """Keyword arguments of workflow.execute_local_activity_method."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


#: capped where a human should know: the process then shows the trouble, and begins again by itself later
_SHOWN = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=30),
    maximum_attempts=5,
)

#: a few statements in one transaction
RECORD: Options = {"start_to_close_timeout": timedelta(seconds=30), "retry_policy": _PATIENT}

#: one look into a table; local, because it costs a marker instead of six events
LOOK_UP: LocalOptions = {"start_to_close_timeout": timedelta(seconds=10), "retry_policy": _PATIENT}

#: after which a worker that was killed is noticed; three beats of activities/heartbeats.py
_SILENCE = timedelta(seconds=30)

#: a few requests to a source registry
ONBOARD: Options = {
    "start_to_close_timeout": timedelta(minutes=5),
    "heartbeat_timeout": _SILENCE,
    "retry_policy": _SHOWN,
}

#: which images of a release set have no report yet
PLAN: Options = {"start_to_close_timeout": timedelta(minutes=1), "retry_policy": _SHOWN}

#: rules over stored reports
EXAMINE: Options = {
    "start_to_close_timeout": timedelta(minutes=5),
    "heartbeat_timeout": _SILENCE,
    "retry_policy": _SHOWN,
}


#: priority keys: 1 is served first
PUBLICATION_FIRST = 1
PUBLISHERS_PUSH = 2
WATCH_NEXT = 3
NIGHTLY = 4


def scan(publisher: str) -> Options:
    """A scan heartbeats; one publisher's flood of scans does not hold up another's (fairness)."""
    return {
        "task_queue": SCANNING_QUEUE,
        "start_to_close_timeout": timedelta(hours=2),
        "heartbeat_timeout": _SILENCE,
        "retry_policy": _SHOWN,
        "cancellation_type": ActivityCancellationType.TRY_CANCEL,
        "priority": Priority(priority_key=PUBLISHERS_PUSH, fairness_key=publisher),
    }


def publish(publisher: str) -> Options:
    """Copying blobs heartbeats; it goes before scans, because people wait for what they have approved."""
    return {
        "task_queue": SCANNING_QUEUE,
        "start_to_close_timeout": timedelta(hours=2),
        "heartbeat_timeout": _SILENCE,
        "retry_policy": _SHOWN,
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        "priority": Priority(priority_key=PUBLICATION_FIRST, fairness_key=publisher),
    }


def mail_shift(seconds: int) -> Options:
    return {
        "task_queue": MAIL_QUEUE,
        "start_to_close_timeout": timedelta(seconds=seconds + 120),
        "heartbeat_timeout": _SILENCE,
        "retry_policy": _PATIENT,
    }


RECONCILE: Options = {
    "start_to_close_timeout": timedelta(minutes=30),
    "heartbeat_timeout": timedelta(minutes=2),
    "retry_policy": _PATIENT,
}


def _watch(minutes: int) -> Options:
    """Work of the watch: nobody waits for it by the minute, so it lets publishers go first."""
    return {
        "task_queue": SCANNING_QUEUE,
        "start_to_close_timeout": timedelta(minutes=minutes),
        "heartbeat_timeout": _SILENCE,
        "retry_policy": _PATIENT,
        "priority": Priority(priority_key=WATCH_NEXT),
    }


#: the exports of whole ecosystems, the first time
SYNC: Options = _watch(180)
REMATCH: Options = _watch(30)
#: a signal each to very many products
TELL: Options = _watch(120)
DIGEST: Options = _watch(30)
RESCAN_PLAN: Options = _watch(10)


def rescan(publisher: str) -> Options:
    """As `scan`, after everything that somebody waits for: the old verdict is in force meanwhile."""
    return {**scan(publisher), "priority": Priority(priority_key=NIGHTLY, fairness_key=publisher)}
