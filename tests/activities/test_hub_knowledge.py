"""What the hub knows of bases, over a report: no scan, and no more work than the answer needs."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from activities.hub_knowledge import HubKnowledge
from models.base import digest_of
from models.bases import KnownBase
from models.findings import Severity
from models.policy import SeverityClasses
from models.scans import Component, ImageReport
from scanning.advisories import AdvisoryStore
from store import bases
from store.blobs import Blobs
from store.database import Database
from tests.parts.rows import MONDAY
from tests.policies.test_bases import image, layer

NAMES = ("one", "two")


def record(name: str) -> dict[str, object]:
    return {
        "id": f"DEBIAN-CVE-2099-{NAMES.index(name):04}",
        "modified": "2099-01-01T00:00:00Z",
        "affected": [
            {
                "package": {"ecosystem": "Debian:12", "name": name},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2"}]}],
            }
        ],
    }


def component(name: str, version: str) -> Component:
    purl = f"pkg:deb/debian/{name}@{version}"
    return Component(purl=purl, ecosystem="Debian:12", name=name, version=version, source_name=name)


@pytest.fixture
async def knowledge(database: Database, tmp_path: Path) -> HubKnowledge:
    advisories = AdvisoryStore(tmp_path / "advisories.sqlite")
    path = tmp_path / "all.jsonl"
    path.write_text("\n".join(json.dumps(record(name)) for name in NAMES))
    await asyncio.to_thread(advisories.import_from, path)
    return HubKnowledge(database, Blobs(tmp_path / "blobs"), advisories, SeverityClasses())


async def known(
    knowledge: HubKnowledge, tag: str, *layers: str, day: int = 0, ships: tuple[Component, ...] = (), lost: bool = False
) -> KnownBase:
    """A base of these layers with these components, known since this day."""
    report = image(*layers).model_copy(update={"components": ships})
    base = KnownBase(
        reference=f"registry.example/debian:{tag}",
        platform="linux/amd64",
        digest=digest_of(f"{tag} {layers}".encode()),
        layers=tuple(map(layer, layers)),
        added_at=MONDAY + timedelta(days=day),
        report=digest_of(b"lost") if lost else await knowledge.blobs.put_message(report),
    )
    async with knowledge.database.transaction() as session:
        await bases.add(session, base)
    return base


def found(knowledge: HubKnowledge, *layers: str) -> ImageReport:
    """A report of an image with both packages in its lowest layer."""
    ships = tuple(component(name, "1").model_copy(update={"layer": layer(layers[0])}) for name in NAMES)
    vulnerabilities = knowledge.advisories.match(ships, knowledge.severity)
    assert {one.severity for one in vulnerabilities} == {Severity.UNKNOWN}
    return image(*layers).model_copy(update={"components": ships, "vulnerabilities": tuple(vulnerabilities)})


async def test_a_candidate_is_matched_with_the_advisories_of_now(knowledge: HubKnowledge) -> None:
    await known(knowledge, "12", "old")
    new = await known(knowledge, "12", "new", day=1, ships=(component("one", "2"), component("two", "1")))
    told = await knowledge.applied_to(found(knowledge, "old", "app"))
    assert told.base is not None
    assert told.base.rebuild is not None
    assert (told.base.rebuild.digest, told.base.rebuild.mended, told.base.rebuild.inherited) == (new.digest, 1, 2)
    assert await knowledge.applied_to(told) == told


async def test_a_candidate_whose_report_is_lost_is_not_offered_and_another_is(knowledge: HubKnowledge) -> None:
    await known(knowledge, "12", "old")
    await known(knowledge, "12", "new", day=1, lost=True)
    thirteen = await known(knowledge, "13", "thirteen", day=2)
    told = await knowledge.applied_to(found(knowledge, "old", "app"))
    assert told.base is not None
    assert told.base.rebuild is not None
    assert (told.base.rebuild.digest, told.base.rebuild.mended) == (thirteen.digest, 2)


async def test_where_nothing_is_known_the_report_stays_as_it_is(knowledge: HubKnowledge) -> None:
    report = found(knowledge, "old", "app")
    assert await knowledge.applied_to(report) == report
    assert await knowledge.changed_at() is None
    await known(knowledge, "12", "other")
    assert await knowledge.applied_to(report) == report
    assert await knowledge.changed_at() == MONDAY
