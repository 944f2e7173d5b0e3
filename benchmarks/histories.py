"""What a run costs on the Temporal server: its events, the bytes of its history, and its billable actions."""

from collections.abc import Iterable
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

#: What Temporal Cloud bills, by the event that shows it (docs.temporal.io/cloud/actions): a start, the intent to start
#: a child (whose own start is billed in its own history), an activity's attempt, a timer, a signal at its receiver, an
#: update, an upsert. Markers of local activities are billed once for each workflow task that recorded any. Queries and
#: heartbeats leave no event; there is none of either in a run that nobody asks and whose activities are short.
_BILLED = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
        EventType.EVENT_TYPE_TIMER_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
    }
)


@dataclass(frozen=True, slots=True)
class Cost:
    """`bytes` are those of the events as the server's API sends them (protobuf)."""

    events: int
    bytes: int
    actions: int
    workflow_tasks: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.events + other.events,
            self.bytes + other.bytes,
            self.actions + other.actions,
            self.workflow_tasks + other.workflow_tasks,
        )


NOTHING = Cost(0, 0, 0, 0)


def cost_of(history: WorkflowHistory) -> Cost:
    """What one run has cost."""
    return Cost(
        events=len(history.events),
        bytes=sum(event.ByteSize() for event in history.events),
        actions=_actions(history),
        workflow_tasks=sum(
            event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED for event in history.events
        ),
    )


def total(histories: Iterable[WorkflowHistory]) -> Cost:
    """Of several runs together."""
    return sum((cost_of(history) for history in histories), NOTHING)


def _actions(history: WorkflowHistory) -> int:
    billed = sum(event.event_type in _BILLED for event in history.events)
    attempts = sum(
        event.activity_task_started_event_attributes.attempt
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
    )
    marked = {
        event.marker_recorded_event_attributes.workflow_task_completed_event_id
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED
    }
    return billed + attempts + len(marked)
