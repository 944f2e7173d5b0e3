"""What becomes of a product: publication one after the other, hold, revocation, recovery."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from models import commands as c
from models.lifecycle import Stage, Turn
from models.products import ListingStatus, ProductSnapshot
from tests.workflows.house import House
from tests.workflows.people import Case, Process, meet, refused

pytestmark = pytest.mark.system


async def published(house: House, name: str = "", version: str = "1.0") -> tuple[Case, Process[ProductSnapshot]]:
    case = await house.submits(house.manifest(version, name))
    await case.reaches(Stage.READY)
    await house.moderator.tells(case, c.Approve)
    await case.ends()
    product = await house.product_of(case)
    await product.becomes(lambda now: now.submission == case.id and not now.waiting)
    return case, product


async def _listed(house: House, *wanted: ListingStatus) -> bool:
    return tuple(order.status for order in house.quay.listed) == wanted


@pytest.mark.history("held-and-recovered")
async def test_a_hold_needs_two_people_and_pulls_go_on(house: House) -> None:
    _, product = await published(house)
    with refused("Say why"):
        await house.moderator.tells(product, c.Hold)
    proposed = await house.moderator.tells(product, c.Hold, text="CVE-2026-7 is exploited.")
    assert proposed.status is ListingStatus.PUBLISHED
    held = await house.second.tells(product, c.Confirm)
    assert (held.status, held.reason) == (ListingStatus.HOLD, "CVE-2026-7 is exploited.")
    assert held.hold_until is not None
    assert "CVE-2026-7 is exploited." in await product.details()
    recovered = await house.moderator.tells(product, c.Recover)
    assert (recovered.status, recovered.reason) == (ListingStatus.PUBLISHED, "")
    assert house.quay.listed == [], "nothing left the registry"
    kinds = await product.notices()
    assert [kind for kind in kinds if kind in ("hold_proposed", "on_hold", "recovered")] == [
        "hold_proposed",
        "on_hold",
        "recovered",
    ]


@pytest.mark.history("revoked-and-recovered")
async def test_a_revocation_takes_the_manifests_out_and_a_recovery_brings_them_back(house: House) -> None:
    _, product = await published(house)
    await house.moderator.tells(product, c.Revoke, text="Malware.")
    with refused("The approver is not the proposer|confirm is for"):
        await house.moderator.tells(product, c.Confirm)
    revoked = await house.second.tells(product, c.Confirm)
    assert revoked.status is ListingStatus.REVOKED
    await meet(lambda: _listed(house, ListingStatus.REVOKED), "the manifests are still there")
    await house.moderator.tells(product, c.Recover)
    await meet(lambda: _listed(house, ListingStatus.REVOKED, ListingStatus.PUBLISHED), "the manifests are not back")
    with refused("recover does not apply: the listing is published"):
        await house.moderator.tells(product, c.Recover)
    await product.recorded()


@pytest.mark.history("hold-over")
async def test_a_hold_that_nobody_ends_is_revoked_after_a_month_and_leaves_the_registry(
    house: House, time_skipping: WorkflowEnvironment
) -> None:
    _, product = await published(house)
    await house.moderator.tells(product, c.Hold, text="CVE-2026-7 is exploited.")
    await house.second.tells(product, c.Confirm)
    await time_skipping.sleep(timedelta(days=29))
    assert (await product.snapshot()).status is ListingStatus.HOLD
    await time_skipping.sleep(timedelta(days=2))
    revoked = await product.becomes(lambda now: now.status is ListingStatus.REVOKED)
    assert revoked.reason == "CVE-2026-7 is exploited."
    await meet(lambda: _listed(house, ListingStatus.REVOKED), "the manifests are still there")
    assert [event.event for event in await product.trail()][-1] == "hold_over"


@pytest.mark.history("mended-by-a-version")
async def test_a_new_version_ends_a_hold(house: House) -> None:
    _, product = await published(house, "Gantry")
    await house.moderator.tells(product, c.Hold, text="CVE-2026-7 is exploited.")
    await house.second.tells(product, c.Confirm)
    mended, _ = await published(house, "Gantry", "1.1")
    now = await product.snapshot()
    assert (now.status, now.submission, now.hold_until) == (ListingStatus.PUBLISHED, mended.id, None)
    assert "recovered" in await product.notices()


@pytest.mark.history("publication-problem")
async def test_a_publication_that_cannot_succeed_goes_back_to_the_publisher(house: House) -> None:
    house.quay.problem = "The source no longer has what was approved."
    case = await house.submits()
    await case.reaches(Stage.READY)
    await house.moderator.tells(case, c.Approve)
    waiting = await case.reaches(Stage.WAITING)
    assert waiting.turn is Turn.PUBLISHER
    assert (await case.trail())[-1].text == "The source no longer has what was approved."
    assert "publication_failed" in await case.notices()
    house.quay.problem = ""
    again = await house.resubmits(case, house.manifest("1.1"))
    assert again.iteration == 2
    await case.reaches(Stage.READY, iteration=2)
    await house.moderator.tells(case, c.Approve)
    assert (await case.ends()).stage is Stage.PUBLISHED


@pytest.mark.history("registry-broken")
async def test_a_registry_that_fails_for_good_is_shown_and_tried_again_and_nothing_else_waits(harbour: House) -> None:
    broken = ApplicationError("507 no space left", type="ToolFailed", non_retryable=True)
    harbour.quay.failures.append(broken)
    case = await harbour.submits(harbour.manifest("1.0", "Tackle"))
    await case.reaches(Stage.READY)
    await harbour.moderator.tells(case, c.Approve)
    product = await harbour.product_of(case)
    await meet(lambda: _shows(product, "507 no space left"), "nobody sees what is wrong")
    newer = await harbour.submits(harbour.manifest("1.1", "Tackle"))
    assert (await newer.reaches(Stage.READY)).number == 2, "the product still welcomes submissions"
    assert (await case.snapshot()).stage is Stage.PUBLISHING, "what is being published is not superseded"
    assert (await case.ends()).stage is Stage.PUBLISHED
    assert len(harbour.quay.published) == 1
    await meet(lambda: _shows(product, "507", wanted=False), "the trouble is over")


async def _shows(product: Process[ProductSnapshot], words: str, *, wanted: bool = True) -> bool:
    return (words in await product.details()) is wanted


async def test_publications_of_one_product_go_one_after_the_other(house: House) -> None:
    house.quay.gate.shut()
    version = await house.submits(house.manifest("1.0", "Pulley"))
    await version.reaches(Stage.READY)
    await house.moderator.tells(version, c.Approve)
    await house.quay.gate.arrived.wait()
    newer = await house.submits(house.manifest("1.1", "Pulley"))
    await newer.reaches(Stage.READY)
    await house.moderator.tells(newer, c.Approve)
    product = await house.product_of(version)
    await product.becomes(lambda now: now.waiting == (version.id, newer.id))
    house.quay.gate.open.set()
    await asyncio.gather(version.ends(), newer.ends())
    assert [order.submission for order in house.quay.published] == [version.id, newer.id]
    assert (await product.becomes(lambda now: not now.waiting)).submission == newer.id


@pytest.mark.history("refused-on-a-product")
async def test_a_signal_to_a_product_that_is_refused_is_kept_and_answered(house: House) -> None:
    _, product = await published(house)
    before = await product.snapshot()
    await house.member.signals(product, c.Hold, text="Please.")
    await product.becomes(lambda now: now.revision > before.revision)
    last = (await product.trail())[-1]
    assert (last.event, last.private) == ("hold", True)
    assert last.refused.startswith("hold is for: ")
    assert (await product.notices())[-1] == "command_refused"


async def test_a_hold_is_undone(house: House) -> None:
    _, product = await published(house)
    await house.moderator.tells(product, c.Hold, text="CVE-2026-7 is exploited.")
    await house.second.tells(product, c.Confirm)
    undone = await house.second.tells(product, c.Undo)
    assert (undone.status, undone.hold_until) == (ListingStatus.PUBLISHED, None)
    assert (await product.notices())[-1] == "correction"
