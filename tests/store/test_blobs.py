"""Blobs on both kinds of place: the same tests, the same answers."""

import asyncio
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.base import canonical_json, digest_of
from models.errors import NotFound, ToolFailed
from models.images import PinnedPlatform, PinnedTag, PinnedTier, ReleaseSet
from store.blobs import Blobs
from tests.parts.object_store import ObjectStorePart, object_store

NOWHERE = digest_of(b"never stored")


@dataclass(frozen=True)
class Place:
    """Blobs, and a way round them to what lies at rest."""

    blobs: Blobs
    overwrite: Callable[[str, bytes], None]


@pytest.fixture(scope="module")
def s3() -> Iterator[ObjectStorePart]:
    with object_store() as part:
        yield part


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        folder = tmp_path / "blobs"
        return Place(Blobs(str(folder)), lambda digest, content: _write(folder / at_rest(digest), content))
    s3: ObjectStorePart = request.getfixturevalue("s3")
    bucket = "b" + hashlib.sha256(str(tmp_path).encode()).hexdigest()[:20]
    s3.bucket(bucket)
    return Place(
        s3.blobs(f"s3://{bucket}/hub/blobs/"),
        lambda digest, content: s3.overwrite(bucket, f"hub/blobs/{at_rest(digest)}", content),
    )


def at_rest(digest: str) -> str:
    algorithm, _, name = digest.partition(":")
    return f"{algorithm}/{name[:2]}/{name}"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize("content", [b"", b"hello", os.urandom(300_000)], ids=["empty", "small", "large"])
async def test_what_is_put_can_be_got_by_its_digest(place: Place, content: bytes) -> None:
    digest = await place.blobs.put(content)
    assert digest == "sha256:" + hashlib.sha256(content).hexdigest()
    assert await place.blobs.get(digest) == content
    assert await place.blobs.exists(digest)


async def test_a_blob_that_was_never_put_is_not_found(place: Place) -> None:
    assert not await place.blobs.exists(NOWHERE)
    with pytest.raises(NotFound, match=NOWHERE):
        await place.blobs.get(NOWHERE)


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:../../../etc/passwd", "sha512:" + "0" * 128, NOWHERE + "\n"])
async def test_what_is_no_digest_names_no_blob(place: Place, digest: str) -> None:
    assert not await place.blobs.exists(digest)
    with pytest.raises(NotFound, match="not a digest"):
        await place.blobs.get(digest)
    with pytest.raises(NotFound, match="not a digest"):
        await place.blobs.delete(digest)


@pytest.mark.parametrize("damaged", [b"", b"hell", b"HELLO"], ids=["emptied", "cut off", "changed"])
async def test_a_damaged_blob_is_never_handed_out_and_is_mended_by_putting_it_again(
    place: Place, damaged: bytes
) -> None:
    digest = await place.blobs.put(b"hello")
    place.overwrite(digest, damaged)
    with pytest.raises(ToolFailed, match="damaged") as failure:
        await place.blobs.get(digest)
    assert digest in str(failure.value)
    assert await place.blobs.put(b"hello") == digest
    assert await place.blobs.get(digest) == b"hello"


async def test_many_who_put_the_same_blob_at_once_make_one(place: Place) -> None:
    content = os.urandom(50_000)
    digests = await asyncio.gather(*(place.blobs.put(content) for _ in range(12)))
    assert set(digests) == {digest_of(content)}
    assert [entry.digest async for entry in place.blobs.entries()] == [digest_of(content)]
    assert await place.blobs.get(digests[0]) == content


