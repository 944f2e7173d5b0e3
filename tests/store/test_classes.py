"""The security team's classes: one in force for each vulnerability, and every one that ever was."""

from datetime import datetime, timedelta

import pytest

from models.errors import NotFound
from models.findings import Severity
from store import classes
from store.database import Database
from tests.parts.rows import MONDAY

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
