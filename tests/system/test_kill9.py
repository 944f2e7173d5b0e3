"""After a kill -9 of every server, twice: the runs went on, nothing is lost, nothing was done twice."""

import subprocess
from collections import Counter

import pytest
from sqlmodel import col, select
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from benchmarks.house import TAG
from models.addresses import submission_address
from models.images import ReleaseSet
from models.lifecycle import Stage
from models.notices import NoticeKind as N
from models.tables import EventRow, NoticeRow, NoticeStatus, PublicationRow
from notifications.mailbox import read_mailbox
from tests.parts.presence import needs
from tests.system.voyage import Voyage
from worker import WORKFLOWS
from workflows.sandbox import RUNNER

pytestmark = [pytest.mark.system, needs("temporal", "postgresql", "docker-registry", "trivy", "skopeo")]

#: what everybody is told in one iteration, and more in the first submission's two
_ONE = Counter((N.SUBMISSION_RECEIVED, N.READY_FOR_REVIEW, N.IN_REVIEW, N.APPROVED, N.PUBLISHED))
_TWO = _ONE + Counter((N.CHANGES_REQUESTED, N.SUBMISSION_RECEIVED, N.READY_FOR_REVIEW, N.IN_REVIEW))


async def test_every_server_was_killed_twice_and_every_submission_is_published(arrived: Voyage) -> None:
    killed = Counter(arrived.killed)
    assert killed == dict.fromkeys(("worker", "temporal", "postgresql", "registry", "mail"), 2)
    views = [await arrived.view(submission) for submission in arrived.submissions]
    assert [view.stage for view in views] == [Stage.PUBLISHED] * 3
    assert [view.iteration for view in views] == [2, 1, 1]


async def test_the_registry_holds_each_product_once_with_the_approved_digest(arrived: Voyage) -> None:
    async with arrived.hub.database.session() as session:
        published = (await session.exec(select(PublicationRow))).all()
    assert Counter(row.submission for row in published) == dict.fromkeys(arrived.submissions, 1)
    for row in published:
        view = await arrived.view(row.submission)
        pinned = (await arrived.hub.blobs.get_message(ReleaseSet, view.release)).tiers[0].tags[0]
        (image,) = row.images
        assert skopeo("inspect", "--format={{.Digest}}", f"docker://{image['reference']}") == pinned.digest
        repository = image["reference"].rpartition(":")[0]
        assert f'"{TAG}"' in skopeo("list-tags", f"docker://{repository}")


async def test_every_mail_arrived_and_a_second_copy_only_with_the_same_message_id(arrived: Voyage) -> None:
    """A copy is possible only where worker, database or SMTP server died between a mail's last line and our commit."""
    assert arrived.harbour.mail is not None
    arrived_mails = Counter(mail.message_id for mail in read_mailbox(arrived.harbour.mail.mailbox))
    async with arrived.hub.database.session() as session:
        notices = (await session.exec(select(NoticeRow))).all()
    assert {notice.status for notice in notices} == {NoticeStatus.SENT}
    assert set(arrived_mails) == {notice.message_id for notice in notices}
    assert len({notice.message_id for notice in notices}) == len(notices)
    for submission, kinds in zip(arrived.submissions, (_TWO, _ONE, _ONE), strict=True):
        subject = submission_address(submission)
        assert Counter(notice.kind for notice in notices if notice.subject == subject) == kinds
    windows = sum(name in ("worker", "postgresql", "mail") for name in arrived.killed)
    assert sum(arrived_mails.values()) - len(arrived_mails) <= windows


async def test_the_audit_trail_tells_each_event_once(arrived: Voyage) -> None:
    for submission in arrived.submissions:
        async with arrived.hub.database.session() as session:
            statement = select(EventRow).where(col(EventRow.subject) == submission_address(submission))
            events = (await session.exec(statement)).all()
        told = Counter(event.event for event in events)
        assert told["approve"] == told["Published"] == 1
        assert told["Onboarded"] == told["Examined"] == (await arrived.view(submission)).iteration


async def test_every_history_replays(arrived: Voyage) -> None:
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=RUNNER, data_converter=pydantic_data_converter)
    client, replayed = arrived.hub.client, Counter[str]()
    async for run in client.list_workflows():
        await replayer.replay_workflow(await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history())
        replayed[run.workflow_type] += 1
    assert replayed["SubmissionWorkflow"] == replayed["ProductWorkflow"] == 3
    assert replayed["ScanWorkflow"] == 4


def skopeo(*arguments: str) -> str:
    done = subprocess.run(
        ["skopeo", arguments[0], "--tls-verify=false", *arguments[1:]],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()
