"""From tags to digests: what becomes of images that are not what they should be."""

import json
from collections.abc import Awaitable, Callable

import pytest

from models.base import digest_of
from models.errors import ImageNotFound, ImageTooLarge, MalformedImage, UnsupportedImage
from models.images import PinnedTag
from models.policy import ImageLimits
from registry.client import RegistryClient, RegistryRepository
from registry.manifests import OCI_INDEX
from registry.resolve import resolve_tier
from tests.registry.scripted import CONFIG, Answer, Reply, ScriptedServer, index, manifest, served

Start = Callable[..., Awaitable[ScriptedServer]]
Connect = Callable[..., RegistryClient]
Resolve = Callable[..., Awaitable[PinnedTag]]

ARM = json.dumps({"os": "linux", "architecture": "arm64", "variant": "v8"}).encode()
AMD_IMAGE, ARM_IMAGE = manifest(b"amd"), manifest(b"arm", config_blob=ARM)


@pytest.fixture
def resolve(scripted: Start, connect: Connect) -> Resolve:
    """Serve these manifests, resolve the first one's tag."""

    async def resolved(
        top: bytes,
        *others: bytes,
        blobs: tuple[bytes, ...] = (CONFIG, ARM),
        limits: ImageLimits | None = None,
        **instead: Answer,
    ) -> PinnedTag:
        server = await scripted({**served("team/app", "1.0", top, *others, blobs=blobs), **instead})
        repository = RegistryRepository(connect(server.address), "team/app")
        tier = await resolve_tier(repository, "Free", str(repository), ("1.0",), limits)
        return tier.tags[0]

    return resolved


async def test_an_image_is_pinned_with_the_platform_that_its_config_says(resolve: Resolve) -> None:
    pinned = await resolve(ARM_IMAGE)
    assert (pinned.digest, [image.platform for image in pinned.platforms]) == (digest_of(ARM_IMAGE), ["linux/arm64/v8"])
    assert pinned.platforms[0].size == 3


async def test_an_index_is_pinned_with_all_its_platforms(resolve: Resolve) -> None:
    top = index(("linux/amd64", AMD_IMAGE), ("linux/arm64", ARM_IMAGE))
    pinned = await resolve(top, AMD_IMAGE, ARM_IMAGE)
    assert pinned.digest == digest_of(top)
    assert {image.platform: image.digest for image in pinned.platforms} == {
        "linux/amd64": digest_of(AMD_IMAGE),
        "linux/arm64": digest_of(ARM_IMAGE),
    }


async def test_an_index_need_not_say_the_platform_and_then_the_image_does(resolve: Resolve) -> None:
    top = index(("linux/amd64", AMD_IMAGE), platform=None)
    assert [image.platform for image in (await resolve(top, AMD_IMAGE)).platforms] == ["linux/amd64"]


def attestation(of: bytes = b'{"predicateType": "https://slsa.dev/provenance/v1"}', kind: str = "") -> bytes:
    """As BuildKit writes one."""
    said = {"mediaType": kind or "application/vnd.in-toto+json", "digest": digest_of(of), "size": len(of)}
    return manifest(layers=[said])


async def test_attestations_of_an_index_are_no_platforms(resolve: Resolve) -> None:
    top = index(("linux/amd64", AMD_IMAGE), ("unknown/unknown", attestation()))
    assert [image.platform for image in (await resolve(top, AMD_IMAGE, attestation())).platforms] == ["linux/amd64"]


