"""Images on their way to the scanner, and the blobs that are kept for the next one."""

import asyncio
import errno
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.base import digest_of
from models.errors import ImageTooLarge, MalformedImage, UnsupportedImage
from models.policy import ImageLimits
from registry.building import ImageBuilder, put_blob, tag_layout
from registry.fetch import BlobCache, Trimmed, fetch_image
from registry.layout import LayoutSource
from registry.manifests import OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from tests.registry.scripted import CONFIG, index, manifest


class CountingSource(LayoutSource):
    """Counts who reads what, and lets others have their turn in the middle of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ImageLimits())
        self.read: Counter[str] = Counter()
        self.broken_once = ""

    async def blob(self, digest: str, size: int) -> AsyncIterator[bytes]:
        self.read[digest] += 1
        await asyncio.sleep(0)
        if digest == self.broken_once and self.read[digest] == 1:
            raise MalformedImage("Broken this time.")
        async for chunk in super().blob(digest, size):
            yield chunk


@pytest.fixture
def source(tmp_path: Path) -> CountingSource:
    """Two images, 1 and 2, that share a layer."""
    folder = tmp_path / "images"
    for tag in ("1", "2"):
        image = ImageBuilder(platform="linux/amd64", labels={"tag": tag})
        image.layer({"shared": b"x" * 3_000_000}).layer({"own": tag.encode()}).write(folder, tag)
    return CountingSource(folder)


@pytest.fixture
def cache(tmp_path: Path) -> BlobCache:
    return BlobCache(tmp_path / "cache")


async def digest_of_tag(source: LayoutSource, tag: str) -> str:
    return (await source.manifest(tag)).digest


async def test_an_image_becomes_a_layout_with_exactly_one_manifest(source: CountingSource, tmp_path: Path) -> None:
    digest = await digest_of_tag(source, "1")
    told: list[tuple[int, int]] = []
    folder = await fetch_image(
        source, digest, tmp_path / "work", ImageLimits(), progress=lambda done, total: told.append((done, total))
    )
    entries = json.loads((folder / "index.json").read_bytes())["manifests"]
    assert [entry["digest"] for entry in entries] == [digest]
    blobs = folder / "blobs" / "sha256"
    assert all(digest_of(blob.read_bytes()) == f"sha256:{blob.name}" for blob in blobs.iterdir())
    assert len(list(blobs.iterdir())) == 4
    assert (
        told[-1][0]
        == told[-1][1]
        == sum(size for blob in blobs.iterdir() if (size := blob.stat().st_size))
        - len((await source.manifest("1")).content)
    )


async def test_what_images_share_is_fetched_once(source: CountingSource, cache: BlobCache, tmp_path: Path) -> None:
    for tag in ("1", "2"):
        await fetch_image(source, await digest_of_tag(source, tag), tmp_path / tag, ImageLimits(), cache)
    shared = (await source.manifest("1")).layers[0]
    assert source.read[shared.digest] == 1
    assert set(source.read.values()) == {1}
    name = shared.digest.removeprefix("sha256:")
    assert (tmp_path / "1" / "blobs" / "sha256" / name).samefile(tmp_path / "2" / "blobs" / "sha256" / name)


async def test_fetches_at_the_same_time_share_too(source: CountingSource, cache: BlobCache, tmp_path: Path) -> None:
    digests = [await digest_of_tag(source, tag) for tag in ("1", "2")] * 4
    folders = [tmp_path / str(number) for number in range(len(digests))]
    await asyncio.gather(
        *(
            fetch_image(source, digest, folder, ImageLimits(), cache)
            for digest, folder in zip(digests, folders, strict=True)
        )
    )
    assert set(source.read.values()) == {1}
    for folder in folders:
        for blob in (folder / "blobs" / "sha256").iterdir():
            assert digest_of(blob.read_bytes()) == f"sha256:{blob.name}"


async def test_who_waits_for_a_fetch_that_fails_fetches_himself(
    source: CountingSource, cache: BlobCache, tmp_path: Path
) -> None:
    digest = await digest_of_tag(source, "1")
    source.broken_once = (await source.manifest("1")).layers[0].digest
    outcomes = await asyncio.gather(
        *(fetch_image(source, digest, tmp_path / name, ImageLimits(), cache) for name in ("one", "other")),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["MalformedImage", type(tmp_path).__name__]


async def test_a_cache_on_another_file_system_copies(
    source: CountingSource, cache: BlobCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(source: Path, target: Path) -> None:
        if not source.exists():
            raise FileNotFoundError(errno.ENOENT, "no such file")
        raise OSError(errno.EXDEV, "another device")

    monkeypatch.setattr(os, "link", no_link)
    for number in range(2):
        await fetch_image(source, await digest_of_tag(source, "1"), tmp_path / str(number), ImageLimits(), cache)
    assert set(source.read.values()) == {1}


async def test_a_lie_about_the_size_is_seen_also_when_the_blob_is_known(cache: BlobCache, tmp_path: Path) -> None:
    folder, layer = tmp_path / "images", b"layer"
    put_blob(folder, layer)
    put_blob(folder, CONFIG)
    lie = [{"mediaType": OCI_LAYER, "digest": digest_of(layer), "size": 1}]
    for tag, content in (("honest", manifest(layer)), ("liar", manifest(layers=lie))):
        tag_layout(folder, tag, {"mediaType": OCI_MANIFEST, **put_blob(folder, content)})
    source = LayoutSource(folder, ImageLimits())
    await fetch_image(source, await digest_of_tag(source, "honest"), tmp_path / "1", ImageLimits(), cache)
    with pytest.raises(MalformedImage, match="does not have the 1 bytes"):
        await fetch_image(source, await digest_of_tag(source, "liar"), tmp_path / "2", ImageLimits(), cache)


async def test_nothing_unverified_comes_into_the_cache(
    source: CountingSource, cache: BlobCache, tmp_path: Path
) -> None:
    layer = (await source.manifest("1")).layers[0]
    path = source.folder / "blobs" / "sha256" / layer.digest.removeprefix("sha256:")
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(MalformedImage, match="other bytes"):
        await fetch_image(source, await digest_of_tag(source, "1"), tmp_path / "work", ImageLimits(), cache)
    assert not cache.path(layer.digest).exists()
    assert not (tmp_path / "work" / "index.json").exists()


async def test_limits_and_kinds_are_looked_at_before_anything_is_fetched(
    source: CountingSource, tmp_path: Path
) -> None:
    digest = await digest_of_tag(source, "1")
    for limits in (ImageLimits(layers=1), ImageLimits(compressed_bytes=100)):
        with pytest.raises(ImageTooLarge):
            await fetch_image(source, digest, tmp_path / "work", limits)
    written = put_blob(source.folder, index(("linux/amd64", manifest())))
    tag_layout(source.folder, "index", {"mediaType": OCI_INDEX, **written})
    with pytest.raises(UnsupportedImage, match="An index"):
        await fetch_image(source, str(written["digest"]), tmp_path / "work", ImageLimits())
    assert source.read == Counter()


def test_the_cache_is_trimmed_of_what_was_unused_for_longest(cache: BlobCache, tmp_path: Path) -> None:
    digests = []
    for number in range(4):
        content = bytes([number]) * 100
        digests.append(digest_of(content))
        (tmp_path / "blob").write_bytes(content)
        cache.keep(digests[-1], tmp_path / "blob")
        (tmp_path / "blob").unlink()
        os.utime(cache.path(digests[-1]), (number, number))
    assert cache.link_to(digests[0], tmp_path / "used")
    planned = cache.trim(250, dry_run=True)
    assert planned == Trimmed(deleted=2, deleted_bytes=200, left_bytes=200)
    assert all(cache.path(digest).exists() for digest in digests)
    assert cache.trim(250) == planned
    assert [cache.path(digest).exists() for digest in digests] == [True, False, False, True]
    assert cache.trim(250) == Trimmed(left_bytes=200)
    assert cache.trim(0) == Trimmed(deleted=2, deleted_bytes=200)
    # who has it goes on reading
    assert (tmp_path / "used").read_bytes() == bytes(100)
    assert cache.link_to(digests[0], tmp_path / "again") is False
    assert BlobCache(tmp_path / "nowhere").trim(0) == Trimmed()
