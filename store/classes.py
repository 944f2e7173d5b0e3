"""The security team's classes of vulnerabilities: given with a reason, taken back with one, and never forgotten."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.errors import NotFound
from models.findings import Severity
from models.scans import Classing
from models.security_tables import SeverityOverrideRow


def spelled(vulnerability: str) -> str:
    """One spelling of an id, so that one vulnerability is not two: `cve-2024-1` is CVE-2024-1."""
    name = vulnerability.strip()
    return name.upper() if name[:4].upper() == "CVE-" else name


async def give(
    session: AsyncSession, vulnerability: str, severity: Severity, reason: str, by: str, at: datetime
) -> SeverityOverrideRow:
    """Class a vulnerability; a class that is in force already ends with it. `by` is a person's id."""
    name = spelled(vulnerability)
    for known in await _in_force(session, [name]):
        known.withdrawn_by, known.withdrawn_reason, known.withdrawn_at = by, f"Classed anew as {severity}.", at
        session.add(known)
    row = SeverityOverrideRow(vulnerability=name, severity=severity, reason=reason, by=by, at=at)
    session.add(row)
    await session.flush()
    return row


async def take_back(session: AsyncSession, vulnerability: str, reason: str, by: str, at: datetime) -> None:
    """The class of the score is in force again. Errors: NotFound where there is no class to take back."""
    found = await _in_force(session, [spelled(vulnerability)])
    if not found:
        raise NotFound(f"{spelled(vulnerability)} has no class of the security team's.")
    for row in found:
        row.withdrawn_by, row.withdrawn_reason, row.withdrawn_at = by, reason, at
        session.add(row)


async def in_force(session: AsyncSession, vulnerabilities: Iterable[str] | None = None) -> dict[str, Classing]:
    """The classes by vulnerability: of all, or of those that are named."""
    return {
        row.vulnerability: Classing(severity=row.severity, reason=row.reason, at=row.at)
        for row in await _in_force(session, None if vulnerabilities is None else map(spelled, vulnerabilities))
    }


async def history(session: AsyncSession, vulnerability: str = "") -> list[SeverityOverrideRow]:
    """Every class that was ever given, to one vulnerability or to any; the latest first."""
    statement = select(SeverityOverrideRow).order_by(
        col(SeverityOverrideRow.at).desc(), col(SeverityOverrideRow.id).desc()
    )
    if vulnerability:
        statement = statement.where(SeverityOverrideRow.vulnerability == spelled(vulnerability))
    return list((await session.exec(statement)).all())


async def changed_since(session: AsyncSession, at: datetime) -> list[str]:
    """Vulnerabilities whose class was given or taken back at `at` or later, by name: the watch looks at them again.

    A transaction that is slow to commit has an earlier time than one that was seen: ask from a little before.
    """
    changed = select(SeverityOverrideRow.vulnerability).where(
        or_(col(SeverityOverrideRow.at) >= at, col(SeverityOverrideRow.withdrawn_at) >= at)
    )
    return sorted(set((await session.exec(changed)).all()))


async def changed_at(session: AsyncSession) -> datetime | None:
    """When a class was given or taken back last; None when there never was one."""
    given = (await session.exec(select(func.max(col(SeverityOverrideRow.at))))).one()
    taken = (await session.exec(select(func.max(col(SeverityOverrideRow.withdrawn_at))))).one()
    return max((moment for moment in (given, taken) if moment is not None), default=None)


async def _in_force(session: AsyncSession, vulnerabilities: Iterable[str] | None) -> list[SeverityOverrideRow]:
    statement = select(SeverityOverrideRow).where(col(SeverityOverrideRow.withdrawn_at).is_(None))
    if vulnerabilities is not None:
        statement = statement.where(col(SeverityOverrideRow.vulnerability).in_(sorted(set(vulnerabilities))))
    return list((await session.exec(statement.order_by(col(SeverityOverrideRow.id)))).all())
