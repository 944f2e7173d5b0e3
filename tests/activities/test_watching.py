"""The watch: what a batch of advisories finds, and what it does not find twice."""

from datetime import datetime
from pathlib import Path

import pytest

from models.findings import Severity, VexState, Waiver, WaiverScope
from models.watching import BatchStatus, ChangeKind
from policies.exposures import exposure_key
from store.database import Database
from tests.activities.watchtower import CRITICAL, MAJOR, MINOR, Watchtower, advisory, open_watchtower, soon

DJANGO = {"base": ["urllib3==1.24"], "app": ["django==3.2", "pyyaml==5.3"]}
FLASK = {"base": ["urllib3==1.24"], "app": ["flask==1.0"]}


@pytest.fixture
async def tower(database: Database, tmp_path: Path) -> Watchtower:
    return await open_watchtower(database, tmp_path)


async def test_what_a_release_is_exposed_to_is_known_when_it_is_published(tower: Watchtower) -> None:
    tower.says(
        advisory("CVE-2026-0001", "django", fixed="4.0", vector=CRITICAL),
        advisory("CVE-2026-0002", "urllib3", vector=MAJOR),
        advisory("CVE-2026-0003", "pyyaml", vector=MINOR),
        advisory("CVE-2026-0004", "flask"),
    )
    crane = await tower.product("crane")
    changes = await tower.publishes(crane, DJANGO, base=1)
    # what has no clock is nothing for its process
    assert {(change.kind, change.exposure.severity, change.exposure.inherited) for change in changes} == {
        (ChangeKind.NEW, Severity.CRITICAL, False),
        (ChangeKind.NEW, Severity.MAJOR, True),
    }
    rows = await tower.exposures(crane)
    assert {id_: (row.severity, row.fixed_version, row.versions) for id_, row in rows.items()} == {
        "CVE-2026-0001": (Severity.CRITICAL, "4.0", "3.2"),
        "CVE-2026-0002": (Severity.MAJOR, "", "1.24"),
        "CVE-2026-0003": (Severity.MINOR, "", "5.3"),
    }
    assert rows["CVE-2026-0001"].key == exposure_key("CVE-2026-0001", "pkg:pypi/django")


async def test_published_again_under_the_same_order_the_changes_are_the_same(tower: Watchtower) -> None:
    tower.says(advisory("CVE-2026-0001", "django", vector=CRITICAL))
    crane = await tower.product("crane")
    first = await tower.publishes(crane, DJANGO, batch="s/7")
    assert await tower.publishes(crane, DJANGO, batch="s/7") == first
    assert len(first) == 1
    assert await tower.publishes(crane, DJANGO, batch="s/8") == ()


async def test_a_new_version_says_what_it_mends(tower: Watchtower) -> None:
    tower.says(
        advisory("CVE-2026-0001", "django", fixed="4.0", vector=CRITICAL),
        advisory("CVE-2026-0002", "urllib3", vector=MAJOR),
    )
    crane = await tower.product("crane")
    await tower.publishes(crane, DJANGO)
    (change,) = await tower.publishes(crane, DJANGO | {"app": ["django==4.0"]})
    assert (change.kind, change.exposure.severity) == (ChangeKind.RETRACTED, Severity.CRITICAL)
    assert set(await tower.exposures(crane)) == {"CVE-2026-0002"}


async def test_an_update_of_advisories_finds_the_products_that_it_concerns_and_no_others(tower: Watchtower) -> None:
    crane, derrick, winch = [await tower.product(name) for name in ("crane", "derrick", "winch")]
    await tower.publishes(crane, DJANGO)
    await tower.publishes(derrick, DJANGO, FLASK)
    await tower.publishes(winch, FLASK)
    assert await tower.rematches() == await tower.rematches()  # nothing to tell
    tower.says(advisory("CVE-2026-0001", "django", fixed="4.0", vector=CRITICAL), advisory("CVE-2026-0009", "rails"))
    batch = await tower.rematches()
    assert (batch.products, batch.mass, batch.names) == (2, False, 2)
    assert [await tower.changes(batch, each) for each in (crane, derrick, winch)] == [
        {"CVE-2026-0001": "new"},
        {"CVE-2026-0001": "new"},
        {},
    ]
    # until it has been told it is found again, and nothing else with it
    assert (await tower.rematches()).id == batch.id


async def test_what_has_not_changed_is_not_told_again(tower: Watchtower) -> None:
    crane = await tower.product("crane")
    await tower.publishes(crane, DJANGO)
    tower.says(advisory("CVE-2026-0001", "django", fixed="4.0", vector=CRITICAL))
    await tower.end(await tower.rematches())
    tower.says(advisory("CVE-2026-0001", "django", fixed="4.0", vector=CRITICAL, summary="said in other words"))
    assert (await tower.rematches()).id == ""


