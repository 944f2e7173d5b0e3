"""A submission's way from the publisher into the catalog."""

import pytest

from models import commands as c
from models.content import Track
from models.findings import Severity
from models.lifecycle import Stage, Turn
from models.products import ListingStatus
from tests.workflows.house import House
from tests.workflows.people import Case, refused
from tests.workflows.stand_ins import weakness

pytestmark = pytest.mark.system


async def published(house: House, case: Case) -> None:
    await case.reaches(Stage.READY)
    await house.moderator.tells(case, c.Approve)
    await case.reaches(Stage.PUBLISHED)
    await case.ends()


@pytest.mark.history("one-iteration")
async def test_one_iteration_is_approved_and_published(house: House) -> None:
    case = await house.submits()
    ready = await case.reaches(Stage.READY)
    assert (ready.turn, ready.number, ready.iteration) == (Turn.MODERATOR, 1, 1)
    assert len(house.scans.scanned) == 2, "one scan for each platform"
    answer = await house.moderator.tells(case, c.Approve, iteration=1, release=ready.release)
    assert answer.stage is Stage.PUBLISHING
    await case.reaches(Stage.PUBLISHED)
    await case.ends()
    assert [order.submission for order in house.quay.published] == [case.id]
    assert await case.notices() == ["submission_received", "in_review", "ready_for_review", "approved", "published"]
    assert [event.event for event in await case.trail()] == ["Onboarded", "Examined", "approve", "Published"]
    product = await house.product_of(case)
    listing = await product.becomes(lambda now: now.status is ListingStatus.PUBLISHED)
    assert (listing.submission, listing.release, listing.waiting) == (case.id, ready.release, ())
    row = await case.row()
    assert (row.stage, row.number, row.closed_at is not None) == (Stage.PUBLISHED, 1, True)


@pytest.mark.history("two-iterations")
async def test_changes_are_requested_and_a_mended_image_is_approved(house: House) -> None:
    house.scans.weaknesses = (weakness("CVE-2026-1", Severity.CRITICAL),)
    manifest = house.manifest("1.0")
    case = await house.submits(manifest)
    ready = await case.reaches(Stage.READY)
    assert len(ready.outcome.blocking) == 1
    with refused("1 requirements are open"):
        await house.moderator.tells(case, c.Approve)
    waiting = await house.moderator.tells(case, c.RequestChanges, text="Update crane.")
    assert (waiting.stage, waiting.turn) == (Stage.WAITING, Turn.PUBLISHER)
    house.scans.weaknesses = ()
    again = await house.resubmits(case, house.manifest("1.1", manifest.name))
    assert (again.stage, again.iteration, again.turn) == (Stage.ONBOARDING, 2, Turn.HUB)
    second = await case.reaches(Stage.READY, iteration=2)
    assert second.release != ready.release
    assert second.outcome.blocking == ()
    with refused("That was about iteration 1"):
        await house.moderator.tells(case, c.Approve, iteration=1)
    with refused("not under review now"):
        await house.moderator.tells(case, c.Approve, release=ready.release)
    await house.moderator.tells(case, c.Approve, iteration=2, release=second.release)
    await case.ends()
    assert [order.release for order in house.quay.published] == [second.release]
    assert [kind for kind in await case.notices() if kind in ("changes_requested", "published")] == [
        "changes_requested",
        "published",
    ]


@pytest.mark.history("listing-edit")
async def test_a_second_version_and_an_edit_of_the_page_go_beside_the_live_one(house: House) -> None:
    first = await house.submits(house.manifest("1.0", "Derrick"))
    await published(house, first)
    live = house.quay.published[0].release
    version = await house.submits(house.manifest("1.1", "Derrick"))
    page = house.manifest("1.0", "Derrick", track=Track.LISTING, short_description="Lifts even more.")
    edit = await house.submits(page)
    scans = len(house.scans.scanned)
    assert (await version.reaches(Stage.READY)).number == 2
    shown = await edit.reaches(Stage.READY)
    assert (shown.number, shown.release) == (3, live), "one track does not supersede the other"
    assert len([order for order in house.scans.scanned if order.submission == edit.id]) == 0
    await house.moderator.tells(edit, c.Approve)
    await edit.ends()
    await house.moderator.tells(version, c.Approve)
    await version.ends()
    assert len(house.scans.scanned) <= scans + 2
    assert [order.submission for order in house.quay.published] == [first.id, edit.id, version.id]
    product = await house.product_of(version)
    assert (await product.snapshot()).submission == version.id


