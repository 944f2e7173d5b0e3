"""From an advisory's file to the mails: one critical advisory that concerns a thousand published products.

    python -m benchmarks.watch [--products 1000] [--publishers 100]

Everything that runs is the product's own: `python -m worker` in a process of its own, Temporal's dev server with a
SQLite file, AdvisoryWorkflow as the schedule starts it, the processes of the products, the mailroom, and SMTP to a
server that counts the mails by their Message-ID. How the products came to be published is not measured: their rows are
written and their processes started in the state that a publication leaves behind; what is in their images is stored by
what a publication stores it by. Each publisher has one member, each product one subscriber: all of them get a mail. The
limit of mass changes is lifted, for nobody is there to confirm one.

The clock runs from the moment that the file is there until the last mail has arrived. Then the same file comes again,
and the watch looks again: whatever is told or mailed a second time is counted as doubled, as is a mail under two ids.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from temporalio.client import Client

from activities.lookout import Lookout, Release, berths_of
from activities.policy import PolicyInForce
from benchmarks.figures import note, show
from benchmarks.house import environment_of, open_house, settings_of, temporal_server, until
from benchmarks.mailcount import MailCount, counting_server
from cli.servers import PythonService
from desk.hub import Hub
from models.addresses import MODERATION_QUEUE, new_id, product_address
from models.base import digest_of
from models.images import ImageFacts, LayerFacts, PinnedPlatform, PinnedTag, PinnedTier, ReleaseSet
from models.products import ListingStatus, ProductState
from models.scans import Component, ImageReport, Scanner
from models.tables import MembershipRow, PersonRow, ProductRow, PublisherRow, SubscriptionRow
from models.watching import Clock
from models.work import ProductStart, Watched
from scanning.advisories import AdvisoryStore
from scanning.advisory_sources import SourceKind
from settings import Settings, Smtp

_COMPONENTS = 300
#: processes started, and asked, at a time
_AT_ONCE = 50
_ADVISORY = {
    "id": "CVE-2026-10000",
    "modified": "2026-02-01T00:00:00Z",
    "summary": "Something can be done that should not.",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "package-000"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}],
        }
    ],
}


@dataclass(frozen=True, slots=True)
class Yard:
    """The published products."""

    hub: Hub
    products: int
    publishers: int

    async def build(self) -> None:
        now = datetime.now(UTC)
        async with self.hub.database.transaction() as session:
            for number in range(self.publishers):
                name = f"publisher-{number:03}"
                session.add(PublisherRow(id=name, slug=name, name=name, revision=1, applied_at=now, changed_at=now))
                session.add(_person(name, now))
            await session.flush()
            for number in range(self.publishers):
                name = f"publisher-{number:03}"
                session.add(MembershipRow(person=f"p-{name}", publisher=name, since=now))
            for product in map(self.name, range(self.products)):
                session.add(self._row(product, now))
            await session.flush()
            for product in map(self.name, range(self.products)):
                subscription = {"id": f"s-{product}", "token": f"t-{product}", "address": f"{product}@reader.example"}
                session.add(SubscriptionRow(product=product, created_at=now, confirmed_at=now, **subscription))

    def name(self, number: int) -> str:
        return f"product-{number:04}"

    def _publisher(self, product: str) -> str:
        return f"publisher-{int(product.rpartition('-')[2]) % self.publishers:03}"

    def _row(self, product: str, now: datetime) -> ProductRow:
        return ProductRow(
            id=product,
            publisher=self._publisher(product),
            slug=product,
            name=product,
            status=ListingStatus.PUBLISHED,
            revision=1,
            created_at=now,
            changed_at=now,
        )

    async def publish(self, lookout: Lookout) -> None:
        """What their images have in them is known, and their processes run."""
        for number in range(self.products):
            await self._publish(lookout, self.name(number))
            if (number + 1) % 250 == 0:
                note(f"{number + 1:,} products are published")

    async def _publish(self, lookout: Lookout, product: str) -> None:
        report = _report(product)
        digest = report.facts.digest
        platform = PinnedPlatform(platform="linux/amd64", digest=digest, size=1)
        tag = PinnedTag(tag="1.0", digest=digest, media_type="", platforms=(platform,))
        pinned = ReleaseSet(tiers=(PinnedTier(tier="Free", repository="r", tags=(tag,)),))
        publisher = self._publisher(product)
        release = Release(
            product=product,
            publisher=publisher,
            digest=await lookout.blobs.put_message(pinned),
            berths=berths_of(pinned, {}),
            reports=[await lookout.blobs.put_message(report)],
        )
        await lookout.watch(release, f"s-{product}", f"s-{product}/1")
        state = ProductState(
            id=product, publisher=publisher, status=ListingStatus.PUBLISHED, revision=1, release=release.digest
        )
        await self.hub.client.start_workflow(
            "ProductWorkflow",
            ProductStart(id=product, publisher=publisher, state=state),
            id=product_address(product),
            task_queue=MODERATION_QUEUE,
        )

    async def clocks(self) -> Counter[int]:
        """How many clocks run, by product."""
        found: Counter[int] = Counter()
        for first in range(0, self.products, _AT_ONCE):
            some = map(self.name, range(first, min(first + _AT_ONCE, self.products)))
            found.update(await asyncio.gather(*(self._clocks(product) for product in some)))
        return found

    async def _clocks(self, product: str) -> int:
        handle = self.hub.client.get_workflow_handle(product_address(product))
        return len(await handle.query("clocks", result_type=list[Clock]))


def _person(name: str, now: datetime) -> PersonRow:
    """A publisher's only member."""
    address = f"{name}@harbour.example"
    return PersonRow(id=f"p-{name}", name=name, email=address, email_confirmed_at=now, created_at=now)


