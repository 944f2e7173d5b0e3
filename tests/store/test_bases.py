"""Base images that the hub knows, by reference, digest and platform."""

from datetime import timedelta

import pytest

from models.base import digest_of
from models.bases import KnownBase
from models.errors import NotFound
from store import bases
from store.database import Database
from tests.parts.rows import MONDAY

SLIM = "registry.example/library/debian:12-slim"


def base(name: str, reference: str = SLIM, platform: str = "linux/amd64", days: int = 0) -> KnownBase:
    return KnownBase(
        reference=reference,
        platform=platform,
        digest=digest_of(name.encode()),
        layers=(digest_of(b"layer of " + name.encode()),),
        created=MONDAY - timedelta(days=9),
        added_at=MONDAY + timedelta(days=days),
        report=digest_of(b"report of " + name.encode()),
    )


async def added(database: Database, *known: KnownBase) -> None:
    async with database.transaction() as session:
        for each in known:
            await bases.add(session, each)


async def test_a_tag_that_moved_is_known_beside_what_it_was_before(database: Database) -> None:
    old, new, arm = base("old"), base("new", days=1), base("arm", platform="linux/arm64")
    await added(database, old, new, arm, old)
    async with database.session() as session:
        assert await bases.known(session) == [new, old, arm]
        assert await bases.known(session, ["linux/arm64"]) == [arm]
        assert await bases.changed_at(session) == new.added_at


@pytest.mark.parametrize(
    ("digest", "platform", "left"),
    [("", "", set()), (base("old").digest, "", {"new", "arm"}), ("", "linux/amd64", {"arm"})],
)
async def test_a_reference_is_forgotten_whole_or_in_part(
    database: Database, digest: str, platform: str, left: set[str]
) -> None:
    made = {name: base(name) for name in ("old", "new")} | {"arm": base("arm", platform="linux/arm64")}
    await added(database, *made.values(), base("other", "registry.example/other:1"))
    later = MONDAY + timedelta(days=3)
    async with database.transaction() as session:
        assert await bases.remove(session, SLIM, digest, platform, later) == 3 - len(left)
    async with database.session() as session:
        known = {each.digest for each in await bases.known(session)}
        assert known == {base(name).digest for name in left} | {base("other").digest}
        assert await bases.changed_at(session) == later
    await added(database, *made.values())
    async with database.session() as session:
        assert len(await bases.known(session)) == 4


async def test_what_is_not_known_cannot_be_forgotten(database: Database) -> None:
    async with database.transaction() as session:
        with pytest.raises(NotFound, match="no base image"):
            await bases.remove(session, SLIM, "", "", MONDAY)