async def test_heavier_lighter_mended_and_withdrawn(tower: Watchtower) -> None:
    crane = await tower.product("crane")
    await tower.publishes(crane, DJANGO)
    said = [
        ({"vector": MAJOR}, "new", Severity.MAJOR),
        ({"vector": CRITICAL}, "escalated", Severity.CRITICAL),
        ({"vector": CRITICAL, "fixed": "4.0"}, "escalated", Severity.CRITICAL),
        ({"vector": MAJOR, "fixed": "4.0"}, "retracted", Severity.MAJOR),
        # it was about older versions only
        ({"vector": MAJOR, "fixed": "3.0"}, "retracted", None),
        ({"vector": MAJOR, "fixed": "4.0"}, "new", Severity.MAJOR),
        ({"vector": MAJOR, "fixed": "4.0", "withdrawn": "2026-01-02T00:00:00Z"}, "retracted", None),
    ]
    for changes, kind, severity in said:
        tower.says(advisory("CVE-2026-0001", "django", **changes))
        batch = await tower.rematches()
        assert await tower.changes(batch, crane) == {"CVE-2026-0001": kind}, changes
        rows = await tower.exposures(crane)
        assert [row.severity for row in rows.values()] == ([severity] if severity else []), changes
        await tower.end(batch)


async def test_a_fix_ends_an_exposure_only_where_every_image_has_it(tower: Watchtower) -> None:
    tower.says(advisory("CVE-2026-0001", "django", fixed="4.0", vector=CRITICAL))
    crane = await tower.product("crane")
    newer = DJANGO | {"app": ["django==4.0"]}
    await tower.publishes(crane, DJANGO, newer)
    assert set(await tower.exposures(crane)) == {"CVE-2026-0001"}
    await tower.publishes(crane, newer)
    assert await tower.exposures(crane) == {}


async def test_what_an_image_has_of_its_own_is_the_publishers_though_it_has_it_from_the_base_too(
    tower: Watchtower,
) -> None:
    tower.says(advisory("CVE-2026-0001", "urllib3", vector=CRITICAL))
    crane, derrick = await tower.product("crane"), await tower.product("derrick")
    await tower.publishes(crane, FLASK, base=1)
    assert [row.inherited for row in (await tower.exposures(crane)).values()] == [True]
    await tower.publishes(derrick, FLASK | {"top": ["urllib3==1.24"]}, base=1)
    assert [row.inherited for row in (await tower.exposures(derrick)).values()] == [False]


async def test_a_mass_change_waits_and_the_schedule_goes_on_without_it(tower: Watchtower) -> None:
    tower.sets("mass_change_products = 50", "mass_change_products = 2")
    named = [await tower.product(f"product-{number}") for number in range(3)]
    for product in named:
        await tower.publishes(product, DJANGO)
    tower.says(advisory("CVE-2026-0001", "django", vector=CRITICAL))
    batch = await tower.rematches()
    assert (batch.mass, batch.products) == (True, 3)
    assert (await tower.batch(batch.id)).status is BatchStatus.WAITING
    assert (await tower.rematches()).id == ""
    # what starts no clock may concern as many as it likes
    tower.says(advisory("CVE-2026-0002", "pyyaml", vector=MINOR))
    assert not (await tower.rematches()).mass


async def test_a_waiver_keeps_an_exposure_away_until_it_runs_out(tower: Watchtower) -> None:
    crane, derrick = await tower.product("crane"), await tower.product("derrick")
    for product in (crane, derrick):
        await tower.publishes(product, DJANGO)
    assert (await tower.rematches()).id == ""
    key = exposure_key("CVE-2026-0001", "pkg:pypi/django")
    waiver = Waiver(
        finding=key,
        state=VexState.NOT_AFFECTED,
        evidence="e",
        owner="o",
        scope=WaiverScope.PRODUCT,
        subject=crane,
        expires=soon(),
    )
    await tower.waives(waiver, crane)
    tower.says(advisory("CVE-2026-0001", "django", vector=CRITICAL))
    batch = await tower.rematches()
    assert (await tower.changes(batch, crane), await tower.changes(batch, derrick)) == ({}, {"CVE-2026-0001": "new"})
    await tower.end(batch)
    await tower.expires(key)
    batch = await tower.rematches()
    assert (await tower.changes(batch, crane), batch.products) == ({"CVE-2026-0001": "new"}, 1)
    await tower.end(batch)
    # granted anew, it is taken back
    await tower.waives(waiver.model_copy(update={"evidence": "another"}), crane)
    batch = await tower.rematches()
    assert await tower.changes(batch, crane) == {"CVE-2026-0001": "retracted"}


