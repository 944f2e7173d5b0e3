"""The watch by the command line alone: real server, scan and advisories; and what waits for the security team."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from desk.hub import Hub
from models.addresses import MODERATION_QUEUE, mass_change_address, new_id
from models.lifecycle import Stage
from models.notices import Notice
from models.publishers import Role
from models.tables import NoticeRow
from models.watch_tables import BatchRow
from models.watching import BatchStatus
from models.work import AdvisoryBatch, MassChangeStart
from notifications.rendering import render
from store import people
from store.notices import build_notice
from tests.cli.conftest import Shell
from tests.desk.hubs import MODERATOR, SECOND, eventually, layout, reached, verified, with_sources, write_sample
from tests.parts.presence import needs
from workflows.mass_change import MassChangeWorkflow

pytestmark = [pytest.mark.system, needs("temporal", "trivy")]

SEC = "sec@hub.example"
PACKAGES = b"Package: gantry\nStatus: install ok installed\nVersion: 3.0.9-1\nArchitecture: amd64\n\n"


def advisory(number: int, vector: str = "", **changes: object) -> dict[str, object]:
    """Of Debian's package that is in the image; mended in a later version."""
    severity = [{"type": "CVSS_V3", "score": vector}] if vector else []
    return {
        "id": f"CVE-2026-{number}",
        "modified": "2026-03-01T00:00:00Z",
        "severity": severity,
        "affected": [
            {
                "package": {"ecosystem": "Debian:12", "name": "gantry"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.11-1"}]}],
            }
        ],
    } | changes


CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


async def imported(shell: Shell, place: Path, *records: dict[str, object]) -> None:
    place.write_text("\n".join(json.dumps(record) for record in records) + "\n")
    await shell("advisories", "import", str(place))


async def security(hub: Hub) -> None:
    async with hub.database.transaction() as session:
        person = await people.find_or_create(session, SEC, "Sec")
        await people.grant(session, person.id, Role.SECURITY, datetime.now(UTC))


async def mailed(hub: Hub, kind: str) -> list[NoticeRow]:
    async with hub.database.session() as session:
        rows = await session.exec(
            select(NoticeRow).where(col(NoticeRow.kind) == kind).order_by(col(NoticeRow.queued_at))
        )
        return list(rows.all())


async def test_what_the_advisories_say_of_a_published_product_is_told_retracted_and_classed(
    hub: Hub, hub_shell: Shell, tmp_path: Path
) -> None:
    shell = hub_shell
    publisher = await verified(hub)
    await security(hub)
    folder = with_sources(write_sample(tmp_path / "crane"), layout(tmp_path / "images", "1.0", packages=PACKAGES))
    submitted = await shell.json("submit", str(folder), "--as", publisher.email, "--publisher", publisher.slug)
    await reached(hub, submitted["submission"], Stage.READY)
    await shell.json("decide", submitted["submission"], "approve", "--as", MODERATOR)
    await reached(hub, submitted["submission"], Stage.PUBLISHED)
    crane = f"{publisher.slug}/crane"
    look = ("watch", "product", crane)
    assert (await shell.json(*look))["exposures"] == []
    assert "Nothing is known against" in (await shell(*look)).stdout

    export = tmp_path / "export.jsonl"
    await imported(shell, export, advisory(1, CRITICAL), advisory(2))
    told = await shell.json("watch", "run")
    assert (told["products"], told["changes"], told["waiting"]) == (1, 1, [])

    async def clocked() -> list[Any]:
        found = (await shell.json(*look))["exposures"]
        return found if found[0]["due"] else []

    first, second = await eventually(clocked)
    assert (first["vulnerability"], first["severity"], first["fixed_version"]) == ("CVE-2026-1", "critical", "3.0.11-1")
    assert (second["vulnerability"], second["severity"], second["due"]) == ("CVE-2026-2", "unknown", None)
    page = (await shell(*look, "--as", publisher.email)).stdout
    assert "CVE-2026-1" in page
    assert "3.0.11-1" in page
    stranger = await verified(hub)
    assert "for its publisher and the hub's staff" in await shell.refused(*look, "--as", stranger.email)
    overview = await shell.json("watch")
    assert crane in [clock["product"] for clock in overview["clocks"]]
    assert crane in (await shell("watch")).stdout
    [mail] = [row for row in await mailed(hub, "vulnerabilities_found") if row.address == publisher.email]
    assert [finding["title"] for finding in mail.payload["findings"]] == ["CVE-2026-1 in gantry 3.0.9-1"]
    assert mail.payload["by"]

    # nobody has scored the other one: the security team gives it a class, and the next look tells it
    assert [row.address for row in await mailed(hub, "class_to_give")] == [SEC]
    queue = (await shell.json("vulnerabilities", "list", "--unknown"))["items"]
    assert [one["vulnerability"] for one in queue] == ["CVE-2026-2"]
    await shell("vulnerabilities", "class", "CVE-2026-2", "critical", "--as", SEC, "--reason", "Reachable.")
    assert (await shell.json("watch", "run"))["changes"] == 1
    await waived(hub, shell, crane, publisher.email)
    assert "Nothing waits for a class" in (await shell("vulnerabilities", "list", "--unknown")).stdout

    # withdrawn: nothing is left to mend
    gone = {"withdrawn": "2026-03-02T00:00:00Z", "modified": "2026-03-02T00:00:00Z"}
    await imported(shell, export, advisory(1, CRITICAL, **gone), advisory(2, **gone))
    assert "Told: 1 products of 1 changes." in (await shell("watch", "run")).stdout

    async def no_clock() -> bool:
        return crane not in [clock["product"] for clock in (await shell.json("watch"))["clocks"]]

    await eventually(no_clock)
    assert (await shell.json(*look))["exposures"] == []
    assert "0 images scanned again" in (await shell("watch", "rescan")).stdout


async def waived(hub: Hub, shell: Shell, crane: str, member: str) -> None:
    """The publisher asks that the one that was classed need not be mended; two of the hub agree."""
    asked = ("watch", "ask-waiver", crane, "CVE-2026-2", "--as", member, "--text", "Not reached.")

    async def clocked() -> bool:
        return bool((await shell.json("product", "show", crane))["snapshot"]["critical"] == 2)

    await eventually(clocked)
    assert "published · turn: the publisher's" in (await shell(*asked)).stdout
    waive = ("watch", "waive", crane, "--text", "Not reached.", "--as", MODERATOR)
    assert "0 of the vulnerabilities that have to be mended are called CVE-9" in await shell.refused(*waive, "CVE-9")
    assert "at most 180 days" in (await shell(*waive, "CVE-2026-2", "--days", "999", status=1)).stderr
    assert (await shell.json(*waive, "CVE-2026-2"))["proposal"]["act"] == "waive"
    assert (await shell.json("product", "confirm", crane, "--as", SECOND))["critical"] == 1
    *_, mail = await mailed(hub, "waiver_asked")
    assert "watch waive" in render(await shown(hub, mail)).text
    # what is waived is no exposure any more, for as long as the waiver is in force
    assert (await shell.json("watch", "run"))["changes"] == 1
    exposures = (await shell.json("watch", "product", crane))["exposures"]
    assert [one["vulnerability"] for one in exposures] == ["CVE-2026-1"]


async def shown(hub: Hub, row: NoticeRow) -> Notice:
    async with hub.database.transaction() as session:
        notice, _, _ = await build_notice(session, row, hub="The Hub", base_url="https://hub.example")
    return notice


async def waiting(hub: Hub, *, lost: bool = False) -> str:
    """An update of advisories that concerns very many products; `lost`: nobody has begun its process."""
    batch = new_id()
    now = datetime.now(UTC)
    async with hub.database.transaction() as session:
        session.add(BatchRow(id=batch, status=BatchStatus.WAITING, products=400, names=3, mass=True, begun_at=now))
    if not lost:
        await hub.client.start_workflow(
            MassChangeWorkflow.run,
            MassChangeStart(batch=AdvisoryBatch(id=batch, names=3, products=400, mass=True)),
            id=mass_change_address(batch),
            task_queue=MODERATION_QUEUE,
        )
    return batch


async def test_the_security_team_judges_a_mass_change(hub: Hub, hub_shell: Shell) -> None:
    shell = hub_shell
    await security(hub)
    batch = await waiting(hub)
    page = (await shell("watch")).stdout
    assert f"wharfinger watch confirm {batch}" in page
    assert "confirm is for: security" in await shell.refused("watch", "confirm", batch, "--as", MODERATOR)
    confirmed = await shell.json("watch", "confirm", batch, "--as", SEC)
    assert (confirmed["status"], confirmed["products"]) == ("telling", 400)
    other = await waiting(hub, lost=True)
    declined = await shell("watch", "decline", other, "--as", SEC, "--reason", "A slip of the source.")
    assert "dismissed" in declined.stdout

    async def ended() -> bool:
        known = {one["id"]: one["status"] for one in (await shell.json("watch"))["batches"]}
        return (known[batch], known[other]) == ("told", "dismissed")

    await eventually(ended)
    assert "nothing can be decided" in await shell.refused("watch", "confirm", batch, "--as", SEC)
    assert "No update nothing waits" in await shell.refused("watch", "confirm", "nothing", "--as", SEC)


async def test_without_a_server_each_command_says_what_to_do(shell: Shell) -> None:
    for words in (("watch", "run"), ("watch", "rescan"), ("watch", "confirm", "b1", "--as", "x")):
        assert "start one with `wharfinger up`" in await shell.refused(*words)
    assert "There is no product a/b" in await shell.refused("watch", "product", "a/b")
    assert "No clock runs." in (await shell("watch")).stdout
