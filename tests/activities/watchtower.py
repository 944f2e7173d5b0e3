"""Published products with a known content, an advisory store, and the activities of the watch over both."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import update
from sqlmodel import SQLModel, col, func, select
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.lookout import Lookout, Release, berths_of
from activities.policy import PolicyInForce
from activities.watching import WatchActivities
from models.base import canonical_json, digest_of
from models.findings import Severity, Waiver
from models.images import ImageFacts, LayerFacts, PinnedPlatform, PinnedTag, PinnedTier, ReleaseSet
from models.products import ListingStatus
from models.scans import BaseOrigin, Component, ImageReport, Scanner
from models.tables import IterationRow, NoticeRow, ProductRow, PublicationRow, WaiverRow
from models.watch_tables import (
    BatchChangeRow,
    BatchRow,
    ComponentRow,
    ComponentSetMemberRow,
    ComponentSetRow,
    ExposureRow,
    ShippedImageRow,
)
from models.watching import BatchStatus, ExposureChange
from models.work import AdvisoryBatch, BatchOrder
from scanning.advisories import AdvisoryStore
from store import batches, classes, products, watching
from store.blobs import Blobs
from store.database import Database
from tests.parts.rows import Harbour, harbour

T = TypeVar("T")

CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
MAJOR = "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:L/I:L/A:L"
MINOR = "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"

#: layer -> packages of it, as name==version
Cargo = Mapping[str, Sequence[str]]


def advisory(id_: str, name: str, *, fixed: str = "", vector: str = "", **more: Any) -> dict[str, Any]:
    """Of a package of PyPI; without a fix every version is affected, for ever."""
    events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
    said = {"type": "CVSS_V3", "score": vector}
    return {
        "id": id_,
        "modified": (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(_seconds))).isoformat(),
        "affected": [
            {"package": {"ecosystem": "PyPI", "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
        ],
        **({"severity": [said]} if vector else {}),
        **more,
    }


_seconds = count()


@dataclass
class Watchtower:
    house: Harbour
    folder: Path
    client: Client | None = None
    numbers: Any = field(default_factory=count)

    def __post_init__(self) -> None:
        self.blobs = Blobs(self.folder / "blobs")
        self.advisories = AdvisoryStore(self.folder / "advisories.sqlite")
        self.policy_file = self.folder / "policy.toml"
        self.policy_file.write_text((Path(__file__).parents[2] / "policy.toml").read_text())
        self.lookout = Lookout(self.database, self.blobs, self.advisories, PolicyInForce(self.policy_file))

    @property
    def database(self) -> Database:
        return self.house.database

    @property
    def activities(self) -> WatchActivities:
        return WatchActivities(self.client, self.lookout)  # type: ignore[arg-type]

    def says(self, *records: dict[str, Any]) -> None:
        """The sources of advisories have these."""
        path = self.folder / f"{next(self.numbers)}.jsonl"
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
        self.advisories.import_from(path)

    async def product(self, name: str) -> str:
        async with self.database.transaction() as session:
            return (await products.find_or_create(session, self.house.publisher, name, name.title())).id

    async def report(
        self, cargo: Cargo, *, base: int = 0, scanner: str = "1", at: datetime | None = None
    ) -> ImageReport:
        """Of an image that is its cargo: the same cargo is the same image. Its lowest `base` layers are a base's."""
        digest = digest_of(json.dumps(cargo).encode())
        layers = tuple(
            LayerFacts(
                index=place, digest=digest_of(layer.encode()), diff_id=digest_of(layer.encode()), size=1, uncompressed=1
            )
            for place, layer in enumerate(cargo)
        )
        return ImageReport(
            scanner=Scanner(name="wharfinger", version=scanner, advisory_snapshot="", at=at or datetime.now(UTC)),
            facts=ImageFacts(platform="linux/amd64", digest=digest, config_digest=digest, size=1, layers=layers),
            base=BaseOrigin(reference="debian:12", digest=digest, layers=base) if base else None,
            components=tuple(
                Component(
                    purl=f"pkg:pypi/{name}@{version}",
                    ecosystem="PyPI",
                    name=name,
                    version=version,
                    layer=digest_of(layer.encode()),
                )
                for layer, packages in cargo.items()
                for name, _, version in (package.partition("==") for package in packages)
            ),
        )

    async def release(self, product: str, *cargos: Cargo, base: int = 0) -> Release:
        reports = [await self.report(cargo, base=base) for cargo in cargos]
        tags = [
            PinnedTag(
                tag=f"{place}.0",
                digest=report.facts.digest,
                media_type="m",
                platforms=(PinnedPlatform(platform="linux/amd64", digest=report.facts.digest, size=1),),
            )
            for place, report in enumerate(reports)
        ]
        pinned = ReleaseSet(tiers=(PinnedTier(tier="Free", repository="src/free", tags=tuple(tags)),))
        return Release(
            product=product,
            publisher=self.house.publisher,
            digest=await self.blobs.put_message(pinned),
            berths=berths_of(pinned, {"Free": f"hub/{product}/free"}),
            reports=[await self.blobs.put_message(report) for report in reports],
        )

    async def publishes(
        self, product: str, *cargos: Cargo, base: int = 0, batch: str = ""
    ) -> tuple[ExposureChange, ...]:
        release = await self.release(product, *cargos, base=base)
        found = await self.lookout.watch(release, f"s-{product}", batch or f"s-{product}/{next(self.numbers)}")
        return found.changes

    async def run(self, work: Any, *arguments: Any) -> Any:
        """An activity of an id of its own."""
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, activity_id=uuid4().hex)
        return await environment.run(work, *arguments)

    async def rematches(self) -> AdvisoryBatch:
        batch = await self.run(self.activities.rematch)
        assert isinstance(batch, AdvisoryBatch)
        return batch

    async def tells(self, batch: AdvisoryBatch) -> None:
        await self.run(self.activities.tell_products, BatchOrder(batch=batch.id))

    async def exposures(self, product: str, *, closed: bool = False) -> dict[str, ExposureRow]:
        """By vulnerability."""
        statement = select(ExposureRow).where(ExposureRow.product == product)
        if not closed:
            statement = statement.where(col(ExposureRow.closed_at).is_(None))
        async with self.database.session() as session:
            return {row.vulnerability: row for row in (await session.exec(statement)).all()}

    async def batch(self, id_: str) -> BatchRow:
        async with self.database.session() as session:
            return (await session.exec(select(BatchRow).where(BatchRow.id == id_))).one()

    async def batches(self) -> list[BatchRow]:
        async with self.database.session() as session:
            return list((await session.exec(select(BatchRow))).all())

    async def changes(self, batch: AdvisoryBatch, product: str) -> dict[str, str]:
        """kind by vulnerability, of what a batch changes for a product."""
        statement = (
            select(BatchChangeRow.kind, ExposureRow.vulnerability)
            .join(
                ExposureRow,
                (col(ExposureRow.product) == col(BatchChangeRow.product))
                & (col(ExposureRow.key) == col(BatchChangeRow.key)),
            )
            .where(BatchChangeRow.batch == batch.id, BatchChangeRow.product == product)
        )
        async with self.database.session() as session:
            return {vulnerability: str(kind) for kind, vulnerability in (await session.exec(statement)).all()}

    async def mails(self, *kinds: str) -> list[NoticeRow]:
        async with self.database.session() as session:
            rows = (await session.exec(select(NoticeRow).order_by(col(NoticeRow.queued_at)))).all()
        return [row for row in rows if not kinds or row.kind in kinds]

    async def waives(self, waiver: Waiver, product: str) -> None:
        now = datetime.now(UTC)
        row = WaiverRow(
            digest=digest_of(canonical_json(waiver)),
            submission=self.house.submission,
            product=product,
            publisher=self.house.publisher,
            finding=waiver.finding,
            scope=waiver.scope,
            subject=waiver.subject,
            expires=waiver.expires,
            waiver=waiver.model_dump(mode="json"),
            granted_at=now,
        )
        async with self.database.transaction() as session:
            session.add(row)

    async def end(self, batch: AdvisoryBatch) -> None:
        """As if it had been told: for tests without a server."""
        assert batch.id
        now = datetime.now(UTC)
        async with self.database.transaction() as session:
            news = await batches.to_tell(session, batch.id, 100)
            await batches.told(session, batch.id, [each.product for each in news], now)
            await batches.ended(session, batch.id, BatchStatus.TOLD, now)

    async def watches(self) -> None:
        """Batch after batch, until there is nothing more to tell."""
        while (batch := await self.rematches()).id:
            await self.end(batch)

    async def watched(self, product: str, watched: bool) -> None:
        async with self.database.transaction() as session:
            await watching.set_watched(session, product, watched)

    async def expires(self, finding: str) -> None:
        async with self.database.transaction() as session:
            await session.exec(
                update(WaiverRow).where(col(WaiverRow.finding) == finding).values(expires=datetime.now(UTC))
            )

    async def classes(self, vulnerability: str, severity: Severity) -> None:
        async with self.database.transaction() as session:
            await classes.give(session, vulnerability, severity, "because", self.house.moderator, datetime.now(UTC))

    async def counts(self) -> dict[str, int]:
        """Rows by table."""
        tables: tuple[type[SQLModel], ...] = (ComponentRow, ComponentSetRow, ComponentSetMemberRow, ShippedImageRow)
        async with self.database.session() as session:
            return {
                str(table.__tablename__): (await session.exec(select(func.count()).select_from(table))).one()
                for table in tables
            }

    async def has_published_before(self, cargo: Cargo) -> Release:
        """The house's product is live, and only the rows of its submission say so."""
        release, now = await self.release(self.house.product, cargo), datetime.now(UTC)
        image = {"tier": "Free", "reference": "hub/crane/free:1.0", "manifests": []}
        async with self.database.transaction() as session:
            session.add(
                IterationRow(
                    submission=self.house.submission,
                    number=1,
                    content=self.house.content,
                    release=release.digest,
                    reports=list(release.reports),
                    examined_at=now,
                )
            )
            session.add(
                PublicationRow(
                    submission=self.house.submission,
                    product=self.house.product,
                    release=release.digest,
                    content=self.house.content,
                    images=[image],
                    published_at=now,
                )
            )
            await session.exec(
                update(ProductRow)
                .where(col(ProductRow.id) == self.house.product)
                .values(status=ListingStatus.PUBLISHED, release=release.digest, submission=self.house.submission)
            )
        return release

    def sets(self, line: str, instead: str) -> None:
        """Edits the policy's file."""
        text = self.policy_file.read_text()
        assert line in text, line
        self.policy_file.write_text(text.replace(line, instead))


async def open_watchtower(database: Database, folder: Path, client: Client | None = None) -> Watchtower:
    return Watchtower(await harbour(database), folder, client)


def soon(days: int = 30) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)
