"""The security team's classes: one in force for each vulnerability, and every one that ever was."""

from datetime import datetime, timedelta

import pytest

from models.errors import NotFound
from models.findings import Finding, Level, Severity
from models.lifecycle import Outcome, Stage
from models.watch_tables import ExposureRow
from store import classes, submissions
from store.database import Database
from tests.parts.rows import MONDAY, RELEASE, harbour

CVE = "CVE-2024-1"
TUESDAY = MONDAY + timedelta(days=1)
WEDNESDAY = MONDAY + timedelta(days=2)


async def given(database: Database, vulnerability: str, severity: Severity, at: datetime = MONDAY) -> None:
    async with database.transaction() as session:
        await classes.give(session, vulnerability, severity, "It is wormable.", "sec", at)


async def test_a_class_is_in_force_until_it_is_taken_back(database: Database) -> None:
    await given(database, " cve-2024-1 ", Severity.CRITICAL)
    async with database.session() as session:
        known = await classes.in_force(session)
        assert set(known) == {CVE}
        assert (known[CVE].severity, known[CVE].reason, known[CVE].at) == (Severity.CRITICAL, "It is wormable.", MONDAY)
        assert await classes.in_force(session, ["CVE-2024-2"]) == {}
        assert set(await classes.in_force(session, ["cve-2024-1", "CVE-2024-2"])) == {CVE}
    async with database.transaction() as session:
        await classes.take_back(session, "CVE-2024-1", "It was not.", "sue", TUESDAY)
    async with database.session() as session:
        assert await classes.in_force(session) == {}
        [row] = await classes.history(session, "cve-2024-1")
    assert (row.by, row.withdrawn_by, row.withdrawn_reason, row.withdrawn_at) == ("sec", "sue", "It was not.", TUESDAY)


async def test_classed_anew_the_former_class_ends_and_is_kept(database: Database) -> None:
    await given(database, CVE, Severity.CRITICAL)
    await given(database, CVE, Severity.MINOR, TUESDAY)
    await given(database, "GHSA-aaaa-bbbb-cccc", Severity.MAJOR)
    async with database.session() as session:
        known = await classes.in_force(session)
        assert {name: one.severity for name, one in known.items()} == {
            CVE: Severity.MINOR,
            "GHSA-aaaa-bbbb-cccc": Severity.MAJOR,
        }
        latest, former = await classes.history(session, CVE)
        assert len(await classes.history(session)) == 3
    assert (latest.severity, latest.withdrawn_at) == (Severity.MINOR, None)
    assert (former.severity, former.withdrawn_at) == (Severity.CRITICAL, TUESDAY)


async def test_what_is_not_classed_cannot_be_taken_back(database: Database) -> None:
    async with database.transaction() as session:
        with pytest.raises(NotFound, match="CVE-2024-1 has no class"):
            await classes.take_back(session, CVE, "why", "sec", MONDAY)


async def test_the_watch_learns_which_classes_changed_since_it_looked(database: Database) -> None:
    async with database.session() as session:
        assert await classes.changed_at(session) is None
    await given(database, CVE, Severity.CRITICAL)
    await given(database, "CVE-2024-2", Severity.CRITICAL, TUESDAY)
    async with database.transaction() as session:
        await classes.take_back(session, CVE, "no", "sec", WEDNESDAY)
    async with database.session() as session:
        assert await classes.changed_since(session, MONDAY) == [CVE, "CVE-2024-2"]
        assert await classes.changed_since(session, TUESDAY) == [CVE, "CVE-2024-2"]
        assert await classes.changed_since(session, WEDNESDAY) == [CVE]
        assert await classes.changed_since(session, WEDNESDAY + timedelta(seconds=1)) == []
        assert await classes.changed_at(session) == WEDNESDAY


async def test_what_is_open_is_counted_over_products_and_submissions(database: Database) -> None:
    house = await harbour(database)
    barge = await harbour(database, slug="rival", name="Barge")
    await house.records(1, Stage.READY)
    finding = Finding(
        key=f"scan.vulnerability:{CVE}:pkg:deb/debian/a",
        rule="scan.vulnerability",
        level=Level.GUIDELINE,
        title=CVE,
        why="w",
        remedy="r",
        severity=Severity.MINOR,
        fixed_version="2",
    )
    async with database.transaction() as session:
        await submissions.save_iteration(
            session,
            submission=house.submission,
            number=1,
            content=house.content,
            release=RELEASE,
            policy="",
            outcome=Outcome(),
            findings=[finding],
            at=MONDAY,
        )
        for product, name, severity, since in (
            (house.product, CVE, Severity.MAJOR, TUESDAY),
            (barge.product, CVE, Severity.UNKNOWN, WEDNESDAY),
            (barge.product, "CVE-2024-2", Severity.CRITICAL, MONDAY),
        ):
            session.add(
                ExposureRow(
                    product=product,
                    key=f"scan.vulnerability:{name}:pkg:deb/debian/b",
                    vulnerability=name,
                    package="pkg:deb/debian/b",
                    severity=severity,
                    exploited=name != CVE,
                    batch="b-1",
                    since=since,
                )
            )
        await classes.give(session, "CVE-2024-2", Severity.MINOR, "no", "sec", MONDAY)
    async with database.session() as session:
        worst, other = await classes.known(session)
        assert await classes.known(session, "cve-2024-1") == [other]
        places = await classes.places(session, CVE)
    assert (worst.vulnerability, worst.severity, worst.in_force) == ("CVE-2024-2", Severity.CRITICAL, Severity.MINOR)
    assert (other.severity, other.in_force) == (Severity.UNKNOWN, Severity.UNKNOWN)
    assert (other.products, other.submissions, other.package) == (2, 1, "pkg:deb/debian/a")
    assert (other.fix_exists, other.exploited, other.since) == (True, False, MONDAY)
    assert places == (
        ["harbour/crane", "rival/barge"],
        [house.submission],
        ["pkg:deb/debian/a", "pkg:deb/debian/b"],
    )
