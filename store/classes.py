"""The security team's classes of vulnerabilities: given with a reason, taken back with one, and never forgotten."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.errors import NotFound
from models.findings import Finding, Severity
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
    severity: Severity
    #: short names, `publisher/product`
    products: tuple[str, ...]
    submissions: tuple[str, ...]
    packages: tuple[str, ...]
    fix_exists: bool
    exploited: bool
    #: when it was first seen there
    since: datetime
    classing: Classing | None = None


async def known(session: AsyncSession, vulnerability: str = "") -> list[Known]:
    """What is open anywhere in the hub, or only this one: exploited ones first, then the oldest.

    `severity` is the weightiest that anything open says; a class that was given since is in `classing`.
    """
    name = spelled(vulnerability)
    found: dict[str, _Gathered] = {}
    exposures = (
        select(ExposureRow, PublisherRow.slug, ProductRow.slug)
        .join(ProductRow, col(ProductRow.id) == col(ExposureRow.product))
        .join(PublisherRow, col(PublisherRow.id) == col(ProductRow.publisher))
        .where(col(ExposureRow.closed_at).is_(None))
    )
    findings = (
        select(FindingRow, SubmissionRow.submitted_at)
        .join(SubmissionRow, col(SubmissionRow.id) == col(FindingRow.submission))
        .where(
            col(SubmissionRow.closed_at).is_(None),
            col(FindingRow.iteration) == col(SubmissionRow.iteration),
            col(FindingRow.rule) == RULE,
        )
    )
    if name:
        exposures = exposures.where(col(ExposureRow.vulnerability) == name)
        findings = findings.where(col(FindingRow.key).startswith(f"{RULE}:{name}:", autoescape=True))
    for exposure, publisher, product in (await session.exec(exposures)).all():
        one = found.setdefault(exposure.vulnerability, _Gathered())
        one.seen(exposure.severity, exposure.package, bool(exposure.fixed_version), exposure.exploited, exposure.since)
        one.products.add(f"{publisher}/{product}")
    for row, submitted_at in (await session.exec(findings)).all():
        said = Finding.model_validate(row.finding)
        _, id_, package = row.key.split(":", 2)
        one = found.setdefault(id_, _Gathered())
        severity = row.severity or Severity.UNKNOWN
        one.seen(severity, package, bool(said.fixed_version), said.exploited, submitted_at)
        one.submissions.add(row.submission)
    classings = await in_force(session, found)
    listed = [one.as_known(id_, classings.get(id_)) for id_, one in found.items()]
    return sorted(listed, key=lambda one: (not one.exploited, one.since, one.vulnerability))


@dataclass(slots=True)
class _Gathered:
    severity: Severity = Severity.MINOR
    products: set[str] = field(default_factory=set)
    submissions: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)
    fix_exists: bool = False
    exploited: bool = False
    since: datetime | None = None

    def seen(self, severity: Severity, package: str, fixed: bool, exploited: bool, since: datetime) -> None:
        self.severity = min(self.severity, severity, key=_WEIGHT.index)
        self.packages.add(package)
        self.fix_exists |= fixed
        self.exploited |= exploited
        self.since = min(since, self.since or since)

    def as_known(self, vulnerability: str, classing: Classing | None) -> Known:
        assert self.since is not None  # noqa: S101 - whatever was gathered was seen
        return Known(
            vulnerability=vulnerability,
            severity=self.severity,
            products=tuple(sorted(self.products)),
            submissions=tuple(sorted(self.submissions)),
            packages=tuple(sorted(self.packages)),
            fix_exists=self.fix_exists,
            exploited=self.exploited,
            since=self.since,
            classing=classing,
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
