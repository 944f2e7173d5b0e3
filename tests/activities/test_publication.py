"""Publication as the worker runs it: into a real registry, once, named by its row, out again and back."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.publication import HubRegistry
from cli.servers import RegistryServer
from models.base import digest_of
from models.content import Track
from models.images import ImageSource, ReleaseSet
from models.policy import Keeping
from models.products import ListingStatus, PublicationOrder
from models.watch_tables import WatchedProductRow
from registry.access import SourceRules
from registry.building import ImageBuilder, push_layout
from registry.client import HubRepository, RegistryClient
from registry.layout_target import LayoutTarget
from store import collect, products
from tests.activities.wharf import Wharf
from tests.parts.presence import needs
from tests.registry.opinions import skopeo

pytestmark = [needs("docker-registry"), pytest.mark.system]


async def approved(wharf: Wharf, *tags: str) -> tuple[str, str]:
    """Two tiers, onboarded: the digests of content manifest and release set."""
    free, gold = await wharf.push(*(tags or ("1.0",))), await wharf.push("1.0")
    content = await wharf.save(
        ("Free", ImageSource(repository=free, tags=tags or ("1.0",))),
        ("Gold & More", ImageSource(repository=gold, tags=("1.0",))),
    )
    return content, (await wharf.onboards(content)).release


async def there(wharf: Wharf, release: str) -> dict[str, str]:
    """tier:tag -> digest, as the hub's registry has it."""
    pinned = await wharf.blobs.get_message(ReleaseSet, release)
    return {
        f"{tier.tier}:{tag.tag}": await wharf.hub({"Free": "free"}.get(tier.tier, "gold-more")).digest_of_tag(tag.tag)
        for tier in pinned.tiers
        for tag in tier.tags
    }


async def wanted(wharf: Wharf, release: str) -> dict[str, str]:
    pinned = await wharf.blobs.get_message(ReleaseSet, release)
    return {f"{tier.tier}:{tag.tag}": tag.digest for tier in pinned.tiers for tag in tier.tags}


async def test_two_tiers_and_two_platforms_are_published_by_their_digests(wharf: Wharf) -> None:
    content, release = await approved(wharf, "1.0", "1.1")
    done = await wharf.publishes(content, release)
    assert (done.images, done.problem) == (6, "")
    assert await there(wharf, release) == await wanted(wharf, release)
    (row,) = await wharf.published()
    assert (row.release, row.content, row.submission) == (release, content, wharf.house.submission)
    assert [image["reference"] for image in row.images] == [
        f"{wharf.registry.address}/{wharf.namespace}/harbour/crane/free:1.0",
        f"{wharf.registry.address}/{wharf.namespace}/harbour/crane/free:1.1",
        f"{wharf.registry.address}/{wharf.namespace}/harbour/crane/gold-more:1.0",
    ]
    assert all(image["platforms"] == ["linux/amd64", "linux/arm64"] for image in row.images)


@needs("skopeo")
async def test_the_catalogs_references_are_what_skopeo_reads(wharf: Wharf) -> None:
    content, release = await approved(wharf)
    await wharf.publishes(content, release)
    for image in (await wharf.published())[0].images:
        raw = await skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{image['reference']}")
        assert digest_of(raw) == image["digest"]


async def test_published_twice_is_published_once(wharf: Wharf) -> None:
    content, release = await approved(wharf)
    await wharf.publishes(content, release)
    (before,) = await wharf.published()
    again = await wharf.publishes(content, release)
    assert (again.images, again.bytes, again.problem) == (0, 0, "")
    assert await wharf.published() == [before]
    await asyncio.gather(*(wharf.publishes(content, release) for _ in range(3)))
    assert await wharf.published() == [before]


async def test_every_manifest_is_kept_and_survives_garbage_collection(wharf: Wharf) -> None:
    content, release = await approved(wharf)
    await wharf.publishes(content, release)
    (row,) = await wharf.published()
    manifests = {digest for image in row.images for digest in image["manifests"]}
    assert len(manifests) == 6
    later = datetime.now(UTC) + timedelta(days=30)
    plan = await collect.plan(wharf.database, wharf.blobs, Keeping(), later)
    assert not manifests & {digest for digest, _ in plan.unreferenced}
    for digest in manifests:
        assert digest_of(await wharf.blobs.get(digest)) == digest


