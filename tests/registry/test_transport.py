"""Where the hub may connect to, and what it does when a server stumbles."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from models.errors import ImageNotFound, UnsupportedImage
from registry import transport
from registry.access import SourceFailed, SourceRules
from registry.client import RegistryClient, RegistryRepository
from registry.transport import TRIES, is_public
from tests.registry.scripted import Reply, ScriptedServer, manifest

Start = Callable[..., Awaitable[ScriptedServer]]
Connect = Callable[..., RegistryClient]

MANIFEST = "/v2/team/app/manifests/1.0"


# --- where to ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0", "[::1]", "[::ffff:127.0.0.1]", "127.1"])
async def test_a_private_host_is_refused_with_a_clear_error(scripted: Start, host: str) -> None:
    inside = await scripted({})
    client = RegistryClient(f"{host}:{inside.port}", SourceRules())
    with pytest.raises(UnsupportedImage, match=r"private address .*: the hub reads public registries only"):
        await RegistryRepository(client, "team/app").manifest("1.0")
    assert inside.asked == []
    await client.close()


async def test_a_name_is_judged_by_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, 1, 6, "", (address, port)) for address in ("93.184.216.34", "10.0.0.7")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    client = RegistryClient("registry.example.com", SourceRules())
    with pytest.raises(UnsupportedImage, match=r"registry.example.com is at the private address 10\.0\.0\.7"):
        await RegistryRepository(client, "team/app").manifest("1.0")
    await client.close()


async def test_plain_http_is_spoken_only_where_a_setting_allows_it(scripted: Start, connect: Connect) -> None:
    server = await scripted({MANIFEST: manifest()})
    assert (await RegistryRepository(connect(server.address), "team/app").manifest("1.0")).content == manifest()
    private = RegistryClient(server.address, SourceRules(allow_private_hosts=True))
    with pytest.raises(UnsupportedImage, match="the host speaks no https"):
        await RegistryRepository(private, "team/app").manifest("1.0")
    await private.close()


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:{port}/inside", "https://127.0.0.1:{port}/inside", "//localhost:{port}/inside"]
)
async def test_a_redirect_into_our_network_is_not_followed(scripted: Start, connect: Connect, place: str) -> None:
    inside = await scripted({"/inside": manifest()})
    outside = await scripted({MANIFEST: Reply(302, headers={"Location": place.format(port=inside.port)})})
    with pytest.raises(UnsupportedImage, match=r"https only|private address"):
        await RegistryRepository(connect(outside.address), "team/app").manifest("1.0")
    assert inside.asked == []


@pytest.mark.parametrize(
    "place", ["ftp://example.com/", "http://[", "gopher:x", "https://example.com:99999/", "\x00", "http://" + "a" * 70]
)
async def test_a_redirect_to_nowhere_is_a_clear_error(
    scripted: Start, connect: Connect, pauses: list[float], place: str
) -> None:
    server = await scripted({MANIFEST: Reply(302, headers={"Location": place})})
    with pytest.raises((UnsupportedImage, SourceFailed, ImageNotFound)):
        await RegistryRepository(connect(server.address), "team/app").manifest("1.0")


async def test_redirects_in_a_circle_end(scripted: Start, connect: Connect, pauses: list[float]) -> None:
    server = await scripted({MANIFEST: Reply(302, headers={"Location": MANIFEST})})
    with pytest.raises(SourceFailed, match="more than 5 redirects"):
        await RegistryRepository(connect(server.address), "team/app").manifest("1.0")
    assert len(server.asked) == 6 * TRIES


async def test_a_redirect_without_end_is_not_read(scripted: Start, connect: Connect) -> None:
    """The body of an answer that points elsewhere: httpx would take it all in."""
    server = await scripted(
        {
            MANIFEST: Reply(302, headers={"Location": "/elsewhere"}, goes_on=b"x" * 2**16),
            "/elsewhere": manifest(),
        }
    )
    assert (await RegistryRepository(connect(server.address), "team/app").manifest("1.0")).content == manifest()
    assert server.sent < 20 * 2**20


PRIVATE = """
    0.0.0.0 10.1.2.3 127.0.0.1 169.254.169.254 172.16.0.1 192.168.1.1 100.64.0.1 192.0.2.1 198.18.0.1 224.0.0.1
    240.0.0.1 255.255.255.255 :: ::1 fe80::1%eth0 fc00::1 fd00:ec2::254 fec0::1 ff02::1 ::ffff:10.0.0.1
    ::ffff:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a00:1 2002:7f00:1:: 2002:a00:1:: 2001:db8::1 2001:0:7f00:1::
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_private_addresses_are_known_in_every_disguise(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::6810:84e5", "64:ff9b::808:808"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


# --- TLS, to the very address that was looked at ----------------------------------------------------------------------

HOST = "registry.harbour.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """An authority's certificate that is good for HOST alone, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return folder / "ca.pem", context


@pytest.fixture
def trusting(certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:  # type: ignore[misc]
    """The machine trusts the authority, as after `update-ca-certificates`."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    transport._trusted.cache_clear()
    yield
    transport._trusted.cache_clear()


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """HOST and its neighbours are at this machine, which counts as public here; the names that were looked up."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *arguments: Any, **more: Any) -> list[Any]:
        if host in ("127.0.0.1", "127.0.0.9"):
            return list(real(host, port, *arguments, **more))
        asked.append(host)
        # nobody listens at the first address: the second is tried
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.9", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(transport, "is_public", lambda address: ipaddress.ip_address(address).is_loopback)
    return asked


@pytest.mark.usefixtures("trusting")
async def test_tls_is_verified_by_name_though_the_connection_goes_to_the_address(
    scripted: Start, certificate: tuple[Path, ssl.SSLContext], resolving: list[str]
) -> None:
    server = await scripted({}, tls=certificate[1])
    server.answers = {MANIFEST: Reply(302, headers={"Location": "/other"}), "/other": manifest()}
    client = RegistryClient(f"{HOST}:{server.port}", SourceRules())
    assert (await RegistryRepository(client, "team/app").manifest("1.0")).content == manifest()
    # a redirect without a host stays with the name, not with the address
    assert [asked.headers["host"] for asked in server.asked] == [f"{HOST}:{server.port}"] * 2
    await client.close()


@pytest.mark.usefixtures("trusting")
async def test_a_connection_that_was_verified_for_one_name_does_not_serve_another(
    scripted: Start, certificate: tuple[Path, ssl.SSLContext], resolving: list[str]
) -> None:
    server = await scripted({}, tls=certificate[1])
    server.answers = {MANIFEST: Reply(302, headers={"Location": f"https://other.harbour.example:{server.port}/x"})}
    client = RegistryClient(f"{HOST}:{server.port}", SourceRules())
    with pytest.raises(UnsupportedImage, match=r"certificate is not valid .*other\.harbour\.example"):
        await RegistryRepository(client, "team/app").manifest("1.0")
    assert server.paths() == [MANIFEST]
    await client.close()


async def test_a_certificate_that_nobody_vouches_for_is_said_at_once(
    scripted: Start, certificate: tuple[Path, ssl.SSLContext], resolving: list[str], pauses: list[float]
) -> None:
    server = await scripted({MANIFEST: manifest()}, tls=certificate[1])
    client = RegistryClient(f"{HOST}:{server.port}", SourceRules())
    with pytest.raises(UnsupportedImage, match="the host's certificate is not valid"):
        await RegistryRepository(client, "team/app").manifest("1.0")
    assert pauses == []
    await client.close()


async def test_a_host_that_is_not_there_is_said_at_once(pauses: list[float]) -> None:
    client = RegistryClient("no-such-registry.invalid", SourceRules())
    try:
        await asyncio.get_running_loop().getaddrinfo("no-such-registry.invalid", 443)
    except socket.gaierror as error:
        # a machine without any name server cannot know that there is no such host
        expected = SourceFailed if error.errno == socket.EAI_AGAIN else ImageNotFound
    with pytest.raises(expected, match=r"no such host|no address"):
        await RegistryRepository(client, "team/app").manifest("1.0")
    await client.close()
