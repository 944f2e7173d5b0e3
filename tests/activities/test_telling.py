"""What a batch tells: the products' processes, the publishers, the subscribers and the security team - each once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import update
from sqlmodel import col
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from models.addresses import product_address
from models.findings import Severity
from models.products import ListingStatus
from models.publishers import Role
from models.tables import NoticeRow, ProductRow, SubscriptionRow
from models.watching import BatchStatus, ChangeKind, ExposureNews
from models.work import AdvisoryBatch, BatchOrder, Digested, DigestOrder
from store.database import Database
from tests.activities.watchtower import CRITICAL, MAJOR, Watchtower, advisory, open_watchtower
from tests.parts.rows import MONDAY, staff

pytestmark = pytest.mark.system

DJANGO = {"base": ["urllib3==1.24"], "app": ["django==3.2", "pyyaml==5.3"]}
CRITICAL_ONE = advisory("CVE-2026-0001", "django", fixed="4.0", vector=CRITICAL)
MAJOR_ONE = advisory("CVE-2026-0002", "urllib3", vector=MAJOR)
UNSCORED = advisory("CVE-2026-0003", "pyyaml")


@workflow.defn(name="ProductWorkflow", sandboxed=False)
class Listener:
    """Hears what a product's process would hear."""

    def __init__(self) -> None:
        self._heard: list[ExposureNews] = []

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    def exposures(self, news: ExposureNews) -> None:
        self._heard.append(news)

    @workflow.query
    def heard(self) -> list[ExposureNews]:
        return self._heard


@dataclass
class Hub:
    tower: Watchtower
    client: Client
    queue: str

    async def product(self, name: str, *, heard: bool = True) -> str:
        """Published; its process listens."""
        product = await self.tower.product(name)
        await self.tower.publishes(product, DJANGO)
        if heard:
            await self.client.start_workflow(Listener.run, id=product_address(product), task_queue=self.queue)
        return product

    async def heard(self, product: str) -> list[ExposureNews]:
        return await self.client.get_workflow_handle(product_address(product)).query(Listener.heard)

    async def digests(self, at: datetime) -> Digested:
        digested = await self.tower.run(self.tower.activities.digest_notices, DigestOrder(at=at))
        assert isinstance(digested, Digested)
        return digested

    async def batch(self, *said: dict[str, object]) -> AdvisoryBatch:
        self.tower.says(*said)
        batch = await self.tower.rematches()
        assert batch.id
        return batch


@pytest.fixture
async def hub(database: Database, tmp_path: Path, temporal_client: Client) -> AsyncIterator[Hub]:
    queue = f"telling-{uuid4().hex}"
    tower = await open_watchtower(database, tmp_path, temporal_client)
    async with Worker(temporal_client, task_queue=queue, workflows=[Listener]):
        yield Hub(tower, temporal_client, queue)


def titles(mail: NoticeRow) -> list[str]:
    return [finding["title"] for finding in mail.payload["findings"]]


async def test_products_and_their_publisher_are_told_once(hub: Hub) -> None:
    crane, derrick = await hub.product("crane"), await hub.product("derrick")
    batch = await hub.batch(CRITICAL_ONE, MAJOR_ONE)
    for _ in range(2):
        await hub.tower.tells(batch)
    for product in (crane, derrick):
        (news,) = await hub.heard(product)
        assert news.id == batch.id
        assert {(change.kind, change.exposure.severity) for change in news.changes} == {
            (ChangeKind.NEW, Severity.CRITICAL),
            (ChangeKind.NEW, Severity.MAJOR),
        }
        assert (news.clocks, news.watch) == (
            hub.tower.lookout.policy.current().remediation,
            hub.tower.lookout.policy.current().watch,
        )
        assert all(row.notified_at for row in (await hub.tower.exposures(product)).values())
    assert (await hub.tower.batch(batch.id)).status is BatchStatus.TOLD
    # one mail for both products, of what is critical
    (mail,) = await hub.tower.mails("vulnerabilities_found")
    assert (mail.recipient, mail.occasion) == (hub.tower.house.member, batch.id)
    assert titles(mail) == ["CVE-2026-0001 in django 3.2"] * 2
    assert {finding["where"] for finding in mail.payload["findings"]} == {"harbour/crane", "harbour/derrick"}
    assert (await hub.tower.rematches()).id == ""


