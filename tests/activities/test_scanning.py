"""Scans as the worker runs them: real registry, real trivy, real store."""

import asyncio
import json
import shutil
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.policy import PolicyInForce
from activities.scanning import ScanActivities
from activities.sources import Sources
from cli.servers import RegistryServer
from models.base import digest_of
from models.bases import KnownBase
from models.content import Tier
from models.findings import Severity
from models.images import ImageSource, PinnedPlatform, PinnedTag, PinnedTier, ReleaseSet
from models.scans import ImageReport
from models.tables import ScanRow
from models.work import ImageOrder, ImageScanned, ImagesToScan, IterationOrder
from registry.access import SourceRules
from registry.building import ImageBuilder, push_layout, write_index
from registry.client import RegistryClient, RegistryRepository
from registry.fetch import BlobCache
from registry.manifests import OCI_INDEX
from registry.resolve import resolve_tier
from scanning.advisories import AdvisoryStore
from scanning.demo import DEMO_ADVISORIES
from store import bases, classes, contents
from store.blobs import Blobs
from store.database import Database
from store.secrets import Vault, new_key
from tests.parts.presence import needs
from tests.parts.rows import manifest
from tests.parts.servers import registry_server  # noqa: F401
from tests.scanning.images import debian, shop

pytestmark = [pytest.mark.system, needs("docker-registry", "trivy")]

POLICY = Path(__file__).parents[2] / "policy.toml"


@dataclass
class Workshop:
    """One submission's source repository at the registry, and the activities that scan it."""

    activities: ScanActivities
    repository: RegistryRepository
    source: str
    folder: Path
    content: str = ""

    async def submits(self, *platforms: str, builder: ImageBuilder | None = None, credentials: str = "") -> ReleaseSet:
        """Push the shop for these platforms as 1.0, and store a content manifest that names it."""
        layout = self.folder / f"layout-{uuid.uuid4().hex}"
        layout.mkdir()
        images = {platform: (builder or shop(platform)).write(layout) for platform in platforms}
        write_index(layout, "1.0", images)
        await push_layout(layout, "1.0", self.repository)
        source = ImageSource(repository=self.source, tags=("1.0",), credentials=credentials or None)
        tier = Tier(name="Free", description="free", installation="pull", source=source)
        async with self.activities.database.transaction() as session:
            self.content = await contents.save(session, manifest(tiers=(tier,)))
        return ReleaseSet(tiers=(await resolve_tier(self.repository, "Free", self.source, ["1.0"]),))

    async def plans(self, release: ReleaseSet) -> ImagesToScan:
        digest = await self.activities.blobs.put_message(release)
        order = IterationOrder(submission="s-1", iteration=1, content=self.content, release=digest)
        return await ActivityEnvironment().run(self.activities.images_to_scan, order)

    async def scans(self, order: ImageOrder, environment: ActivityEnvironment | None = None) -> ImageScanned:
        scanned = await (environment or ActivityEnvironment()).run(self.activities.scan_image, order)
        assert list(self.activities.work.iterdir()) == []
        return scanned

    async def reads(self, scanned: ImageScanned) -> ImageReport:
        assert scanned.problem is None
        return await self.activities.blobs.get_message(ImageReport, scanned.report)


@pytest.fixture
async def workshop(
    database: Database,
    registry_server: RegistryServer,  # noqa: F811
    tmp_path: Path,
) -> AsyncIterator[Workshop]:
    policy = PolicyInForce(POLICY)
    rules = SourceRules(plain_http_hosts=(registry_server.address,))
    advisories = AdvisoryStore(tmp_path / "advisories.sqlite")
    await asyncio.to_thread(advisories.import_from, DEMO_ADVISORIES)
    activities = ScanActivities(
        database=database,
        blobs=Blobs(tmp_path / "blobs"),
        sources=Sources(database, Vault([new_key()]), rules, policy),
        policy=policy,
        advisories=advisories,
        work=tmp_path / "work",
        cache=BlobCache(tmp_path / "cache"),
        scanner_cache=tmp_path / "scanner",
        scan_seconds=60,
    )
    client = RegistryClient(registry_server.address, rules)
    name = f"scans/{uuid.uuid4().hex}"
    yield Workshop(activities, RegistryRepository(client, name), f"{registry_server.address}/{name}", tmp_path)
    await client.close()


