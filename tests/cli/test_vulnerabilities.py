"""Classes on the command line: who may give them, what they change, and what waits for one."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from models.findings import Finding, Level, Severity
from models.lifecycle import Outcome, Stage
from models.publishers import Role
from models.watch_tables import ExposureRow
from store import submissions
from tests.cli.conftest import Shell
from tests.parts.rows import MONDAY, RELEASE, Harbour, staff

CVE, OTHER = "CVE-2024-1", "CVE-2024-2"
AS = ("--as", "sec@hub.example")


@pytest.fixture
async def quay(crane: Harbour) -> Harbour:
    """With a security team, an unscored vulnerability under examination, and two of a published product."""
    await staff(crane.database, "sec@hub.example", Role.SECURITY)
    await crane.records(1, Stage.READY)
    finding = Finding(
        key=f"scan.vulnerability:{CVE}:pkg:deb/debian/openssl",
        rule="scan.vulnerability",
        level=Level.GUIDELINE,
        title=CVE,
        why="w",
        remedy="r",
        severity=Severity.UNKNOWN,
        fixed_version="2",
    )
    async with crane.database.transaction() as session:
        await submissions.save_iteration(
            session,
            submission=crane.submission,
            number=1,
            content=crane.content,
            release=RELEASE,
            policy="",
            outcome=Outcome(),
            findings=[finding],
            at=MONDAY,
        )
        for name, severity, exploited, closed in (
            (CVE, Severity.UNKNOWN, False, None),
            (OTHER, Severity.MAJOR, True, None),
            ("CVE-2024-3", Severity.CRITICAL, True, MONDAY),
        ):
            session.add(
                ExposureRow(
                    key=f"scan.vulnerability:{name}:pkg:deb/debian/openssl",
                    vulnerability=name,
                    severity=severity,
                    exploited=exploited,
                    since=MONDAY - timedelta(days=1),
                    closed_at=closed,
                    product=crane.product,
                    package="pkg:deb/debian/openssl",
                    batch="b-1",
                )
            )
    return crane


async def test_the_queue_is_what_is_open_and_not_scored_with_the_teams_term(quay: Harbour, shell: Shell) -> None:
    every = await shell.json("vulnerabilities", "list")
    assert [(one["vulnerability"], one["class"]) for one in every["items"]] == [(OTHER, "major"), (CVE, "unknown")]
    queue = await shell.json("vulnerabilities", "list", "--unknown")
    (waiting,) = queue["items"]
    assert waiting["vulnerability"] == CVE
    assert (waiting["products"], waiting["submissions"], waiting["package"]) == (1, 1, "pkg:deb/debian/openssl")
    assert waiting["fix_exists"] is True
    # a Sunday: two working days later is Tuesday
    assert waiting["class_by"].startswith("2026-03-03")
    shown = await shell("vulnerabilities", "list", "--severity", "major")
    assert OTHER in shown.stdout
    assert CVE not in shown.stdout


async def test_a_class_is_given_with_a_reason_and_taken_back_and_all_of_it_is_kept(quay: Harbour, shell: Shell) -> None:
    given = await shell("vulnerabilities", "class", "cve-2024-1", "critical", *AS, "--reason", "It is wormable.")
    assert given.stdout.startswith("CVE-2024-1 is critical from now on")
    assert (await shell.json("vulnerabilities", "list", "--unknown"))["items"] == []
    (classed,) = (await shell.json("vulnerabilities", "list", "--classed"))["items"]
    assert (classed["vulnerability"], classed["class"]) == (CVE, "critical")
    taken = await shell.json("vulnerabilities", "unclass", CVE, *AS, "--reason", "It was not.")
    assert taken["class"] is None
    shown = await shell.json("vulnerabilities", "show", CVE)
    assert shown["hub"]["class"] == "unknown"
    assert shown["hub"]["products"] == ["harbour/crane"]
    assert shown["hub"]["submissions"] == [quay.submission]
    assert shown["hub"]["packages"] == ["pkg:deb/debian/openssl"]
    (row,) = shown["classes"]
    assert (row["class"], row["reason"], row["withdrawn_reason"]) == ("critical", "It is wormable.", "It was not.")
    assert (row["by"], row["withdrawn_by"]) == ("sec", "sec")
    said = (await shell("vulnerabilities", "show", CVE)).stdout
    assert "It is wormable. Taken back: It was not." in " ".join(said.split())


@pytest.mark.parametrize("who", ["mo@hub.example", "pat@harbour.example", "sue@hub.example"])
async def test_only_the_security_team_classes(quay: Harbour, shell: Shell, who: str) -> None:
    words = ("--as", who, "--reason", "So it is.")
    assert "Only the security team" in await shell.refused("vulnerabilities", "class", CVE, "minor", *words)
    assert "Only the security team" in await shell.refused("vulnerabilities", "unclass", CVE, *words)
    assert (await shell.json("vulnerabilities", "show", CVE))["classes"] == []


@pytest.mark.parametrize(
    ("name", "reason", "fields"),
    [(CVE, " ", ["reason"]), ("all of them", "why", ["vulnerability"]), ("", "x" * 1001, ["vulnerability", "reason"])],
)
async def test_a_class_needs_a_name_and_a_reason(
    quay: Harbour, shell: Shell, name: str, reason: str, fields: list[str]
) -> None:
    refused = await shell.json("vulnerabilities", "class", name, "minor", *AS, "--reason", reason, status=1)
    assert [problem["field"] for problem in refused["problems"]] == fields


async def test_what_is_not_classed_cannot_be_taken_back_and_what_is_unknown_not_shown(
    quay: Harbour, shell: Shell
) -> None:
    assert "has no class" in await shell.refused("vulnerabilities", "unclass", CVE, *AS, "--reason", "why")
    assert "Nothing is known" in await shell.refused("vulnerabilities", "show", "CVE-1999-1")


async def test_what_the_advisories_say_is_shown_beside_it(quay: Harbour, shell: Shell, tmp_path: Path) -> None:
    record = {
        "id": "PYSEC-2099-1",
        "aliases": [CVE],
        "modified": "2099-01-01T00:00:00Z",
        "summary": "Remote code execution.",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [{"package": {"ecosystem": "PyPI", "name": "jinja2"}, "versions": ["2.10"]}],
    }
    path = tmp_path / "one.json"
    path.write_text(json.dumps(record))
    await shell("advisories", "import", str(path))
    said = " ".join((await shell("vulnerabilities", "show", CVE)).stdout.split())
    for words in ("Remote code execution.", "9.8 CVSS:3.1", "PYSEC-2099-1", "harbour/crane", "has given it no class"):
        assert words in said
    assert (await shell.json("vulnerabilities", "show", CVE))["advisories"]["records"][0]["id"] == "PYSEC-2099-1"
