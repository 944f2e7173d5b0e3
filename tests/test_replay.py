"""Every history that was ever recorded still replays: a story as it is now leads to what has happened then.

`pytest tests/workflows --record-histories` records those of the current version anew. Those of a version that is out
stay as they are: a change that breaks one stands behind `workflow.patched`.
"""

import base64
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from tests.workflows import histories
from worker import WORKFLOWS
from workflows.sandbox import RUNNER

RECORDED = sorted(histories.FOLDER.parent.glob("*/*.json"))


def replayer() -> Replayer:
    return Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter, workflow_runner=RUNNER)


def name_of(path: Path) -> str:
    return path.relative_to(histories.FOLDER.parent).as_posix()


@pytest.mark.parametrize("path", RECORDED, ids=name_of)
async def test_what_has_happened_is_where_the_story_leads(path: Path) -> None:
    await replayer().replay_workflow(histories.read(path))


def test_every_story_and_every_path_that_a_test_walks_is_recorded() -> None:
    """The paths are named by the tests that walk them; a name without a file, or a file without one, is a mistake."""
    marked = set()
    for test in sorted(histories.FOLDER.parent.parent.glob("workflows/test_*.py")):
        marked |= set(histories.MARK.findall(test.read_text()))
    recorded = {path.name.partition(".")[0] for path in histories.FOLDER.glob("*.json")}
    assert recorded == marked
    assert len(marked) > 30
    types = Counter(histories.type_of(path) for path in RECORDED)
    assert {story.__name__ for story in WORKFLOWS} == set(types)


def test_a_recorded_history_tells_nothing_of_the_machine_it_was_recorded_on() -> None:
    root = str(Path(__file__).resolve().parent.parent)
    for path in RECORDED:
        text = path.read_text()
        for payload in re.findall(r'"data":"([^"]+)"', text):
            text += base64.b64decode(payload).decode("utf-8", "replace")
        assert root not in text, name_of(path)
        assert "site-packages" not in text, name_of(path)
        assert '"identity":' not in text, name_of(path)
        assert '"stackTrace":' not in text, name_of(path)
        assert "/tmp/" not in text, name_of(path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED", "another child"),
        ("EVENT_TYPE_ACTIVITY_TASK_SCHEDULED", "another activity"),
    ],
)
async def test_a_story_that_leads_elsewhere_is_noticed(before: str, after: str, tmp_path: Path) -> None:
    """The check can fail: the recorded command was another one, so what the story does now is not what happened."""
    document = json.loads((histories.FOLDER / "one-iteration.submission.json").read_text())
    event = next(event for event in document["events"] if event["eventType"] == before)
    attributes = next(value for key, value in event.items() if key.endswith("Attributes"))
    kind = "workflowType" if "workflowType" in attributes else "activityType"
    attributes[kind]["name"] = after
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(document))
    with pytest.raises(NondeterminismError):
        await replayer().replay_workflow(histories.read(changed))


async def test_a_story_that_does_the_same_in_another_order_is_noticed(tmp_path: Path) -> None:
    document = json.loads((histories.FOLDER / "one-iteration.submission.json").read_text())
    events = document["events"]
    upsert = next(
        n for n, event in enumerate(events) if event["eventType"].endswith("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES")
    )
    events[upsert], events[upsert + 1] = events[upsert + 1], events[upsert]
    for number in (upsert, upsert + 1):
        events[number]["eventId"] = str(number + 1)
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(document))
    with pytest.raises(NondeterminismError):
        await replayer().replay_workflow(histories.read(changed))
