"""`wharfinger gc` deletes what nothing needs, and says before what it would."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlmodel import select

from models.base import digest_of
from models.tables import TokenRow
from registry.fetch import BlobCache
from store import tokens
from store.blobs import Blobs
from tests.cli.conftest import Shell
from tests.parts.rows import Harbour, manifest

LONG_AGO = datetime.now(UTC) - timedelta(days=60)


async def test_a_dry_run_says_what_would_go_and_the_other_does_it(
    shell: Shell, home: Path, crane: Harbour, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("[keeping]\nblob_grace_days = 7\nscanner_cache_bytes = 2000\n")
    gc = Shell({**shell.environment, "WHARFINGER_POLICY": str(policy)})
    blobs = Blobs(home / "blobs")
    named = await blobs.put_message(manifest("Crane"))
    assert named == crane.content
    loose, young = await blobs.put(b"loose"), await blobs.put(b"young")
    for path in (home / "blobs").rglob("*"):
        if path.is_file() and path.name != young.removeprefix("sha256:"):
            os.utime(path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    async with crane.database.transaction() as session:
        await tokens.new_confirmation(session, crane.member, LONG_AGO)
        await tokens.new_confirmation(session, crane.member, datetime.now(UTC))
    cache = BlobCache(home / "blob-cache")
    for age in (3, 2, 1):
        layer = tmp_path / f"layer-{age}"
        layer.write_bytes(b"x" * 1000 + str(age).encode())
        cache.keep(digest_of(layer.read_bytes()), layer)
        when = (datetime.now(UTC) - timedelta(days=age)).timestamp()
        os.utime(cache.path(digest_of(layer.read_bytes())), (when, when))

    async def links() -> int:
        async with crane.database.session() as session:
            return len((await session.exec(select(TokenRow))).all())

    told = await gc.json("gc", "--dry-run")
    assert told["dry_run"] is True
    assert told["blobs"]["deleted"] == [loose]
    assert told["kept"] == {"blobs": 1, "bytes": len(await blobs.get(named)), "too_young": 1}
    assert told["links"] == 1
    assert told["cache"] == {"deleted": 2, "deleted_bytes": 2002, "left_bytes": 1001}
    assert await blobs.exists(loose)
    assert await links() == 2
    assert len([path for path in cache.folder.rglob("*") if path.is_file()]) == 3

    done = await gc.json("gc")
    assert done == {**told, "dry_run": False}
    assert not await blobs.exists(loose)
    assert await blobs.exists(named)
    assert await blobs.exists(young)
    assert await links() == 1
    assert len([path for path in cache.folder.rglob("*") if path.is_file()]) == 1
    again = await gc.json("gc")
    assert (again["blobs"]["deleted"], again["links"], again["cache"]["deleted"]) == ([], 0, 0)


async def test_people_read_a_table(shell: Shell, crane: Harbour) -> None:
    shown = (await shell("gc", "--dry-run")).stdout
    for word in ("would go", "blobs", "expired links", "scanner's cache"):
        assert word in shown
    assert "deleted" in (await shell("gc")).stdout
