"""Finished scans: the same image is not scanned twice with the same scanner and the same advisories."""

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.scans import ImageReport
from models.tables import ScanRow
from models.watch_tables import ShippedImageRow, WatchedImageRow
from store.database import put_row

_QUESTION = ("image", "platform", "advisory_snapshot", "scanner", "scanner_version")

_LATEST = (
    select(ScanRow)
    .where(
        ScanRow.image == bindparam("image"),
        ScanRow.platform == bindparam("platform"),
        ScanRow.advisory_snapshot == bindparam("advisory_snapshot"),
        ScanRow.scanner_version == bindparam("scanner_version"),
    )
    .order_by(col(ScanRow.at).desc(), col(ScanRow.id).desc())
)


async def find(
    session: AsyncSession, image: str, platform: str, advisory_snapshot: str, scanner_version: str, scanner: str = ""
) -> ScanRow | None:
    """The latest scan that answers this question; `report` is the digest of the stored ImageReport.

    `scanner` is the scanner's name; left out, any scanner of that version will do.
    """
    question = {
        "image": image,
        "platform": platform,
        "advisory_snapshot": advisory_snapshot,
        "scanner_version": scanner_version,
    }
    statement = _LATEST.where(ScanRow.scanner == scanner) if scanner else _LATEST
    return (await session.exec(statement, params=question)).first()


async def save(session: AsyncSession, report: ImageReport, digest: str) -> None:
    """Remember the report stored under `digest`; a later answer to the same question takes its place."""
    row = ScanRow(
        image=report.facts.digest,
        platform=report.facts.platform,
        advisory_snapshot=report.scanner.advisory_snapshot,
        scanner=report.scanner.name,
        scanner_version=report.scanner.version,
        report=digest,
        at=report.scanner.at,
    )
    await put_row(session, ScanRow, row.model_dump(exclude={"id"}), _QUESTION)


async def shipped(session: AsyncSession, product: str) -> list[str]:
    """Digests of the reports by which a product's published images are watched; none where it is not watched yet."""
    statement = (
        select(ShippedImageRow.report)
        .join(WatchedImageRow, col(WatchedImageRow.image) == col(ShippedImageRow.id))
        .where(WatchedImageRow.product == product)
        .order_by(col(ShippedImageRow.platform), col(ShippedImageRow.digest))
    )
    return list(dict.fromkeys((await session.exec(statement)).all()))


async def of_image(session: AsyncSession, image: str) -> list[ScanRow]:
    """Every scan of an image that is remembered, newest first."""
    statement = select(ScanRow).where(ScanRow.image == image).order_by(col(ScanRow.at).desc(), col(ScanRow.id).desc())
    return list((await session.exec(statement)).all())
