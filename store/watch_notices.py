"""What the watch mails: one mail to a publisher for all its products, counts and no more to who has subscribed."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from models.addresses import product_address, publisher_address
from models.findings import Severity
from models.notices import NoticeFinding
from models.notices import NoticeKind as N
from models.watching import ChangeKind, NewsLine
from policies import words
from store import trail
from store.recipients import Circle, Recipient, recipients

#: lines that a mail lists; the command line has them all
MOST_LINES = 50

_WEIGHTS = {Severity.CRITICAL: 0, Severity.MAJOR: 1, Severity.UNKNOWN: 2, Severity.MINOR: 3}
_CHANGES = {ChangeKind.ESCALATED: 0, ChangeKind.NEW: 0, ChangeKind.RETRACTED: 1}


async def tell_publisher(
    session: AsyncSession,
    publisher: str,
    kind: N,
    occasion: str,
    lines: Sequence[NewsLine],
    at: datetime,
    by: datetime | None = None,
) -> int:
    """One mail to each member, of all its products; returns how many were queued.

    `kind` is VULNERABILITIES_FOUND or VULNERABILITY_DIGEST, `occasion` the batch or the day: told again, nobody gets a
    second mail. `by` is when the first of the clocks ends.
    """
    listed = sorted(
        lines, key=lambda line: (_CHANGES[line.change], _WEIGHTS[line.severity], line.product, line.vulnerability)
    )
    payload = trail.situation_shown(words.of_news(lines, by)) | {
        "findings": [_finding(line).model_dump(mode="json") for line in listed[:MOST_LINES]],
        "more_findings": max(len(listed) - MOST_LINES, 0),
        "tally": _tally(lines),
    }
    circle = Circle(publisher=publisher)
    return await _queue(session, publisher_address(publisher), kind, occasion, circle, payload, at)


async def tell_subscribers(
    session: AsyncSession, publisher: str, product: str, occasion: str, lines: Iterable[NewsLine], at: datetime
) -> int:
    """How many vulnerabilities of which class a product has to mend now: never which (domain.md: scans are private)."""
    payload = trail.situation_shown(words.PUBLIC_NEWS) | {"tally": _tally(lines)}
    circle = Circle(publisher=publisher, product=product)
    return await _queue(session, product_address(product), N.VULNERABILITIES_PUBLISHED, occasion, circle, payload, at)


async def ask_for_classes(
    session: AsyncSession, occasion: str, lines: Sequence[NewsLine], at: datetime, by: datetime | None
) -> int:
    """The security team classes what has no score; `by` is when its working days are over."""
    payload = trail.situation_shown(words.of_unclassed(by)) | {
        "findings": [_finding(line).model_dump(mode="json") for line in lines[:MOST_LINES]],
        "more_findings": max(len(lines) - MOST_LINES, 0),
        "tally": _tally(lines),
    }
    return await _queue(session, "watch", N.CLASS_TO_GIVE, occasion, Circle(publisher=""), payload, at)


async def tell_of_unread(session: AsyncSession, problem: str, at: datetime) -> int:
    """Operators learn once a day that sources of advisories cannot be read: what is published is watched by what was
    known before."""
    payload = trail.situation_shown(words.UNREAD_ADVISORIES) | {"text": problem}
    return await _queue(
        session, "watch", N.ADVISORIES_UNREAD, f"unread-{at:%Y-%m-%d}", Circle(publisher=""), payload, at
    )


async def _queue(
    session: AsyncSession,
    subject: str,
    kind: N,
    occasion: str,
    circle: Circle,
    payload: dict[str, Any],
    at: datetime,
) -> int:
    found: Sequence[Recipient] = await recipients(session, kind, circle)
    if not found and kind is not N.VULNERABILITIES_PUBLISHED:
        found = [Recipient("", "", for_publisher=False)]
    rows = [trail.notice_row(subject, 0, occasion, kind, recipient, payload, at) for recipient in found]
    return await trail.insert_notices(session, rows)


def _weight(line: NewsLine) -> tuple[int, int, str, str]:
    """What is heavy first, what is retracted last."""
    return _CHANGES[line.change], _WEIGHTS[line.severity], line.product, line.vulnerability


def _finding(line: NewsLine) -> NoticeFinding:
    exploited = "Used in attacks, says CISA. " if line.exploited else ""
    inherited = "It comes with the base image. " if line.inherited else ""
    if line.change is ChangeKind.RETRACTED:
        remedy = ""
    elif line.fixed_version:
        remedy = f"{line.component} {line.fixed_version} has the fix."
    else:
        remedy = "There is no fix yet."
    return NoticeFinding(
        title=f"{line.vulnerability} in {line.component} {line.version}".strip(),
        level=line.change,
        severity=line.severity,
        where=line.product,
        evidence=f"{exploited}{inherited}{line.url}".strip(),
        remedy=remedy,
    )


def _tally(lines: Iterable[NewsLine]) -> str:
    return words.tally(line.severity for line in lines if line.change is not ChangeKind.RETRACTED)
