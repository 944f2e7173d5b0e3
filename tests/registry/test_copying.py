"""Publication into a real registry: exactly what was approved, once, tags last - and out again, and back."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import pytest

from cli.servers import RegistryServer
from models.base import digest_of
from models.errors import ImageNotFound, MalformedImage, ToolFailed, UnsupportedImage
from models.images import PinnedPlatform, PinnedTag, PinnedTier
from models.policy import ImageLimits
from registry.building import ImageBuilder, put_blob, tag_layout, write_index
from registry.client import Blob, HubRepository, RegistryClient, RegistryRepository
from registry.copying import copy_tier, publish_tier, restore, tag_tier, withdraw
from registry.layout import LayoutSource
from registry.manifests import OCI_INDEX, OCI_MANIFEST, Descriptor
from registry.resolve import resolve_tier
from tests.parts.presence import needs
from tests.registry.opinions import skopeo
from tests.registry.scripted import CONFIG, index, manifest

pytestmark = [needs("docker-registry"), pytest.mark.system]

Connect = Callable[..., RegistryClient]


class Killed(Exception):
    """The worker dies here."""


class Recording(HubRepository):
    """The hub's registry, which writes down what it is told, and is cut off after `lives` writes."""

    def __init__(self, client: RegistryClient, name: str, lives: int = 1_000_000) -> None:
        super().__init__(client, name)
        self.lives = lives
        self.written: list[str] = []

    def _writes(self, what: str) -> None:
        if len(self.written) >= self.lives:
            raise Killed
        self.written.append(what)

    async def put_manifest(self, reference: str, content: bytes, media_type: str) -> None:
        self._writes(reference)
        await super().put_manifest(reference, content, media_type)

    async def put_blob(self, digest: str, size: int, content: Blob, mount_from: str = "") -> bool:
        async def counted() -> AsyncIterator[bytes]:
            self._writes("blob")
            async for chunk in content():
                yield chunk

        return await super().put_blob(digest, size, counted, mount_from)


def two_platforms(folder: Path, tag: str = "1.0", salt: str = "") -> str:
    """Two platforms with an attestation, as BuildKit writes them. Each time other bytes."""
    salt = salt or uuid4().hex
    images = {}
    for platform in ("linux/amd64", "linux/arm64"):
        image = ImageBuilder(platform).layer({"shared": salt.encode()})
        images[platform] = image.layer({"own": (salt + platform).encode()}).write(folder)
    write_index(folder, tag, images)
    source = json.loads((folder / "index.json").read_bytes())["manifests"]
    top = next(entry for entry in source if entry["annotations"]["org.opencontainers.image.ref.name"] == tag)
    said = json.loads((folder / "blobs" / "sha256" / top["digest"][7:]).read_bytes())
    statement, config = put_blob(folder, b'{"predicateType": "..."}' + salt.encode()), put_blob(folder, b"{}")
    attestation = manifest(
        config={"mediaType": "application/vnd.oci.image.config.v1+json", **config},
        layers=[{"mediaType": "application/vnd.in-toto+json", **statement}],
    )
    unknown = {"os": "unknown", "architecture": "unknown"}
    entry = {"mediaType": OCI_MANIFEST, **put_blob(folder, attestation), "platform": unknown}
    said["manifests"].append({**entry, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}})
    written = put_blob(folder, json.dumps(said).encode())
    tag_layout(folder, tag, {"mediaType": OCI_INDEX, **written})
    return str(written["digest"])


@pytest.fixture
async def pinned(tmp_path: Path) -> tuple[LayoutSource, PinnedTier]:
    folder = tmp_path / "images"
    two_platforms(folder, "1.0")
    two_platforms(folder, "1.1")
    source = LayoutSource(folder, ImageLimits())
    return source, await resolve_tier(source, "Free", f"oci:{folder}", ("1.0", "1.1"))


@pytest.fixture
def hub(registry_server: RegistryServer, connect: Connect) -> Recording:
    return Recording(connect(registry_server.address), f"hub/{uuid4().hex}")


async def test_what_was_approved_is_there_by_digest_with_its_tags_last(
    pinned: tuple[LayoutSource, PinnedTier], hub: Recording
) -> None:
    source, tier = pinned
    told: list[tuple[int, int]] = []
    outcome = await publish_tier(source, hub, tier, lambda done, total: told.append((done, total)))
    assert outcome.images == 6  # two platforms and an attestation for each tag
    assert hub.written[-2:] == ["1.0", "1.1"]
    for tag in tier.tags:
        assert await hub.digest_of_tag(tag.tag) == tag.digest
        assert outcome.parts[tag.digest][-1] == tag.digest
        assert len(outcome.parts[tag.digest]) == 4
    assert all(digest_of(content) == digest for digest, content in outcome.manifests.items())
    assert outcome.sent == sum([blob.size for blob in await _blobs(source, tier)])
    assert told[-1][0] <= outcome.sent


