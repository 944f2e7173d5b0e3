"""Credentials: who gets them, who does not, and where they are never written."""

import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import bcrypt
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cli.servers import RegistryServer
from models.base import digest_of
from models.errors import ToolFailed, Unauthorized, UnsupportedImage
from registry.access import SourceFailed
from registry.building import ImageBuilder, push_layout
from registry.client import HubRepository, RegistryClient, RegistryRepository
from registry.copying import publish_tier
from registry.resolve import resolve_tier
from tests.parts.presence import needs
from tests.registry.opinions import skopeo
from tests.registry.scripted import Asked, Reply, ScriptedServer, asking_for_tokens, chunks, manifest

Start = Callable[..., Awaitable[ScriptedServer]]
Connect = Callable[..., RegistryClient]

PASSWORD = "correct-horse-battery-staple"


@pytest.fixture(scope="session")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegistryServer]:
    """Debian's docker-registry, where ann and bob have the same password and nobody else has any."""
    folder = tmp_path_factory.mktemp("guarded")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (folder / "htpasswd").write_text(f"ann:{hashed}\nbob:{hashed}\n")
    async with RegistryServer(folder / "registry", htpasswd=folder / "htpasswd") as server:
        yield server


class TokenServer(ScriptedServer):
    """Issues ES256 tokens for what `rights` allow: (user, repository) -> actions."""

    def __init__(self, rights: dict[tuple[str, str], set[str]]) -> None:
        super().__init__(self._issue)
        self.rights = rights
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "token server of a test")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .sign(self._key, hashes.SHA256())
        )
        self.bundle = certificate.public_bytes(serialization.Encoding.PEM)
        self._x5c = [base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()]

    def _issue(self, asked: Asked) -> Reply:
        user, good = "", True
        if "authorization" in asked.headers:
            plain = base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")).decode()
            user, _, password = plain.partition(":")
            good = password == PASSWORD
        if not good:
            return Reply(401)
        access = []
        for scope in " ".join(asked.query.get("scope", [])).split():
            kind, name, actions = scope.split(":")
            allowed = self.rights.get((user, name), set()) & set(actions.split(","))
            access.append({"type": kind, "name": name, "actions": sorted(allowed)})
        now = int(time.time())
        claims: dict[str, object] = {"iss": "hub", "sub": user, "aud": "hub", "jti": uuid4().hex, "access": access}
        claims |= {"iat": now, "nbf": now - 10, "exp": now + 300}
        token = jwt.encode(claims, self._key, "ES256", headers={"x5c": self._x5c})
        return Reply(body=f'{{"token": "{token}", "expires_in": 300}}'.encode())


@pytest.fixture
async def with_tokens(tmp_path: Path) -> AsyncIterator[tuple[RegistryServer, TokenServer]]:
    tokens = TokenServer(
        {
            ("ann", "team/app"): {"pull", "push", "delete"},
            ("hub", "hub/app"): {"pull", "push", "delete"},
            ("", "open/app"): {"pull"},
            ("ann", "open/app"): {"pull", "push"},
        }
    )
    await tokens.start()
    (tmp_path / "bundle.pem").write_bytes(tokens.bundle)
    said = {
        "realm": f"http://{tokens.address}/token",
        "service": "hub",
        "issuer": "hub",
        "rootcertbundle": str(tmp_path / "bundle.pem"),
    }
    async with RegistryServer(tmp_path / "registry", settings={"auth": {"token": said}}) as server:
        yield server, tokens
    await tokens.stop()


def image(folder: Path) -> Path:
    ImageBuilder().layer({"etc/motd": b"hello"}).write(folder, "1.0")
    return folder


@needs("docker-registry", "skopeo")
@pytest.mark.system
async def test_a_registry_with_passwords_opens_to_those_who_have_one(
    guarded: RegistryServer, tmp_path: Path, connect: Connect
) -> None:
    layout = image(tmp_path / "layout")
    ours = RegistryRepository(connect(guarded.address, "ann", PASSWORD), "team/app")
    digest = await push_layout(layout, "1.0", ours)
    assert await ours.digest_of_tag("1.0") == digest
    creds = f"bob:{PASSWORD}"
    place = f"docker://{guarded.address}/team/app:1.0"
    assert digest_of(await skopeo("inspect", "--raw", "--tls-verify=false", "--creds", creds, place)) == digest


@needs("docker-registry")
@pytest.mark.system
async def test_without_or_with_a_wrong_password_the_publisher_is_told_what_to_do(
    guarded: RegistryServer, connect: Connect
) -> None:
    nobody = RegistryRepository(connect(guarded.address), "team/app")
    with pytest.raises(Unauthorized, match="asks for credentials: give a user name and password"):
        await nobody.manifest("1.0")
    liar = RegistryRepository(connect(guarded.address, "ann", "wrong"), "team/app")
    with pytest.raises(Unauthorized, match="refused the credentials"):
        await liar.manifest("1.0")