async def test_a_revoked_product_is_left_alone_and_caught_up_with_when_it_is_back(tower: Watchtower) -> None:
    crane = await tower.product("crane")
    await tower.publishes(crane, DJANGO)
    await tower.watched(crane, False)
    tower.says(advisory("CVE-2026-0001", "django", vector=CRITICAL))
    assert (await tower.rematches()).id == ""
    await tower.watched(crane, True)
    batch = await tower.rematches()
    assert await tower.changes(batch, crane) == {"CVE-2026-0001": "new"}


async def test_other_classes_in_the_policy_are_other_severities(tower: Watchtower) -> None:
    tower.says(advisory("CVE-2026-0001", "django", vector=MAJOR))
    crane = await tower.product("crane")
    await tower.publishes(crane, DJANGO)
    assert (await tower.rematches()).id == ""
    tower.sets('critical = "7.0"', 'critical = "4.5"')
    batch = await tower.rematches()
    assert await tower.changes(batch, crane) == {"CVE-2026-0001": "escalated"}


async def test_a_class_of_the_security_teams_reaches_the_products(tower: Watchtower) -> None:
    tower.says(advisory("CVE-2026-0001", "django"))
    crane = await tower.product("crane")
    assert await tower.publishes(crane, DJANGO) == ()
    assert (await tower.rematches()).id == ""
    await tower.classes("CVE-2026-0001", Severity.CRITICAL)
    batch = await tower.rematches()
    assert await tower.changes(batch, crane) == {"CVE-2026-0001": "escalated"}
    assert [row.severity for row in (await tower.exposures(crane)).values()] == [Severity.CRITICAL]


async def test_images_that_share_a_layer_share_its_components(tower: Watchtower) -> None:
    for name in ("crane", "derrick", "winch"):
        await tower.publishes(await tower.product(name), DJANGO, FLASK | {"top": [name + "==1"]})
    counts = await tower.counts()
    assert counts == {"component": 7, "component_set": 6, "component_set_member": 7, "shipped_image": 4}


async def test_what_was_published_before_there_was_a_watch_is_taken_in(tower: Watchtower) -> None:
    tower.says(advisory("CVE-2026-0001", "django", vector=CRITICAL))
    await tower.has_published_before(DJANGO)
    batch = await tower.rematches()
    assert batch.products == 1
    assert await tower.changes(batch, tower.house.product) == {"CVE-2026-0001": "new"}


async def test_many_products_are_settled_as_each_of_them_would_be(tower: Watchtower) -> None:
    """One statement writes what is the same for many."""
    named = [await tower.product(f"product-{number}") for number in range(7)]
    for product in named:
        await tower.publishes(product, DJANGO)
    told: dict[str, datetime] = {}
    for changes, kind, open_now in (
        ({"vector": MAJOR}, "new", True),
        ({"vector": CRITICAL}, "escalated", True),
        ({"vector": CRITICAL, "fixed": "3.0"}, "retracted", False),
        ({"vector": MAJOR}, "new", True),
    ):
        tower.says(advisory("CVE-2026-0001", "django", **changes))
        batch = await tower.rematches()
        assert batch.products == 7
        for product in named:
            assert await tower.changes(batch, product) == {"CVE-2026-0001": kind}
            row = (await tower.exposures(product, closed=True))["CVE-2026-0001"]
            assert (row.closed_at is None) is open_now
            # an escalation is no new exposure; one that comes back is
            assert (row.since == told.get(product)) is (kind != "new")
            told[product] = row.since
        await tower.end(batch)


async def test_what_nobody_ships_any_more_is_forgotten_and_known_again_when_it_is_back(tower: Watchtower) -> None:
    tower.says(advisory("CVE-2026-0001", "django", vector=CRITICAL))
    crane, derrick = await tower.product("crane"), await tower.product("derrick")
    await tower.publishes(crane, DJANGO)
    await tower.publishes(derrick, FLASK)
    await tower.publishes(crane, FLASK)
    # an image, its own layer, and the two packages of that: the base is the other one's, too
    assert await tower.lookout.forget_unshipped() == 4
    assert await tower.counts() == {"component": 2, "component_set": 2, "component_set_member": 2, "shipped_image": 1}
    assert await tower.lookout.forget_unshipped() == 0
    (change,) = await tower.publishes(crane, DJANGO)
    assert (change.kind, set(await tower.exposures(crane))) == (ChangeKind.NEW, {"CVE-2026-0001"})
