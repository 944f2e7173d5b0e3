"""The mailroom: a shift that ends with its worker is taken over by the next, and its history replays."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.mail import MailActivities
from activities.policy import PolicyInForce
from models.addresses import MAIL_QUEUE
from models.lifecycle import Stage
from models.notices import NoticeKind
from models.recording import Entry
from notifications.delivery import SmtpServer
from store.database import Database
from store.notices import MailDesk
from tests.parts.rows import MONDAY, Harbour, harbour
from tests.parts.smtp import ScriptedSmtp, scripted_smtp
from tests.workflows import histories
from workflows.mailroom import MailroomWorkflow
from workflows.sandbox import RUNNER

POLICY = Path(__file__).resolve().parents[2] / "policy.toml"
DESK = MailDesk("The Hub", "https://hub.example", "hub.example")


def mailing(client: Client, database: Database, server: SmtpServer) -> Worker:
    room = MailActivities(database, PolicyInForce(POLICY), server, DESK, "wharfinger@hub.example")
    return Worker(
        client, task_queue=MAIL_QUEUE, activities=[room.drain], graceful_shutdown_timeout=timedelta(seconds=10)
    )


def story_worker(client: Client, queue: str) -> Worker:
    return Worker(client, task_queue=queue, workflows=[MailroomWorkflow], workflow_runner=RUNNER)


async def writes(house: Harbour, revision: int) -> None:
    at = MONDAY + timedelta(seconds=revision)
    await house.records(revision, Stage.READY, Entry(event="reply", at=at, text="hello", notices=(NoticeKind.REPLY,)))


async def arrives(smtp: ScriptedSmtp, count: int) -> None:
    arrived = asyncio.Event()
    smtp.on_received = lambda: arrived.set() if len(smtp.received) >= count else None
    if len(smtp.received) < count:
        await asyncio.wait_for(arrived.wait(), 30)


async def test_a_shift_that_ended_with_its_worker_is_taken_over_by_the_next(
    time_skipping: WorkflowEnvironment, sqlite_template: Path, tmp_path: Path
) -> None:
    path = tmp_path / "wharfinger.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    client, queue = time_skipping.client, f"mailroom-{uuid4()}"
    database = Database(path)
    house = await harbour(database)
    async with scripted_smtp() as smtp, story_worker(client, queue):
        run = await client.start_workflow(MailroomWorkflow.run, id="mailroom", task_queue=queue)
        for revision in (2, 3):
            await writes(house, revision)
            async with mailing(client, database, smtp.server()):
                await arrives(smtp, revision - 1)
        history = await run.fetch_history()
        await run.terminate("the test is over")
    await database.close()
    assert len(smtp.message_ids) == len(set(smtp.message_ids)) == 2
    assert not [event for event in history.events if event.HasField("activity_task_failed_event_attributes")]
    await histories.replay((MailroomWorkflow,), {"mailroom": history})
