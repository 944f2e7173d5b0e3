"""The worker as it is started: every queue polled, and the standing processes there once, whoever starts them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import worker
from cli.servers import TemporalServer
from models.addresses import DIGEST_SCHEDULE_ID, MAILROOM_ID, QUEUES, RECONCILE_SCHEDULE_ID
from models.policy import Watch
from settings import Settings
from settings import TemporalServer as TemporalSettings
from tests.parts.presence import needs
from tests.workflows import histories
from tests.workflows.people import meet
from workflows.search_attributes import REGISTRY

pytestmark = [pytest.mark.system, needs("temporal")]


@pytest.fixture
async def settings(tmp_path: Path) -> AsyncIterator[Settings]:
    """Of a server of its own: its queues have the names that every worker polls."""
    async with TemporalServer(
        tmp_path / "server", search_attributes=REGISTRY, retention_days=1, in_memory=True
    ) as server:
        yield Settings(home=tmp_path / "home", temporal=TemporalSettings(address=server.address))


@pytest.mark.history("standing-processes")
async def test_a_worker_begins_the_standing_processes_once(request: pytest.FixtureRequest, settings: Settings) -> None:
    async with worker.running(settings, QUEUES) as client:
        for _ in range(2):
            await worker.start_standing_processes(client, Watch(digest_hour=4))
        schedule = client.get_schedule_handle(RECONCILE_SCHEDULE_ID)
        described = await schedule.describe()
        assert [every.every for every in described.schedule.spec.intervals] == [worker.RECONCILE_EVERY]
        digest = await client.get_schedule_handle(DIGEST_SCHEDULE_ID).describe()
        assert [[hours.start for hours in at.hour] for at in digest.schedule.spec.calendars] == [[4]]
        # who edits the policy starts a worker anew; a schedule that somebody has paused stays paused
        await client.get_schedule_handle(DIGEST_SCHEDULE_ID).pause(note="The mail server moves.")
        await worker.start_standing_processes(client, Watch(digest_hour=7))
        digest = await client.get_schedule_handle(DIGEST_SCHEDULE_ID).describe()
        assert [[hours.start for hours in at.hour] for at in digest.schedule.spec.calendars] == [[7]]
        assert digest.schedule.state.paused
        mailroom = client.get_workflow_handle(MAILROOM_ID)

        async def at_work() -> bool:
            pending = (await mailroom.describe()).raw_description.pending_activities
            return [activity.activity_type.name for activity in pending if activity.attempt == 1] == ["drain"]

        await meet(at_work, "nobody drains the outbox")
        assert len([run async for run in client.list_workflows("WorkflowType = 'MailroomWorkflow'")]) <= 1
        happened = await histories.of(client, [MAILROOM_ID])
        assert list(happened) == [MAILROOM_ID]
        await histories.replay(worker.WORKFLOWS, happened)
        if request.config.getoption("--record-histories", default=False):
            histories.write("standing-processes", happened)
