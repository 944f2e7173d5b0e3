"""Where credentials are never written, and whose token server is believed."""

import base64
import logging
from collections.abc import Awaitable, Callable, Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ImageNotFound, Unauthorized
from registry.access import Access, SourceFailed, SourceRules
from registry.authorization import belong_together, challenges
from registry.client import RegistryClient, RegistryRepository
from tests.registry.scripted import Asked, Reply, ScriptedServer, asking_for_tokens

Start = Callable[..., Awaitable[ScriptedServer]]
Connect = Callable[..., RegistryClient]


@pytest.fixture
def everything_logged() -> Iterator[list[str]]:
    """Whatever any logger of this process writes, at the lowest level."""
    written: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(record.getMessage())

    root, handler, level = logging.getLogger(), Keep(), logging.getLogger().level
    root.addHandler(handler)
    # what the program does to the chatty ones (desk/logs.py) must not hide anything here
    chatty = [logging.getLogger(name) for name in ("httpx", "httpcore")]
    levels = [logger.level for logger in chatty]
    for logger in (root, *chatty):
        logger.setLevel(logging.DEBUG)
    yield written
    for logger, former in zip((root, *chatty), (level, *levels), strict=True):
        logger.setLevel(former)
    root.removeHandler(handler)


async def test_secrets_stand_in_no_repr_no_error_and_no_log(
    scripted: Start, everything_logged: list[str], connect: Connect
) -> None:
    secret, token = "s3cret-of-a-publisher", "t0ken-of-a-registry"
    basic = base64.b64encode(f"ann:{secret}".encode()).decode()
    answers = [Reply(body=f'{{"token": "{token}"}}'.encode()), Reply(403), Reply(body=b"nonsense")]

    def answer(asked: Asked) -> Reply:
        if asked.path == "/token":
            return answers.pop(0) if len(answers) > 1 else answers[0]
        return asking_for_tokens(f"http://{server.address}/token")(asked)

    server = await scripted(answer)
    access = Access("ann", secret)
    client = connect(server.address, "ann", secret)
    ours = RegistryRepository(client, "team/app")
    said = [repr(access), repr(client), repr(ours), str(ours), repr(vars(client))]
    for expected in (Unauthorized, Unauthorized, SourceFailed):
        with pytest.raises(expected) as caught:
            await ours.manifest("1.0")
        said += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
    assert any(asked.headers.get("authorization") == f"Basic {basic}" for asked in server.asked)
    assert any(asked.headers.get("authorization") == f"Bearer {token}" for asked in server.asked)
    assert everything_logged
    for text in said + everything_logged:
        assert not any(hidden in text for hidden in (secret, token, basic)), text


@pytest.mark.parametrize(
    ("registry", "realm", "together"),
    [
        ("registry-1.docker.io", "auth.docker.io", True),
        ("registry.gitlab.com", "gitlab.com", True),
        ("ghcr.io", "ghcr.io", True),
        ("quay.io", "auth.quay.io", True),
        ("Registry.Example.com", "registry.example.com.", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("ghcr.io", "evil.io", False),
        ("registry.docker.io", "docker.io.evil.example", False),
        ("registry.docker.io", "evildocker.io", False),
        ("harbour.co.uk", "thief.co.uk", False),
        ("harbour.co.uk", "auth.harbour.co.uk", True),
        ("registry.harbour.co.uk", "auth.harbour.co.uk", True),
        ("10.0.0.1", "9.0.0.1", False),
        ("10.0.0.1", "0.0.1", False),
        ("localhost", "localhost.evil.example", False),
    ],
)
def test_a_token_server_belongs_to_its_registry_by_name(registry: str, realm: str, together: bool) -> None:
    assert belong_together(registry, realm) is together


async def test_docker_hub_is_found_where_it_is() -> None:
    client = RegistryClient("docker.io", SourceRules())
    assert client.base == httpx.URL("https://registry-1.docker.io/v2/")
    await client.close()


@pytest.mark.parametrize("host", ["oci:folder", "registry:port", "[::1"])
def test_a_host_that_is_none_is_refused_at_once(host: str) -> None:
    with pytest.raises(ImageNotFound, match="is no registry"):
        RegistryClient(host, SourceRules())


@given(st.text() | st.from_regex(r'(Basic |Bearer )?(realm="?[^"]*"?[, ]*)*', fullmatch=True))
def test_a_challenge_may_say_anything(header: str) -> None:
    for scheme, parameters in challenges(header).items():
        assert scheme in ("basic", "bearer")
        assert all(isinstance(value, str) for value in parameters.values())