@needs("docker-registry", "skopeo")
@pytest.mark.system
async def test_a_registry_with_tokens_is_read_and_written_with_the_scopes_that_are_needed(
    with_tokens: tuple[RegistryServer, TokenServer], tmp_path: Path, connect: Connect
) -> None:
    server, tokens = with_tokens
    ann = connect(server.address, "ann", PASSWORD, also=(tokens.address,))
    ours = RegistryRepository(ann, "team/app")
    digest = await push_layout(image(tmp_path / "layout"), "1.0", ours)
    pinned = await resolve_tier(ours, "Free", str(ours), ("1.0",))
    assert pinned.tags[0].digest == digest
    scopes = [scope for asked in tokens.asked for scope in asked.query["scope"]]
    # one token for reading and one for writing, then used again
    assert scopes == ["repository:team/app:pull", "repository:team/app:pull,push"]
    place = f"docker://{server.address}/team/app:1.0"
    assert await skopeo("inspect", "--raw", "--tls-verify=false", "--creds", f"ann:{PASSWORD}", place)
    assert await ours.delete_manifest(digest)
    with pytest.raises(Unauthorized):
        await RegistryRepository(ann, "team/other").manifest("1.0")


@needs("docker-registry")
@pytest.mark.system
async def test_what_is_public_needs_no_credentials_but_a_token(
    with_tokens: tuple[RegistryServer, TokenServer], tmp_path: Path, connect: Connect
) -> None:
    server, tokens = with_tokens
    ann = connect(server.address, "ann", PASSWORD, also=(tokens.address,))
    nobody = connect(server.address, also=(tokens.address,))
    digest = await push_layout(image(tmp_path / "layout"), "1.0", RegistryRepository(ann, "open/app"))
    public = RegistryRepository(nobody, "open/app")
    assert (await public.manifest("1.0")).digest == digest
    with pytest.raises(Unauthorized, match="asks for credentials"):
        await public.put_blob(digest_of(b"x"), 1, partial(chunks, b"x"))


@needs("docker-registry")
@pytest.mark.system
async def test_publication_within_a_registry_uploads_what_the_hub_may_not_mount(
    with_tokens: tuple[RegistryServer, TokenServer], tmp_path: Path, connect: Connect
) -> None:
    """The source is private to its publisher: the hub's own account may not read there."""
    server, tokens = with_tokens
    ann = connect(server.address, "ann", PASSWORD, also=(tokens.address,))
    hub = connect(server.address, "hub", PASSWORD, also=(tokens.address,))
    source = RegistryRepository(ann, "team/app")
    await push_layout(image(tmp_path / "layout"), "1.0", source)
    tier = await resolve_tier(source, "Free", str(source), ("1.0",))
    target = HubRepository(hub, "hub/app")
    outcome = await publish_tier(source, target, tier)
    assert outcome.sent > 0
    assert await target.digest_of_tag("1.0") == tier.tags[0].digest


async def test_the_hubs_own_credentials_are_the_hubs_matter(scripted: Start, connect: Connect) -> None:
    server = await scripted(lambda _: Reply(401, headers={"WWW-Authenticate": 'Basic realm="hub"'}))
    client = connect(server.address, "hub", "outdated")
    with pytest.raises(ToolFailed, match=r"The hub's own registry: .* refused the credentials"):
        await HubRepository(client, "hub/app").digest_of_tag("1.0")


async def test_a_realm_on_somebody_elses_host_does_not_get_the_credentials(scripted: Start, connect: Connect) -> None:
    server = await scripted(asking_for_tokens("https://tokens.thief.example/token"))
    ours = RegistryRepository(connect(server.address, "ann", PASSWORD), "team/app")
    with pytest.raises(Unauthorized, match=r"wants the credentials sent to tokens\.thief\.example, .* not sent"):
        await ours.manifest("1.0")


@pytest.mark.parametrize(
    "realm",
    [
        "http://127.0.0.1:{port}/token",
        "http://localhost:{port}/token",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/token",
        "https://0x7f.1/token",
        "https://2130706433/token",
        "http://[",
        "https://registry.example:99999/token",
    ],
)
async def test_a_realm_inside_our_network_is_not_asked(scripted: Start, realm: str, connect: Connect) -> None:
    inside = await scripted({})
    server = await scripted(asking_for_tokens(realm.format(port=inside.port)))
    ours = RegistryRepository(connect(server.address), "team/app")
    with pytest.raises(UnsupportedImage, match=r"by https only|private address|no port"):
        await ours.manifest("1.0")
    assert inside.asked == []


