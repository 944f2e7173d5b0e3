"""OCI layout folders and archives as sources; skopeo writes what an honest publisher would bring."""

import gzip
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from models.base import digest_of
from models.errors import ImageNotFound, ImageTooLarge, MalformedImage, UnsupportedImage, WharfingerError
from models.images import PinnedTag
from models.policy import ImageLimits
from registry.access import SourceRules
from registry.building import ImageBuilder, write_index
from registry.fetch import fetch_image
from registry.layout import LayoutSource
from registry.manifests import OCI_INDEX, OCI_MANIFEST
from registry.resolve import resolve_tier
from registry.sources import open_source
from tests.parts.presence import needs
from tests.registry.opinions import skopeo
from tests.registry.scripted import CONFIG, manifest


def layout(folder: Path, tag: str = "1.0", content: bytes = b"hello") -> str:
    """One image; returns its digest."""
    return ImageBuilder().layer({"etc/motd": content}).layer({"a": b"b"}).write(folder, tag)


async def resolved(repository: str, rules: SourceRules, tag: str = "1.0") -> PinnedTag:
    async with open_source(repository, rules) as source:
        return (await resolve_tier(source, "Free", repository, (tag,))).tags[0]


@pytest.fixture
def rules(tmp_path: Path) -> SourceRules:
    return SourceRules(source_folders=(tmp_path,), work_folder=tmp_path / "work")


# --- layouts ----------------------------------------------------------------------------------------------------------


async def test_a_layout_folder_is_a_source(tmp_path: Path, rules: SourceRules) -> None:
    digest = layout(tmp_path / "images")
    pinned = await resolved(f"oci:{tmp_path / 'images'}", rules)
    assert (pinned.digest, pinned.platforms[0].platform) == (digest, "linux/amd64")


async def test_several_platforms_stand_in_an_index_of_the_layouts_index(tmp_path: Path, rules: SourceRules) -> None:
    folder = tmp_path / "images"
    images = {
        platform: ImageBuilder(platform).layer({"a": platform.encode()}).write(folder)
        for platform in ("linux/amd64", "linux/arm/v7", "linux/arm64/v8")
    }
    digest = write_index(folder, "1.0", images)
    pinned = await resolved(f"oci:{folder}", rules)
    assert pinned.digest == digest
    assert {image.platform: image.digest for image in pinned.platforms} == images


@needs("skopeo")
async def test_skopeo_writes_layouts_that_we_read(tmp_path: Path, rules: SourceRules) -> None:
    folder = tmp_path / "images"
    digest = layout(folder)
    await skopeo("copy", "-q", f"oci:{folder}:1.0", f"oci:{tmp_path / 'copy'}:2.0")
    await skopeo("copy", "-q", f"oci:{folder}:1.0", f"oci:{tmp_path / 'copy'}:registry.example.com/team/app:3.0")
    for tag in ("2.0", "3.0"):
        assert (await resolved(f"oci:{tmp_path / 'copy'}", rules, tag)).digest == digest
    async with open_source(f"oci:{tmp_path / 'copy'}", rules) as source:
        assert sorted(await source.tags()) == ["2.0", "3.0"]


async def test_a_tag_that_names_several_images_is_refused(tmp_path: Path, rules: SourceRules) -> None:
    folder = tmp_path / "images"
    layout(folder, "registry.example.com/a:1.0")
    layout(folder, "registry.example.com/b:1.0", b"another")
    with pytest.raises(UnsupportedImage, match=r"several images for the tag 1\.0"):
        await resolved(f"oci:{folder}", rules)
    digest = layout(folder, "1.0", b"the third")
    assert (await resolved(f"oci:{folder}", rules)).digest == digest


async def test_a_missing_tag_is_said_with_the_tags_that_there_are(tmp_path: Path, rules: SourceRules) -> None:
    layout(tmp_path / "images", "1.0")
    with pytest.raises(ImageNotFound, match=r"no tag 2\.0 in oci:images; tags that it has: 1\.0"):
        await resolved(f"oci:{tmp_path / 'images'}", rules, "2.0")


