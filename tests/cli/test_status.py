"""`wharfinger status` and `queue`: everything about a submission, as one reader may see it."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from models.base import digest_of
from models.findings import Finding, FindingStatus, Level, Severity, Verdict
from models.lifecycle import Deadline, DeadlineKind, Outcome, Proposal, ProposedAct, Stage, Turn
from models.notices import NoticeKind
from models.recording import Entry
from models.reports import ChangesSince, Comparison, Differences, ExaminedImage, IterationReport
from models.tables import IterationRow
from store import outbox, submissions
from store.blobs import Blobs
from tests.cli.conftest import Shell
from tests.parts.rows import MONDAY, RELEASE, Harbour

ROOT = Finding(
    key="image.non-root:Free linux/amd64",
    rule="image.non-root",
    level=Level.REQUIREMENT,
    title="The image runs as [root]",
    why="Because.",
    remedy="USER 10001.",
    where="Free linux/amd64",
)
JINJA = Finding(
    key="vulnerability:CVE-2019-10906",
    rule="vulnerability",
    level=Level.REQUIREMENT,
    title="CVE-2019-10906 in Jinja2 2.10",
    why="Because.",
    remedy="Bring it up to date.",
    evidence="CVSS 8.6",
    severity=Severity.CRITICAL,
    fixed_version="2.10.1",
    inherited=True,
    exploited=True,
)
LABELS = ROOT.model_copy(
    update={"key": "image.labels", "rule": "image.labels", "level": Level.GUIDELINE, "title": "Labels are missing"}
)
WAIVED = ROOT.model_copy(update={"key": "x", "title": "An old library", "status": FindingStatus.WAIVED})


@pytest.fixture
async def reviewed(home: Path, crane: Harbour) -> Harbour:
    """Two iterations, examined and talked about; a mail that nobody got."""
    blobs = Blobs(home / "blobs")
    image = ExaminedImage(
        tier="Free", tags=("1.0",), platform="linux/amd64", digest=digest_of(b"x"), size=12_345_678, layers=4,
        components=310, critical=1, major=2, minor=3, unknown=4, inherited=5, exploited=1,
        base="registry.example/debian:12",
    )  # fmt: skip
    findings = (LABELS, WAIVED, ROOT, ROOT.model_copy(update={"key": "other", "where": "Free linux/arm64"}), JINJA)
    report = IterationReport(verdict=Verdict.FAILED, at=MONDAY, policy="p", findings=findings, images=(image,))
    differences = Differences(new_vulnerabilities=("CVE-2019-10906 in Jinja2 2.10",), still_open=3)
    comparison = Comparison(
        previous=ChangesSince(submission=crane.submission, number=1, iteration=1, differences=differences),
        approved=ChangesSince(submission="s-7", number=7, iteration=2, differences=Differences(images=("Free: new",))),
    )
    stored, difference = await blobs.put_message(report), await blobs.put_message(comparison)
    async with crane.database.transaction() as session:
        for number in (1, 2):
            await submissions.save_iteration(
                session,
                submission=crane.submission,
                number=number,
                content=crane.content,
                release=RELEASE,
                policy="p",
                outcome=Outcome(blocking=("a", "b"), requirements=3, guidelines=1, vulnerabilities=1, waived=1),
                findings=findings,
                report=stored,
                difference=difference if number == 2 else "",
                changes=("new vulnerability",),
                at=MONDAY,
            )
    at = MONDAY + timedelta(hours=1)
    entries = (
        Entry(event="note", at=at, actor=crane.moderator, text="Ask Sue first.", private=True),
        Entry(event="request_changes", at=at, actor=crane.moderator, text="Mend [it].", notices=(NoticeKind.REPLY,)),
        Entry(event="approve", at=at, actor=crane.member, refused="approve is for: moderator", private=True),
        Entry(event="answer", at=at, actor=crane.member, text="Why?"),
    )
    due = MONDAY + timedelta(days=35)
    await crane.records(5, Stage.WAITING, *entries, iteration=2, number=1, due=due, assignee=crane.moderator)
    [mail] = await outbox.claim(crane.database, now=at, lease_seconds=60, batch=9)
    await outbox.refuse(crane.database, mail.id, "550 no such user")
    return crane


async def test_a_publisher_sees_what_is_wrong_how_to_mend_it_and_by_when(shell: Shell, reviewed: Harbour) -> None:
    page = (await shell("status", "harbour/crane/1")).stdout
    for shown in (
        "Crane #1, by Harbour",
        "changes requested, iteration 2",
        "the publisher's",
        "2026-04-06 09:00 UTC",
        "iteration 2  3 requirements (2 hold it up), 1 guidelines, 1 vulnerabilities, 1 waived",
        "12.3 MB",
        "310",
        "Open findings: 4",
        "The image runs as [root] Free linux/amd64; Free linux/arm64",
        "mend: Bring it up to date. Fixed in 2.10.1.",
        "vulnerability:CVE-2019-10906",
        "exploited base image",
        "registry.example/debian:12",
        "Waived or accepted: 1",
        "new vulnerability: CVE-2019-10906 in Jinja2 2.10",
        "Changed since iteration 1",
        "still open as before: 3",
        "Changed since what was approved last: #7, iteration 2",
        "image: Free: new",
        "Mend [it].",
        "answered",
    ):
        assert shown in page, shown
    # what holds the item up comes first, and of that the worst
    assert page.index("CVE-2019-10906 in") < page.index("The image runs as") < page.index("Labels are missing")
    for private in ("Ask Sue", "approve is for", "Mo ", "550 no such user", reviewed.moderator):
        assert private not in page, private


async def test_the_staff_sees_notes_names_refusals_and_mails_that_nobody_got(shell: Shell, reviewed: Harbour) -> None:
    page = (await shell("status", "crane/1", "--as", "mo@hub.example")).stdout
    for shown in ("Ask Sue first.", "(private)", "refused: approve is for: moderator", "550 no such user"):
        assert shown in page, shown
    member = (await shell("status", "crane/1", "--as", "pat@harbour.example")).stdout
    assert "Ask Sue first." not in member
    assert member == (await shell("status", reviewed.submission)).stdout


async def test_a_proposal_is_the_hubs_own_matter_until_it_is_confirmed(shell: Shell, crane: Harbour) -> None:
    review = Deadline(kind=DeadlineKind.FIRST_REVIEW, due=MONDAY + timedelta(days=14))
    proposal = Proposal(act=ProposedAct.REJECT, actor=crane.moderator, text="It phones home.", suspended=review)
    entry = Entry(event="reject", at=MONDAY, actor=crane.moderator, text="It phones home.")
    due = MONDAY + timedelta(days=2)
    await crane.records(4, Stage.READY, entry, number=1, proposal=proposal, turn=Turn.SECOND_APPROVER, due=due)
    theirs = (await shell("status", "crane/1", "--json")).stdout + (await shell("status", "crane/1")).stdout
    for unsaid in ("second", "propos", "reject", "phones home", "2026-03-04"):
        assert unsaid not in theirs.replace('"proposal": null', ""), unsaid
    assert "the moderators'" in theirs
    assert "2026-03-16 09:00 UTC" in theirs
    ours = (await shell("status", "crane/1", "--as", "mo@hub.example")).stdout
    for shown in ("a second approver's", "proposal to reject it", "It phones home.", "2026-03-04 09:00 UTC"):
        assert shown in ours


async def test_a_stranger_sees_nothing(shell: Shell, reviewed: Harbour) -> None:
    await shell("staff", "add", "eve@elsewhere.example", "moderator")
    await shell("staff", "remove", "eve@elsewhere.example", "moderator")
    line = await shell.refused("status", "crane/1", "--as", "eve@elsewhere.example")
    assert line == "eve@elsewhere.example is neither a member of Harbour nor of the hub's staff."


async def test_the_document_is_complete(shell: Shell, reviewed: Harbour) -> None:
    own, staff = await shell.json("status", "crane/1"), await shell.json("status", "crane/1", "--as", "mo@hub.example")
    assert set(own) == {"submission", "events", "report", "comparison", "undelivered", "trouble"}
    assert own["submission"]["turn"] == "publisher"
    assert own["submission"]["overdue"] is False
    assert own["submission"]["manifest"]["tiers"][0]["source"]["tags"] == ["1.0"]
    assert [one["number"] for one in own["submission"]["iterations"]] == [1, 2]
    finding = own["submission"]["iterations"][1]["findings"][4]
    assert (finding["severity"], finding["fixed_version"], finding["inherited"]) == ("critical", "2.10.1", True)
    assert own["report"]["images"][0]["components"] == 310
    assert own["comparison"]["previous"]["differences"]["still_open"] == 3
    assert own["comparison"]["approved"]["number"] == 7
    assert [event["event"] for event in own["events"]] == ["request_changes", "answer"]
    assert (own["submission"]["assignee"], own["submission"]["snapshot"]["assignee"]) == ("", "")
    assert [event["event"] for event in staff["events"]] == ["note", "request_changes", "approve", "answer"]
    assert staff["submission"]["assignee"] == reviewed.moderator
    assert staff["undelivered"][0]["last_error"] == "550 no such user"


async def test_what_an_earlier_version_stored_of_an_iteration_is_still_shown(
    shell: Shell, home: Path, reviewed: Harbour
) -> None:
    former = await Blobs(home / "blobs").put_message(Differences(mended_findings=("Labels are missing",)))
    async with reviewed.database.transaction() as session:
        await session.exec(update(IterationRow).values(difference=former))
    page = (await shell("status", "crane/1")).stdout
    assert "Changed since the iteration before" in page
    assert "mended: Labels are missing" in page
    assert "approved last" not in page


async def test_what_was_approved_last_is_shown_once_when_it_is_the_iteration_before(
    shell: Shell, home: Path, reviewed: Harbour
) -> None:
    since = ChangesSince(submission=reviewed.submission, iteration=1, differences=Differences(images=("A is gone",)))
    both = await Blobs(home / "blobs").put_message(Comparison(previous=since, approved=since))
    async with reviewed.database.transaction() as session:
        await session.exec(update(IterationRow).values(difference=both))
    assert (await shell("status", "crane/1")).stdout.count("A is gone") == 1


async def test_a_report_that_is_lost_is_said_and_the_rest_is_shown(shell: Shell, home: Path, reviewed: Harbour) -> None:
    for blob in (home / "blobs" / "sha256").rglob("*"):
        if blob.is_file():
            blob.unlink()
    page = (await shell("status", "crane/1")).stdout
    assert "There is no blob sha256:" in page
    assert "The image runs as [root]" in page
    assert (await shell.json("status", "crane/1"))["report"] is None


async def test_a_submission_that_nobody_has_taken_up_is_shown_as_it_is(shell: Shell, crane: Harbour) -> None:
    page = (await shell("status", crane.submission)).stdout
    assert "submitted, iteration 1" in page
    assert "Open findings" not in page


@pytest.mark.parametrize("json_", [True, False])
async def test_whoever_watches_sees_each_change_until_the_end(shell: Shell, crane: Harbour, json_: bool) -> None:
    await crane.records(3, Stage.READY, number=1)
    watching = asyncio.create_task(shell("status", "crane/1", "--watch", *(("--json",) if json_ else ())))
    await asyncio.sleep(0)
    await crane.records(4, Stage.PUBLISHING, Entry(event="approve", at=MONDAY))
    await crane.records(5, Stage.PUBLISHED, Entry(event="Published", at=MONDAY))
    shown = (await asyncio.wait_for(watching, 60)).stdout
    if json_:
        revisions = [json.loads(line)["submission"]["revision"] for line in shown.splitlines()]
        assert revisions == sorted(set(revisions))
        assert revisions[-1] == 5
    else:
        assert "published" in shown


async def test_the_queue_is_filtered_by_whatever_people_ask(shell: Shell, crane: Harbour) -> None:
    due = MONDAY + timedelta(days=1)
    await crane.records(3, Stage.READY, number=1, due=due, overdue=True, assignee=crane.moderator)
    shown = (await shell("queue")).stdout
    for word in ("Queue: 1", "Crane #1", "Harbour", "in review", "the moderators'", "2026-03-03 09:00 UTC overdue"):
        assert word in shown, word
    for words, count in (
        (("--turn", "moderator"), 1),
        (("--turn", "publisher"), 0),
        (("--stage", "ready"), 1),
        (("--stage", "waiting"), 0),
        (("--assignee", "mo@hub.example"), 1),
        (("--assignee", "nobody"), 0),
        (("--publisher", "harbour"), 1),
        (("--product", "harbour/crane"), 1),
        (("--product", crane.product), 1),
        (("--overdue",), 1),
        (("--in-time",), 0),
        (("--page", "2"), 1),
    ):
        assert (await shell.json("queue", *words))["total"] == count, words
    await crane.records(4, Stage.WITHDRAWN)
    assert "The queue is empty" in (await shell("queue")).stdout
    assert (await shell.json("queue", "--ended"))["items"][0]["status"] == "withdrawn"


async def test_a_long_queue_has_pages(shell: Shell, crane: Harbour) -> None:
    async with crane.database.transaction() as session:
        for number in range(3):
            await submissions.create(
                session,
                id=f"s-{number}",
                product=crane.product,
                publisher=crane.publisher,
                content=crane.content,
                submitter=crane.member,
                at=MONDAY,
            )
    shown = (await shell("queue", "--size", "2")).stdout
    assert "Page 1 of 2: --page 2 shows more." in shown
    assert "shows more" not in (await shell("queue", "--size", "2", "--page", "2")).stdout


async def test_what_no_process_has_heard_of_is_shown_with_what_becomes_of_it(shell: Shell, crane: Harbour) -> None:
    async with crane.database.transaction() as session:
        await submissions.create(
            session,
            id="late",
            product=crane.product,
            publisher=crane.publisher,
            content=crane.content,
            submitter=crane.member,
            at=MONDAY,
        )
    assert "submitted, not taken up yet" in " ".join((await shell("queue")).stdout.split())
    assert "nobody has to submit it again" in " ".join((await shell("status", "late")).stdout.split())