async def _blobs(source: LayoutSource, tier: PinnedTier) -> set[Descriptor]:
    found: set[Descriptor] = set()
    for tag in tier.tags:
        for entry in (await source.manifest(tag.digest)).entries():
            each = await source.manifest(entry.digest)
            found |= {each.config, *each.descriptors()}
    return found


@needs("skopeo")
async def test_skopeo_reads_exactly_the_approved_digests(
    pinned: tuple[LayoutSource, PinnedTier], hub: Recording, tmp_path: Path
) -> None:
    source, tier = pinned
    await publish_tier(source, hub, tier)
    for tag in tier.tags:
        place = f"docker://{hub}:{tag.tag}"
        assert digest_of(await skopeo("inspect", "--raw", "--tls-verify=false", place)) == tag.digest
        for image in tag.platforms:
            architecture = image.platform.partition("/")[2]
            copied = tmp_path / tag.tag / architecture
            copied.parent.mkdir(exist_ok=True)
            await skopeo(
                "--override-arch", architecture, "copy", "-q", "--src-tls-verify=false", place, f"oci:{copied}:x"
            )
            assert json.loads((copied / "index.json").read_bytes())["manifests"][0]["digest"] == image.digest


async def test_done_again_nothing_is_sent_and_nothing_changes(
    pinned: tuple[LayoutSource, PinnedTier], hub: Recording
) -> None:
    source, tier = pinned
    first = await publish_tier(source, hub, tier)
    hub.written.clear()
    again = await publish_tier(source, hub, tier)
    assert (again.images, again.sent, hub.written) == (0, 0, [])
    assert (again.manifests, again.parts) == (first.manifests, first.parts)


async def test_killed_anywhere_and_run_again_it_ends_as_if_nothing_had_been(
    pinned: tuple[LayoutSource, PinnedTier], hub: Recording
) -> None:
    source, tier = pinned
    whole = Recording(hub.client, f"hub/{uuid4().hex}")
    await publish_tier(source, whole, tier)
    deaths = 0
    while True:
        hub.lives = len(hub.written) + 3
        try:
            outcome = await publish_tier(source, hub, tier)
            break
        except Killed:
            deaths += 1
            # before its manifests are complete there is no tag to pull them by
            if "1.0" not in hub.written:
                assert await hub.digest_of_tag("1.0") == ""
    assert deaths > 5
    assert sorted(hub.written) == sorted(whole.written)
    assert {tag.digest for tag in tier.tags} == set(outcome.parts)


async def test_two_publications_at_the_same_time_end_alike(
    pinned: tuple[LayoutSource, PinnedTier], hub: Recording
) -> None:
    source, tier = pinned

    async def publishes(tries: int = 5) -> None:
        try:
            await publish_tier(source, hub, tier)
        except ToolFailed:
            # docker-registry writes a manifest's link in place: who looks at that moment hears that a part is missing,
            # and tries again, as the activity does
            if tries == 1:
                raise
            await publishes(tries - 1)

    await asyncio.gather(*(publishes() for _ in range(3)))
    assert [await hub.digest_of_tag(tag.tag) for tag in tier.tags] == [tag.digest for tag in tier.tags]


async def test_a_tag_that_moved_at_the_source_is_harmless(
    pinned: tuple[LayoutSource, PinnedTier], hub: Recording
) -> None:
    source, tier = pinned
    assert two_platforms(source.folder, "1.0") != tier.tags[0].digest
    await publish_tier(source, hub, tier)
    assert await hub.digest_of_tag("1.0") == tier.tags[0].digest


async def test_a_source_that_is_gone_or_changed_is_told_and_no_tag_is_set(
    pinned: tuple[LayoutSource, PinnedTier], hub: Recording
) -> None:
    source, tier = pinned
    layer = (await source.manifest(tier.tags[1].platforms[1].digest)).layers[1]
    path = source.folder / "blobs" / "sha256" / layer.digest.removeprefix("sha256:")
    path.write_bytes(b"x" * layer.size)
    with pytest.raises(MalformedImage):
        await publish_tier(source, hub, tier)
    path.unlink()
    with pytest.raises(ImageNotFound):
        await publish_tier(source, hub, tier)
    assert [await hub.digest_of_tag(tag) for tag in ("1.0", "1.1")] == ["", ""]


