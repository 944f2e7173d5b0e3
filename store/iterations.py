"""Iterations: what all the checks of one pass came to, and what an earlier pass said of the same product."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.content import Track
from models.findings import Finding, FindingStatus
from models.lifecycle import Outcome
from models.tables import FindingRow, IterationRow, ProductRow, SubmissionRow
from store.database import insert_new, put_row
from store.views import IterationView, SubmissionView


@dataclass(frozen=True, slots=True)
class Examined:
    """An earlier iteration that a new one is compared with: digests of what is stored of it.

    `page` is the content of a listing edit that was approved after it; empty when there is none.
    """

    submission: str
    #: of the submission, within its product
    submission_number: int
    number: int
    content: str
    release: str
    report: str
    image_reports: tuple[str, ...]
    page: str = ""


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


async def previous_iteration(session: AsyncSession, submission: SubmissionView, number: int) -> Examined | None:
    """The one before iteration `number` of the same submission; None for a first one."""
    statement = (
        select(IterationRow)
        .where(IterationRow.submission == submission.id, IterationRow.number < number)
        .order_by(col(IterationRow.number).desc())
    )
    row = (await session.exec(statement.limit(1))).first()
    return _examined(row, submission.number) if row else None


async def approved_before(session: AsyncSession, submission: SubmissionView, number: int) -> Examined | None:
    """The latest approved iteration of the product before iteration `number` of this submission; None without any.

    A version is compared with the latest approved version, and its page with that of an edit that was approved since.
    An edit is compared with whatever was approved last.
    """
    page = ""
    for row, earlier in await _approved(session, submission.product):
        if row.submission == submission.id and row.number >= number:
            continue
        if submission.track in (Track.LISTING, earlier.track):
            return _examined(row, earlier.number, page)
        page = page or row.content
    return None


def _examined(row: IterationRow, submission_number: int | None, page: str = "") -> Examined:
    return Examined(
        submission=row.submission,
        submission_number=submission_number or 0,
        number=row.number,
        content=row.content,
        release=row.release,
        report=row.report,
        image_reports=tuple(row.reports),
        page=page,
    )


async def accepted_findings(session: AsyncSession, product: str) -> frozenset[str]:
    """Keys of what was found in the last approved iterations, one of each track, and accepted with the approval.

    A waived finding is not among them: it comes back when its waiver expires.
    """
    keys: set[str] = set()
    seen = set()
    for row, submission in await _approved(session, product):
        if submission.track in seen:
            continue
        seen.add(submission.track)
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


async def _approved(session: AsyncSession, product: str) -> list[tuple[IterationRow, SubmissionRow]]:
    """Approved iterations of a product with their submissions, the latest first."""
    rows = await session.exec(
        select(IterationRow, SubmissionRow)
        .join(SubmissionRow, col(SubmissionRow.id) == col(IterationRow.submission))
        .where(SubmissionRow.product == product, col(IterationRow.approved_at).is_not(None))
        .order_by(col(IterationRow.approved_at).desc(), col(IterationRow.number).desc(), col(IterationRow.submission))
    )
    return list(rows.all())
