"""Who has decided sees it in the rows at once, and is not kept waiting for long where they are late."""

import pytest

import desk.recorded
from desk import publishers
from desk.hub import Hub
from desk.recorded import recorded
from models.addresses import new_id
from models.commands import ChangeProfile
from models.lifecycle import Snapshot, Stage, Turn
from models.products import ListingStatus, ProductSnapshot
from models.publishers import ApplicationSnapshot, ApplicationStatus
from store import publishers as rows
from tests.desk.hubs import icon, profile, verified
from tests.parts.presence import needs

pytestmark = [pytest.mark.system, needs("temporal")]


async def test_what_a_process_has_answered_stands_in_the_rows(hub: Hub) -> None:
    publisher = await verified(hub)
    for number in range(5):
        wanted = profile(f"Name {number} {new_id()}", icon())
        change = ChangeProfile(id=new_id(), actor=publisher.person, profile="replaced")
        snapshot = await publishers.amend(hub, publisher.publisher, wanted, icon(), change)
        assert await recorded(hub, snapshot)
        async with hub.database.session() as session:
            assert (await rows.get(session, publisher.publisher)).name == wanted.legal_name


async def test_nobody_is_kept_waiting_for_rows_that_do_not_come(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.recorded, "_PATIENCE", 0.1)
    publisher = await verified(hub)
    application = ApplicationSnapshot(
        id=publisher.publisher, revision=99, status=ApplicationStatus.APPROVED, profile=""
    )
    product = ProductSnapshot(id="nobody's", revision=1, status=ListingStatus.PUBLISHED)
    submission = Snapshot(id="nobody's", revision=0, stage=Stage.READY, turn=Turn.MODERATOR, iteration=1)
    for snapshot in (application, product, submission):
        assert not await recorded(hub, snapshot)