async def test_a_digest_that_the_registry_has_under_the_tag_already_is_replaced(
    pinned: tuple[LayoutSource, PinnedTier], hub: Recording, tmp_path: Path
) -> None:
    source, tier = pinned
    two_platforms(tmp_path / "older", "1.0")
    older = LayoutSource(tmp_path / "older", ImageLimits())
    await publish_tier(older, hub, await resolve_tier(older, "Free", "oci", ("1.0",)))
    await publish_tier(source, hub, tier)
    assert await hub.digest_of_tag("1.0") == tier.tags[0].digest


async def test_within_one_registry_layers_are_mounted_not_sent(
    pinned: tuple[LayoutSource, PinnedTier], hub: Recording
) -> None:
    source, tier = pinned
    private = RegistryRepository(hub.client, f"private/{uuid4().hex}")
    await publish_tier(source, HubRepository(hub.client, private.name), tier)
    outcome = await publish_tier(private, hub, await resolve_tier(private, "Free", str(private), ("1.0",)))
    statements = sum([blob.size async for blob in _statements(source, tier)])
    assert outcome.sent <= statements


async def _statements(source: LayoutSource, tier: PinnedTier) -> AsyncIterator[Descriptor]:
    for entry in (await source.manifest(tier.tags[0].digest)).attestations():
        attestation = await source.manifest(entry.digest)
        for blob in (attestation.config, *attestation.descriptors()):
            yield blob


async def test_withdrawn_and_restored_the_same_digests_are_there(
    pinned: tuple[LayoutSource, PinnedTier], hub: Recording
) -> None:
    source, tier = pinned
    outcome = await publish_tier(source, hub, tier)
    parts = [outcome.parts[tag.digest] for tag in tier.tags]
    for expected in (8, 0):
        assert sum([await withdraw(hub, digests) for digests in parts]) == expected
        for digest in (*parts[0], *parts[1], "1.0", "1.1"):
            assert await hub.digest_of_tag(digest) == ""
    for _ in range(2):
        for tag, digests in zip(tier.tags, parts, strict=True):
            await restore(hub, tag.tag, [outcome.manifests[digest] for digest in digests])
        for tag in tier.tags:
            assert await hub.digest_of_tag(tag.tag) == tag.digest
        for digest in (*parts[0], *parts[1]):
            assert await hub.digest_of_tag(digest) == digest


async def test_a_registry_that_has_collected_the_layers_cannot_restore_and_says_so(
    pinned: tuple[LayoutSource, PinnedTier], hub: Recording
) -> None:
    source, tier = pinned
    outcome = await copy_tier(source, hub, tier)
    elsewhere = HubRepository(hub.client, f"hub/{uuid4().hex}")
    with pytest.raises(ToolFailed, match="did not work"):
        await restore(elsewhere, "1.0", [outcome.manifests[digest] for digest in outcome.parts[tier.tags[0].digest]])


async def test_a_registry_that_moves_the_tag_away_is_noticed(
    pinned: tuple[LayoutSource, PinnedTier], hub: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, tier = pinned
    outcome = await copy_tier(source, hub, tier)

    async def another(reference: str) -> str:
        return digest_of(b"somebody else's")

    monkeypatch.setattr(hub, "digest_of_tag", another)
    with pytest.raises(ToolFailed, match=r"1\.0 should point to sha256:.*, but points to sha256:"):
        await tag_tier(hub, tier, outcome)


async def test_an_image_is_not_published_as_an_attestation(hub: Recording, tmp_path: Path) -> None:
    """Onboarding refuses it; an index that was pinned before it did is looked at again."""
    image, hidden = manifest(), manifest(b"never scanned")
    top = index(("linux/amd64", image), ("unknown/unknown", hidden))
    for content in (top, image, hidden, CONFIG):
        put_blob(tmp_path, content)
    (tmp_path / "index.json").write_text('{"manifests": []}')
    platform = PinnedPlatform(platform="linux/amd64", digest=digest_of(image), size=0)
    tag = PinnedTag(tag="1.0", digest=digest_of(top), media_type=OCI_INDEX, platforms=(platform,))
    tier = PinnedTier(tier="Free", repository="oci", tags=(tag,))
    with pytest.raises(UnsupportedImage, match="but it is an image"):
        await publish_tier(LayoutSource(tmp_path, ImageLimits()), hub, tier)
    assert await hub.digest_of_tag(digest_of(hidden)) == ""
