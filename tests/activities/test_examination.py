"""What the examination of an iteration stores of what changed: since the previous one, and since the last approved."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from activities.examination import Examiner
from activities.policy import PolicyInForce
from models.base import digest_of
from models.content import ContentManifest, Tier, Track
from models.images import PinnedTag, ReleaseSet
from models.lifecycle import Stage
from models.recording import Entry
from models.reports import ChangesSince, Comparison, Differences
from models.scans import Component, ImageReport, Scanner
from models.work import Examination, IterationOrder
from store import contents, submissions
from store.blobs import Blobs
from store.database import Database
from store.views import IterationView
from tests.activities.wharf import POLICY
from tests.parts.rows import MONDAY, Harbour, harbour, manifest
from tests.policies.samples import facts, pinned_tag, pinned_tier


@dataclass
class Desk:
    """Examines iterations whose one image brings django of some version."""

    house: Harbour
    blobs: Blobs
    examiner: Examiner

    async def examines(
        self, number: int, django: str, house: Harbour | None = None, **page: object
    ) -> tuple[IterationView, Comparison | None]:
        """The iteration as stored, and its comparison."""
        house, content = house or self.house, manifest("Crane", **page)
        release, scans = "", tuple[str, ...]()
        if content.track is Track.VERSION:
            release = await self.blobs.put_message(ReleaseSet(tiers=(pinned_tier("Free", self._tag(django)),)))
            scans = (await self._scan(django),)
        order = IterationOrder(
            submission=house.submission, iteration=number, content=await self._save(content), release=release
        )
        await self.examiner.examine(Examination(order=order, reports=scans))
        async with house.database.session() as session:
            view = (await submissions.get(session, house.submission)).iterations[-1]
        assert view.number == number
        return view, await self.blobs.get_message(Comparison, view.difference) if view.difference else None

    def _tag(self, django: str) -> PinnedTag:
        return pinned_tag("1.0", amd64=django.encode())

    async def _scan(self, django: str) -> str:
        scanner = Scanner(name="trivy", version="1", advisory_snapshot=digest_of(b"advisories"), at=MONDAY)
        found = Component(purl=f"pkg:pypi/django@{django}", ecosystem="PyPI", name="django", version=django)
        report = ImageReport(scanner=scanner, facts=facts(digest=digest_of(django.encode())), components=(found,))
        return await self.blobs.put_message(report)

    async def _save(self, content: ContentManifest) -> str:
        async with self.house.database.transaction() as session:
            return await contents.save(session, content)

    async def submits(self, id_: str, number: int, track: Track = Track.VERSION) -> Harbour:
        async with self.house.database.transaction() as session:
            await submissions.create(
                session,
                id=id_,
                product=self.house.product,
                publisher=self.house.publisher,
                content=self.house.content,
                submitter=self.house.member,
                at=MONDAY,
                track=track,
                number=number,
            )
        return replace(self.house, submission=id_)

    async def approves(self, house: Harbour, iteration: int, minutes: int) -> None:
        at = MONDAY + timedelta(minutes=minutes)
        await house.records(9, Stage.PUBLISHED, Entry(event="approve", at=at), iteration=iteration)


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> Desk:
    blobs = Blobs(tmp_path / "blobs")
    return Desk(await harbour(database), blobs, Examiner(database, blobs, PolicyInForce(POLICY)))


def components(since: ChangesSince | None) -> tuple[str, ...]:
    assert since is not None
    return since.differences.components


async def test_each_iteration_is_compared_with_the_previous_and_with_the_last_approved_one(desk: Desk) -> None:
    view, comparison = await desk.examines(1, "1.0")
    assert (view.difference, view.changes, comparison) == ("", (), None), "there is nothing before the first of all"
    view, comparison = await desk.examines(2, "1.1")
    assert comparison is not None
    assert comparison.approved is None
    assert components(comparison.previous) == ("django 1.0 -> 1.1",)
    await desk.approves(desk.house, 2, 1)

    second = await desk.submits("second", 2)
    view, comparison = await desk.examines(1, "2.0", second)
    assert comparison is not None
    assert comparison.previous is None
    assert comparison.approved is not None
    assert (comparison.approved.submission, comparison.approved.number, comparison.approved.iteration) == (
        desk.house.submission,
        1,
        2,
    )
    assert "component: django 1.1 -> 2.0" in view.changes, "a first iteration's mail shows what changed since then"

    view, comparison = await desk.examines(2, "2.1", second)
    assert comparison is not None
    assert components(comparison.previous) == ("django 2.0 -> 2.1",)
    assert components(comparison.approved) == ("django 1.1 -> 2.1",)
    assert "component: django 2.0 -> 2.1" in view.changes
    assert "component: django 1.1 -> 2.1" not in view.changes


async def test_an_edit_is_compared_by_its_page_and_the_version_after_it_with_that_page(desk: Desk) -> None:
    await desk.examines(1, "1.0")
    await desk.approves(desk.house, 1, 1)
    edit = await desk.submits("edit", 2, Track.LISTING)
    page = Tier(name="Free", description="The free one", installation="pull it")
    view, _ = await desk.examines(1, "", edit, short_description="Lifts more.", track=Track.LISTING, tiers=(page,))
    assert view.changes == ("product page: short_description: Lifts things. -> Lifts more.",)
    await desk.approves(edit, 1, 2)
    second = await desk.submits("second", 3)
    view, comparison = await desk.examines(1, "1.0", second, short_description="Lifts more.")
    assert comparison is not None
    assert comparison.approved is not None
    assert (comparison.approved.number, comparison.approved.differences.empty) == (1, True), view.changes


async def test_an_examination_that_is_done_again_says_the_same(desk: Desk) -> None:
    await desk.examines(1, "1.0")
    once, _ = await desk.examines(2, "1.1")
    again, _ = await desk.examines(2, "1.1")
    assert (again.difference, again.changes) == (once.difference, once.changes)


@pytest.mark.parametrize("former", [Differences(), Differences(components=("django 1.0 -> 1.1",), still_open=2)])
async def test_what_an_earlier_version_stored_can_be_read(tmp_path: Path, former: Differences) -> None:
    blobs = Blobs(tmp_path)
    comparison = await blobs.get_message(Comparison, await blobs.put_message(former))
    assert comparison == Comparison(previous=ChangesSince(differences=former), approved=None)
    again = await blobs.get_message(Comparison, await blobs.put_message(comparison))
    assert again == comparison
