"""The password of a publisher's private registry: the hub used it, and it stands nowhere in clear."""

from pathlib import Path

import httpx
import pytest
from sqlmodel import select

from models.tables import SecretRow
from tests.parts.presence import needs
from tests.system.voyage import Voyage

pytestmark = [pytest.mark.system, needs("temporal", "postgresql", "docker-registry", "trivy")]


async def test_the_private_registry_shows_nothing_without_it(arrived: Voyage) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{arrived.source.url}/v2/ledgers/ledger/tags/list")).status_code == 401


async def test_no_history_holds_it(arrived: Voyage) -> None:
    client, looked_at = arrived.hub.client, 0
    async for run in client.list_workflows():
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        for event in history.events:
            assert_clean(arrived, f"{run.id}, event {event.event_id}", event.SerializeToString())
            looked_at += 1
    assert looked_at > 100


async def test_no_log_mail_or_blob_and_no_other_file_of_the_hub_holds_it(arrived: Voyage) -> None:
    """The server's own database among them: the whole home folder, byte by byte."""
    looked_at = [path for path in sorted(arrived.harbour.home.rglob("*")) if path.is_file()]
    for path in looked_at:
        assert_clean(arrived, str(path), path.read_bytes())
    names = {path.relative_to(arrived.harbour.home).parts[0] for path in looked_at}
    assert {"services", "blobs"} <= names
    assert any("mailbox" in path.parts for path in looked_at)
    assert (arrived.harbour.home / "services" / "logs" / "worker.log") in looked_at


async def test_the_database_holds_it_encrypted_while_the_submission_is_open_and_not_at_all_later(
    arrived: Voyage,
) -> None:
    while_open, now = arrived.dump_under_way, arrived.database.dump()
    assert while_open.count("INSERT INTO public.secret ") == 3
    assert_clean(arrived, "the dump of an open submission", while_open.encode())
    assert_clean(arrived, "the dump at the end", now.encode())
    async with arrived.hub.database.session() as session:
        assert not (await session.exec(select(SecretRow))).all()


async def test_no_page_of_the_database_and_no_log_of_it_holds_it(arrived: Voyage) -> None:
    """What is deleted may stay on disk for long."""
    for path in sorted(arrived.database.folder.rglob("*")):
        if path.is_file():
            assert_clean(arrived, str(path), path.read_bytes())


def assert_clean(arrived: Voyage, place: str | Path, content: bytes) -> None:
    for name, form in arrived.credentials.forms().items():
        assert form not in content, f"{name} stands in {place}"
