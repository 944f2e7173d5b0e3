"""The reconciler's hands: asks the processes, compares with the rows, and keeps the histories of what has ended."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import structlog
from temporalio import activity
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError

from activities.errors import translated
from activities.heartbeats import heartbeats
from activities.untaken import FrontDesk, take_up
from models.lifecycle import Snapshot, Stage
from models.products import ProductSnapshot
from models.publishers import ApplicationSnapshot
from models.work import ProductStart, Repaired, SubmissionStart
from store import archive
from store import reconcile as rows
from store.blobs import Blobs
from store.database import Database, RowMissing

S = TypeVar("S", ProductStart, SubmissionStart)

log = structlog.get_logger(__name__)

#: parents before children: a submission's row needs its product's
_KINDS = ("PublisherWorkflow", "ProductWorkflow", "SubmissionWorkflow")
#: a process that cannot be asked within this time is left to the next round
_ASKED = timedelta(seconds=10)
#: closed runs looked at in one round, the youngest first; the retention leaves weeks for the rest
_ARCHIVED_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class ReconcileActivities:
    client: Client
    database: Database
    blobs: Blobs
    desk: FrontDesk

    @activity.defn
    async def reconcile(self) -> Repaired:
        """Visibility against the rows: what differs is asked of its process and repaired.

        A publication that its product knows nothing of (its process was reset) is ordered again by its submission. What
        was stored while the server was away is handed over.
        """
        compared = 0
        repaired: list[str] = []
        products: dict[str, ProductSnapshot] = {}
        with translated():
            async with heartbeats() as progress:
                for kind in _KINDS:
                    async for execution in self._executions(kind):
                        progress.says(f"{compared} compared, {len(repaired)} repaired")
                        compared += 1
                        try:
                            repair = await self._compare(kind, execution, products)
                        except (RPCError, WorkflowQueryFailedError, RowMissing) as trouble:
                            log.warning("left to the next round", subject=execution.id, trouble=str(trouble))
                            continue
                        if repair is not None:
                            log.warning("repaired", repair=str(repair))
                            repaired.append(str(repair))
                progress.says("handing over what nobody has taken")
                repaired += await take_up(self.client, self.database, self.desk)
        # a history is no place for a long list: the log has all of it
        return Repaired(compared=compared, repaired=tuple(repaired[:50]))

    async def _executions(self, kind: str) -> AsyncIterator[WorkflowExecution]:
        """The latest run of each process; one that continued as new is listed once, by its running run."""
        seen: set[str] = set()
        async for execution in self.client.list_workflows(f"WorkflowType = '{kind}'"):
            if execution.id in seen or execution.status is WorkflowExecutionStatus.CONTINUED_AS_NEW:
                continue
            seen.add(execution.id)
            yield execution

    async def _compare(
        self, kind: str, execution: WorkflowExecution, products: dict[str, ProductSnapshot]
    ) -> rows.Repair | None:
        """One process with its row. `products` gathers what the products say, which are asked before submissions."""
        asked_at = datetime.now(UTC)
        handle = self.client.get_workflow_handle(execution.id, run_id=execution.run_id)
        if kind == "PublisherWorkflow":
            application = await handle.query("snapshot", result_type=ApplicationSnapshot, rpc_timeout=_ASKED)
            return await rows.reconcile_application(
                self.database, application, asked_at=asked_at, applied_at=execution.start_time
            )
        if kind == "ProductWorkflow":
            product = await handle.query("snapshot", result_type=ProductSnapshot, rpc_timeout=_ASKED)
            products[product.id] = product
            started = await _started_with(self.client, handle, ProductStart)
            return await rows.reconcile_product(
                self.database,
                product,
                publisher=started.publisher,
                asked_at=asked_at,
                created_at=execution.start_time,
            )
        snapshot = await handle.query("snapshot", result_type=Snapshot, rpc_timeout=_ASKED)
        submission = await _started_with(self.client, handle, SubmissionStart)
        if _is_forgotten(snapshot, products.get(submission.product)):
            log.warning("a publication is ordered again", subject=execution.id)
            await handle.signal("order_again", "reconciler")
        return await rows.reconcile_submission(
            self.database,
            snapshot,
            publisher=submission.publisher,
            product=submission.product,
            track=submission.track,
            certify=submission.certify,
            submitted_at=submission.state.submitted if submission.state else execution.start_time,
            asked_at=asked_at,
        )

    @activity.defn
    async def archive(self) -> Repaired:
        """Histories of closed runs, kept before the server's retention ends; mailroom shifts are not worth it."""
        archived = 0
        with translated():
            async with heartbeats() as progress:
                closed: dict[tuple[str, str], WorkflowExecution] = {}
                query = "ExecutionStatus != 'Running' AND WorkflowType IN ('SubmissionWorkflow', 'ScanWorkflow', "
                query += "'ProductWorkflow', 'PublisherWorkflow', 'MassChangeWorkflow')"
                async for execution in self.client.list_workflows(query, limit=_ARCHIVED_AT_ONCE):
                    closed[execution.id, execution.run_id] = execution
                async with self.database.session() as session:
                    missing = await archive.missing(session, closed)
                for number, key in enumerate(missing):
                    progress.says(f"{number} of {len(missing)} archived")
                    try:
                        await self._archive(closed[key])
                    except RPCError as gone:
                        log.warning("a history could not be archived", run=key, trouble=str(gone))
                    else:
                        archived += 1
        return Repaired(archived=archived)

    async def _archive(self, execution: WorkflowExecution) -> None:
        handle = self.client.get_workflow_handle(execution.id, run_id=execution.run_id)
        history = await handle.fetch_history()
        await archive.save(
            self.database,
            self.blobs,
            execution.id,
            execution.run_id,
            history.to_json().encode(),
            execution.close_time or datetime.now(UTC),
            status=execution.status.name.lower() if execution.status else "",
            events=len(history.events),
        )


def _is_forgotten(submission: Snapshot, product: ProductSnapshot | None) -> bool:
    """It waits to be published, and its product does not know it. Ordered once too often, it is published once."""
    if submission.stage is not Stage.PUBLISHING or product is None:
        return False
    return submission.id not in product.waiting


async def _started_with(client: Client, handle: WorkflowHandle[Any, Any], model: type[S]) -> S:
    """What the run was started with: the first event of its history."""
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        decoded: list[S] = await client.data_converter.decode(payloads, [model])
        return decoded[0]
    raise RowMissing(f"{handle.id} has no history.")