async def test_a_file_larger_than_one_part_is_streamed(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "large"
    content = os.urandom(1_000_003) * 9
    path.write_bytes(content)
    digest = await place.blobs.put_file(path)
    assert digest == digest_of(content)
    assert await place.blobs.get(digest) == content
    # and so is content that is in memory already
    assert await place.blobs.put(content) == digest


async def test_a_deleted_blob_is_gone_and_deleting_it_again_is_no_error(place: Place) -> None:
    digest = await place.blobs.put(b"hello")
    await place.blobs.delete(digest)
    await place.blobs.delete(digest)
    assert not await place.blobs.exists(digest)


async def test_entries_tell_size_and_age_and_pass_over_what_is_no_blob(place: Place) -> None:
    digests = {await place.blobs.put(content): len(content) for content in (b"", b"one", b"three")}
    place.overwrite("sha256:notablob", b"x")
    entries = [entry async for entry in place.blobs.entries()]
    assert {entry.digest: entry.size for entry in entries} == digests
    assert all(abs(datetime.now(UTC) - entry.modified) < timedelta(minutes=1) for entry in entries)
    assert {await place.blobs.entry(digest) for digest in digests} == set(entries)


async def test_there_are_no_entries_in_an_empty_place(place: Place) -> None:
    assert [entry async for entry in place.blobs.entries()] == []


async def test_a_message_comes_back_as_it_was(place: Place) -> None:
    release = ReleaseSet(
        tiers=(
            PinnedTier(
                tier="Community – größer",
                repository="registry.example/a/b",
                tags=(
                    PinnedTag(
                        tag="1.0",
                        digest=digest_of(b"index"),
                        media_type="application/vnd.oci.image.index.v1+json",
                        platforms=(PinnedPlatform(platform="linux/amd64", digest=digest_of(b"image"), size=3),),
                    ),
                ),
            ),
        )
    )
    digest = await place.blobs.put_message(release)
    assert digest == release.digest
    assert await place.blobs.get(digest) == canonical_json(release)
    assert await place.blobs.get_message(ReleaseSet, digest) == release


async def test_a_blob_that_is_another_kind_of_message_is_not_found(place: Place) -> None:
    digest = await place.blobs.put(b'{"tiers": 7}')
    with pytest.raises(NotFound, match="is not a ReleaseSet"):
        await place.blobs.get_message(ReleaseSet, digest)


async def test_a_writer_that_is_killed_leaves_all_or_nothing_and_what_it_leaves_can_be_swept(tmp_path: Path) -> None:
    """kill -9 in the middle of a large write, in a process of its own."""
    source, folder = tmp_path / "source", tmp_path / "blobs"
    source.write_bytes(os.urandom(2**20) * 200)
    program = (
        "import asyncio, sys; from store.blobs import Blobs; asyncio.run(Blobs(sys.argv[1]).put_file(sys.argv[2]))"
    )
    writer = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(folder), str(source))
    try:
        async with asyncio.timeout(60):
            while not list(folder.glob("sha256/*/*")) and writer.returncode is None:  # noqa: ASYNC110 - a folder
                await asyncio.sleep(0.001)
    finally:
        if writer.returncode is None:
            writer.kill()
        await writer.wait()
    blobs = Blobs(folder)
    found = [entry.digest async for entry in blobs.entries()]
    assert found in ([], [digest_of(source.read_bytes())])
    for digest in found:
        assert len(await blobs.get(digest)) == source.stat().st_size
    left = [path.stat().st_size for path in folder.glob("sha256/*/*#*")]
    assert bool(left) != bool(found), "either it was killed in the middle, or it was too fast for us"
    assert await blobs.sweep(datetime.now(UTC) + timedelta(minutes=1)) == (len(left), sum(left))
    assert list(folder.glob("sha256/*/*#*")) == []


def test_a_relative_folder_is_made_with_its_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Blobs("a/b/blobs")
    assert (tmp_path / "a/b/blobs").is_dir()


async def test_putting_a_blob_again_makes_it_young(tmp_path: Path) -> None:
    """Otherwise the garbage collector could take an old unused blob just before a row names it."""
    blobs = Blobs(str(tmp_path))
    digest = await blobs.put(b"hello")
    os.utime(tmp_path / at_rest(digest), (1_000_000_000, 1_000_000_000))
    old = await blobs.entry(digest)
    assert old is not None
    assert old.modified.year == 2001
    await blobs.put(b"hello")
    young = await blobs.entry(digest)
    assert young is not None
    assert young.modified.year > 2020


async def test_a_store_that_does_not_answer_is_the_hubs_matter_and_tells_no_secret() -> None:
    blobs = Blobs(
        "s3://bucket",
        endpoint="http://127.0.0.1:1",
        access_key="an-access-key",
        secret_key="a-secret-key",
        allow_http=True,
    )
    with pytest.raises(ToolFailed) as failure:
        await blobs.put(b"hello")
    for told in (str(failure.value), repr(failure.value.__cause__), repr(blobs)):
        assert "a-secret-key" not in told
    with pytest.raises(ToolFailed, match="s3://bucket"):
        await blobs.exists(NOWHERE)


async def test_a_bucket_that_does_not_exist_is_the_hubs_matter(s3: ObjectStorePart) -> None:
    with pytest.raises(ToolFailed, match="s3://nobody-made-it"):
        await s3.blobs("s3://nobody-made-it").put(b"hello")


async def test_plain_http_needs_to_be_allowed(s3: ObjectStorePart) -> None:
    blobs = Blobs("s3://bucket", endpoint=s3.endpoint, access_key="a", secret_key="b")
    with pytest.raises(ToolFailed):
        await blobs.put(b"hello")
