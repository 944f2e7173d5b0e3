"""Onboarding as the worker runs it: every tag of every tier pinned, or every problem of all of them told at once."""

import socket
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from activities.policy import PolicyInForce
from models.base import digest_of
from models.content import Track
from models.findings import READABLE
from models.images import ImageSource
from models.reports import IterationReport
from registry.access import SourceRules
from registry.building import ImageBuilder
from registry.client import HubRepository
from registry.manifests import OCI_MANIFEST
from store import submissions
from tests.activities.wharf import Wharf
from tests.parts.presence import needs
from tests.registry.scripted import CONFIG, chunks, manifest

pytestmark = [needs("docker-registry"), pytest.mark.system]


def source(repository: str, *tags: str, credentials: str | None = None) -> ImageSource:
    return ImageSource(repository=repository, tags=tags, credentials=credentials)


async def evidence(wharf: Wharf) -> dict[str, str]:
    """What the publisher reads: where -> why it cannot be read."""
    async with wharf.database.session() as session:
        found = await submissions.findings(session, wharf.house.submission, 1)
    return {finding.where: finding.evidence for finding in found if finding.rule == READABLE}


async def test_every_tag_of_every_tier_is_pinned_to_its_digests(wharf: Wharf) -> None:
    free, gold = await wharf.push("1.0", "1.1"), await wharf.push("2.0")
    content = await wharf.save(("Free", source(free, "1.0", "1.1")), ("Gold", source(gold, "2.0")))
    onboarded = await wharf.onboards(content)
    release = await wharf.release(onboarded)
    assert [(tier.tier, tier.repository, [tag.tag for tag in tier.tags]) for tier in release.tiers] == [
        ("Free", free, ["1.0", "1.1"]),
        ("Gold", gold, ["2.0"]),
    ]
    platforms = [[image.platform for image in tag.platforms] for tier in release.tiers for tag in tier.tags]
    assert platforms == [["linux/amd64", "linux/arm64"]] * 3
    assert onboarded.release == release.digest
    assert (onboarded.policy, onboarded.terms) == (wharf.policy.current().digest, wharf.policy.current().deadlines)
    # done again (a worker died before it could answer), the answer is the same
    assert await wharf.onboards(content) == onboarded


async def test_every_problem_of_every_tier_is_told_at_once(wharf: Wharf) -> None:
    free = await wharf.push("1.0")
    windows = await wharf.push("1.0", platforms=("windows/amd64",))
    content = await wharf.save(
        ("Free", source(free, "1.0", "missing", "-no-tag")),
        ("Windows", source(windows, "1.0")),
        ("Private", source("10.0.0.1:5000/team/app", "1.0")),
        ("Nowhere", source(f"{wharf.registry.address}/team/nowhere", "1.0")),
        ("Folder", source("oci:/etc", "1.0", "2.0")),
        ("Nonsense", source("what is this?", "1.0")),
        ("Empty", None),
        ("Tagless", source(free)),
    )
    onboarded = await wharf.onboards(content)
    assert onboarded.refused is not None
    assert onboarded.release == ""
    told = await evidence(wharf)
    expected = {
        "Free missing": "check the repository and the tag",
        "Free -no-tag": "is no tag",
        "Windows 1.0": "the hub takes linux images",
        "Private 1.0": "private address 10.0.0.1",
        "Nowhere 1.0": "check the repository and the tag",
        "Folder": "There is no local source",
        "Nonsense": "is no repository",
        "Empty": "names no image",
        "Tagless": "names no image",
    }
    assert {where: words in told.get(where, "") for where, words in expected.items()} == dict.fromkeys(expected, True)
    assert len(told) == len(expected)
    assert onboarded.refused.requirements >= len(expected)
    async with wharf.database.session() as session:
        iteration = (await submissions.iterations(session, wharf.house.submission))[0]
    report = await wharf.blobs.get_message(IterationReport, iteration.report)
    # what could be read is named, so that the publisher sees how far it went
    assert [(image.tier, image.platform) for image in report.images] == [
        ("Free", "linux/amd64"),
        ("Free", "linux/arm64"),
    ]