async def test_every_platform_is_scanned_once_and_remembered(workshop: Workshop) -> None:
    release = await workshop.submits("linux/amd64", "linux/arm64")
    planned = await workshop.plans(release)
    assert [(image.platform, image.tier) for image in planned.images] == [
        ("linux/amd64", "Free"),
        ("linux/arm64", "Free"),
    ]
    assert planned.reports == ()
    scanned = [await workshop.scans(image) for image in planned.images]
    reports = [await workshop.reads(one) for one in scanned]
    assert [report.facts.digest for report in reports] == [image.digest for image in planned.images]
    assert [report.facts.platform for report in reports] == ["linux/amd64", "linux/arm64"]
    assert all(report.vulnerabilities for report in reports)
    again = await workshop.plans(release)
    assert again == ImagesToScan(reports=tuple(one.report for one in scanned))


async def test_new_advisories_and_other_classes_make_a_new_scan(workshop: Workshop) -> None:
    release = await workshop.submits("linux/amd64")
    (order,) = (await workshop.plans(release)).images
    await workshop.scans(order)
    policy = workshop.folder / "policy.toml"
    policy.write_text("[severity]\ncritical = 9.0\n")
    stricter = replace(workshop.activities, policy=PolicyInForce(policy))
    assert len((await replace(workshop, activities=stricter).plans(release)).images) == 1
    new = {
        "id": "PYSEC-2099-1",
        "modified": "2099-01-01T00:00:00Z",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "jinja2"}, "versions": ["2.10"]}],
    }
    path = workshop.folder / "new.json"
    path.write_text(json.dumps(new))
    await asyncio.to_thread(workshop.activities.advisories.import_from, path)
    (order,) = (await workshop.plans(release)).images
    report = await workshop.reads(await workshop.scans(order))
    assert "PYSEC-2099-1" in {found.id for found in report.vulnerabilities}
    async with workshop.activities.database.session() as session:
        assert len((await session.exec(select(ScanRow))).all()) == 2


def base_of(report: ImageReport, layers: int, *, newer: str = "", days: int = 0) -> KnownBase:
    """The lowest layers of an image as a known base; `newer` is the digest of a report, and makes it another image."""
    return KnownBase(
        reference="registry.example/debian:12",
        platform=report.facts.platform,
        digest=digest_of(f"base {newer}".encode()),
        layers=tuple(f"{layer.diff_id}{newer}" for layer in report.facts.layers[:layers]),
        added_at=report.scanner.at + timedelta(days=days),
        report=newer,
    )


async def test_a_base_that_is_known_is_seen_in_a_new_scan_and_in_one_that_was_made_before(workshop: Workshop) -> None:
    release = await workshop.submits("linux/amd64")
    (order,) = (await workshop.plans(release)).images
    report = await workshop.reads(await workshop.scans(order))
    assert report.base is None
    # the newer one ships all of it but one package
    others = [one for one in report.components if one.name != "Jinja2"]
    newer = await workshop.activities.blobs.put_message(report.model_copy(update={"components": tuple(others)}))
    database = workshop.activities.database
    async with database.transaction() as session:
        await bases.add(session, base_of(report, 2))
        await bases.add(session, base_of(report, 2, newer=newer, days=1))
    planned = await workshop.plans(release)
    assert planned.images == ()
    (digest,) = planned.reports
    stored = await workshop.activities.blobs.get_message(ImageReport, digest)
    anew = await workshop.reads(await workshop.scans(order))
    assert stored == anew.model_copy(update={"scanner": stored.scanner})
    assert stored.base is not None
    assert stored.base.layers == 2
    assert stored.base.rebuild is not None
    layers = {layer.diff_id for layer in stored.facts.layers[:2]}
    inherited = {(found.id, found.component) for found in stored.vulnerabilities if found.inherited}
    assert inherited == {(found.id, found.component) for found in stored.vulnerabilities if found.layer in layers}
    mended = {(found.id, found.component) for found in stored.vulnerabilities if found.mended_by_rebuild}
    assert {component for _, component in inherited} == {"Django", "Jinja2"}
    assert {component for _, component in mended} == {"Jinja2"}
    assert stored.base.rebuild.inherited == len(inherited)
    assert stored.base.rebuild.mended == len(mended)
    async with database.transaction() as session:
        await bases.remove(session, "registry.example/debian:12", "", "", stored.scanner.at + timedelta(days=2))
    (digest,) = (await workshop.plans(release)).reports
    assert (await workshop.activities.blobs.get_message(ImageReport, digest)).base is None


