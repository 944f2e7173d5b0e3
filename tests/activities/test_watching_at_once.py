"""Publications, advisories and batches at the same time: in the end everybody is exposed to what the advisories say."""

import asyncio
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from activities.lookout import Answer, Lookout
from models.exposures import Unit
from models.policy import SeverityClasses
from models.watching import ChangeKind
from scanning.shipments import known_of, unit_of
from store.database import Database
from tests.activities.watchtower import CRITICAL, MAJOR, Cargo, Watchtower, advisory, open_watchtower

NAMES = ("django", "flask", "pyyaml", "urllib3", "jinja2")


@pytest.fixture
async def tower(database: Database, tmp_path: Path) -> Watchtower:
    return await open_watchtower(database, tmp_path)


def some_cargo(chance: random.Random) -> Cargo:
    """Of a base that others have, too, and a layer of its own."""
    packages = [f"{name}=={chance.randint(1, 4)}" for name in chance.sample(NAMES, 3)]
    return {"base": [f"{chance.choice(NAMES)}=={chance.randint(1, 2)}"], "app": packages}


def some_advisory(chance: random.Random) -> dict[str, object]:
    """New, or another word of one that is there already."""
    withdrawn = {"withdrawn": "2026-01-02T00:00:00Z"} if chance.random() < 0.2 else {}
    return advisory(
        f"CVE-2026-000{chance.randint(1, 9)}",
        chance.choice(NAMES),
        fixed=chance.choice(("", "2", "3", "4")),
        vector=chance.choice((CRITICAL, MAJOR, "")),
        **withdrawn,
    )


async def said_of(tower: Watchtower, cargo: Cargo) -> set[str]:
    """What a scan of today would find."""
    report = await tower.report(cargo)
    units = {unit for component in report.components if (unit := unit_of(component))}
    known = known_of(tower.advisories, units, SeverityClasses())
    return {one.vulnerability for found in known.values() for one in found}


async def test_an_advisory_that_is_matched_while_a_release_is_saved_is_not_missed(tower: Watchtower) -> None:
    class Slow(Lookout):
        """Between its question and its transaction an advisory comes in and is matched, once."""

        async def ask(self, units: Iterable[Unit]) -> Answer:
            answer = await Lookout.ask(self, units)
            if not self.advisories.count():
                tower.says(advisory("CVE-2026-0001", "django", vector=CRITICAL))
                assert (await tower.rematches()).id == ""
            return answer

    crane = await tower.product("crane")
    release = await tower.release(crane, {"app": ["django==3.2"]})
    slow = Slow(tower.database, tower.blobs, tower.advisories, tower.lookout.policy)
    found = await slow.watch(release, "s", "s/1")
    assert [change.kind for change in found.changes] == [ChangeKind.NEW]
    assert set(await tower.exposures(crane)) == {"CVE-2026-0001"}


async def test_a_component_that_is_forgotten_while_a_release_is_saved_is_asked_about_again(tower: Watchtower) -> None:
    class Slow(Lookout):
        """It has looked, and found that the component is known: then it is known no more."""

        async def ask(self, units: Iterable[Unit]) -> Answer:
            answer = await Lookout.ask(self, units)
            await self.forget_unshipped()
            return answer

    tower.says(advisory("CVE-2026-0001", "django", vector=CRITICAL))
    crane, derrick = await tower.product("crane"), await tower.product("derrick")
    await tower.publishes(crane, {"app": ["django==3.2"]})
    await tower.publishes(crane, {"app": ["flask==1"]})
    release = await tower.release(derrick, {"app": ["django==3.2"]})
    slow = Slow(tower.database, tower.blobs, tower.advisories, tower.lookout.policy)
    assert len((await slow.watch(release, "s", "s/1")).changes) == 1


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_comes_between_nothing_is_missed_and_nothing_is_left(tower: Watchtower, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    named = [await tower.product(f"product-{number}") for number in range(4)]
    live: dict[str, Cargo] = {}

    async def publish(product: str) -> None:
        for _ in range(5):
            cargo = some_cargo(chance)
            await tower.publishes(product, cargo, base=chance.randint(0, 1))
            live[product] = cargo

    async def advise() -> None:
        for _ in range(8):
            await asyncio.to_thread(tower.says, *(some_advisory(chance) for _ in range(3)))
            await tower.watches()

    await asyncio.gather(advise(), *(publish(product) for product in named))
    # what was imported and matched while somebody published has been caught up with
    await tower.watches()
    for product, cargo in live.items():
        assert set(await tower.exposures(product)) == await said_of(tower, cargo), product
