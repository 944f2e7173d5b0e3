"""Queued notices as their mails would be, for the tests of the store."""

from sqlmodel import col, select

from models.findings import Finding, FindingStatus, Level, Severity
from models.notices import Notice, NoticeKind
from models.products import ListingStatus
from models.recording import Entry
from models.tables import NoticeRow, SubscriptionRow
from store import notices, products, submissions
from store.database import Database
from store.recipients import Circle, recipients
from tests.parts.rows import MONDAY, RELEASE, Harbour, outcome

DESK = notices.MailDesk("The Hub", "https://hub.example/")


async def made(database: Database, kind: NoticeKind) -> list[tuple[Notice, str, str]]:
    """Every queued notice of a kind as its mail would be."""
    async with database.transaction() as session:
        rows = (await session.exec(select(NoticeRow).where(col(NoticeRow.kind) == kind))).all()
        return [await DESK.notice(session, row) for row in rows]


async def only(database: Database, kind: NoticeKind) -> Notice:
    [(notice, _, _)] = await made(database, kind)
    return notice


async def addresses(database: Database, kind: NoticeKind, circle: Circle) -> list[str]:
    async with database.session() as session:
        return sorted(recipient.address for recipient in await recipients(session, kind, circle))


async def subscribed(house: Harbour, address: str) -> None:
    """A subscription whose address is confirmed."""
    async with house.database.transaction() as session:
        row = SubscriptionRow(
            id=address,
            product=house.product,
            address=address,
            token=f"token-{address}",
            created_at=MONDAY,
            confirmed_at=MONDAY,
        )
        session.add(row)


async def published(house: Harbour, *kinds: NoticeKind) -> None:
    async with house.database.transaction() as session:
        await products.save_publication(
            session,
            submission=house.submission,
            product=house.product,
            release=RELEASE,
            content=house.content,
            images=[{"reference": "hub/crane:1.0", "digest": "sha256:d", "platforms": ["linux/amd64"]}],
            at=MONDAY,
        )
    entry = Entry(event="published", at=MONDAY, text=house.submission, notices=kinds)
    await house.product_records(5, ListingStatus.PUBLISHED, entry)


def finding(
    key: str, level: Level, status: FindingStatus = FindingStatus.OPEN, severity: Severity | None = None
) -> Finding:
    return Finding(key=key, rule="r", level=level, title=key, why="so", remedy="mend", status=status, severity=severity)


async def examined(house: Harbour, findings: list[Finding]) -> None:
    async with house.database.transaction() as session:
        await submissions.save_iteration(
            session,
            submission=house.submission,
            number=1,
            content=house.content,
            release=RELEASE,
            policy="",
            outcome=outcome(),
            findings=findings,
            changes=("one thing changed",),
            at=MONDAY,
        )


def token_in(notice: Notice) -> str:
    return notice.links[0].url.rpartition("/")[2]