async def test_the_security_teams_class_is_in_the_next_examination_without_a_scan(workshop: Workshop) -> None:
    release = await workshop.submits("linux/amd64")
    (order,) = (await workshop.plans(release)).images
    report = await workshop.reads(await workshop.scans(order))
    before = {found.id: found.severity for found in report.vulnerabilities}
    name = next(name for name, severity in before.items() if severity is not Severity.MINOR)
    now = report.scanner.at
    async with workshop.activities.database.transaction() as session:
        await classes.give(session, name, Severity.MINOR, "Nothing calls it.", "sec", now + timedelta(seconds=1))
    (digest,) = (await workshop.plans(release)).reports
    told = await workshop.activities.blobs.get_message(ImageReport, digest)
    after = {found.id: found.severity for found in told.vulnerabilities}
    assert after == {**before, name: Severity.MINOR}
    assert {found.classing.reason for found in told.vulnerabilities if found.classing} == {"Nothing calls it."}
    async with workshop.activities.database.transaction() as session:
        await classes.take_back(session, name, "Something does.", "sec", now + timedelta(seconds=2))
    (digest,) = (await workshop.plans(release)).reports
    assert await workshop.activities.blobs.get_message(ImageReport, digest) == report


async def test_an_image_under_several_tags_and_tiers_is_one(workshop: Workshop) -> None:
    release = await workshop.submits("linux/amd64")
    tag = release.tiers[0].tags[0]
    tier = PinnedTier(tier="Pro", repository=workshop.source, tags=(tag, tag.model_copy(update={"tag": "latest"})))
    assert len((await workshop.plans(ReleaseSet(tiers=(*release.tiers, tier)))).images) == 1


async def test_what_only_the_publisher_can_mend_is_the_answer_and_no_failure(workshop: Workshop) -> None:
    release = await workshop.submits("linux/amd64", builder=ImageBuilder().raw_layer(b"no archive" * 100, "ADD"))
    (order,) = (await workshop.plans(release)).images
    scanned = await workshop.scans(order)
    assert scanned.report == ""
    assert scanned.problem is not None
    assert (scanned.problem.error, scanned.problem.tier) == ("MalformedImage", "Free")
    assert (scanned.problem.digest, scanned.problem.platform) == (order.digest, "linux/amd64")
    assert "Build and push the image again" in scanned.problem.message
    gone = await workshop.scans(order.model_copy(update={"digest": "sha256:" + "0" * 64}))
    assert gone.problem is not None
    assert gone.problem.error == "ImageNotFound"


async def test_credentials_that_are_gone_are_asked_for_again(workshop: Workshop) -> None:
    release = await workshop.submits("linux/amd64", credentials="secret/gone")
    (order,) = (await workshop.plans(release)).images
    scanned = await workshop.scans(order)
    assert scanned.problem is not None
    assert scanned.problem.error == "Unauthorized"