async def test_revoked_nothing_can_be_pulled_and_recovered_the_same_digests_can(wharf: Wharf) -> None:
    content, release = await approved(wharf)
    await wharf.publishes(content, release)
    pinned = await wharf.blobs.get_message(ReleaseSet, release)
    images = [image.digest for image in pinned.tiers[0].tags[0].platforms]
    for _ in range(2):  # done again, it is the same
        await wharf.lists(ListingStatus.REVOKED)
        assert set((await there(wharf, release)).values()) == {""}
        assert [await wharf.hub("free").digest_of_tag(digest) for digest in images] == ["", ""]
        assert [row.withdrawn_at is not None for row in await wharf.published()] == [True]
    for _ in range(2):
        await wharf.lists(ListingStatus.PUBLISHED)
        assert await there(wharf, release) == await wanted(wharf, release)
        assert [await wharf.hub("free").digest_of_tag(digest) for digest in images] == images
        assert [row.withdrawn_at for row in await wharf.published()] == [None]


@pytest.mark.parametrize("by_clock", [True, False])
async def test_what_the_clocks_have_revoked_is_still_watched(wharf: Wharf, by_clock: bool) -> None:
    """Its advisories may be withdrawn; what people have revoked comes back by people alone."""
    await wharf.publishes(*await approved(wharf))
    await wharf.lists(ListingStatus.REVOKED, by_clock=by_clock)
    async with wharf.database.session() as session:
        (watched,) = (await session.exec(select(WatchedProductRow.watched))).all()
    assert watched is by_clock


async def test_a_revocation_takes_older_versions_along(wharf: Wharf) -> None:
    first = await approved(wharf, "1.0")
    await wharf.publishes(*first)
    second = await approved(wharf, "1.0", "2.0")
    await wharf.publishes(*second, submission=await wharf.submit(second[0]))
    older = (await wanted(wharf, first[1]))["Free:1.0"]
    assert (await there(wharf, second[1])) == await wanted(wharf, second[1])
    assert await wharf.hub("free").digest_of_tag(older) == older
    await wharf.lists(ListingStatus.REVOKED)
    for digest in ("1.0", "2.0", older):
        assert await wharf.hub("free").digest_of_tag(digest) == ""
    await wharf.lists(ListingStatus.PUBLISHED)
    assert await wharf.hub("free").digest_of_tag(older) == older
    # a tag that both have had is the newer one's
    assert await there(wharf, second[1]) == await wanted(wharf, second[1])


async def test_a_listing_edit_publishes_words_and_leaves_the_images(wharf: Wharf) -> None:
    content, release = await approved(wharf)
    await wharf.publishes(content, release)
    edit = await wharf.save(("Free", None), short_description="Lifts more.")
    submission = await wharf.submit(edit, Track.LISTING)
    done = await wharf.publishes(edit, release, submission, Track.LISTING)
    assert (done.images, done.bytes, done.problem) == (0, 0, "")
    rows = {row.submission: row for row in await wharf.published()}
    assert (rows[submission].images, rows[submission].content) == ([], edit)
    async with wharf.database.session() as session:
        assert len(await products.images_of_release(session, wharf.house.product, release)) == 2
    await wharf.lists(ListingStatus.REVOKED)
    await wharf.lists(ListingStatus.PUBLISHED)
    assert await there(wharf, release) == await wanted(wharf, release)


async def test_a_recovery_gives_no_tag_to_an_older_version_whose_page_was_edited_since(wharf: Wharf) -> None:
    first = await approved(wharf, "1.0")
    await wharf.publishes(*first)
    edit = await wharf.save(("Free", None), short_description="Lifts more.")
    submission = await wharf.submit(edit, Track.LISTING)
    second = await approved(wharf, "1.0")
    await wharf.publishes(*second, submission=await wharf.submit(second[0]))
    # the edit was approved when the first version was live
    await wharf.publishes(edit, first[1], submission, Track.LISTING)
    await wharf.lists(ListingStatus.REVOKED)
    await wharf.lists(ListingStatus.PUBLISHED)
    assert await there(wharf, second[1]) == await wanted(wharf, second[1])


async def test_a_source_that_is_gone_after_approval_is_a_problem_for_the_publisher(wharf: Wharf) -> None:
    content, release = await approved(wharf)
    pinned = await wharf.blobs.get_message(ReleaseSet, release)
    name = pinned.tiers[1].repository.partition("/")[2]
    assert await HubRepository(wharf.client, name).delete_manifest(pinned.tiers[1].tags[0].digest)
    done = await wharf.publishes(content, release)
    assert f"There is no {pinned.tiers[1].repository}@{pinned.tiers[1].tags[0].digest}" in done.problem
    assert await wharf.published() == []
    # not one tag, also not of the tier that is whole
    assert set((await there(wharf, release)).values()) == {""}