@pytest.mark.history("carried-forward")
async def test_a_finding_that_was_accepted_with_an_approval_is_carried_forward(house: House) -> None:
    house.scans.weaknesses = (weakness("CVE-2026-2", Severity.MINOR),)
    first = await house.submits(house.manifest("1.0", "Winch"))
    before = await first.reaches(Stage.READY)
    assert (before.outcome.vulnerabilities, before.outcome.accepted) == (1, 0)
    await published(house, first)
    house.scans.weaknesses += (weakness("CVE-2026-3", Severity.MINOR),)
    second = await house.submits(house.manifest("1.1", "Winch"))
    after = await second.reaches(Stage.READY)
    assert after.outcome.vulnerabilities == 2
    new = after.outcome.guidelines - after.outcome.accepted
    assert new == 1, "only what is new has to be reviewed"


@pytest.mark.history("superseded")
async def test_a_newer_submission_supersedes_the_older_one_of_its_track(house: House) -> None:
    older = await house.submits(house.manifest("1.0", "Hoist"))
    await older.reaches(Stage.READY)
    new = await house.handed_in(house.manifest("1.1", "Hoist"))
    answer = await house.told(new)
    assert (answer.number, answer.superseded) == (2, older.id)
    await older.reaches(Stage.SUPERSEDED)
    assert (await older.ends()).stage is Stage.SUPERSEDED
    assert "superseded" in await older.notices()
    newer = house.case(new.id)
    await newer.reaches(Stage.READY)
    product = await house.product_of(newer)
    assert f"#2 `{newer.id}`" in await product.details()
    assert older.id not in await product.details()


@pytest.mark.history("refused-at-the-door")
async def test_a_tag_that_is_not_there_goes_back_to_the_publisher_before_any_review(house: House) -> None:
    manifest = house.manifest("9.9")
    case = await house.submits(manifest)
    waiting = await case.reaches(Stage.WAITING)
    assert waiting.turn is Turn.PUBLISHER
    assert waiting.outcome.blocking
    assert "submission_refused" in await case.notices()
    await house.resubmits(case, house.manifest("1.0", manifest.name))
    assert (await case.reaches(Stage.READY)).iteration == 2


@pytest.mark.history("unreadable-image")
async def test_an_image_that_cannot_be_read_goes_back_to_the_publisher(house: House) -> None:
    house.scans.problem = "The layer lies about its digest."
    case = await house.submits()
    waiting = await case.reaches(Stage.WAITING)
    assert len(waiting.outcome.blocking) == 2
    assert await case.notices() == ["submission_received", "submission_refused"]


async def test_who_is_not_a_member_of_a_verified_publisher_submits_nothing(house: House) -> None:
    new = await house.handed_in(house.manifest())
    with refused("Only a member"):
        await house.told(new.model_copy(update={"actor": house.moderator.id}))
    with refused("another publisher|Only a member"):
        await house.told(new.model_copy(update={"publisher": "somebody"}))
    assert (await house.told(new)).number == 1, "a refusal takes no number"


async def test_a_submission_handed_in_twice_is_one(house: House) -> None:
    new = await house.handed_in(house.manifest())
    assert await house.told(new) == await house.told(new)
    case = house.case(new.id)
    await published(house, case)
    with refused("handed in before"):
        await house.told(new)
    product = await house.product_of(case)
    assert (await product.snapshot()).numbered == 1
