"""A folder as the hub's registry: written by publications, read by skopeo."""

import asyncio
import hashlib
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.base import digest_of
from models.errors import MalformedImage, ToolFailed
from models.images import PinnedTier
from models.policy import ImageLimits
from registry.building import ImageBuilder, write_index
from registry.client import verified
from registry.copying import publish_tier, restore, withdraw
from registry.layout import LayoutSource
from registry.layout_target import LayoutTarget
from registry.manifests import OCI_MANIFEST
from registry.resolve import resolve_tier
from tests.parts.presence import needs


async def pinned(folder: Path) -> tuple[LayoutSource, PinnedTier]:
    """Two platforms under one tag, as a publisher's layout has them."""
    images = {
        platform: ImageBuilder(platform).layer({"etc/motd": platform.encode()}, "COPY motd /etc/").write(folder)
        for platform in ("linux/amd64", "linux/arm64")
    }
    write_index(folder, "1.0", images)
    source = LayoutSource(folder, ImageLimits())
    return source, await resolve_tier(source, "Standard", f"oci:{folder}", ("1.0",))


def skopeo(*arguments: str) -> bytes:
    return subprocess.run(["skopeo", *arguments], check=True, capture_output=True).stdout


@needs("skopeo")
async def test_what_is_published_into_a_folder_skopeo_reads_by_the_approved_digest(tmp_path: Path) -> None:
    source, tier = await pinned(tmp_path / "source")
    target = LayoutTarget(tmp_path / "hub", "ledgers/ledger/standard")
    outcome = await publish_tier(source, target, tier)
    assert outcome.images == 2
    assert outcome.sent > 0
    content = skopeo("inspect", "--raw", f"oci:{target.folder}:1.0")
    assert "sha256:" + hashlib.sha256(content).hexdigest() == tier.tags[0].digest
    for image in tier.tags[0].platforms:
        copied = tmp_path / f"copy-{image.platform.replace('/', '-')}"
        architecture = image.platform.partition("/")[2]
        skopeo("--override-arch", architecture, "copy", "-q", f"oci:{target.folder}:1.0", f"oci:{copied}:x")
        assert json.loads((copied / "index.json").read_bytes())["manifests"][0]["digest"] == image.digest


async def test_published_again_nothing_is_written(tmp_path: Path) -> None:
    source, tier = await pinned(tmp_path / "source")
    target = LayoutTarget(tmp_path / "hub", "ledger")
    await publish_tier(source, target, tier)
    index = (target.folder / "index.json").read_bytes()
    again = await publish_tier(source, target, tier)
    assert (again.images, again.sent) == (0, 0)
    assert (target.folder / "index.json").read_bytes() == index


async def test_withdrawn_manifests_take_their_tags_along_and_come_back_by_the_same_digests(tmp_path: Path) -> None:
    source, tier = await pinned(tmp_path / "source")
    target = LayoutTarget(tmp_path / "hub", "ledger")
    outcome = await publish_tier(source, target, tier)
    tag = tier.tags[0]
    parts = outcome.parts[tag.digest]
    assert await withdraw(target, parts) == 3
    assert await target.digest_of_tag("1.0") == ""
    assert await target.digest_of_tag(tag.digest) == ""
    assert await withdraw(target, parts) == 0
    await restore(target, "1.0", [outcome.manifests[digest] for digest in parts])
    assert await target.digest_of_tag("1.0") == tag.digest
    assert [await target.digest_of_tag(image.digest) for image in tag.platforms] == [
        image.digest for image in tag.platforms
    ]


async def test_a_tag_moves_and_the_older_manifest_stays(tmp_path: Path) -> None:
    target = LayoutTarget(tmp_path, "ledger")
    first, second = b'{"schemaVersion": 2, "x": 1}', b'{"schemaVersion": 2, "x": 2}'
    await target.put_manifest("1.0", first, OCI_MANIFEST)
    await target.put_manifest(digest_of(second), second, OCI_MANIFEST)
    await target.put_manifest("1.0", second, OCI_MANIFEST)
    assert await target.digest_of_tag("1.0") == digest_of(second)
    assert await target.digest_of_tag(digest_of(first)) == digest_of(first)
    entries = json.loads((target.folder / "index.json").read_bytes())["manifests"]
    assert [entry["digest"] for entry in entries] == [digest_of(second)]


async def test_a_blob_that_lies_about_its_digest_leaves_nothing(tmp_path: Path) -> None:
    target = LayoutTarget(tmp_path, "ledger")
    digest = digest_of(b"right")

    async def wrong() -> AsyncIterator[bytes]:
        yield b"wrong"

    with pytest.raises(MalformedImage, match="other bytes"):
        await target.put_blob(digest, 5, lambda: verified(wrong(), digest, 5))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_a_manifest_is_refused_under_a_digest_that_is_not_its_own(tmp_path: Path) -> None:
    target = LayoutTarget(tmp_path, "ledger")
    with pytest.raises(ToolFailed, match="cannot be written as"):
        await target.put_manifest(digest_of(b"another"), b"{}", OCI_MANIFEST)


async def test_tags_that_come_at_the_same_time_are_all_there(tmp_path: Path) -> None:
    targets = [LayoutTarget(tmp_path, "ledger") for _ in range(8)]
    contents = [json.dumps({"schemaVersion": 2, "number": number}).encode() for number in range(8)]
    await asyncio.gather(
        *(
            target.put_manifest(f"1.{number}", content, OCI_MANIFEST)
            for number, (target, content) in enumerate(zip(targets, contents, strict=True))
        )
    )
    found = [await targets[0].digest_of_tag(f"1.{number}") for number in range(8)]
    assert found == [digest_of(content) for content in contents]