async def test_the_rest_is_in_the_days_digest_once(hub: Hub) -> None:
    await hub.product("crane")
    await hub.tower.tells(await hub.batch(CRITICAL_ONE, MAJOR_ONE))
    today = datetime.now(UTC)
    assert (await hub.digests(today)).publishers == 1
    (mail,) = await hub.tower.mails("vulnerability_digest")
    assert titles(mail) == ["CVE-2026-0002 in urllib3 1.24"]
    await hub.tower.tells(await hub.batch(UNSCORED))
    # what has come since is tomorrow's
    assert await hub.digests(today) == Digested()
    assert (await hub.digests(today + timedelta(days=1))).publishers == 1
    assert [titles(mail) for mail in await hub.tower.mails("vulnerability_digest")] == [
        ["CVE-2026-0002 in urllib3 1.24"],
        ["CVE-2026-0003 in pyyaml 5.3"],
    ]
    assert await hub.digests(today + timedelta(days=2)) == Digested()
    # nobody looks through them any more
    assert {row.mailed for row in await hub.tower.batches()} == {True}


async def test_subscribers_learn_how_many_and_the_security_team_what_it_has_to_class(hub: Hub) -> None:
    crane, _ = await hub.product("crane"), await hub.product("derrick")
    sec = await staff(hub.tower.database, "sec@hub.example", Role.SECURITY)
    async with hub.tower.database.transaction() as session:
        session.add(
            SubscriptionRow(
                id="sub", product=crane, address="eve@reader.example", token="t", created_at=MONDAY, confirmed_at=MONDAY
            )
        )
    batch = await hub.batch(CRITICAL_ONE, MAJOR_ONE, UNSCORED)
    for _ in range(2):
        await hub.tower.tells(batch)
    (public,) = await hub.tower.mails("vulnerabilities_published")
    assert public.address == "eve@reader.example"
    assert "CVE" not in str(public.payload)
    (asked,) = await hub.tower.mails("class_to_give")
    assert (asked.recipient, titles(asked)) == (sec.id, ["CVE-2026-0003 in pyyaml 5.3"])


async def test_subscribers_of_what_is_revoked_are_told_no_more_of_it(hub: Hub) -> None:
    crane = await hub.product("crane")
    async with hub.tower.database.transaction() as session:
        session.add(
            SubscriptionRow(
                id="sub", product=crane, address="eve@reader.example", token="t", created_at=MONDAY, confirmed_at=MONDAY
            )
        )
        await session.exec(update(ProductRow).where(col(ProductRow.id) == crane).values(status=ListingStatus.REVOKED))
    await hub.tower.tells(await hub.batch(CRITICAL_ONE))
    assert await hub.tower.mails("vulnerabilities_published") == []


async def test_a_worker_that_dies_while_telling_is_followed_by_one_that_tells_the_others(hub: Hub) -> None:
    named = [await hub.product(f"product-{number:03}") for number in range(5)]
    batch = await hub.batch(CRITICAL_ONE)

    class Dying:
        """A connection that breaks after some signals."""

        def __init__(self, client: Client, signals: int) -> None:
            self.client, self.left = client, signals

        def get_workflow_handle(self, id_: str) -> object:
            if self.left == 0:
                raise ConnectionError("the worker is killed")
            self.left -= 1
            return self.client.get_workflow_handle(id_)

    dying = replace(hub.tower.activities, client=Dying(hub.client, 3))  # type: ignore[arg-type]
    with pytest.raises(ConnectionError):
        await hub.tower.run(dying.tell_products, BatchOrder(batch=batch.id))
    assert await hub.tower.mails() == []
    # whoever comes next finds it unfinished
    assert (await hub.tower.rematches()).id == batch.id
    await hub.tower.tells(batch)
    for product in named:
        # at least once, and by one id: a process that knows it changes nothing
        assert {news.id for news in await hub.heard(product)} == {batch.id}
    assert len(await hub.tower.mails("vulnerabilities_found")) == 1


async def test_a_product_whose_process_is_gone_holds_nobody_up(hub: Hub) -> None:
    await hub.product("crane", heard=False)
    derrick = await hub.product("derrick")
    batch = await hub.batch(CRITICAL_ONE)
    await hub.tower.tells(batch)
    assert len(await hub.heard(derrick)) == 1
    assert (await hub.tower.batch(batch.id)).status is BatchStatus.TOLD