async def test_hostile_images_are_findings_never_failures(wharf: Wharf) -> None:
    name = "team/hostile"
    repository = HubRepository(wharf.client, name)
    for blob in (CONFIG, b"no json", b"layer"):
        await repository.put_blob(digest_of(blob), len(blob), lambda blob=blob: chunks(blob))  # type: ignore[misc]
    lies = {
        "twice": manifest(layers=[], note="x").replace(b'"note": "x"', b'"layers": []'),
        "config": manifest(config_blob=b"no json"),
        "huge": manifest(annotations={"padding": "x" * 3_900_000}),
    }
    for tag, lie in lies.items():
        await repository.put_manifest(tag, lie, OCI_MANIFEST)
    content = await wharf.save(("Free", source(f"{wharf.registry.address}/{name}", *lies)))
    onboarded = await wharf.onboards(content)
    assert onboarded.refused is not None
    told = await evidence(wharf)
    assert "twice" in told["Free twice"]
    assert "no JSON" in told["Free config"]
    assert "Free huge" not in told


async def test_the_limits_of_the_policy_in_force_hold(wharf: Wharf, tmp_path: Path) -> None:
    free = await wharf.push("1.0", "1.1")
    strict = tmp_path / "policy.toml"
    strict.write_text("[limits]\nplatforms = 1\n")
    wharf.policy = PolicyInForce(strict)
    content = await wharf.save(("Free", source(free, "1.0")))
    assert (await wharf.onboards(content)).refused is not None
    assert "has 2 images; at most 1" in (await evidence(wharf))["Free 1.0"]
    strict.write_text("[limits]\ntags_per_tier = 1\n")
    content = await wharf.save(("Free", source(free, "1.0", "1.1")))
    submission = await wharf.submit(content)
    onboarded = await wharf.onboards(content, submission)
    assert onboarded.refused is not None
    async with wharf.database.session() as session:
        found = await submissions.findings(session, submission, 1)
    assert any("There are 2 tags; at most 1" in finding.evidence for finding in found)


async def test_layouts_and_archives_are_sources_where_the_settings_allow_it(wharf: Wharf, tmp_path: Path) -> None:
    digest = ImageBuilder().layer({"a": b"b"}).write(tmp_path / "images", "1.0")
    content = await wharf.save(("Free", source(f"oci:{tmp_path / 'images'}", "1.0")))
    release = await wharf.release(await wharf.onboards(content))
    assert release.tiers[0].tags[0].digest == digest
    elsewhere = wharf.among(SourceRules(source_folders=(tmp_path / "other",)))
    assert (await elsewhere.onboards(content)).refused is not None


async def test_a_listing_edit_brings_no_images(wharf: Wharf) -> None:
    free = await wharf.push("1.0")
    content = await wharf.save(("Free", source(free, "1.0")))
    onboarded = await wharf.onboards(content)
    await wharf.publishes(content, onboarded.release)
    edit = await wharf.save(("Free", source("nowhere.invalid/team/app", "1.0")), release_notes="Only words.")
    submission = await wharf.submit(edit, Track.LISTING)
    edited = await wharf.onboards(edit, submission)
    assert edited.refused is None
    assert edited.release == (await _live(wharf))


async def _live(wharf: Wharf) -> str:
    async with wharf.database.session() as session:
        return (await submissions.gist(session, wharf.house.submission)).live


async def test_a_registry_that_is_down_is_tried_again_not_held_against_the_publisher(
    wharf: Wharf, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def soon(number: int, asked: str | None = None) -> None:
        pass

    monkeypatch.setattr("registry.transport.pause", soon)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        wharf.rules = SourceRules(plain_http_hosts=(address,))
        content = await wharf.save(("Free", source(f"{address}/team/app", "1.0")))
        with pytest.raises(ApplicationError) as caught:
            await wharf.onboards(content)
    assert (caught.value.type, caught.value.non_retryable) == ("SourceFailed", False)
    assert "failed 5 times" in str(caught.value)


async def test_content_that_is_not_in_the_database_waits_for_the_reconciler(wharf: Wharf) -> None:
    with pytest.raises(ApplicationError) as caught:
        await wharf.onboards(digest_of(b"nothing"))
    assert (caught.value.type, caught.value.non_retryable) == ("RowMissing", False)
