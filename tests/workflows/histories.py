"""Histories of what a test has done: replayed at its end, and written down for the days to come."""

import json
import re
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from workflows.sandbox import RUNNER

#: histories of this major version of the stories: those of older ones are kept beside it
FOLDER = Path(__file__).resolve().parent.parent / "histories" / "3"

#: how a test names the path that it walks
MARK = re.compile(r"@pytest\.mark\.history\(\"([\w-]+)\"\)")

#: what tells of the machine that a history was recorded on. The SDK's metadata stay: its flags say what replay checks.
_MACHINE = frozenset({"identity", "stackTrace", "workerVersion", "binaryChecksum"})


async def of(client: Client, addresses: list[str]) -> dict[str, WorkflowHistory]:
    """The histories of these processes and of their children, by workflow id. One that never started has none."""
    found: dict[str, WorkflowHistory] = {}
    wanted = list(dict.fromkeys(addresses))
    while wanted:
        address = wanted.pop(0)
        try:
            history = await client.get_workflow_handle(address).fetch_history()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            continue
        found[address] = history
        for event in history.events:
            child = event.child_workflow_execution_started_event_attributes.workflow_execution.workflow_id
            if child and child not in found and child not in wanted:
                wanted.append(child)
    return found


async def replay(stories: tuple[type, ...], histories: dict[str, WorkflowHistory]) -> None:
    """Raises when a story as it is now does not lead to what has happened."""
    replayer = Replayer(workflows=stories, data_converter=pydantic_data_converter, workflow_runner=RUNNER)
    for history in histories.values():
        await replayer.replay_workflow(history)


def write(path: str, histories: dict[str, WorkflowHistory]) -> None:
    """One file for each process: <path>.<kind>.json, numbered when there are several of a kind.

    A run that did what another recorded one did, event for event, tells nothing new; each path has at least one file.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob(f"{path}.*.json"):
        old.unlink()
    known = {_course(json.loads(file.read_text())) for file in FOLDER.glob("*.json")}
    numbers: dict[str, int] = {}
    for address, history in histories.items():
        document = {"workflow": address, **_without_machine(json.loads(history.to_json()))}
        if _course(document) in known and (numbers or address != [*histories][-1]):
            continue
        known.add(_course(document))
        kind = re.split("[/-]", address)[0]
        numbers[kind] = numbers.get(kind, 0) + 1
        number = f"-{numbers[kind]}" if numbers[kind] > 1 else ""
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
        # one event in a line: a difference can be read
        (FOLDER / f"{path}.{kind}{number}.json").write_text(text.replace(',{"eventId"', ',\n{"eventId"') + "\n")


def _course(document: dict[str, Any]) -> tuple[str, ...]:
    """What happened, without the tasks in which it was thought about."""
    kinds = (event["eventType"].removeprefix("EVENT_TYPE_") for event in document["events"])
    return tuple(kind for kind in kinds if not kind.startswith("WORKFLOW_TASK_"))


def read(path: Path) -> WorkflowHistory:
    document = json.loads(path.read_text())
    return WorkflowHistory.from_json(document.pop("workflow"), document)


def type_of(path: Path) -> str:
    """Of the workflow whose history it is."""
    first = json.loads(path.read_text())["events"][0]
    return str(first["workflowExecutionStartedEventAttributes"]["workflowType"]["name"])


def _without_machine(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_machine(member) for key, member in value.items() if key not in _MACHINE}
        case list():
            return [_without_machine(member) for member in value]
        case str():
            return re.sub(r"(/[\w.-]+)+/(?=[\w.-]+\.py)", "", value)
        case _:
            return value
