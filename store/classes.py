"""The security team's classes of vulnerabilities: given with a reason, taken back with one, and never forgotten."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import case, func, or_
from sqlalchemy import select as columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.errors import NotFound
from models.findings import Severity
from models.scans import Classing
from models.security_tables import SeverityOverrideRow
from models.tables import FindingRow, ProductRow, PublisherRow, SubmissionRow
from models.watch_tables import ExposureRow
from policies.vulnerabilities import RULE

#: the weightiest first; what is not scored yet may be anything
_WEIGHT = (Severity.CRITICAL, Severity.UNKNOWN, Severity.MAJOR, Severity.MINOR)


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


@dataclass(frozen=True, slots=True)
class Known:
    """A vulnerability somewhere in the hub: in published products, and in submissions that are still looked at."""

    vulnerability: str
    #: the weightiest that anything open says; a class that was given since is in `classing`
    severity: Severity
    #: how many of each
    products: int
    submissions: int
    #: the first of the packages that have it
    package: str
    fix_exists: bool
    exploited: bool
    #: when it was first seen there
    since: datetime
    classing: Classing | None = None

    @property
    def in_force(self) -> Severity:
        """The class that holds for it now."""
        return self.classing.severity if self.classing else self.severity


async def known(session: AsyncSession, vulnerability: str = "") -> list[Known]:
    """What is open anywhere in the hub, or only this one: exploited ones first, then the oldest."""
    name = spelled(vulnerability)
    found = {one.vulnerability: one for one in await _exposed(session, name)}
    submissions: dict[str, set[str]] = {}
    for row, submitted_at in await _findings(session, name):
        _, id_, package = row.key.split(":", 2)
        submissions.setdefault(id_, set()).add(row.submission)
        one = Known(
            vulnerability=id_,
            severity=row.severity or Severity.UNKNOWN,
            products=0,
            submissions=0,
            package=package,
            fix_exists=bool(row.finding.get("fixed_version")),
            exploited=bool(row.finding.get("exploited")),
            since=submitted_at,
        )
        found[id_] = _together(found[id_], one) if id_ in found else one
    classings = await in_force(session, found)
    listed = [
        replace(one, submissions=len(submissions.get(id_, ())), classing=classings.get(id_))
        for id_, one in found.items()
    ]
    return sorted(listed, key=lambda one: (not one.exploited, one.since, one.vulnerability))


async def places(session: AsyncSession, vulnerability: str) -> tuple[list[str], list[str], list[str]]:
    """Where one vulnerability is open: products (`publisher/product`), ids of submissions, packages."""
    name = spelled(vulnerability)
    rows = await session.exec(
        select(PublisherRow.slug, ProductRow.slug, ExposureRow.package)
        .join(ProductRow, col(ProductRow.publisher) == col(PublisherRow.id))
        .join(ExposureRow, col(ExposureRow.product) == col(ProductRow.id))
        .where(col(ExposureRow.vulnerability) == name, col(ExposureRow.closed_at).is_(None))
    )
    exposed = rows.all()
    findings = [row for row, _ in await _findings(session, name)]
    return (
        sorted({f"{publisher}/{product}" for publisher, product, _ in exposed}),
        sorted({row.submission for row in findings}),
        sorted({package for _, _, package in exposed} | {row.key.split(":", 2)[2] for row in findings}),
    )


async def _exposed(session: AsyncSession, name: str) -> list[Known]:
    """Counted by the database: one advisory may be about a hundred thousand products."""
    weight = case({severity: place for place, severity in enumerate(_WEIGHT)}, value=col(ExposureRow.severity))
    connection = await session.connection()
    # sqlmodel's own `select` knows four columns
    statement = (
        columns(
            col(ExposureRow.vulnerability),
            func.min(weight),
            func.count(func.distinct(col(ExposureRow.product))),
            func.min(col(ExposureRow.package)),
            func.max(case((col(ExposureRow.fixed_version) != "", 1), else_=0)),
            func.max(case((col(ExposureRow.exploited), 1), else_=0)),
            func.min(col(ExposureRow.since)),
        )
        .where(col(ExposureRow.closed_at).is_(None))
        .group_by(col(ExposureRow.vulnerability))
    )
    if name:
        statement = statement.where(col(ExposureRow.vulnerability) == name)
    return [
        Known(
            vulnerability=id_,
            severity=_WEIGHT[heaviest],
            products=products,
            submissions=0,
            package=package,
            fix_exists=bool(fixed),
            exploited=bool(exploited),
            since=since,
        )
        for id_, heaviest, products, package, fixed, exploited, since in await connection.execute(statement)
    ]


async def _findings(session: AsyncSession, name: str) -> Sequence[tuple[FindingRow, datetime]]:
    """Vulnerabilities that the latest examinations of open submissions found, and when those were submitted."""
    statement = (
        select(FindingRow, SubmissionRow.submitted_at)
        .join(SubmissionRow, col(SubmissionRow.id) == col(FindingRow.submission))
        .where(
            col(SubmissionRow.closed_at).is_(None),
            col(FindingRow.iteration) == col(SubmissionRow.iteration),
            col(FindingRow.rule) == RULE,
        )
    )
    if name:
        statement = statement.where(col(FindingRow.key).startswith(f"{RULE}:{name}:", autoescape=True))
    return (await session.exec(statement)).all()


def _together(one: Known, other: Known) -> Known:
    return replace(
        one,
        severity=min(one.severity, other.severity, key=_WEIGHT.index),
        package=min(one.package, other.package),
        fix_exists=one.fix_exists or other.fix_exists,
        exploited=one.exploited or other.exploited,
        since=min(one.since, other.since),
    )


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
