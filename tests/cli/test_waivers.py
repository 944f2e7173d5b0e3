"""VEX documents into waivers and out of them: by whoever may, through the same process as any decision."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from desk import submissions
from desk.hub import Hub
from models.findings import VexJustification
from models.lifecycle import Stage
from models.publishers import Role
from scanning.advisories import AdvisoryStore
from scanning.reports import vex_documents
from scanning.reports.vex_documents import VexForm
from settings import Settings
from store import people
from tests.cli.conftest import Shell
from tests.desk.hubs import (
    MODERATOR,
    SECOND,
    Applicant,
    eventually,
    layout,
    reached,
    read,
    verified,
    with_sources,
    write_sample,
)
from tests.parts.presence import needs
from tests.parts.rows import Harbour, harbour
from tests.scanning.images import dpkg

pytestmark = [pytest.mark.system, needs("temporal", "trivy")]

CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
PACKAGES = ("vexed", "vexatious")
LISTED = ("listed", "listless")
UNREACHABLE = VexJustification.VULNERABLE_CODE_NOT_IN_EXECUTE_PATH


async def known(settings: Settings, folder: Path, packages: tuple[str, ...]) -> None:
    """A critical vulnerability with a fix in each of these."""
    for number, name in enumerate(packages, 1):
        record = {
            "id": f"DEBIAN-CVE-2099-000{number}",
            "modified": "2099-01-01T00:00:00Z",
            "upstream": [f"CVE-2099-000{number}"],
            "severity": [{"type": "CVSS_V3", "score": CRITICAL}],
            "affected": [
                {
                    "package": {"ecosystem": "Debian:12", "name": name},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2"}]}],
                }
            ],
        }
        path = folder / f"{name}.json"
        path.write_text(json.dumps(record))
        await asyncio.to_thread(AdvisoryStore(settings.advisories_place).import_from, path)


async def submitted(hub: Hub, folder: Path, packages: tuple[str, ...]) -> tuple[Applicant, str]:
    """An image that ships these, ready for its review."""
    publisher = await verified(hub)
    images = layout(folder / "images", "1.0", packages=dpkg(*(f"{name} 1" for name in packages)))
    accepted = await submissions.submit(
        hub, publisher.email, publisher.slug, read(with_sources(write_sample(folder / "crane"), images))
    )
    await reached(hub, accepted.submission, Stage.READY)
    return publisher, accepted.submission


@pytest.fixture
async def submission(hub: Hub, settings: Settings, tmp_path: Path) -> tuple[Applicant, str]:
    """Two critical vulnerabilities with a fix hold it up."""
    await known(settings, tmp_path, PACKAGES)
    return await submitted(hub, tmp_path, PACKAGES)


def openvex(path: Path, *statements: dict[str, Any], packages: tuple[str, ...] = PACKAGES) -> str:
    """A document with these statements; what they do not say is that both packages are not affected."""
    common = {"status": "not_affected", "justification": str(UNREACHABLE), "impact_statement": "No."}
    document = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://harbour.example/vex",
        "author": "Harbour Works",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
        "statements": [
            {
                "vulnerability": {"name": f"CVE-2099-000{number}"},
                "products": [{"@id": f"pkg:deb/debian/{name}"}],
                **common,
                **said,
            }
            for said in statements or ({},)
            for number, name in enumerate(packages, 1)
        ],
    }
    path.write_text(json.dumps(document))
    return str(path)


async def standing(shell: Shell, submission: str) -> dict[str, Any]:
    found: dict[str, Any] = (await shell.json("status", submission, "--as", MODERATOR))["submission"]["snapshot"]
    return found


async def test_a_document_becomes_asks_of_its_publisher_and_waivers_of_the_staff_with_a_second_person_for_criticals(
    hub: Hub, hub_shell: Shell, submission: tuple[Applicant, str], tmp_path: Path
) -> None:
    publisher, name = submission
    document = openvex(tmp_path / "vex.json")
    words = ("waivers", "import", document, "--submission", name)

    dry = await hub_shell.json(*words, "--as", publisher.email, "--dry-run")
    assert [one["became"] for one in dry["findings"]] == ["matched", "matched"]
    keys = {one["finding"] for one in dry["findings"]}

    asked = await hub_shell.json(*words, "--as", publisher.email)
    assert [one["became"] for one in asked["findings"]] == ["asked", "asked"]
    after = await standing(hub_shell, name)
    assert set(after["outcome"]["blocking"]) == keys == set(after["outcome"]["critical"])
    again = await hub_shell.json(*words, "--as", publisher.email)
    assert [one["became"] for one in again["findings"]] == ["asked", "asked"]
    events = (await hub_shell.json("status", name, "--as", MODERATOR))["events"]
    assert sum(event["event"] == "ask_waiver" for event in events) == 2

    # the moderator's import is a proposal, one at a time; nothing is waived until somebody else agrees
    proposed = await hub_shell.json(*words, "--as", MODERATOR)
    assert sorted(one["became"] for one in proposed["findings"]) == ["proposed", "refused"]
    assert (await standing(hub_shell, name))["outcome"]["waived"] == 0
    assert "confirm is for" in await hub_shell.refused("decide", name, "confirm", "--as", MODERATOR)
    await hub_shell("decide", name, "confirm", "--as", SECOND)
    # nor does a second approver agree with a proposal of their own
    await approver(hub, "nils@hub.example")
    rest = await hub_shell.json(*words, "--as", "nils@hub.example")
    assert [one["became"] for one in rest["findings"]] == ["proposed"]
    alone = await hub_shell.refused("decide", name, "confirm", "--as", "nils@hub.example")
    assert "The approver is not the proposer" in alone
    await hub_shell("decide", name, "confirm", "--as", SECOND)
    assert (await standing(hub_shell, name))["outcome"]["blocking"] == []

    product = f"{publisher.slug}/crane"
    listed = await hub_shell.json("waivers", "list", product, "--as", publisher.email)
    assert {one["finding"] for one in listed} == keys
    assert {one["scope"] for one in listed} == {"digest"}
    assert {one["evidence"] for one in listed} == {"No. (Harbour Works)"}
    assert "in force" in (await hub_shell("waivers", "list", product)).stdout
    await exported_says_so(hub_shell, product, tmp_path)


async def exported_says_so(shell: Shell, product: str, folder: Path) -> None:
    """What is exported is about the very images, and a scan of one of them heeds it."""
    for form in VexForm:
        path = folder / f"{form}.json"
        await shell("waivers", "export", product, "--format", form, "--output", str(path))
        statements = vex_documents.read(path.read_bytes()).statements
        assert {one.components for one in statements} == {(f"pkg:deb/debian/{name}",) for name in PACKAGES}
        assert {one.justification for one in statements} == {UNREACHABLE}
        assert all(one.expires for one in statements)
        image = f"oci:{folder / 'images'}:1.0"
        for said, status in ((("--vex", str(path)), 0), ((), 1)):
            await shell("scan", image, "--fail-on", "critical", *said, "--platform", "linux/arm64", status=status)


async def approver(hub: Hub, email: str) -> None:
    async with hub.database.transaction() as session:
        person = await people.find_or_create(session, email)
        await people.grant(session, person.id, Role.SECOND_APPROVER, person.created_at)


async def test_a_document_of_something_else_answers_nothing(
    hub: Hub, hub_shell: Shell, submission: tuple[Applicant, str], tmp_path: Path
) -> None:
    publisher, name = submission
    path = tmp_path / "vex.json"
    for said in (
        {"products": [{"@id": "pkg:deb/debian/other"}]},
        {"products": [{"@id": "pkg:oci/other"}]},
        {"products": [{"@id": f"pkg:deb/debian/{PACKAGES[0]}@9"}]},
        {"status": "affected", "justification": "", "action_statement": "Update."},
        {"status": "under_investigation", "justification": ""},
    ):
        done = await hub_shell.json(
            "waivers", "import", openvex(path, said), "--submission", name, "--as", publisher.email
        )
        assert done["findings"] == [], said
    shown = await hub_shell("waivers", "import", str(path), "--submission", name, "--as", publisher.email)
    assert "none answers anything that has to be mended" in shown.stdout
    path.write_text("{}")
    refused = await hub_shell("waivers", "import", str(path), "--submission", name, "--as", MODERATOR, status=1)
    assert "neither OpenVEX" in refused.stderr


async def test_who_may_not_waive_grants_nothing_by_a_document(
    hub: Hub, hub_shell: Shell, submission: tuple[Applicant, str], tmp_path: Path
) -> None:
    _, name = submission
    async with hub.database.transaction() as session:
        helper = await people.find_or_create(session, "help@hub.example", "Hugo")
        await people.grant(session, helper.id, Role.SUPPORT, helper.created_at)
    words = ("waivers", "import", openvex(tmp_path / "vex.json"), "--submission", name)
    done = await hub_shell.json(*words, "--as", "help@hub.example")
    assert {one["became"] for one in done["findings"]} == {"refused"}
    assert all("waive is for" in one["reason"] for one in done["findings"])
    stranger = await verified(hub)
    assert f"There is no submission {name}: give its id" in await hub_shell.refused(*words, "--as", stranger.email)


async def test_a_document_speaks_of_a_published_product_while_its_clocks_run(
    hub: Hub, settings: Settings, hub_shell: Shell, tmp_path: Path
) -> None:
    publisher, name = await submitted(hub, tmp_path, LISTED)
    await hub_shell("decide", name, "approve", "--as", MODERATOR)
    await reached(hub, name, Stage.PUBLISHED)
    product = f"{publisher.slug}/crane"
    words = ("waivers", "import", openvex(tmp_path / "vex.json", packages=LISTED), "--product", product)
    assert (await hub_shell.json(*words, "--as", publisher.email))["findings"] == []

    await known(settings, tmp_path, LISTED)
    await hub_shell("watch", "run")

    async def clocks() -> bool:
        return bool((await hub_shell.json("product", "show", product))["snapshot"]["critical"] == 2)

    await eventually(clocks)
    asked = await hub_shell.json(*words, "--as", publisher.email)
    assert [one["became"] for one in asked["findings"]] == ["asked", "asked"]
    assert asked["findings"][0]["title"] == "CVE-2099-0001 in listed 1"
    for waiting in (2, 1):
        # both are critical: each is a proposal, and the next one waits for it
        told = await hub_shell.json(*words, "--as", MODERATOR)
        assert [one["became"] for one in told["findings"]] == ["proposed", "refused"][:waiting]
        await hub_shell("product", "confirm", product, "--as", SECOND)
    assert (await hub_shell.json("product", "show", product))["snapshot"]["critical"] == 0
    given = await hub_shell.json("waivers", "list", product)
    assert [(one["scope"], one["severity"]) for one in given] == [("digest", "critical")] * 2
    await hub_shell("watch", "run")
    assert (await hub_shell.json("watch", "product", product))["exposures"] == []

    # of the images in the hub's own registry: under the names that everybody may know
    path = tmp_path / "exported.json"
    await hub_shell("waivers", "export", product, "--output", str(path))
    names = {said for one in vex_documents.read(path.read_bytes()).statements for said in one.products}
    assert all(said.startswith("pkg:oci/crane@sha256%3A") for said in names)
    assert str(tmp_path) not in path.read_text()
    stranger = await verified(hub)
    assert await hub_shell.refused(*words, "--as", stranger.email) == f"There is no product {product}."
    both = await hub_shell.refused(*words, "--submission", name, "--as", MODERATOR)
    assert "--submission or --product" in both


# --- out of waivers -------------------------------------------------------------------------------------------------


@pytest.fixture
async def rival(crane: Harbour) -> Harbour:
    return await harbour(crane.database, slug="rival", name="Barge")


async def test_a_products_waivers_are_its_publishers_and_the_staffs(
    crane: Harbour, rival: Harbour, shell: Shell
) -> None:
    assert "No waiver is in force" in (await shell("waivers", "list", "harbour/crane")).stdout
    for verb in ("list", "export"):
        refusal = await shell.refused("waivers", verb, "harbour/crane", "--as", "pat@rival.example")
        assert refusal == "There is no product harbour/crane."
    document = json.loads((await shell("waivers", "export", "harbour/crane", "--as", "pat@harbour.example")).stdout)
    assert document["@id"] == "urn:wharfinger:product:harbour/crane:vex"
    assert document["statements"] == []