async def test_an_image_does_not_hide_as_an_attestation(resolve: Resolve) -> None:
    hidden = manifest(b"never scanned")
    with pytest.raises(UnsupportedImage, match=r"calls .* an attestation .*, but it is an image"):
        await resolve(index(("linux/amd64", AMD_IMAGE), ("unknown/unknown", hidden)), AMD_IMAGE, hidden)
    foreign = attestation(kind="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    with pytest.raises(UnsupportedImage, match="but it is an image"):
        await resolve(index(("linux/amd64", AMD_IMAGE), ("unknown/unknown", foreign)), AMD_IMAGE, foreign)
    inner = index(("linux/amd64", hidden))
    top = json.loads(index(("linux/amd64", AMD_IMAGE), ("unknown/unknown", inner)))
    top["manifests"][1]["mediaType"] = OCI_INDEX
    with pytest.raises(UnsupportedImage, match="but it is an image"):
        await resolve(json.dumps(top).encode(), AMD_IMAGE, inner)


async def test_an_image_that_calls_itself_an_attestation_is_scanned_like_any_other(resolve: Resolve) -> None:
    """Clients choose by platform; the annotation means nothing to them."""
    top = index(("linux/amd64", AMD_IMAGE), annotations={"vnd.docker.reference.type": "attestation-manifest"})
    assert len((await resolve(top, AMD_IMAGE)).platforms) == 1


async def test_two_images_for_one_platform_are_refused(resolve: Resolve) -> None:
    other = manifest(b"other")
    with pytest.raises(UnsupportedImage, match="several images for linux/amd64"):
        await resolve(index(("linux/amd64", AMD_IMAGE), ("linux/amd64", other)), AMD_IMAGE, other)
    other = manifest(b"other", config_blob=ARM)
    with pytest.raises(UnsupportedImage, match="several images for linux/arm64"):
        await resolve(index(("linux/arm64", ARM_IMAGE), ("linux/arm64/v8", other)), ARM_IMAGE, other)


async def test_an_index_that_lies_about_a_platform_is_refused(resolve: Resolve) -> None:
    with pytest.raises(MalformedImage, match=r"calls .* linux/s390x, the image says linux/amd64"):
        await resolve(index(("linux/s390x", AMD_IMAGE)), AMD_IMAGE)


async def test_an_index_that_lies_about_size_or_type_is_refused(resolve: Resolve) -> None:
    with pytest.raises(MalformedImage, match="another size"):
        await resolve(index(("linux/amd64", AMD_IMAGE), size=1), AMD_IMAGE)
    with pytest.raises(MalformedImage, match=r"but it is application/vnd\.oci.image.manifest"):
        await resolve(index(("linux/amd64", AMD_IMAGE), mediaType="application/json"), AMD_IMAGE)


async def test_an_index_inside_an_index_is_refused(resolve: Resolve) -> None:
    inner = index(("linux/amd64", AMD_IMAGE))
    with pytest.raises(UnsupportedImage, match="An index inside an index"):
        await resolve(index(("linux/amd64", inner), mediaType=OCI_INDEX), inner, AMD_IMAGE)


async def test_an_index_without_images_is_refused(resolve: Resolve) -> None:
    for top in (index(), index(("unknown/unknown", attestation()))):
        with pytest.raises(UnsupportedImage, match="no image for any platform"):
            await resolve(top, attestation())


async def test_an_index_that_names_what_is_not_there_is_refused(resolve: Resolve) -> None:
    with pytest.raises(ImageNotFound, match=f"There is no .*{digest_of(ARM_IMAGE)}"):
        await resolve(index(("linux/amd64", AMD_IMAGE), ("linux/arm64", ARM_IMAGE)), AMD_IMAGE)


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"nonsense",
        b"\xff",
        b"[" * 100_000,
        b'{"os": NaN}',
        b'{"os": "linux", "os": "linux", "architecture": "amd64"}',
        b'{"os": {}, "architecture": []}',
    ],
)
async def test_a_config_that_is_no_json_is_refused(resolve: Resolve, config: bytes) -> None:
    with pytest.raises((MalformedImage, UnsupportedImage)):
        await resolve(manifest(config_blob=config), blobs=(config,))


@pytest.mark.parametrize("said", [{}, {"os": "windows", "architecture": "amd64"}, {"architecture": "amd64"}, []])
async def test_an_image_that_is_not_for_linux_is_refused(resolve: Resolve, said: object) -> None:
    config = json.dumps(said).encode()
    with pytest.raises(UnsupportedImage, match="the hub takes linux images"):
        await resolve(manifest(config_blob=config), blobs=(config,))


