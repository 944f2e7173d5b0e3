"""Private sources: opened with the credentials that were stored for them, which stand nowhere else."""

from collections.abc import AsyncIterator
from pathlib import Path

import bcrypt
import pytest
from temporalio.exceptions import ApplicationError

from cli.servers import RegistryServer
from models.addresses import submission_address
from models.images import ImageSource
from registry.access import Access, SourceRules
from registry.building import ImageBuilder, push_layout
from registry.client import RegistryClient, RegistryRepository
from store import secrets, submissions
from store.secrets import Vault, new_key
from tests.activities.wharf import Wharf
from tests.parts.presence import needs
from tests.parts.rows import MONDAY

pytestmark = [needs("docker-registry"), pytest.mark.system]

PASSWORD = "a-publishers-very-own-password"


@pytest.fixture(scope="module")
async def private(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegistryServer]:
    folder = tmp_path_factory.mktemp("private")
    (folder / "htpasswd").write_text("pat:" + bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode())
    async with RegistryServer(folder / "registry", htpasswd=folder / "htpasswd") as server:
        yield server


async def pushed(server: RegistryServer, folder: Path) -> str:
    """A private image; the repository's name."""
    ImageBuilder().layer({"a": b"b"}).write(folder, "1.0")
    client = RegistryClient(server.address, SourceRules(plain_http_hosts=(server.address,)), Access("pat", PASSWORD))
    await push_layout(folder, "1.0", RegistryRepository(client, "team/private"))
    await client.close()
    return f"{server.address}/team/private"


async def onboards(wharf: Wharf, private: RegistryServer, folder: Path, secret: str) -> str:
    """What the publisher is told of the image; empty when all is well."""
    wharf.rules = SourceRules(plain_http_hosts=(private.address,))
    source = ImageSource(repository=await pushed(private, folder), tags=("1.0",), credentials=secret or None)
    content = await wharf.save(("Free", source))
    submission = await wharf.submit(content)
    onboarded = await wharf.onboards(content, submission)
    assert PASSWORD not in onboarded.model_dump_json()
    if onboarded.refused is None:
        return ""
    async with wharf.database.session() as session:
        return "\n".join(finding.evidence for finding in await submissions.findings(session, submission, 1))


async def stored(wharf: Wharf, password: str = PASSWORD) -> str:
    async with wharf.database.transaction() as session:
        subject = submission_address(wharf.house.submission)
        return await wharf.vault.put(session, subject, "pat", password, MONDAY)


async def test_a_private_source_is_opened_with_the_stored_credentials(
    wharf: Wharf, private: RegistryServer, tmp_path: Path
) -> None:
    secret = await stored(wharf)
    assert await onboards(wharf, private, tmp_path / "images", secret) == ""
    # its submission closes: then nobody can read there any more
    async with wharf.database.transaction() as session:
        await secrets.delete_of(session, submission_address(wharf.house.submission))
    told = await onboards(wharf, private, tmp_path / "images", secret)
    assert "The stored credentials of this source are gone: resubmit" in told


async def test_wrong_or_missing_credentials_are_told_to_the_publisher(
    wharf: Wharf, private: RegistryServer, tmp_path: Path
) -> None:
    assert "refused the credentials" in await onboards(wharf, private, tmp_path, await stored(wharf, "wrong"))
    assert "asks for credentials" in await onboards(wharf, private, tmp_path, "")


async def test_credentials_that_fit_none_of_the_keys_are_the_hubs_matter(
    wharf: Wharf, private: RegistryServer, tmp_path: Path
) -> None:
    secret = await stored(wharf)
    wharf.vault = Vault([new_key()])
    with pytest.raises(ApplicationError) as caught:
        await onboards(wharf, private, tmp_path, secret)
    assert (caught.value.type, caught.value.non_retryable) == ("ToolFailed", False)
    assert PASSWORD not in str(caught.value)


async def test_a_source_shows_no_password(wharf: Wharf, private: RegistryServer, tmp_path: Path) -> None:
    secret = await stored(wharf)
    source = ImageSource(repository=await pushed(private, tmp_path), tags=("1.0",), credentials=secret)
    wharf.rules = SourceRules(plain_http_hosts=(private.address,))
    async with wharf.sources.open(source) as opened:
        assert (await opened.manifest("1.0")).digest
        for shown in (repr(opened), str(opened), repr(vars(opened)), repr(wharf.sources), source.model_dump_json()):
            assert PASSWORD not in shown