@pytest.mark.parametrize("realm", ["", "token", "file:///etc/passwd", "https://", "https://a:b@host.example/"])
async def test_a_realm_that_is_no_address_is_a_clear_error(scripted: Start, realm: str, connect: Connect) -> None:
    server = await scripted(asking_for_tokens(realm))
    ours = RegistryRepository(connect(server.address), "team/app")
    with pytest.raises(SourceFailed, match="does not say where to get it"):
        await ours.manifest("1.0")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"token": 5}',
        b'{"token": "a\\r\\nX-Evil: 1"}',
        '{"token": "ümläut"}'.encode(),
        b'{"token": "x", "expires_in": "soon"}',
        b'{"token": "x", "expires_in": 1e999}',
        b'{"token": "' + b"x" * 100_000 + b'"}',
        b"[" * 100_000,
    ],
)
async def test_something_else_than_a_token_is_a_clear_error(scripted: Start, said: bytes, connect: Connect) -> None:
    server = await scripted({})
    server.answers = {
        "/token": Reply(body=said),
        "/v2/team/app/manifests/1.0": asking_for_tokens(f"http://{server.address}/token"),
    }
    ours = RegistryRepository(connect(server.address), "team/app")
    with pytest.raises(SourceFailed, match="token"):
        await ours.manifest("1.0")


async def test_a_token_server_without_end_is_left_alone(scripted: Start, connect: Connect) -> None:
    server = await scripted({})
    server.answers = {
        "/token": Reply(goes_on=b"x" * 65536),
        "/v2/team/app/manifests/1.0": asking_for_tokens(f"http://{server.address}/token"),
    }
    ours = RegistryRepository(connect(server.address), "team/app")
    with pytest.raises(SourceFailed, match="something else than a token"):
        await ours.manifest("1.0")
    assert server.sent < 50 * 2**20


async def test_a_token_that_has_ended_is_fetched_again(scripted: Start, connect: Connect) -> None:
    content = manifest()
    good: set[str] = set()

    def answer(asked: Asked) -> Reply:
        if asked.path == "/token":
            good.clear()
            good.add(uuid4().hex)
            return Reply(body=f'{{"access_token": "{min(good)}"}}'.encode())
        if asked.headers.get("authorization", "").removeprefix("Bearer ") in good:
            return Reply(body=content)
        return asking_for_tokens(f"http://{server.address}/token")(asked)

    server = await scripted(answer)
    ours = RegistryRepository(connect(server.address), "team/app")
    await ours.manifest("1.0")
    good.clear()
    assert (await ours.manifest("1.0")).content == content
    assert server.paths().count("/token") == 2


async def test_a_refusal_without_a_challenge_asks_for_credentials(scripted: Start, connect: Connect) -> None:
    server = await scripted(lambda _: Reply(401))
    with pytest.raises(Unauthorized, match="asks for credentials"):
        await RegistryRepository(connect(server.address), "team/app").manifest("1.0")


async def test_of_several_challenges_the_token_is_taken(scripted: Start, connect: Connect) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path == "/token":
            return Reply(body=b'{"token": "t"}')
        if asked.headers.get("authorization") == "Bearer t":
            return Reply(body=manifest())
        both = f'Basic realm="a Bearer of gifts, maybe", Bearer realm="http://{server.address}/token",service=hub'
        return Reply(401, headers={"WWW-Authenticate": both})

    server = await scripted(answer)
    ours = RegistryRepository(connect(server.address), "team/app")
    await ours.manifest("1.0")
    token = next(asked for asked in server.asked if asked.path == "/token")
    assert token.query == {"scope": ["repository:team/app:pull"], "service": ["hub"]}


async def test_credentials_do_not_follow_a_redirect_to_another_host(scripted: Start, connect: Connect) -> None:
    content = b"layer"
    elsewhere = await scripted({"/blob": content})

    def answer(asked: Asked) -> Reply:
        if "authorization" not in asked.headers:
            return Reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        return Reply(307, headers={"Location": f"http://{elsewhere.address}/blob"})

    server = await scripted(answer)
    client = connect(server.address, "ann", PASSWORD, also=(elsewhere.address,))
    blob = RegistryRepository(client, "team/app").blob(digest_of(content), len(content))
    assert b"".join([chunk async for chunk in blob]) == content
    assert "authorization" in server.asked[-1].headers
    assert [asked.headers.get("authorization") for asked in elsewhere.asked] == [None]


async def test_credentials_do_not_follow_a_next_page_to_another_host(scripted: Start, connect: Connect) -> None:
    elsewhere = await scripted({"/next": b'{"tags": ["2.0"]}'})

    def answer(asked: Asked) -> Reply:
        if "authorization" not in asked.headers:
            return Reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        return Reply(body=b'{"tags": ["1.0"]}', headers={"Link": f'<http://{elsewhere.address}/next>; rel="next"'})

    server = await scripted(answer)
    client = connect(server.address, "ann", PASSWORD, also=(elsewhere.address,))
    assert await RegistryRepository(client, "team/app").tags() == ["1.0", "2.0"]
    assert [asked.headers.get("authorization") for asked in elsewhere.asked] == [None]