async def test_a_tag_that_moved_at_the_source_changes_nothing(wharf: Wharf, tmp_path: Path) -> None:
    content, release = await approved(wharf)
    pinned = await wharf.blobs.get_message(ReleaseSet, release)
    name = pinned.tiers[0].repository.partition("/")[2]
    other = ImageBuilder().layer({"evil": b"never reviewed"}).write(tmp_path / "evil", "1.0")
    await push_layout(tmp_path / "evil", "1.0", HubRepository(wharf.client, name))
    assert await HubRepository(wharf.client, name).digest_of_tag("1.0") == other
    assert (await wharf.publishes(content, release)).problem == ""
    assert await there(wharf, release) == await wanted(wharf, release)


async def test_a_release_or_tier_that_is_not_stored_is_a_problem_not_a_crash(wharf: Wharf) -> None:
    content, release = await approved(wharf)
    assert "There is no blob" in (await wharf.publishes(content, digest_of(b"nothing"))).problem
    fewer = await wharf.save(("Free", None))
    assert "has no source for the tier Free" in (await wharf.publishes(fewer, release)).problem


async def test_two_tiers_never_share_a_repository(wharf: Wharf) -> None:
    place = ImageSource(repository=await wharf.push("1.0"), tags=("1.0",))
    content = await wharf.save(("Größe", place), ("Groe", place))
    done = await wharf.publishes(content, (await wharf.onboards(content)).release)
    assert "rename one" in done.problem


async def test_a_hub_registry_that_says_no_is_the_hubs_matter(wharf: Wharf, registry_server: RegistryServer) -> None:
    content, release = await approved(wharf)
    locked = SourceRules()  # neither plain http nor private hosts
    await wharf.client.close()
    wharf.client = RegistryClient(registry_server.address, locked)
    with pytest.raises(ApplicationError) as caught:
        await wharf.publishes(content, release)
    assert (caught.value.type, caught.value.non_retryable) == ("ToolFailed", False)
    assert "The hub's own registry" in str(caught.value)


async def test_a_lost_manifest_is_told_to_the_operators_and_the_rest_waits(wharf: Wharf) -> None:
    content, release = await approved(wharf)
    await wharf.publishes(content, release)
    (row,) = await wharf.published()
    await wharf.lists(ListingStatus.REVOKED)
    await wharf.blobs.delete(row.images[0]["manifests"][0])
    with pytest.raises(ApplicationError, match="is lost: restore it from a backup") as caught:
        await wharf.lists(ListingStatus.PUBLISHED)
    assert (caught.value.type, caught.value.non_retryable) == ("ToolFailed", False)


async def test_a_folder_can_be_the_hubs_registry(wharf: Wharf, tmp_path: Path) -> None:
    content, release = await approved(wharf)
    hub = HubRegistry.at(f"oci:{tmp_path / 'hub'}", wharf.rules)
    activities = replace(wharf.publication, hub=hub)
    order = PublicationOrder(submission=wharf.house.submission, content=content, release=release, revision=1)
    done = await ActivityEnvironment().run(activities.publish, order)
    assert (done.images, done.problem) == (4, "")
    assert done.bytes > 0
    (row,) = await wharf.published()
    assert row.images[0]["reference"] == f"oci:{tmp_path / 'hub' / 'harbour' / 'crane' / 'free'}:1.0"
    target = LayoutTarget(tmp_path / "hub", "harbour/crane/free")
    assert await target.digest_of_tag("1.0") == row.images[0]["digest"]


async def test_the_hubs_registry_is_found_from_its_place() -> None:
    hub = HubRegistry.at("registry.example.com:5000/shop/images", SourceRules())
    assert hub.reference("harbour", "crane", "Gold & More") == (
        "registry.example.com:5000/shop/images/harbour/crane/gold-more"
    )
    assert hub.client is not None
    # the operator's own address may be a private one
    assert hub.client.rules.allow_private_hosts
    await hub.client.close()


async def test_a_publication_heartbeats_how_far_it_is(wharf: Wharf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.heartbeats._EVERY_SECONDS", 0.0)
    content, release = await approved(wharf)
    beats: list[str] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = beats.append
    order = PublicationOrder(submission=wharf.house.submission, content=content, release=release, revision=1)
    await environment.run(wharf.publication.publish, order)
    assert beats[0] == "started"
    assert any(beat.startswith("copied") and beat.endswith("bytes of Gold & More") for beat in beats)
