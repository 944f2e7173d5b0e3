"""The client and Debian's docker-registry; skopeo is the second opinion."""

import json
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from cli.servers import RegistryServer
from models.base import digest_of
from models.errors import ImageNotFound, MalformedImage, ToolFailed
from models.policy import ImageLimits
from registry.building import ImageBuilder, push_layout, write_index
from registry.client import CHUNK, HubRepository, RegistryClient, RegistryRepository
from registry.fetch import fetch_image
from registry.layout import LayoutSource
from registry.manifests import OCI_MANIFEST
from registry.resolve import resolve_tier
from tests.parts.presence import needs
from tests.registry.opinions import skopeo
from tests.registry.scripted import CuttingProxy, chunks, manifest

pytestmark = [needs("docker-registry"), pytest.mark.system]

Connect = Callable[..., RegistryClient]


@pytest.fixture
def client(registry_server: RegistryServer, connect: Connect) -> RegistryClient:
    return connect(registry_server.address)


@pytest.fixture
def repository(client: RegistryClient) -> RegistryRepository:
    """A fresh one, for everybody."""
    return RegistryRepository(client, f"test/{uuid4().hex}")


def two_platforms(folder: Path) -> dict[str, str]:
    """platform -> digest; a layer that both share, and one of its own for each."""
    images = {}
    for platform in ("linux/amd64", "linux/arm64"):
        image = ImageBuilder(platform, user="1000", labels={"org.opencontainers.image.title": platform})
        image.layer({"etc/motd": b"the same for all"}).layer({"bin/tool": platform.encode()}, "COPY tool /bin/")
        images[platform] = image.write(folder)
    write_index(folder, "1.0", images)
    return images


@needs("skopeo")
async def test_what_we_push_skopeo_inspects_and_copies(repository: RegistryRepository, tmp_path: Path) -> None:
    images = two_platforms(tmp_path / "layout")
    digest = await push_layout(tmp_path / "layout", "1.0", repository)
    place = f"docker://{repository}:1.0"
    assert digest_of(await skopeo("inspect", "--raw", "--tls-verify=false", place)) == digest
    said = json.loads(await skopeo("--override-arch", "arm64", "inspect", "--tls-verify=false", place))
    assert (said["Architecture"], said["Labels"]) == ("arm64", {"org.opencontainers.image.title": "linux/arm64"})
    await skopeo("copy", "-q", "--all", "--src-tls-verify=false", place, f"oci:{tmp_path / 'copy'}:1.0")
    copied = {path.name for path in (tmp_path / "copy" / "blobs" / "sha256").iterdir()}
    assert {image.removeprefix("sha256:") for image in images.values()} < copied


@needs("skopeo")
async def test_what_skopeo_pushes_we_resolve_and_fetch(repository: RegistryRepository, tmp_path: Path) -> None:
    images = two_platforms(tmp_path / "layout")
    source = f"oci:{tmp_path / 'layout'}:1.0"
    await skopeo("copy", "-q", "--all", "--dest-tls-verify=false", source, f"docker://{repository}:2.0")
    await skopeo("copy", "-q", "-f", "v2s2", "--dest-tls-verify=false", source, f"docker://{repository}:docker")
    tier = await resolve_tier(repository, "Free", str(repository), ("2.0", "docker"))
    pinned, of_docker = tier.tags
    assert {image.platform: image.digest for image in pinned.platforms} == images
    assert of_docker.media_type == "application/vnd.docker.distribution.manifest.v2+json"
    assert [image.platform for image in of_docker.platforms] == ["linux/amd64"]
    fetched = await fetch_image(repository, images["linux/arm64"], tmp_path / "fetched", ImageLimits())
    inspected = json.loads(await skopeo("--override-arch", "arm64", "inspect", f"oci:{fetched}"))
    assert inspected["Digest"] == images["linux/arm64"]
    assert {path.name for path in fetched.iterdir()} == {"blobs", "index.json", "oci-layout"}


async def test_a_blob_goes_up_in_chunks_and_comes_back_whole(repository: RegistryRepository) -> None:
    content = os.urandom(2 * CHUNK + 12_345)
    digest = digest_of(content)
    assert await repository.put_blob(digest, len(content), partial(chunks, content, 1_000_003)) is True
    assert await repository.put_blob(digest, len(content), partial(chunks, content)) is False
    assert b"".join([chunk async for chunk in repository.blob(digest, len(content))]) == content


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1])
async def test_a_blob_of_any_size_goes_up(repository: RegistryRepository, size: int) -> None:
    content = b"x" * size
    digest = digest_of(content)
    await repository.put_blob(digest, size, partial(chunks, content))
    assert await repository.has_blob(digest)
    assert sum([len(chunk) async for chunk in repository.blob(digest, size)]) == size


