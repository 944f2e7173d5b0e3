"""Finished scans: the same image is not scanned twice with the same scanner and the same advisories."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.scans import ImageReport
from models.tables import ScanRow
from store.database import put_row

_QUESTION = ("image", "platform", "advisory_snapshot", "scanner", "scanner_version")


async def find(
    session: AsyncSession, image: str, platform: str, advisory_snapshot: str, scanner_version: str, scanner: str = ""
) -> ScanRow | None:
    """The latest scan that answers this question; `report` is the digest of the stored ImageReport.

    `scanner` is the scanner's name; left out, any scanner of that version will do.
    """
    statement = select(ScanRow).where(
        ScanRow.image == image,
        ScanRow.platform == platform,
        ScanRow.advisory_snapshot == advisory_snapshot,
        ScanRow.scanner_version == scanner_version,
    )
    if scanner:
        statement = statement.where(ScanRow.scanner == scanner)
    return (await session.exec(statement.order_by(col(ScanRow.at).desc(), col(ScanRow.id).desc()))).first()


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


async def of_image(session: AsyncSession, image: str) -> list[ScanRow]:
    """Every scan of an image that is remembered, newest first."""
    statement = select(ScanRow).where(ScanRow.image == image).order_by(col(ScanRow.at).desc(), col(ScanRow.id).desc())
    return list((await session.exec(statement)).all())