@pytest.mark.parametrize(
    "place", ["/etc", "images/../../outside", "images/link", "nowhere", "", "a\0b", "x" * 5_000, "images/circle"]
)
async def test_what_lies_outside_of_the_allowed_folders_is_not_read(tmp_path: Path, place: str) -> None:
    """In the same words as what is not there: nobody learns what lies on our disk."""
    inside, outside = tmp_path / "images", tmp_path / "outside"
    layout(inside)
    layout(outside)
    (inside / "link").symlink_to(outside)
    (inside / "circle").symlink_to(inside / "circle")
    for kind in ("oci", "archive"):
        with pytest.raises(ImageNotFound, match="There is no local source"):
            await resolved(f"{kind}:{inside.parent / place}", SourceRules(source_folders=(inside,)))
    with pytest.raises(ImageNotFound, match="There is no local source"):
        await resolved(f"oci:{inside}", SourceRules())


async def test_a_link_that_leads_out_of_the_layout_is_not_followed(tmp_path: Path, rules: SourceRules) -> None:
    folder, secret = tmp_path / "images", tmp_path / "secret"
    layout(folder)
    secret.write_bytes(CONFIG)
    blob = folder / "blobs" / "sha256" / digest_of(CONFIG).removeprefix("sha256:")
    blob.symlink_to(secret)
    async with open_source(f"oci:{folder}", rules) as source:
        with pytest.raises(MalformedImage, match="leads out of the folder"):
            await anext(source.blob(digest_of(CONFIG), len(CONFIG)))
        blob.unlink()
        blob.symlink_to(blob)
        with pytest.raises(WharfingerError):
            await anext(source.blob(digest_of(CONFIG), len(CONFIG)))
    (folder / "index.json").rename(tmp_path / "index.json")
    (folder / "index.json").symlink_to(tmp_path / "index.json")
    with pytest.raises(MalformedImage, match="leads out of the folder"):
        await resolved(f"oci:{folder}", rules)


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"manifests": 5}',
        b'{"manifests": [5]}',
        b'{"manifests": [{}]}',
        b'{"manifests": [{"digest": "sha256:../../../../etc/passwd", "size": 1}]}',
        b"[" * 100_000,
        b"\xff",
        b" " * 5_000_000,
    ],
)
async def test_an_index_that_is_none_is_a_clear_error(tmp_path: Path, rules: SourceRules, index: bytes) -> None:
    layout(tmp_path / "images")
    (tmp_path / "images" / "index.json").write_bytes(index)
    with pytest.raises((MalformedImage, ImageTooLarge)):
        await resolved(f"oci:{tmp_path / 'images'}", rules)


async def test_a_folder_that_is_no_layout_is_a_clear_error(tmp_path: Path, rules: SourceRules) -> None:
    with pytest.raises(ImageNotFound, match="no OCI layout"):
        await resolved(f"oci:{tmp_path}", rules)
    (tmp_path / "images" / "index.json").mkdir(parents=True)
    with pytest.raises(ImageNotFound, match="no OCI layout"):
        await resolved(f"oci:{tmp_path / 'images'}", rules)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ImageNotFound):
        await resolved(f"archive:{tmp_path / 'fifo'}", rules)


async def test_blobs_of_a_layout_that_lie_are_refused(tmp_path: Path, rules: SourceRules) -> None:
    folder = tmp_path / "images"
    digest = layout(folder)
    source = LayoutSource(folder, ImageLimits())
    layers = (await source.manifest("1.0")).layers
    blobs = folder / "blobs" / "sha256"
    path = blobs / layers[0].digest.removeprefix("sha256:")
    content = path.read_bytes()
    for lie, words in ((content[:-1], "ends after"), (content + b"x", "longer than"), (content[::-1], "other bytes")):
        path.write_bytes(lie)
        with pytest.raises(MalformedImage, match=words):
            await fetch_image(source, digest, tmp_path / words, ImageLimits())
        assert not (tmp_path / words / "index.json").exists()
    path.unlink()
    with pytest.raises(ImageNotFound, match="has no blob"):
        await fetch_image(source, digest, tmp_path / "missing", ImageLimits())
    (blobs / digest.removeprefix("sha256:")).write_bytes(manifest())
    with pytest.raises(MalformedImage, match="other bytes than its name says"):
        await resolved(f"oci:{folder}", rules)
    (blobs / digest.removeprefix("sha256:")).write_bytes(b" " * 5_000_000)
    with pytest.raises(ImageTooLarge, match="has more than 4,194,304 bytes"):
        await resolved(f"oci:{folder}", rules)


# --- archives ---------------------------------------------------------------------------------------------------------