async def test_an_image_over_a_limit_of_the_policy_in_force_is_the_publishers(workshop: Workshop) -> None:
    (workshop.folder / "policy.toml").write_text("[limits]\nfiles = 3\n")
    release = await workshop.submits("linux/amd64")
    strict = replace(workshop.activities, policy=PolicyInForce(workshop.folder / "policy.toml"))
    workshop = replace(workshop, activities=strict)
    (order,) = (await workshop.plans(release)).images
    scanned = await workshop.scans(order)
    assert scanned.problem is not None
    assert scanned.problem.error == "ImageTooLarge"
    assert "more than 3 files" in scanned.problem.message


async def test_a_tools_failure_is_tried_again(workshop: Workshop) -> None:
    release = await workshop.submits("linux/amd64")
    (order,) = (await workshop.plans(release)).images
    hasty = replace(workshop.activities, scan_seconds=0.001)
    with pytest.raises(ApplicationError) as failure:
        await ActivityEnvironment().run(hasty.scan_image, order)
    assert (failure.value.type, failure.value.non_retryable) == ("ToolFailed", False)
    assert list(workshop.activities.work.iterdir()) == []


async def test_a_cancelled_scan_leaves_no_file(workshop: Workshop) -> None:
    builder = shop()
    for number in range(20):
        builder.layer({f"data/{number}": bytes([number]) * 2**20})
    release = await workshop.submits("linux/amd64", builder=builder)
    (order,) = (await workshop.plans(release)).images
    environment = ActivityEnvironment()
    scanning = asyncio.create_task(environment.run(workshop.activities.scan_image, order))
    while not list(workshop.activities.work.glob("trivy-*")):
        assert not scanning.done()
        await asyncio.sleep(0.001)
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scanning
    assert list(workshop.activities.work.iterdir()) == []


async def test_it_heartbeats_from_the_start(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.heartbeats._FIRST_AFTER_SECONDS", 0.0)
    release = await workshop.submits("linux/amd64")
    (order,) = (await workshop.plans(release)).images
    said: list[str] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: said.extend(str(detail) for detail in details)
    await workshop.scans(order, environment)
    assert said[0] == "started"


async def test_a_blob_damaged_in_our_cache_is_fetched_anew_and_not_held_against_the_publisher(
    workshop: Workshop,
) -> None:
    release = await workshop.submits("linux/amd64")
    (order,) = (await workshop.plans(release)).images
    first = await workshop.reads(await workshop.scans(order))
    damaged = workshop.activities.cache.path(first.facts.layers[1].digest)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.unlink()
    damaged.write_bytes(content)
    # what was learned of a layer is not asked of its bytes again
    shutil.rmtree(workshop.activities.scanner_cache)
    second = await workshop.reads(await workshop.scans(order))
    assert second.vulnerabilities == first.vulnerabilities
    assert damaged.read_bytes() != bytes(content)


async def test_a_platform_that_the_image_is_not_for_is_told(workshop: Workshop) -> None:
    release = await workshop.submits("linux/amd64")
    (order,) = (await workshop.plans(release)).images
    scanned = await workshop.scans(order.model_copy(update={"platform": "linux/arm64"}))
    assert scanned.problem is not None
    assert "is for linux/amd64, not for linux/arm64" in scanned.problem.message


async def test_layers_that_images_share_are_fetched_once(workshop: Workshop) -> None:
    release = await workshop.submits("linux/amd64", builder=ImageBuilder().layer(debian(), "ADD"))
    (order,) = (await workshop.plans(release)).images
    await workshop.scans(order)
    cached = {path: path.stat().st_ino for path in workshop.activities.cache.folder.glob("??/*")}
    image = PinnedPlatform(platform="linux/amd64", digest=order.digest, size=order.size)
    tag = PinnedTag(tag="1.0", digest=order.digest, media_type=OCI_INDEX, platforms=(image,))
    assert (
        await workshop.plans(ReleaseSet(tiers=(PinnedTier(tier="Free", repository="x", tags=(tag,)),)))
    ).images == ()
    await workshop.scans(order)
    assert {path: path.stat().st_ino for path in workshop.activities.cache.folder.glob("??/*")} == cached
