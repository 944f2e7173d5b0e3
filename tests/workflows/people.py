"""Processes of the hub as people see them, and the people who act on them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pytest
from sqlmodel import col, func, select
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models import commands as c
from models.addresses import new_id
from models.lifecycle import Snapshot, Stage
from models.products import ProductSnapshot
from models.publishers import ApplicationSnapshot
from models.tables import EventRow, NoticeRow, SubmissionRow
from models.watching import MassChangeSnapshot
from store.database import Database

#: how long anything that needs no time of its own may take on a busy machine, seconds
PATIENCE = 60.0


async def meet(what: Callable[[], Awaitable[bool]], hope: str) -> None:
    """Until it is so; fails with what was hoped for."""
    deadline = time.monotonic() + PATIENCE
    while not await what():
        assert time.monotonic() < deadline, hope
        await asyncio.sleep(0.01)


@contextmanager
def refused(words: str) -> Iterator[None]:
    """Somebody is not allowed to do it, and is told so."""
    with pytest.raises(ApplicationError, match=words) as refusal:
        yield
    assert refusal.value.type == "NotAllowed"


@contextmanager
def answers() -> Iterator[None]:
    """What an update failed with is its cause."""
    try:
        yield
    except WorkflowUpdateFailedError as failed:
        raise (failed.cause or failed) from None


A = TypeVar("A", Snapshot, ProductSnapshot, ApplicationSnapshot, MassChangeSnapshot)


@dataclass(frozen=True)
class Person:
    """Somebody who acts. A refusal is raised as an ApplicationError with the type NotAllowed."""

    id: str

    async def tells(self, process: "Process[A]", command: type[c.Command], **said: object) -> A:
        told = self.command(command, **said)
        with answers():
            answer: A = await process.handle.execute_update(told.act, told, id=told.id, result_type=process.answers)
            return answer

    async def signals(self, process: "Process[A]", command: type[c.Command], **said: object) -> None:
        told = self.command(command, **said)
        await process.handle.signal(told.act, told)

    def command(self, command: type[c.Command], **said: object) -> c.Command:
        return command.model_validate({"id": f"{command.act}-{new_id()}", "actor": self.id, **said})


@dataclass(frozen=True)
class Process(Generic[A]):
    """One process of the hub, as people see it."""

    address: str
    handle: WorkflowHandle[Any, Any]
    answers: type[A]
    database: Database
    client: Client

    async def snapshot(self) -> A:
        said: A = await self.handle.query("snapshot", result_type=self.answers)
        return said

    async def becomes(self, hope: Callable[[A], bool]) -> A:
        """Until it is so; fails with what it is instead."""
        deadline = time.monotonic() + PATIENCE
        while not hope(said := await self.snapshot()):
            assert time.monotonic() < deadline, f"{self.address} is still {said!r}"
            await asyncio.sleep(0.01)
        return said

    async def details(self) -> str:
        """What the Temporal UI shows of it."""
        metadata = await self.handle.query("__temporal_workflow_metadata")
        return str(metadata.current_details)

    async def status(self) -> WorkflowExecutionStatus:
        """Asked for raw: the SDK cannot read how the time-skipping server describes an unset attribute."""
        described = await self.client.workflow_service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(
                namespace=self.client.namespace, execution=WorkflowExecution(workflow_id=self.address)
            )
        )
        return WorkflowExecutionStatus(described.workflow_execution_info.status)

    async def has_ended(self) -> bool:
        return await self.status() is not WorkflowExecutionStatus.RUNNING

    async def recorded(self) -> A:
        """Until the database knows as much as the process."""
        said = await self.snapshot()
        await meet(lambda: self._has_recorded(said.revision), f"{self.address} is not recorded")
        return said

    async def _has_recorded(self, revision: int) -> bool:
        async with self.database.session() as session:
            newest = select(func.max(EventRow.revision)).where(EventRow.subject == self.address)
            return ((await session.exec(newest)).one() or 0) >= revision

    async def trail(self) -> list[EventRow]:
        """The audit trail, up to what the process knows."""
        await self.recorded()
        async with self.database.session() as session:
            rows = await session.exec(
                select(EventRow).where(EventRow.subject == self.address).order_by(col(EventRow.id))
            )
            return list(rows.all())

    async def notices(self) -> list[str]:
        """Kinds of the notices so far, each once for all who got it, in the order of their causes and their names."""
        await self.recorded()
        async with self.database.session() as session:
            rows = await session.exec(
                select(NoticeRow)
                .where(NoticeRow.subject == self.address)
                .order_by(col(NoticeRow.revision), col(NoticeRow.queued_at), col(NoticeRow.kind))
            )
            kinds = dict.fromkeys((row.revision, row.occasion, row.kind) for row in rows.all())
        return [str(kind) for _, _, kind in kinds]


@dataclass(frozen=True)
class Case(Process[Snapshot]):
    """A submission under way."""

    id: str = ""

    async def reaches(self, stage: Stage, iteration: int = 0) -> Snapshot:
        """And is recorded there."""
        await self.becomes(lambda now: now.stage is stage and now.iteration >= iteration)
        return await self.recorded()

    async def ends(self) -> Snapshot:
        """The run has ended well."""
        await meet(self.has_ended, f"{self.address} does not end")
        await self.handle.result()
        return await self.snapshot()

    async def row(self) -> SubmissionRow:
        async with self.database.session() as session:
            return await session.get_one(SubmissionRow, self.id)