def _report(product: str) -> ImageReport:
    """Of an image of 300 packages in two layers, of which the lower one is everybody's."""
    layers = [digest_of(name.encode()) for name in ("base", product)]
    packages = [(f"package-{number:03}", layers[0]) for number in range(_COMPONENTS // 2)]
    packages += [(f"{product}-{number:03}", layers[1]) for number in range(_COMPONENTS // 2)]
    return ImageReport(
        scanner=Scanner(name="wharfinger", version="1", advisory_snapshot="", at=datetime.now(UTC)),
        facts=ImageFacts(
            platform="linux/amd64",
            digest=digest_of(f"image {product}".encode()),
            config_digest="",
            size=1,
            layers=tuple(
                LayerFacts(index=place, digest=layer, diff_id=layer, size=1, uncompressed=1)
                for place, layer in enumerate(layers)
            ),
        ),
        components=tuple(
            Component(purl=f"pkg:pypi/{name}@1.0", ecosystem="PyPI", name=name, version="1.0", layer=layer)
            for name, layer in packages
        ),
    )


async def _watched(client: Client) -> Watched:
    """One run of the watch, as the schedule starts it."""
    watched: Watched = await client.execute_workflow(
        "AdvisoryWorkflow", id=f"watch-{new_id()}", task_queue=MODERATION_QUEUE, result_type=Watched
    )
    return watched


def _settings(folder: Path, settings: Settings) -> Settings:
    """With a policy by which no change is a mass change."""
    policy = folder / "policy.toml"
    said = settings.policy_place.read_text()
    lifted = said.replace("mass_change_products = 50", "mass_change_products = 1_000_000")
    assert lifted != said, "policy.toml says it in other words"
    policy.write_text(lifted)
    return settings.model_copy(update={"policy": policy})


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds from the file to the end of each step."""

    told: float
    mailed: float
    mails: int
    #: mails under an id that came more than once, and mails and news that came again with the same file
    doubled: int
    clocks: Counter[int]
    found: Watched


async def _measure(products: int, publishers: int, folder: Path) -> Measured:
    async with AsyncExitStack() as stack:
        mails = await stack.enter_async_context(counting_server())
        temporal = await stack.enter_async_context(temporal_server(folder, in_memory=False))
        settings = _settings(folder, settings_of(folder, temporal, smtp=Smtp(port=mails.port)))
        house = await stack.enter_async_context(open_house(settings, folder / "sources"))
        worker = PythonService(
            "worker",
            folder / "worker",
            "worker",
            ready=_is_polling,
            environment=environment_of(settings) | {"WHARFINGER_POLICY": str(settings.policy)},
        )
        await stack.enter_async_context(worker)
        store = AdvisoryStore(settings.advisories_place)
        lookout = Lookout(house.hub.database, house.hub.blobs, store, PolicyInForce(settings.policy_place))
        yard = Yard(house.hub, products, publishers)
        note(f"publishing {products:,} products")
        await yard.build()
        await yard.publish(lookout)
        await _watched(house.hub.client)
        return await _measured(yard, store, folder / "news.jsonl", mails)


async def _measured(yard: Yard, store: AdvisoryStore, news: Path, mails: MailCount) -> Measured:
    expected = yard.products + yard.publishers
    before = sum(mails.arrived.values())
    await asyncio.to_thread(store.remember, str(news), SourceKind.OSV)
    news.write_text(json.dumps(_ADVISORY) + "\n")
    began = time.perf_counter()
    found = await _watched(yard.hub.client)
    told = time.perf_counter() - began
    note(f"told after {told:.1f} s; waiting for {expected:,} mails")
    async with asyncio.timeout(600):
        await until(lambda: _all_there(mails, before + expected))
    mailed = time.perf_counter() - began
    clocks = await yard.clocks()
    # the same again, as another file: nothing of it is news
    news.write_text(json.dumps(_ADVISORY | {"summary": "Something can be done that should not be."}) + "\n")
    again = await _watched(yard.hub.client)
    await asyncio.sleep(2)
    total = sum(mails.arrived.values()) - before
    return Measured(told, mailed, total, max(total - expected, 0) + again.changes, clocks, found)


async def _all_there(mails: MailCount, count: int) -> bool:
    return sum(mails.arrived.values()) >= count


async def _is_polling(service: PythonService) -> bool:
    return service.has_logged("worker ready")


def run(products: int, publishers: int) -> None:
    with TemporaryDirectory(prefix="wharfinger-watch-") as place:
        found = asyncio.run(_measure(products, publishers, Path(place)))
    rows = [
        ("products told", f"{found.found.products:,}", found.told, found.found.products / found.told),
        ("mails arrived", f"{found.mails:,}", found.mailed, found.mails / found.mailed),
    ]
    clocks = ", ".join(f"{count:,} products with {clocks} clocks" for clocks, count in sorted(found.clocks.items()))
    figures = {
        "products_per_second": products / found.mailed,
        "doubled": found.doubled,
        "seconds_told": found.told,
        "seconds_mailed": found.mailed,
        "mails": found.mails,
    }
    title = f"One advisory for {products:,} products of {publishers:,} publishers"
    show(
        title,
        ("", "number", "seconds", "a second"),
        rows,
        figures,
        [f"Afterwards: {clocks}; doubled: {found.doubled}."],
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watch", description=__doc__)
    parser.add_argument("--products", type=int, default=1_000)
    parser.add_argument("--publishers", type=int, default=100)
    arguments = parser.parse_args()
    run(arguments.products, arguments.publishers)


if __name__ == "__main__":
    main()
