"""Iterations: what all the checks of one pass came to, and what an earlier pass said of the same product."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy
from sqlalchemy import bindparam, delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.content import Track
from models.findings import Finding, FindingStatus
from models.lifecycle import Outcome
from models.tables import FindingRow, IterationRow, SubmissionRow
from store.database import insert_new, put_row, table_of
from store.views import IterationView

_ITERATION, _FINDING = table_of(IterationRow), table_of(FindingRow)
_SUBMISSION = table_of(SubmissionRow)
_APPROVED: Any = (
    sqlalchemy.select(_ITERATION, _SUBMISSION.c.number.label("submission_number"), _SUBMISSION.c.track)
    .join(_SUBMISSION, _SUBMISSION.c.id == _ITERATION.c.submission)
    .where(_SUBMISSION.c.product == bindparam("product"), _ITERATION.c.approved_at.is_not(None))
    .order_by(_ITERATION.c.approved_at.desc(), _ITERATION.c.number.desc(), _ITERATION.c.submission)
)
_OF_ITERATION = (_FINDING.c.submission == bindparam("of"), _FINDING.c.iteration == bindparam("numbered"))
_ACCEPTED = select(_FINDING.c.key).where(*_OF_ITERATION, _FINDING.c.status != FindingStatus.WAIVED)
_FORGET = delete(_FINDING).where(*_OF_ITERATION)


class Subject(Protocol):
    """Of a submission, what the comparison of its iterations asks: a SubmissionView has it, and more."""

    @property
    def id(self) -> str: ...
    @property
    def product(self) -> str: ...
    @property
    def number(self) -> int | None: ...
    @property
    def track(self) -> Track: ...


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
    row = {
        "submission": submission,
        "number": number,
        "content": content,
        "release": release,
        "policy": policy,
        "outcome": outcome.model_dump(mode="json"),
        "report": report,
        "reports": list(image_reports),
        "difference": difference,
        "changes": list(changes),
        "examined_at": at,
        "approved_at": None,
    }
    await put_row(session, IterationRow, row, ("submission", "number"), keep=("approved_at",))
    await session.exec(_FORGET, params={"of": submission, "numbered": number})
    rows = [
        {
            "submission": submission,
            "iteration": number,
            "position": position,
            "key": finding.key,
            "rule": finding.rule,
            "level": finding.level,
            "severity": finding.severity,
            "status": finding.status,
            "finding": finding.model_dump(mode="json"),
        }
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


async def previous_iteration(session: AsyncSession, submission: Subject, number: int) -> Examined | None:
    """The one before iteration `number` of the same submission; None for a first one."""
    if number <= 1:
        return None
    statement = (
        select(IterationRow)
        .where(IterationRow.submission == submission.id, IterationRow.number < number)
        .order_by(col(IterationRow.number).desc())
    )
    row = (await session.exec(statement.limit(1))).first()
    return _examined(row, submission.number) if row else None


async def approved_before(session: AsyncSession, submission: Subject, number: int) -> Examined | None:
    """The latest approved iteration of the product before iteration `number` of this submission; None without any.

    A version is compared with the latest approved version, and its page with that of an edit that was approved since.
    An edit is compared with whatever was approved last.
    """
    page = ""
    for row in await _approved(session, submission.product):
        if row.submission == submission.id and row.number >= number:
            continue
        if submission.track in (Track.LISTING, row.track):
            return _examined(row, row.submission_number, page)
        page = page or row.content
    return None


def _examined(row: Any, submission_number: int | None, page: str = "") -> Examined:
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
    for row in await _approved(session, product):
        if row.track in seen:
            continue
        seen.add(row.track)
        keys |= set((await session.exec(_ACCEPTED, params={"of": row.submission, "numbered": row.number})).all())
    return frozenset(keys)


async def _approved(session: AsyncSession, product: str) -> Sequence[Any]:
    """Approved iterations of a product with number and track of their submissions, the latest first."""
    rows: Sequence[Any] = (await session.exec(_APPROVED, params={"product": product})).all()
    return rows