async def test_a_blob_of_another_repository_is_mounted_not_sent(repository: RegistryRepository) -> None:
    content = uuid4().bytes
    digest = digest_of(content)
    await repository.put_blob(digest, len(content), partial(chunks, content))
    other = RegistryRepository(repository.client, f"test/{uuid4().hex}")

    def never() -> AsyncIterator[bytes]:
        raise AssertionError("read although it could be mounted")

    assert await other.put_blob(digest, len(content), never, mount_from=repository.name) is False
    assert await other.has_blob(digest)


async def test_what_cannot_be_mounted_is_uploaded(repository: RegistryRepository) -> None:
    content = uuid4().bytes
    digest = digest_of(content)
    nowhere = f"test/{uuid4().hex}"
    assert await repository.put_blob(digest, len(content), partial(chunks, content), mount_from=nowhere) is True
    assert await repository.has_blob(digest)


async def test_tags_and_digests_are_looked_up_without_the_manifest(repository: RegistryRepository) -> None:
    config = b"{}"
    await repository.put_blob(digest_of(config), 2, partial(chunks, config))
    content = manifest(config_blob=config)
    await repository.put_manifest("1.0", content, OCI_MANIFEST)
    await repository.put_manifest("latest", content, OCI_MANIFEST)
    assert await repository.digest_of_tag("1.0") == digest_of(content)
    assert await repository.digest_of_tag(digest_of(content)) == digest_of(content)
    assert await repository.digest_of_tag("2.0") == ""
    assert sorted(await repository.tags()) == ["1.0", "latest"]


async def test_a_deleted_manifest_takes_its_tags_along_and_can_come_back(repository: RegistryRepository) -> None:
    config = b"{}"
    await repository.put_blob(digest_of(config), 2, partial(chunks, config))
    content = manifest(config_blob=config, annotations={"of": uuid4().hex})
    for _ in range(2):
        await repository.put_manifest("1.0", content, OCI_MANIFEST)
        assert await repository.digest_of_tag("1.0") == digest_of(content)
        assert await repository.delete_manifest(digest_of(content)) is True
        assert await repository.digest_of_tag("1.0") == ""
        assert await repository.delete_manifest(digest_of(content)) is False


async def test_a_missing_repository_tag_or_blob_is_said_in_the_publishers_words(
    repository: RegistryRepository,
) -> None:
    for reference in ("1.0", digest_of(b"nothing")):
        with pytest.raises(ImageNotFound, match="check the repository and the tag"):
            await repository.manifest(reference)
    with pytest.raises(ImageNotFound):
        await repository.tags()
    with pytest.raises(ImageNotFound):
        await anext(repository.blob(digest_of(b"nothing"), 7))


async def test_bytes_that_lie_never_stay_in_the_registry(repository: RegistryRepository, tmp_path: Path) -> None:
    ImageBuilder().layer({"a": b"a"}).write(tmp_path, "1.0")
    source = LayoutSource(tmp_path, ImageLimits())
    layer = (await source.manifest("1.0")).layers[0]
    path = tmp_path / "blobs" / "sha256" / layer.digest.removeprefix("sha256:")
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(MalformedImage, match="other bytes"):
        await repository.put_blob(layer.digest, layer.size, partial(source.blob, layer.digest, layer.size))
    assert not await repository.has_blob(layer.digest)


async def test_a_manifest_without_its_blobs_is_refused_by_the_registry(client: RegistryClient) -> None:
    hub = HubRepository(client, f"test/{uuid4().hex}")
    with pytest.raises(ToolFailed, match="answered 4"):
        await hub.put_manifest("1.0", manifest(b"never uploaded"), OCI_MANIFEST)


@pytest.mark.parametrize("cut", [100, 5_000, 3_000_000])
async def test_an_upload_that_is_cut_off_begins_again_and_the_bytes_are_right(
    registry_server: RegistryServer, connect: Connect, cut: int
) -> None:
    content = os.urandom(CHUNK + 1_000_000)
    digest = digest_of(content)
    async with CuttingProxy(registry_server.address, [cut, cut]) as address:
        hub = HubRepository(connect(address), f"test/{uuid4().hex}")
        assert await hub.put_blob(digest, len(content), partial(chunks, content)) is True
    direct = RegistryRepository(connect(registry_server.address), hub.name)
    assert b"".join([chunk async for chunk in direct.blob(digest, len(content))]) == content


async def test_an_upload_that_is_always_cut_off_is_the_hubs_matter(
    registry_server: RegistryServer, connect: Connect
) -> None:
    content = os.urandom(CHUNK)
    async with CuttingProxy(registry_server.address, [1_000_000] * 100) as address:
        hub = HubRepository(connect(address), f"test/{uuid4().hex}")
        with pytest.raises(ToolFailed, match="The hub's own registry: Finishing the upload"):
            await hub.put_blob(digest_of(content), len(content), partial(chunks, content))
