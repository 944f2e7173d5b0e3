"""On Temporal's dev server: what ops see and type, what a run costs, and a worker that is started anew."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks.histories import cost_of
from cli.servers import TemporalServer, program
from models import commands as c
from models.addresses import scan_address
from models.lifecycle import Stage, Turn
from models.products import ListingStatus
from tests.workflows import histories
from tests.workflows.house import House
from tests.workflows.people import Case, Process, meet
from workflows.search_attributes import REGISTRY

pytestmark = pytest.mark.system


async def test_one_iteration_stays_within_its_budget_of_history(harbour: House, temporal: TemporalServer) -> None:
    """The submission's own run: < 70 events, < 9 KB, < 24 billable actions.

    Bytes are those of the events as protobuf, as the server's API sends them. Actions are counted as Temporal Cloud
    bills them (docs.temporal.io/cloud/actions), by the events that show them: the start 1; each child workflow 1 for
    the intent to start it, its own start in its own run; each attempt of an activity 1; all local activities of one
    workflow task together 1; each timer 1; each signal received 1, whoever sent it; each update 1; each upsert of
    search attributes 1. Signals sent are the receiver's, queries and heartbeats do not happen in this journey.

    The moderator's client has a name of its own: the SDK's default has the host's in it, which may be of any length.
    """
    case = await harbour.submits()
    ready = await case.reaches(Stage.READY)
    desk = await Client.connect(
        temporal.address, namespace=temporal.namespace, data_converter=pydantic_data_converter, identity="desk"
    )
    at_desk = replace(case, handle=desk.get_workflow_handle(case.address))
    await harbour.moderator.tells(at_desk, c.Approve, iteration=1, release=ready.release)
    await case.ends()
    product = await harbour.product_of(case)
    await product.becomes(lambda now: now.status is ListingStatus.PUBLISHED)
    await product.recorded()
    found = await histories.of(harbour.client, harbour.known)
    costs = {address.partition("/")[0]: cost_of(history) for address, history in found.items()}
    for kind, cost in costs.items():
        print(f"{kind}: {cost}")
    submission = costs["submission"]
    assert submission.events < 70
    assert submission.bytes < 9_000
    assert submission.actions < 24


async def test_ops_list_runs_by_what_they_wait_for(harbour: House) -> None:
    case = await harbour.submits()
    await case.reaches(Stage.READY)
    product = await harbour.product_of(case)
    mine = f"Publisher = '{harbour.publisher}' AND ParentWorkflowId = '{product.address}'"
    await meet(
        lambda: _lists(harbour.client, f"{mine} AND Stage = 'ready' AND Due > '2020-01-01T00:00:00Z'", case),
        "not listed",
    )
    await meet(lambda: _lists(harbour.client, f"{mine} AND ExecutionStatus = 'Running'", case), "not listed")
    described = await case.handle.describe()
    assert {"Publisher", "Stage", "Due"} <= {pair.key.name for pair in described.typed_search_attributes}
    await harbour.moderator.tells(case, c.Approve)
    await case.ends()
    await meet(lambda: _lists(harbour.client, f"{mine} AND Stage = 'published'", case), "not listed")
    listed = f"WorkflowType = 'ProductWorkflow' AND Stage = 'published' AND Product = '{(await case.row()).product}'"
    await meet(lambda: _lists(harbour.client, listed, product), "the product is listed by its listing's state")


async def _lists(client: Client, query: str, process: Process[Any]) -> bool:
    return process.address in [execution.id async for execution in client.list_workflows(query)]


async def test_the_temporal_ui_reads_like_a_status_page(harbour: House) -> None:
    harbour.scans.gate.shut()
    case = await harbour.submits()
    await case.becomes(lambda now: now.stage is Stage.CHECKING)
    scan = harbour.client.get_workflow_handle(scan_address(case.id, 1))
    await meet(lambda: _reads(scan, "0 images scanned, 2 to go"), "the scan says nothing")
    pending = (await scan.describe()).raw_description.pending_activities
    assert {activity.activity_type.name for activity in pending} == {"scan_image"}
    metadata = await case.handle.query("__temporal_workflow_metadata")
    signals = {signal.name: signal.description for signal in metadata.definition.signal_definitions}
    assert signals["approve"] == "Fit: goes on to certification, or to publication."
    assert {"approve", "request_changes", "withdraw"} <= {
        update.name for update in metadata.definition.update_definitions
    }
    assert "The scan and all checks run" in await case.details()
    harbour.scans.gate.open.set()
    await case.reaches(Stage.READY)
    details = await case.details()
    assert details.startswith("**in review** · iteration 1")
    assert "- submission #1 of its product" in details
    assert "- turn: **the moderators'**, by " in details
    assert "- next: A moderator approves" in details
    product = await harbour.product_of(case)
    assert (await product.details()).startswith("**unpublished** · 1 submissions")


async def _reads(handle: WorkflowHandle[Any, Any], words: str) -> bool:
    return words in str((await handle.query("__temporal_workflow_metadata")).current_details)


async def test_a_signal_by_the_temporal_command_line_decides(harbour: House, temporal: TemporalServer) -> None:
    case = await harbour.submits()
    ready = await case.reaches(Stage.READY)
    told = {"id": "by-hand-1", "actor": harbour.member.id, "text": "We are good."}
    await temporal_cli(temporal, "signal", case, "--name", "approve", "--input", json.dumps(told))
    await case.becomes(lambda now: now.revision > ready.revision)
    refused = (await case.trail())[-1]
    assert (refused.event, refused.command, refused.private) == ("approve", "by-hand-1", True)
    assert refused.refused
    assert (await case.notices())[-1] == "command_refused"
    told = {"id": "by-hand-2", "actor": harbour.moderator.id}
    await temporal_cli(temporal, "signal", case, "--name", "approve", "--input", json.dumps(told))
    assert (await case.ends()).stage is Stage.PUBLISHED


async def test_an_update_by_the_temporal_command_line_answers(harbour: House, temporal: TemporalServer) -> None:
    case = await harbour.submits()
    await case.reaches(Stage.READY)
    told = {"id": "by-hand-3", "actor": harbour.moderator.id, "text": "Add a licence."}
    answer = await temporal_cli(
        temporal, "update", case, "--name", "request_changes", "--input", json.dumps(told), within=("execute",)
    )
    assert '"waiting"' in answer
    asked = await temporal_cli(temporal, "query", case, "--type", "snapshot")
    assert "waiting" in asked


async def temporal_cli(server: TemporalServer, verb: str, case: Case, *words: str, within: tuple[str, ...] = ()) -> str:
    """What ops type: `temporal workflow VERB --workflow-id ...`."""
    command = [program("temporal", remedy=""), "workflow", verb, *within, "--address", server.address]
    running = await asyncio.create_subprocess_exec(
        *command,
        "--workflow-id",
        case.address,
        *words,
        "--output",
        "json",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await running.communicate()
    assert running.returncode == 0, said.decode()
    return said.decode()


@pytest.mark.history("restarted-at-every-stage")
async def test_a_worker_that_is_started_anew_goes_on_at_every_stage(harbour: House) -> None:
    """Runs at ready, waiting, ready with a proposal, rejected, checking and publishing; the policy edited meanwhile."""
    cases = {stage: await harbour.submits() for stage in ("ready", "waiting", "proposed", "rejected", "publishing")}
    for case in cases.values():
        await case.reaches(Stage.READY)
    moderator, second = harbour.moderator, harbour.second
    await moderator.tells(cases["waiting"], c.RequestChanges, text="Add a licence.")
    await moderator.tells(cases["proposed"], c.Reject, text="It is malware.")
    await moderator.tells(cases["rejected"], c.Reject, text="It is malware.")
    await second.tells(cases["rejected"], c.Confirm)
    harbour.quay.gate.shut()
    await moderator.tells(cases["publishing"], c.Approve)
    await asyncio.wait_for(harbour.quay.gate.arrived.wait(), 30)
    harbour.scans.gate.shut()
    cases["checking"] = await harbour.submits()
    await asyncio.wait_for(harbour.scans.gate.arrived.wait(), 30)
    before = {stage: await case.snapshot() for stage, case in cases.items()}

    await harbour.closes()
    harbour.policy.write_text("[deadlines]\nchanges_reminder_days = 3\nchanges_expiry_days = 5\n")
    harbour.scans.gate.open.set()
    harbour.quay.gate.open.set()
    await harbour.opens()

    for stage in ("ready", "waiting", "proposed", "rejected"):
        assert await cases[stage].snapshot() == before[stage]
    assert (await cases["publishing"].ends()).stage is Stage.PUBLISHED
    await cases["checking"].reaches(Stage.READY)
    assert len([order for order in harbour.quay.published if order.submission == cases["publishing"].id]) == 1
    await moderator.tells(cases["ready"], c.Approve)
    await cases["ready"].ends()
    again = await second.tells(cases["proposed"], c.Decline)
    assert again.turn is Turn.MODERATOR
    await harbour.resubmits(cases["waiting"], harbour.manifest("1.1"))
    await cases["waiting"].reaches(Stage.READY, iteration=2)
    newer = await moderator.tells(cases["waiting"], c.RequestChanges, text="Once more.")
    old = await moderator.tells(cases["checking"], c.RequestChanges, text="Add a licence.")
    assert newer.due is not None
    assert old.due is not None
    assert old.due - newer.due > timedelta(days=29), "35 days for the iteration that began before, 5 for the new one"
    appealed = await harbour.member.tells(cases["rejected"], c.Appeal, text="It is a crane.")
    assert appealed.stage is Stage.READY
    harbour.policy.write_text("")


async def test_every_search_attribute_is_known_to_the_server(harbour: House) -> None:
    request = ListSearchAttributesRequest(namespace=harbour.client.namespace)
    known = await harbour.client.operator_service.list_search_attributes(request)
    assert set(REGISTRY) <= set(known.custom_attributes)
