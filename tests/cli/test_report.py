"""Stored reports: for the publisher's members and the staff, and for nobody else."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.findings import VexJustification, VexState, Waiver, WaiverScope
from models.images import PinnedPlatform, PinnedTag, PinnedTier, ReleaseSet
from models.lifecycle import Outcome, Stage
from models.products import ListingStatus
from models.scans import ImageReport
from models.tables import WaiverRow
from models.watch_tables import ShippedImageRow, WatchedImageRow, WatchedProductRow
from policies.vulnerabilities import key_for
from store import submissions
from store.blobs import Blobs
from tests.cli.conftest import Shell
from tests.parts.rows import MONDAY, RELEASE, Harbour, harbour
from tests.scanning.scans import VULNERABILITIES, report

PLATFORMS = ("linux/amd64", "linux/arm64")


async def examined(house: Harbour, blobs: Blobs, number: int, *reports: ImageReport) -> ReleaseSet:
    """An iteration whose images these are the reports of."""
    images = tuple(PinnedPlatform(platform=r.facts.platform, digest=r.facts.digest, size=1) for r in reports)
    tag = PinnedTag(tag="1.0", digest="sha256:1", media_type="index", platforms=images)
    release = ReleaseSet(tiers=(PinnedTier(tier="Free", repository="registry.example/private/crane", tags=(tag,)),))
    digest = await blobs.put_message(release)
    stored = [await blobs.put_message(one) for one in reports]
    async with house.database.transaction() as session:
        await submissions.save_iteration(
            session,
            submission=house.submission,
            number=number,
            content=house.content,
            release=digest,
            policy="",
            outcome=Outcome(),
            findings=[],
            image_reports=stored,
            at=MONDAY,
        )
    return release


@pytest.fixture
async def scanned(crane: Harbour, home: Path) -> Harbour:
    """A submission of two platforms with scan reports."""
    await crane.records(1, Stage.READY)
    await examined(crane, Blobs(home / "blobs"), 1, *(report(platform) for platform in PLATFORMS))
    return crane


async def test_a_member_and_the_staff_read_the_report(scanned: Harbour, shell: Shell, tmp_path: Path) -> None:
    for who in ((), ("--as", "pat@harbour.example"), ("--as", "mo@hub.example")):
        document = await shell.json("report", "crane/1", *who)
        assert [one["facts"]["platform"] for one in document["platforms"]] == list(PLATFORMS)
    assert document["image"] == "harbour/crane/1"
    shown = " ".join((await shell("report", "crane/1", "--platform", "linux/arm64")).stdout.split())
    assert "linux/arm64" in shown
    assert "linux/amd64" not in shown
    assert "exploited by ransomware, base, mended by the rebuild" in shown
    path = tmp_path / "report.html"
    await shell("report", scanned.submission, "--format", "html", "--output", str(path))
    assert path.read_bytes().startswith(b"<!doctype html>")


async def test_to_anybody_else_there_is_no_such_submission(scanned: Harbour, shell: Shell) -> None:
    await harbour(scanned.database, slug="rival", name="Barge")
    await scanned.product_records(1, ListingStatus.PUBLISHED)
    for there, nowhere in (("crane/1", "crane/7"), ("harbour/crane", "harbour/craze"), (scanned.submission, "s-0")):
        told = await shell.refused("report", there, "--as", "pat@rival.example")
        nothing = await shell.refused("report", nowhere, "--as", "pat@rival.example")
        assert told == nothing.replace(nowhere, there)


async def test_what_was_not_scanned_has_no_report(crane: Harbour, shell: Shell, home: Path) -> None:
    assert "was scanned yet" in await shell.refused("report", "crane/1")
    await crane.records(1, Stage.READY)
    await examined(crane, Blobs(home / "blobs"), 1, report("linux/amd64"))
    assert "was scanned in iteration 2 yet" in await shell.refused("report", "crane/1", "--iteration", "2")
    assert "it has linux/amd64" in await shell.refused("report", "crane/1", "--platform", "linux/s390x")


async def test_an_earlier_iteration_can_be_asked_for(scanned: Harbour, shell: Shell, home: Path) -> None:
    await examined(scanned, Blobs(home / "blobs"), 2, report("linux/amd64", vulnerabilities=()))
    (latest,) = (await shell.json("report", "crane/1"))["platforms"]
    assert latest["vulnerabilities"] == []
    first, _ = (await shell.json("report", "crane/1", "--iteration", "1"))["platforms"]
    assert len(first["vulnerabilities"]) == len(VULNERABILITIES)


async def test_of_a_published_product_the_latest_scan_is_shown(scanned: Harbour, shell: Shell, home: Path) -> None:
    assert "give its id, or product/number" in await shell.refused("report", "harbour/crane")
    await scanned.product_records(1, ListingStatus.PUBLISHED)
    document = await shell.json("report", "harbour/crane")
    assert document["image"] == "harbour/crane"
    assert [len(one["vulnerabilities"]) for one in document["platforms"]] == [len(VULNERABILITIES)] * 2
    # looked at again since, by the watch
    again = report("linux/amd64", vulnerabilities=VULNERABILITIES[:1])
    digest = await Blobs(home / "blobs").put_message(again)
    async with scanned.database.transaction() as session:
        session.add(
            ShippedImageRow(
                id=1,
                digest=again.facts.digest,
                platform="linux/amd64",
                report=digest,
                scanner_version="2",
                scanned_at=MONDAY,
            )
        )
        session.add(
            WatchedProductRow(product=scanned.product, publisher=scanned.publisher, release=RELEASE, since=MONDAY)
        )
        await session.flush()
        session.add(WatchedImageRow(image=1, product=scanned.product, tier="Free", repository="hub/crane"))
    (latest,) = (await shell.json("report", "harbour/crane"))["platforms"]
    assert [one["id"] for one in latest["vulnerabilities"]] == [VULNERABILITIES[0].id]
    # what was examined for the submission stays as it was
    assert len((await shell.json("report", "crane/1"))["platforms"]) == 2


async def test_a_waiver_in_force_is_in_the_report_for_the_images_that_it_reaches(
    scanned: Harbour, shell: Shell
) -> None:
    arm = report("linux/arm64").facts.digest
    now = datetime.now(UTC)
    waiver = Waiver(
        finding=key_for(VULNERABILITIES[0]),
        state=VexState.NOT_AFFECTED,
        justification=VexJustification.INLINE_MITIGATIONS_ALREADY_EXIST,
        evidence="The port is closed.",
        owner=scanned.moderator,
        scope=WaiverScope.DIGEST,
        subject=arm,
        expires=now + timedelta(days=9),
    )
    expired = waiver.model_copy(update={"scope": WaiverScope.PRODUCT, "subject": scanned.product, "expires": now})
    async with scanned.database.transaction() as session:
        for number, each in enumerate((waiver, expired)):
            session.add(
                WaiverRow(
                    digest=f"sha256:{number}",
                    submission=scanned.submission,
                    product=scanned.product,
                    publisher=scanned.publisher,
                    finding=each.finding,
                    scope=each.scope,
                    subject=each.subject,
                    expires=each.expires,
                    waiver=each.model_dump(mode="json"),
                    granted_at=MONDAY,
                )
            )
    (said,) = (await shell.json("report", "crane/1"))["vex"]
    assert (said["image"], said["vulnerability"]) == (arm, VULNERABILITIES[0].id)
    assert said["statement"]["words"] == "The port is closed."
    cyclonedx = json.loads((await shell("report", "crane/1", "--format", "cyclonedx")).stdout)
    analysed = [one for one in cyclonedx["vulnerabilities"] if "analysis" in one]
    assert [len(one["affects"]) for one in analysed] == [1]
    assert analysed[0]["analysis"]["justification"] == "protected_by_mitigating_control"
