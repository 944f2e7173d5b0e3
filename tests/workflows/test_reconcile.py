"""Rows that were damaged or lost come back from the processes, and histories are kept for years: on the real server."""

import json
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlmodel import col
from temporalio.client import WorkflowHistory

from models import commands as c
from models.addresses import MODERATION_QUEUE, new_id, scan_address
from models.lifecycle import Stage
from models.products import ListingStatus
from models.tables import (
    FindingRow,
    IterationRow,
    ProductRow,
    SubmissionRow,
)
from models.work import Repaired
from store import archive
from tests.workflows import histories
from tests.workflows.house import STORIES, House
from tests.workflows.people import Case, meet
from workflows.reconcile import ReconcileWorkflow

pytestmark = pytest.mark.system


async def reconciled(house: House) -> Repaired:
    """One round, as the schedule starts it."""
    address = f"reconcile-{new_id()}"
    house.known.append(address)
    done: Repaired = await house.client.execute_workflow(ReconcileWorkflow.run, id=address, task_queue=MODERATION_QUEUE)
    return done


async def at_review(house: House) -> Case:
    """Listed by the server, which takes a moment."""
    case = await house.submits()
    await case.reaches(Stage.READY)
    product = await house.product_of(case)
    for process in (case, product):
        await meet(lambda: _is_listed(house, process.address), "not listed")  # noqa: B023
    return case


async def _is_listed(house: House, address: str) -> bool:
    return [run async for run in house.client.list_workflows(f"WorkflowId = '{address}'")] != []


@pytest.mark.history("reconciled")
async def test_damaged_rows_are_brought_back_in_line_with_their_processes(harbour: House) -> None:
    case = await at_review(harbour)
    await reconciled(harbour)
    clean = await reconciled(harbour)
    assert clean.repaired == ()
    assert clean.compared >= 2
    before = (await case.row()).model_dump()
    async with harbour.database.transaction() as session:
        damage: dict[str, Any] = {"stage": Stage.PUBLISHED, "revision": 99, "release": "", "iteration": 7, "number": 42}
        await session.exec(update(SubmissionRow).where(col(SubmissionRow.id) == case.id).values(**damage))
        stale = {"status": ListingStatus.REVOKED, "changed_at": before["submitted_at"]}
        await session.exec(update(ProductRow).where(col(ProductRow.id) == before["product"]).values(**stale))
        # damage that is fresh looks like a record that has just come in
        late = {"changed_at": before["submitted_at"].replace(year=2020)}
        await session.exec(update(SubmissionRow).where(col(SubmissionRow.id) == case.id).values(**late))
    done = await reconciled(harbour)
    assert len(done.repaired) == 2
    assert any(line.startswith(f"submission/{case.id}: ") for line in done.repaired)
    after = (await case.row()).model_dump()
    assert {**after, "changed_at": None} == {**before, "changed_at": None}
    assert (await reconciled(harbour)).repaired == ()
    await harbour.moderator.tells(case, c.Approve)
    await case.ends()


async def test_a_lost_row_is_restored_and_what_waited_for_it_is_recorded(harbour: House) -> None:
    case = await at_review(harbour)
    product = (await case.row()).product
    async with harbour.database.transaction() as session:
        for table in (FindingRow, IterationRow):
            await session.exec(delete(table).where(col(table.submission) == case.id))
        await session.exec(delete(SubmissionRow).where(col(SubmissionRow.id) == case.id))
        await session.exec(delete(ProductRow).where(col(ProductRow.id) == product))
    noted = await harbour.moderator.tells(case, c.Note, text="Where is its row?")
    assert noted.stage is Stage.READY, "a decision needs no row"
    done = await reconciled(harbour)
    assert f"submission/{case.id}: row restored" in done.repaired
    assert f"product/{product}: row restored" in done.repaired
    row = await case.row()
    assert (row.product, row.stage, row.number) == (product, Stage.READY, 1)
    assert "note" in [event.event for event in await case.trail()], "the record was repeated until the row was there"


async def test_a_publication_that_its_product_has_forgotten_is_ordered_again_and_done_once(harbour: House) -> None:
    harbour.quay.gate.shut()
    case = await at_review(harbour)
    product = await harbour.product_of(case)
    await harbour.moderator.tells(case, c.Approve)
    await product.becomes(lambda now: now.waiting == (case.id,))
    await product.handle.signal("recall", case.id)
    await product.becomes(lambda now: not now.waiting)
    harbour.quay.gate.open.set()
    assert (await case.snapshot()).stage is Stage.PUBLISHING
    await reconciled(harbour)
    assert (await case.ends()).stage is Stage.PUBLISHED
    assert [order.submission for order in harbour.quay.published].count(case.id) == 1


async def test_histories_of_what_has_ended_are_kept_and_replay_years_later(harbour: House) -> None:
    case = await at_review(harbour)
    await harbour.moderator.tells(case, c.Approve)
    await case.ends()
    closed = f"ExecutionStatus = 'Completed' AND WorkflowId = '{case.address}'"
    await meet(lambda: _lists(harbour, closed), "not listed as completed")
    first = await reconciled(harbour)
    assert first.archived >= 2, "the submission's and its scan's"
    assert (await reconciled(harbour)).archived == 0, "kept once"
    for address in (case.address, scan_address(case.id, 1)):
        async with harbour.database.session() as session:
            kept = json.loads(await archive.get(session, harbour.blobs, address))
        await histories.replay(STORIES, {address: WorkflowHistory.from_json(address, kept)})


async def _lists(house: House, query: str) -> bool:
    return [run async for run in house.client.list_workflows(query)] != []
