"""What comes in between: withdrawals, tools that fail, scans that somebody ends, letters that nobody can read."""

import asyncio
import time
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from models import commands as c
from models.addresses import scan_address
from models.errors import ToolFailed
from models.events import Published
from models.lifecycle import Stage, Turn
from models.products import ProductSnapshot
from tests.workflows.house import House
from tests.workflows.people import Case, Process, meet, refused

pytestmark = pytest.mark.system


async def in_the_middle_of_a_scan(house: House) -> Case:
    house.scans.gate.shut()
    case = await house.submits()
    await asyncio.wait_for(house.scans.gate.arrived.wait(), 30)
    return case


def scan_of(house: House, case: Case, iteration: int = 1) -> "WorkflowHandle[object, object]":
    return house.client.get_workflow_handle(scan_address(case.id, iteration))


@pytest.mark.history("withdrawn-in-a-scan")
async def test_a_withdrawal_in_the_middle_of_a_scan_ends_the_run_and_cancels_the_scan(house: House) -> None:
    case = await in_the_middle_of_a_scan(house)
    begin = time.monotonic()
    withdrawn = await house.member.tells(case, c.Withdraw)
    answered = time.monotonic() - begin
    assert withdrawn.stage is Stage.WITHDRAWN
    assert (await case.ends()).stage is Stage.WITHDRAWN
    assert answered < 1, "the publisher does not wait for a scanner"
    with pytest.raises(Exception, match="Workflow execution failed"):
        await scan_of(house, case).result()
    await meet(lambda: _cancelled(house, 2), "the scanner is not told")
    assert house.scans.scanned == []
    product = await house.product_of(case)
    await meet(lambda: _unmentioned(product, case), "the product still counts it as open")
    house.scans.gate.open.set()


async def _cancelled(house: House, images: int) -> bool:
    return len(house.scans.cancelled) == images


async def _unmentioned(product: object, case: Case) -> bool:
    return case.id not in await product.details()  # type: ignore[attr-defined]


@pytest.mark.history("scan-ended-by-ops")
async def test_a_scan_that_ops_terminated_or_cancelled_is_begun_again(harbour: House) -> None:
    harbour.scans.gate.shut()
    cases = [await harbour.submits(), await harbour.submits()]
    for case in cases:
        await meet(lambda: _scanning(harbour, case), "no scan begins")  # noqa: B023
    await scan_of(harbour, cases[0]).terminate("by mistake")
    await scan_of(harbour, cases[1]).cancel()
    for case in cases:
        await meet(lambda: _shows(case, "- retrying: attempt 2 at "), "nobody sees that it is begun again")  # noqa: B023
    harbour.scans.gate.open.set()
    for case in cases:
        assert (await case.reaches(Stage.READY)).turn is Turn.MODERATOR
        assert "retrying" not in await case.details()


async def _scanning(house: House, case: Case) -> bool:
    return any(order.submission == case.id for order in house.scans.begun)


@pytest.mark.history("scanner-broken")
async def test_a_scanner_that_keeps_failing_is_shown_and_is_never_the_publishers_fault(harbour: House) -> None:
    broken = ApplicationError("trivy: no space left on device", type="ToolFailed", non_retryable=True)
    harbour.scans.failures.extend([broken, broken])
    case = await harbour.submits()
    await meet(lambda: _shows(case, "trivy: no space left on device"), "nobody sees what is wrong")
    assert "- retrying: attempt 2 at " in await case.details()
    assert (await case.snapshot()).stage is Stage.CHECKING
    assert (await case.reaches(Stage.READY)).outcome.blocking == ()


async def test_a_passing_failure_is_nobodys_matter(house: House, time_skipping: WorkflowEnvironment) -> None:
    house.scans.failures.append(ToolFailed("the scanner was killed"))
    case = await house.submits()
    await case.becomes(lambda now: now.stage is Stage.CHECKING)
    await time_skipping.sleep(timedelta(seconds=10))
    await case.reaches(Stage.READY)
    assert await scan_status(house, case) is WorkflowExecutionStatus.COMPLETED


