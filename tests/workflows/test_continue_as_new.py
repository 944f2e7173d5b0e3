"""A long history is begun anew, and nobody notices: on a server that suggests it after a few dozen events."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from cli.servers import TemporalServer
from models import commands as c
from models.addresses import new_id
from models.findings import Severity
from models.lifecycle import Stage, Turn
from models.products import ListingStatus
from models.publishers import ApplicationStatus
from models.watching import BatchStatus, ChangeKind, Clock
from store.database import Database
from tests.parts.presence import needs
from tests.workflows import histories
from tests.workflows.conftest import opened
from tests.workflows.house import STORIES, House
from tests.workflows.people import Process, meet, refused
from tests.workflows.test_watch import change
from workflows.search_attributes import REGISTRY

pytestmark = [pytest.mark.system, needs("temporal")]

#: a real server suggests it after 4,096
_EVENTS = 40


@pytest.fixture(scope="module")
async def impatient_house(
    sqlite_template: Path, images: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("impatient")
    config = {"limit.historyCount.suggestContinueAsNew": _EVENTS}
    async with TemporalServer(
        folder / "server", search_attributes=REGISTRY, retention_days=1, in_memory=True, dynamic_config=config
    ) as server:
        client = await Client.connect(
            server.address, namespace=server.namespace, data_converter=pydantic_data_converter
        )
        path = folder / "wharfinger.sqlite"
        path.write_bytes(sqlite_template.read_bytes())
        async with opened(client, Database(path), folder, images) as house:
            yield house


async def run_of(process: Process[Any]) -> str:
    """The run that goes on now."""
    described = await process.client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(
            namespace=process.client.namespace, execution=WorkflowExecution(workflow_id=process.address)
        )
    )
    return described.workflow_execution_info.execution.run_id


async def _is_anew(process: Process[Any], first: str) -> bool:
    return await run_of(process) != first


async def replayed(house: House, process: Process[Any]) -> None:
    await histories.replay(STORIES, await histories.of(house.client, [process.address]))


async def test_a_submission_keeps_its_state_deadline_and_what_it_has_judged(impatient_house: House) -> None:
    house = impatient_house
    case = await house.submits()
    ready = await case.reaches(Stage.READY)
    first = await run_of(case)
    told: dict[str, str] = {}
    for number in range(12):
        await house.moderator.tells(case, c.Note, id=f"note-{number}", text="Hm.")
        told[f"note-{number}"] = await run_of(case)
    await meet(lambda: _is_anew(case, first), "the history is not begun anew")
    now, last = await case.snapshot(), await run_of(case)
    assert (now.stage, now.due, now.release, now.number) == (Stage.READY, ready.due, ready.release, ready.number)
    # of what the present run was told, the server itself remembers the answer
    before = next(note for note, run in told.items() if run != last)
    again = await house.moderator.tells(case, c.Note, id=before, text="Hm.")
    assert again.revision == now.revision, "the server has forgotten the update's id, the run has not"
    waiting = await house.moderator.tells(case, c.RequestChanges, text="Add a licence.")
    assert waiting.stage is Stage.WAITING
    await house.resubmits(case, house.manifest("1.1"))
    await case.reaches(Stage.READY, iteration=2)
    await house.moderator.tells(case, c.Approve)
    assert (await case.ends()).stage is Stage.PUBLISHED
    events = [event.event for event in await case.trail()]
    assert (events.count("note"), events.count("Examined"), events.count("Published")) == (12, 2, 1)
    await replayed(house, case)


async def test_a_flood_of_letters_over_a_new_beginning_is_answered_one_by_one(impatient_house: House) -> None:
    house = impatient_house
    case = await house.submits()
    await case.reaches(Stage.READY)
    first = await run_of(case)
    before = (await case.snapshot()).revision
    for batch in range(6):
        told = [house.moderator.tells(case, c.Note, id=f"{batch}-{number}", text="Hm.") for number in range(6)]
        signalled = [house.moderator.signals(case, c.Note, id=f"s-{batch}-{n}", text="Hm.") for n in range(4)]
        await asyncio.gather(*told, *signalled)
    await meet(lambda: _is_anew(case, first), "the history is not begun anew")
    await case.becomes(lambda now: now.revision == before + 60)
    commands = [event.command for event in await case.trail() if event.event == "note"]
    assert len(commands) == len(set(commands)) == 60, "none lost, none doubled"


async def test_a_product_keeps_numbers_queue_hold_and_what_is_open(impatient_house: House) -> None:
    house = impatient_house
    case = await house.submits(house.manifest("1.0", "Long Crane"))
    await case.reaches(Stage.READY)
    product = await house.product_of(case)
    await house.moderator.tells(case, c.Approve)
    await case.ends()
    await product.becomes(lambda now: now.status is ListingStatus.PUBLISHED)
    house.quay.gate.shut()
    queued = await house.submits(house.manifest("1.1", "Long Crane"))
    await queued.reaches(Stage.READY)
    await house.moderator.tells(queued, c.Approve)
    await asyncio.wait_for(house.quay.gate.arrived.wait(), 30)
    first = await run_of(product)
    for number in range(8):
        await house.moderator.tells(product, c.Hold, id=f"hold-{number}", text="CVE-2026-7 is exploited.")
        await house.second.tells(product, c.Decline)
    assert await run_of(product) == first, "a publication that is on its way is not left behind"
    assert (await queued.snapshot()).stage is Stage.PUBLISHING
    house.quay.gate.open.set()
    assert (await queued.ends()).stage is Stage.PUBLISHED
    await meet(lambda: _is_anew(product, first), "the history is not begun anew")
    now = await product.snapshot()
    assert (now.submission, now.numbered, now.waiting, now.status) == (queued.id, 2, (), ListingStatus.PUBLISHED)
    again = await house.moderator.tells(product, c.Hold, id="hold-2", text="CVE-2026-7 is exploited.")
    assert (again.revision, again.proposal) == (now.revision, None), "judged already, before the new beginning"
    third = await house.submits(house.manifest("2.0", "Long Crane"))
    assert (await third.reaches(Stage.READY)).number == 3
    published = [order.submission for order in house.quay.published]
    assert (published.count(case.id), published.count(queued.id)) == (1, 1)
    await replayed(house, product)


async def test_a_product_keeps_its_clocks_and_what_it_was_told(impatient_house: House) -> None:
    house = impatient_house
    case = await house.submits(house.manifest("1.0", "Watched Crane"))
    await case.reaches(Stage.READY)
    product = await house.product_of(case)
    await house.moderator.tells(case, c.Approve)
    await case.ends()
    await product.becomes(lambda now: now.status is ListingStatus.PUBLISHED)
    first = await run_of(product)
    id_ = product.address.removeprefix("product/")
    for number in range(20):
        await house.lookout.tell(id_, f"batch-{number}", (change(f"CVE-{number}"), change("CVE-all", Severity.MAJOR)))
        await product.becomes(lambda now: now.critical == number + 1)  # noqa: B023 - awaited within the round
    await meet(lambda: _is_anew(product, first), "the history is not begun anew")
    now = await product.becomes(lambda now: now.critical == 20)
    clocks: list[Clock] = await product.handle.query("clocks", result_type=list[Clock])
    assert len(clocks) == 21
    assert (now.major, now.mend_by) == (1, clocks[0].due)
    await house.lookout.tell(id_, "batch-3", (change("CVE-3", kind=ChangeKind.RETRACTED),))
    await house.lookout.tell(id_, "batch-new", (change("CVE-4", kind=ChangeKind.RETRACTED),))
    after = await product.becomes(lambda now: now.critical != 20)
    assert (after.critical, after.revision) == (19, now.revision + 1), "told before the new beginning is told"
    await replayed(house, product)


async def test_a_mass_change_waits_over_a_new_beginning(impatient_house: House) -> None:
    house = impatient_house
    batch = new_id()
    house.lookout.says(batch, {}, mass=True)
    await house.watches()
    waits = house.mass_change(batch)
    first = await run_of(waits)
    for number in range(16):
        await house.moderator.signals(waits, c.Confirm, id=f"confirm-{number}")
        await waits.becomes(lambda now: now.revision == number + 2)  # noqa: B023 - awaited within the round
        await waits.recorded()
    await meet(lambda: _is_anew(waits, first), "the history is not begun anew")
    now = await waits.snapshot()
    assert (now.status, now.remind_at is not None) == (BatchStatus.WAITING, True)
    await house.security.tells(waits, c.Confirm)
    await waits.becomes(lambda now: now.status is BatchStatus.TOLD)
    assert [event.event for event in await waits.trail()].count("waits") == 1
    await replayed(house, waits)


async def test_a_publisher_keeps_its_application_and_its_reminder(impatient_house: House) -> None:
    house = impatient_house
    application = await house.applies("Long Works")
    first = await run_of(application)
    await house.member.tells(application, c.ConfirmEmail)
    for number in range(5):
        await house.moderator.tells(application, c.AskInformation, text=f"Question {number}?")
        await house.member.tells(application, c.GiveInformation, text=f"Answer {number}.")
    await meet(lambda: _is_anew(application, first), "the history is not begun anew")
    now = await application.snapshot()
    assert now.status is ApplicationStatus.SUBMITTED
    assert now.due is not None
    approved = await house.moderator.tells(application, c.ApprovePublisher)
    assert approved.status is ApplicationStatus.APPROVED
    with refused("approve does not apply"):
        await house.moderator.tells(application, c.ApprovePublisher)
    assert [event.event for event in await application.trail()].count("apply") == 1
    await replayed(house, application)


async def test_a_proposal_outlives_a_new_beginning(impatient_house: House) -> None:
    house = impatient_house
    case = await house.submits()
    await case.reaches(Stage.READY)
    first = await run_of(case)
    proposed = await house.moderator.tells(case, c.Reject, text="It is malware.")
    for _ in range(12):
        await house.moderator.tells(case, c.Note, text="Hm.")
    await meet(lambda: _is_anew(case, first), "the history is not begun anew")
    now = await case.snapshot()
    assert (now.turn, now.proposal, now.due) == (Turn.SECOND_APPROVER, proposed.proposal, proposed.due)
    with refused("confirm is for"):
        await house.moderator.tells(case, c.Confirm)
    assert (await house.second.tells(case, c.Confirm)).stage is Stage.REJECTED