async def test_a_config_that_lies_about_its_size_or_digest_is_refused(resolve: Resolve) -> None:
    place = f"/v2/team/app/blobs/{digest_of(CONFIG)}"
    for body, words in (
        (CONFIG + b" ", "longer than"),
        (CONFIG[:-1], "ends after"),
        (CONFIG[::-1], "other bytes"),
    ):
        with pytest.raises(MalformedImage, match=words):
            await resolve(AMD_IMAGE, **{place: Reply(body=body)})


async def test_a_config_without_end_is_read_up_to_its_size(scripted: Start, connect: Connect) -> None:
    endless = {f"/v2/team/app/blobs/{digest_of(CONFIG)}": Reply(goes_on=b"x" * 2**16)}
    server = await scripted({**served("team/app", "1.0", AMD_IMAGE), **endless})
    with pytest.raises(MalformedImage, match="longer than"):
        await resolve_tier(RegistryRepository(connect(server.address), "team/app"), "Free", "r", ("1.0",))
    assert server.sent < 20 * 2**20


async def test_a_manifest_with_another_digest_than_asked_for_is_refused(resolve: Resolve) -> None:
    place = f"/v2/team/app/manifests/{digest_of(AMD_IMAGE)}"
    with pytest.raises(MalformedImage, match=f"should be {digest_of(AMD_IMAGE)}, but its bytes are"):
        await resolve(index(("linux/amd64", AMD_IMAGE)), **{place: Reply(body=ARM_IMAGE)})
    lie = Reply(body=AMD_IMAGE, headers={"Docker-Content-Digest": digest_of(b"other")})
    with pytest.raises(MalformedImage, match="should be"):
        await resolve(AMD_IMAGE, **{"/v2/team/app/manifests/1.0": lie})


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (ImageLimits(platforms=1), "has 2 images; at most 1"),
        (ImageLimits(compressed_bytes=2), "has 3 bytes; at most 2"),
    ],
)
async def test_the_limits_of_the_policy_hold(resolve: Resolve, limits: ImageLimits, words: str) -> None:
    with pytest.raises(ImageTooLarge, match=words):
        await resolve(
            index(("linux/amd64", AMD_IMAGE), ("linux/arm64", ARM_IMAGE)), AMD_IMAGE, ARM_IMAGE, limits=limits
        )


async def test_too_many_attestations_or_too_large_ones_are_refused(resolve: Resolve) -> None:
    several = [attestation(bytes([number])) for number in range(3)]
    top = index(("linux/amd64", AMD_IMAGE), *(("unknown/unknown", each) for each in several))
    with pytest.raises(ImageTooLarge, match="has 3 attestations; at most 2"):
        await resolve(top, AMD_IMAGE, *several, limits=ImageLimits(platforms=2))
    large = attestation(b"x" * 5_000)
    with pytest.raises(ImageTooLarge, match=r"the attestation .* is larger than an image may be"):
        await resolve(
            index(("linux/amd64", AMD_IMAGE), ("unknown/unknown", large)),
            AMD_IMAGE,
            large,
            limits=ImageLimits(compressed_bytes=4_000),
        )


async def test_too_many_tags_are_refused(scripted: Start, connect: Connect) -> None:
    server = await scripted({})
    repository = RegistryRepository(connect(server.address), "team/app")
    with pytest.raises(ImageTooLarge, match="has 3 tags; at most 2"):
        await resolve_tier(repository, "Free", "r", ("1", "2", "3"), ImageLimits(tags_per_tier=2))
    assert server.asked == []


async def test_an_image_of_docker_is_taken_as_it_is(resolve: Resolve) -> None:
    layer = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    image = manifest(
        mediaType="application/vnd.docker.distribution.manifest.v2+json",
        config={
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "digest": digest_of(CONFIG),
            "size": len(CONFIG),
        },
        layers=[{"mediaType": layer, "digest": digest_of(b"l"), "size": 1}],
    )
    pinned = await resolve(image)
    assert pinned.media_type == "application/vnd.docker.distribution.manifest.v2+json"
    assert pinned.platforms[0].digest == pinned.digest == digest_of(image)