async def scan_status(house: House, case: Case) -> WorkflowExecutionStatus | None:
    return (await scan_of(house, case).describe()).status


async def _shows(case: Case, words: str) -> bool:
    return words in await case.details()


@pytest.mark.history("refused-signal")
async def test_a_signal_that_is_refused_is_kept_in_the_trail_and_answered_by_mail(house: House) -> None:
    case = await house.submits()
    ready = await case.reaches(Stage.READY)
    await house.member.signals(case, c.Approve, text="We are good.")
    await case.becomes(lambda now: now.revision > ready.revision)
    last = (await case.trail())[-1]
    assert (last.event, last.actor, last.private) == ("approve", house.member.id, True)
    assert last.refused.startswith("approve is for: admin, moderator, second_approver")
    assert (await case.notices())[-1] == "command_refused"
    assert (await case.snapshot()).stage is Stage.READY
    await house.moderator.signals(case, c.Approve)
    assert (await case.ends()).stage is Stage.PUBLISHED, "a signal decides as well as an update"


POISON = {
    "no JSON object": "nonsense",
    "a list": [1, 2, 3],
    "a number": 17,
    "nothing": None,
    "without an actor": {"id": "x"},
    "of another type": {"id": "x", "actor": ["y"], "text": {}},
    "an actor with NUL": {"id": "x", "actor": "y\x00"},
    "an id of a megabyte": {"id": "x" * 1_000_000, "actor": "y"},
    "a text of a megabyte": {"id": "x", "actor": "y", "text": "z" * 1_000_000},
}


@pytest.mark.history("poison")
async def test_a_letter_that_nobody_can_read_wedges_no_run(house: House) -> None:
    case = await house.submits()
    await case.reaches(Stage.READY)
    for garbage in POISON.values():
        await case.handle.signal("approve", garbage)
        await case.handle.signal("published", garbage)
        await case.handle.signal("no_such_signal", garbage)
        with pytest.raises(WorkflowUpdateFailedError):
            await case.handle.execute_update("approve", garbage)
    with pytest.raises(WorkflowUpdateFailedError):
        await case.handle.execute_update("no_such_update", "x")
    for arguments in ([], ["one", "two"], [None, None, None]):
        await case.handle.signal("approve", args=arguments)
        await case.handle.signal("published", args=arguments)
        with pytest.raises(WorkflowUpdateFailedError):
            await case.handle.execute_update("approve", args=arguments)
    still = await case.snapshot()
    assert (still.stage, still.turn) == (Stage.READY, Turn.MODERATOR)
    await house.moderator.tells(case, c.Approve)
    assert (await case.ends()).stage is Stage.PUBLISHED


async def test_a_product_that_gets_letters_that_nobody_can_read_goes_on(house: House) -> None:
    case = await house.submits()
    await case.reaches(Stage.READY)
    product = await house.product_of(case)
    for garbage in POISON.values():
        for signal in ("publish", "recall", "submission_closed", "hold"):
            await product.handle.signal(signal, garbage)
        for update in ("submit", "hold"):
            with pytest.raises(WorkflowUpdateFailedError):
                await product.handle.execute_update(update, garbage)
            with pytest.raises(WorkflowUpdateFailedError):
                await product.handle.execute_update(update)
    for signal in ("publish", "recall", "submission_closed", "hold"):
        await product.handle.signal(signal)
    await house.moderator.tells(case, c.Approve)
    assert (await case.ends()).stage is Stage.PUBLISHED


async def test_an_answer_of_the_product_that_comes_twice_or_too_early_changes_nothing(house: House) -> None:
    case = await house.submits()
    ready = await case.reaches(Stage.READY)
    await case.handle.signal("published", Published(release="sha256:another"))
    await case.handle.signal("publication_failed", {"reason": "nobody asked"})
    noted = await house.moderator.tells(case, c.Note, text="All is as it was.")
    assert (noted.stage, noted.revision) == (Stage.READY, ready.revision + 1)
    house.quay.gate.shut()
    await house.moderator.tells(case, c.Approve)
    await house.quay.gate.arrived.wait()
    for _ in range(2):
        await case.handle.signal("published", Published(release=ready.release))
    assert (await case.ends()).stage is Stage.PUBLISHED
    house.quay.gate.open.set()
    product = await house.product_of(case)
    assert (await product.becomes(lambda now: not now.waiting)).submission == case.id
    assert [event.event for event in await case.trail()].count("Published") == 1