@needs("skopeo")
async def test_a_docker_archive_is_a_source_and_always_the_same_image(tmp_path: Path, rules: SourceRules) -> None:
    folder, archive = tmp_path / "images", tmp_path / "app.tar"
    layout(folder)
    await skopeo("copy", "-q", f"oci:{folder}:1.0", f"docker-archive:{archive}:registry.example.com/team/app:1.0")
    pinned = await resolved(f"archive:{archive}", rules)
    assert pinned.media_type == OCI_MANIFEST
    assert (await resolved(f"archive:{archive}", rules)).digest == pinned.digest
    async with open_source(f"archive:{archive}", rules) as source:
        fetched = await fetch_image(source, pinned.digest, tmp_path / "fetched", ImageLimits())
    said = json.loads(await skopeo("inspect", f"oci:{fetched}"))
    assert (said["Digest"], len(said["Layers"])) == (pinned.digest, 2)
    assert list((tmp_path / "work").iterdir()) == []


def joined(archive: Path, first: Path, second: Path) -> None:
    """Two archives of one image as `docker save` writes them into one: a layer that both have is there once, and the
    second image's is a link to it.
    """
    with tarfile.open(archive, "w") as both, tarfile.open(first) as one, tarfile.open(second) as other:
        images = [json.loads(_content(each, "manifest.json")) for each in (one, other)]
        names = {name for (image,) in images for name in (image["Config"], *image["Layers"])}
        for each in (one, other):
            for name in sorted(names & set(each.getnames()) - set(both.getnames())):
                both.addfile(each.getmember(name), io.BytesIO(_content(each, name)))
        link = tarfile.TarInfo("second/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../" + images[0][0]["Layers"][0]
        both.addfile(link)
        images[1][0]["Layers"][0] = link.name
        listed = json.dumps([images[0][0], images[1][0]]).encode()
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(listed)
        both.addfile(entry, io.BytesIO(listed))


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


@needs("skopeo")
async def test_a_docker_archive_of_several_images_links_what_they_share(tmp_path: Path, rules: SourceRules) -> None:
    folder, archive = tmp_path / "images", tmp_path / "app.tar"
    for tag in ("1.0", "2.0"):
        ImageBuilder().layer({"etc/motd": b"shared"}).layer({"last": tag.encode()}).write(folder, tag)
        await skopeo("copy", "-q", f"oci:{folder}:{tag}", f"docker-archive:{tmp_path / tag}:team/app:{tag}")
    joined(archive, tmp_path / "1.0", tmp_path / "2.0")
    pinned = [await resolved(f"archive:{archive}", rules, tag) for tag in ("1.0", "2.0")]
    async with open_source(f"archive:{archive}", rules) as source:
        first, second = [(await source.manifest(each.digest)).layers for each in pinned]
    assert (first[0], len(second)) == (second[0], 2)
    assert first[1] != second[1]


@needs("skopeo")
@pytest.mark.parametrize("packed", [False, True])
async def test_an_oci_archive_is_a_source_with_the_digest_that_it_had(
    tmp_path: Path, rules: SourceRules, packed: bool
) -> None:
    folder, archive = tmp_path / "images", tmp_path / "app.tar"
    images = {
        platform: ImageBuilder(platform).layer({"a": b"b"}).write(folder) for platform in ("linux/amd64", "linux/arm64")
    }
    digest = write_index(folder, "1.0", images)
    await skopeo("copy", "-q", "--all", f"oci:{folder}:1.0", f"oci-archive:{archive}:1.0")
    if packed:
        archive.write_bytes(gzip.compress(archive.read_bytes()))
    pinned = await resolved(f"archive:{archive}", rules)
    assert pinned.digest == digest
    assert pinned.media_type == OCI_INDEX
    assert {image.platform: image.digest for image in pinned.platforms} == images


async def test_an_archive_that_is_gone_or_a_folder_is_a_clear_error(tmp_path: Path, rules: SourceRules) -> None:
    with pytest.raises(ImageNotFound):
        await resolved(f"archive:{tmp_path / 'gone.tar'}", rules)
    with pytest.raises(ImageNotFound, match="There is no archive"):
        await resolved(f"archive:{tmp_path}", rules)


async def test_nothing_of_an_archive_stays_in_the_work_folder_whatever_happens(
    tmp_path: Path, rules: SourceRules
) -> None:
    (tmp_path / "broken.tar").write_bytes(b"x" * 10_000)
    with pytest.raises(MalformedImage):
        await resolved(f"archive:{tmp_path / 'broken.tar'}", rules)
    assert list((tmp_path / "work").iterdir()) == []
