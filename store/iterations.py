"""Iterations: what all the checks of one pass came to, and what an earlier pass said of the same product."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.findings import Finding, FindingStatus
from models.lifecycle import Outcome
from models.tables import FindingRow, IterationRow, ProductRow, SubmissionRow
from store.database import insert_new, put_row
from store.views import IterationView, SubmissionView


@dataclass(frozen=True, slots=True)
class Examined:
    """An earlier iteration that a new one is compared with: digests of what is stored of it."""

    submission: str
    number: int
    content: str
    release: str
    report: str
    image_reports: tuple[str, ...]


async def save_iteration(
    session: AsyncSession,
    *,
    submission: str,
    number: int,
    content: str,
    release: str,
    policy: str,
    outcome: Outcome,
    findings: Sequence[Finding],
    report: str = "",
    image_reports: Sequence[str] = (),
    difference: str = "",
    changes: Sequence[str] = (),
    at: datetime,
) -> None:
    """What the checks found, under which policy. Saved again (an activity tried twice), the newer one counts."""
    row = IterationRow(
        submission=submission,
        number=number,
        content=content,
        release=release,
        policy=policy,
        outcome=outcome.model_dump(mode="json"),
        report=report,
        reports=list(image_reports),
        difference=difference,
        changes=list(changes),
        examined_at=at,
    )
    await put_row(session, IterationRow, row.model_dump(), ("submission", "number"), keep=("approved_at",))
    await session.exec(
        delete(FindingRow).where(col(FindingRow.submission) == submission, col(FindingRow.iteration) == number)
    )
    rows = [
        FindingRow(
            submission=submission,
            iteration=number,
            position=position,
            key=finding.key,
            rule=finding.rule,
            level=finding.level,
            severity=finding.severity,
            status=finding.status,
            finding=finding.model_dump(mode="json"),
        ).model_dump()
        for position, finding in enumerate(findings)
    ]
    await insert_new(session, FindingRow, rows, ("submission", "iteration", "position"))


async def iterations(session: AsyncSession, submission: str) -> tuple[IterationView, ...]:
    """All of them with their findings, the first one first."""
    rows = await session.exec(
        select(IterationRow).where(IterationRow.submission == submission).order_by(col(IterationRow.number))
    )
    found: dict[int, list[Finding]] = {}
    for row in (
        await session.exec(
            select(FindingRow)
            .where(FindingRow.submission == submission)
            .order_by(col(FindingRow.iteration), col(FindingRow.position))
        )
    ).all():
        found.setdefault(row.iteration, []).append(Finding.model_validate(row.finding))
    return tuple(
        IterationView(
            submission=row.submission,
            number=row.number,
            content=row.content,
            release=row.release,
            policy=row.policy,
            outcome=Outcome.model_validate(row.outcome),
            difference=row.difference,
            changes=tuple(row.changes),
            report=row.report,
            image_reports=tuple(row.reports),
            examined_at=row.examined_at,
            approved_at=row.approved_at,
            findings=tuple(found.get(row.number, ())),
        )
        for row in rows.all()
    )


async def findings(session: AsyncSession, submission: str, iteration: int) -> list[Finding]:
    """In the order of the checks; none when the iteration is not examined yet."""
    rows = await session.exec(
        select(FindingRow)
        .where(FindingRow.submission == submission, FindingRow.iteration == iteration)
        .order_by(col(FindingRow.position))
    )
    return [Finding.model_validate(row.finding) for row in rows.all()]


async def iteration_before(session: AsyncSession, submission: SubmissionView, number: int) -> Examined | None:
    """What iteration `number` is compared with: the one before it; for a first one, the product's last approved one.

    That is of the same track: a listing edit has no images to compare. None when there is nothing to compare with.
    """
    previous = (
        select(IterationRow)
        .where(IterationRow.submission == submission.id, IterationRow.number < number)
        .order_by(col(IterationRow.number).desc())
    )
    row = (await session.exec(previous.limit(1))).first()
    if row is None:
        row = await _last_approved(session, submission.product, submission)
    if row is None:
        return None
    return Examined(row.submission, row.number, row.content, row.release, row.report, tuple(row.reports))


async def accepted_findings(session: AsyncSession, product: str) -> frozenset[str]:
    """Keys of what was found in the last approved iterations, one of each track, and accepted with the approval.

    A waived finding is not among them: it comes back when its waiver expires.
    """
    keys: set[str] = set()
    seen = set()
    for row, track in await _approved(session, product):
        if track in seen:
            continue
        seen.add(track)
        rows = await session.exec(
            select(FindingRow).where(
                FindingRow.submission == row.submission,
                FindingRow.iteration == row.number,
                FindingRow.status != FindingStatus.WAIVED,
            )
        )
        keys |= {finding.key for finding in rows.all()}
    return frozenset(keys)


async def live_release(session: AsyncSession, product: str) -> str:
    """Digest of the published release set; empty while nothing is published."""
    row = await session.get(ProductRow, product)
    return row.release if row else ""


async def _last_approved(session: AsyncSession, product: str, submission: SubmissionView) -> IterationRow | None:
    for row, track in await _approved(session, product):
        if track is submission.track and row.submission != submission.id:
            return row
    return None


async def _approved(session: AsyncSession, product: str) -> list[tuple[IterationRow, str]]:
    """Approved iterations of a product with their tracks, the latest first."""
    rows = await session.exec(
        select(IterationRow, SubmissionRow)
        .join(SubmissionRow, col(SubmissionRow.id) == col(IterationRow.submission))
        .where(SubmissionRow.product == product, col(IterationRow.approved_at).is_not(None))
        .order_by(col(IterationRow.approved_at).desc(), col(IterationRow.number).desc(), col(IterationRow.submission))
    )
    return [(row, submission.track) for row, submission in rows.all()]