@pytest.mark.history("latecomers")
async def test_letters_that_come_while_the_run_closes_are_answered_and_do_not_keep_it_open(harbour: House) -> None:
    case = await harbour.submits()
    await case.reaches(Stage.READY)
    told = [
        *(asyncio.create_task(harbour.moderator.tells(case, c.Note, text=f"Note {n}")) for n in range(3)),
        asyncio.create_task(harbour.member.tells(case, c.Withdraw)),
        *(asyncio.create_task(harbour.moderator.tells(case, c.Note, text=f"Late {n}")) for n in range(8)),
        *(asyncio.create_task(harbour.member.signals(case, c.Withdraw)) for _ in range(4)),
    ]
    answers = await asyncio.gather(*told, return_exceptions=True)
    assert (await case.ends()).stage is Stage.WITHDRAWN
    for answer in answers:
        if isinstance(answer, ApplicationError):
            assert answer.type in ("NotAllowed", "AcceptedUpdateCompletedWorkflow")
            ways = ("withdrawn for good", "completed", "closing workflow")
            assert any(way in answer.message for way in ways)
        elif isinstance(answer, BaseException):
            assert isinstance(answer, RPCError), "the server itself says that it has ended"
    with pytest.raises(RPCError, match="completed"):
        await harbour.moderator.signals(case, c.Note, text="Too late.")


async def test_an_approval_and_its_undoing_at_once_end_in_one_of_two_ways(harbour: House) -> None:
    for _ in range(5):
        case = await harbour.submits()
        await case.reaches(Stage.READY)
        await asyncio.gather(
            harbour.moderator.tells(case, c.Approve),
            harbour.other_moderator.tells(case, c.Undo),
            harbour.moderator.tells(case, c.Undo),
            return_exceptions=True,
        )
        product = await harbour.product_of(case)
        await meet(lambda: _settled(harbour, case, product), "neither published nor with the moderators")  # noqa: B023
        assert [order.submission for order in harbour.quay.published].count(case.id) <= 1


async def _settled(house: House, case: Case, product: Process[ProductSnapshot]) -> bool:
    """Nothing is on its way any more: submission, product and registry say the same."""
    now, listing = await case.snapshot(), await product.snapshot()
    published = case.id in [order.submission for order in house.quay.published]
    if listing.waiting or published is not (listing.submission == case.id):
        return False
    return now.stage is (Stage.PUBLISHED if published else Stage.READY)


@pytest.mark.history("approved-as-the-scan-ends")
async def test_an_approval_that_arrives_with_the_end_of_the_scan_is_judged_once(house: House) -> None:
    case = await in_the_middle_of_a_scan(house)
    house.scans.gate.open.set()
    answers = await asyncio.gather(*(house.moderator.tells(case, c.Approve) for _ in range(6)), return_exceptions=True)
    approved = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(approved) <= 1
    await case.becomes(lambda now: now.stage is not Stage.CHECKING)
    if not approved:
        await house.moderator.tells(case, c.Approve)
    assert (await case.ends()).stage is Stage.PUBLISHED
    assert len(house.quay.published) == 1


async def test_a_run_that_is_begun_a_second_time_is_refused(house: House) -> None:
    new = await house.handed_in(house.manifest())
    await asyncio.gather(*(house.told(new) for _ in range(3)))
    case = house.case(new.id)
    await case.reaches(Stage.READY)
    product = await house.product_of(case)
    assert (await product.snapshot()).numbered == 1
    with refused("another publisher|Only a member"):
        await house.told(new.model_copy(update={"publisher": "another"}))