async def test_a_dismissed_batch_tells_only_what_it_takes_back(hub: Hub) -> None:
    crane, derrick = await hub.product("crane"), await hub.product("derrick")
    await hub.tower.tells(await hub.batch(MAJOR_ONE))
    hub.tower.sets("mass_change_products = 50", "mass_change_products = 1")
    batch = await hub.batch(
        CRITICAL_ONE, MAJOR_ONE | {"withdrawn": "2026-01-05T00:00:00Z", "modified": "2026-02-01T00:00:00Z"}
    )
    assert batch.mass
    order = BatchOrder(batch=batch.id, actor="sec", reason="It is nonsense.")
    for _ in range(2):
        await hub.tower.run(hub.tower.activities.dismiss_batch, order)
    for product in (crane, derrick):
        told = (await hub.heard(product))[1:]
        assert [[change.kind for change in news.changes] for news in told] == [[ChangeKind.RETRACTED]]
        assert (await hub.tower.exposures(product))["CVE-2026-0001"].notified_at is None
    row = await hub.tower.batch(batch.id)
    assert (row.status, row.decided_by, row.reason) == (BatchStatus.DISMISSED, "sec", "It is nonsense.")
    assert await hub.tower.mails("vulnerabilities_found") == []
    assert (await hub.tower.rematches()).id == ""


async def test_a_very_bad_product_is_told_in_several_signals(hub: Hub) -> None:
    crane = await hub.product("crane")
    many = [advisory(f"CVE-2026-1{number:03}", "django", vector=MAJOR) for number in range(450)]
    batch = await hub.batch(*many)
    await hub.tower.tells(batch)
    news = await hub.heard(crane)
    assert [(each.id, len(each.changes)) for each in news] == [
        (batch.id, 200),
        (f"{batch.id}/1", 200),
        (f"{batch.id}/2", 50),
    ]
    keys = [change.exposure.key for each in news for change in each.changes]
    assert len(set(keys)) == 450


async def test_a_very_bad_release_tells_its_product_the_rest_with_the_next_batch(hub: Hub) -> None:
    hub.tower.says(*(advisory(f"CVE-2026-1{number:03}", "django", vector=MAJOR) for number in range(250)))
    crane = await hub.tower.product("crane")
    told = await hub.tower.publishes(crane, DJANGO, batch="s/1")
    assert len(told) == 200
    await hub.client.start_workflow(Listener.run, id=product_address(crane), task_queue=hub.queue)
    batch = await hub.tower.rematches()
    assert batch.id == "s/1"
    await hub.tower.tells(batch)
    assert sum(len(news.changes) for news in await hub.heard(crane)) == 250


async def test_what_a_release_brings_is_mailed_at_once_where_it_is_critical(hub: Hub) -> None:
    """Its other findings its publisher knows from the review: the digest has those with a clock."""
    hub.tower.says(CRITICAL_ONE, MAJOR_ONE, UNSCORED)
    await staff(hub.tower.database, "sec@hub.example", Role.SECURITY)
    crane = await hub.tower.product("crane")
    await hub.tower.publishes(crane, DJANGO, batch="s/1")
    for _ in range(2):
        await hub.tower.activities.news.of_batch("s/1")
    (mail,) = await hub.tower.mails("vulnerabilities_found")
    assert titles(mail) == ["CVE-2026-0001 in django 3.2"]
    (asked,) = await hub.tower.mails("class_to_give")
    assert titles(asked) == ["CVE-2026-0003 in pyyaml 5.3"]
    await hub.digests(datetime.now(UTC))
    (digest,) = await hub.tower.mails("vulnerability_digest")
    assert titles(digest) == ["CVE-2026-0002 in urllib3 1.24"]


async def test_a_product_that_cannot_be_taken_in_keeps_nobody_from_being_told(hub: Hub) -> None:
    derrick = await hub.product("derrick")
    release = await hub.tower.has_published_before(DJANGO)
    for digest in release.reports:
        await hub.tower.blobs.delete(digest)
    batch = await hub.batch(CRITICAL_ONE)
    assert await hub.tower.changes(batch, derrick) == {"CVE-2026-0001": "new"}
    assert batch.products == 1
    assert await hub.tower.changes(batch, hub.tower.house.product) == {}
