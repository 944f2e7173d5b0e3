"""How registries are spoken to: only addresses that the hub may reach, retries where they help, nothing unbounded."""

import asyncio
import ipaddress
import random
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache

import httpx

from models.errors import ImageNotFound, ImageTooLarge, UnsupportedImage
from registry.access import SourceFailed, SourceRules

#: tries of one request, and the longest pause between two, seconds
TRIES = 5
LONGEST_PAUSE = 30.0
_AGAIN = frozenset({429, 500, 502, 503, 504})
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_MOST_REDIRECTS = 5
#: a small document (manifest, token, list of tags) takes no longer than this, seconds
_SMALL_SECONDS = 60.0
#: what is left of an answer that nobody wants is read up to this many bytes, so that the connection can go on
_LEFT_OVER = 2**16
#: addresses of one host that are tried
_MOST_ADDRESSES = 4
#: networks whose addresses carry an IPv4 address that packets may end up at: NAT64 (RFC 6052)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class GuardedTransport(httpx.AsyncBaseTransport):
    """Connects only to addresses that the rules allow, and to the very address that was looked at.

    A source names a host of the publisher's choosing: without this it could name our own database (SSRF). Resolving
    first and connecting later by name would let the name change in between (DNS rebinding).
    """

    def __init__(self, rules: SourceRules, home: str) -> None:
        """Connections to `home` (host[:port]) are kept. Others' are not: connected by address, a connection that was
        verified for one name would serve another name at the same address.
        """
        self._rules = rules
        self._home_host = home.lower()
        self._home = httpx.AsyncHTTPTransport(verify=_trusted(), limits=httpx.Limits(max_connections=20))
        self._abroad = httpx.AsyncHTTPTransport(
            verify=_trusted(), limits=httpx.Limits(max_connections=20, max_keepalive_connections=0)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        netloc = url.netloc.decode()
        inner = self._home if netloc == self._home_host else self._abroad
        trusted = netloc in self._rules.plain_http_hosts
        if url.scheme != "https" and not (trusted and url.scheme == "http"):
            raise UnsupportedImage(f"{netloc} is spoken to by https only: the hub's settings do not allow plain http.")
        _require_possible(url)
        if trusted or self._rules.allow_private_hosts:
            return await inner.handle_async_request(request)
        addresses = (await public_addresses(url.host, url.port or 443))[:_MOST_ADDRESSES]
        for address in addresses[:-1]:
            try:
                return await inner.handle_async_request(_at(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await inner.handle_async_request(_at(request, addresses[-1]))

    async def aclose(self) -> None:
        await self._home.aclose()
        await self._abroad.aclose()


def _require_possible(url: httpx.URL) -> None:
    """What cannot be an address is said at once; deeper down it would be an error of nobody's."""
    if not 0 < (url.port or 443) < 2**16:
        raise UnsupportedImage(f"{url.host[:100]} has no port {url.port}.")
    if not all(0 < len(label) < 64 for label in url.host.removesuffix(".").split(".")):
        raise ImageNotFound(f"{url.host[:100]!r} is no name of a host: check it.")


def _at(request: httpx.Request, address: str) -> httpx.Request:
    """The same request, sent to this address under the host's name. A copy: redirects are relative to the name."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )


async def public_addresses(host: str, port: int) -> list[str]:
    """Addresses of the host, all of which are public. Errors: UnsupportedImage; httpx.ConnectError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError(f"{host} has no address: {error}") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not is_public(address):
            raise UnsupportedImage(f"{host} is at the private address {address}: the hub reads public registries only.")
    return addresses


def is_public(address: str) -> bool:
    """Whether it is an address of the open internet, and not one of ours in disguise."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        hidden = (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ()))
        if ip.is_site_local or not all(inner.is_global for inner in hidden if inner is not None):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


@cache
def _trusted() -> ssl.SSLContext:
    """Mozilla's authorities, and the system's, among which an administrator puts a private registry's."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def new_client(rules: SourceRules, home: str) -> httpx.AsyncClient:
    """No proxies or credentials of the machine: what a source may reach is decided here alone.

    Answers come as they are: one that is compressed on the way could be a bomb.
    """
    return httpx.AsyncClient(
        transport=GuardedTransport(rules, home),
        timeout=TIMEOUT,
        trust_env=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "wharfinger"},
    )


async def follow(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Send, and go where the answer points. Credentials stay with the host that they were meant for.

    By hand, because httpx reads the whole body of an answer that points elsewhere, however large it is.
    """
    response = await client.send(request, stream=True)
    for _ in range(_MOST_REDIRECTS):
        if response.next_request is None:
            return response
        following = response.next_request
        await finish(response)
        response = await client.send(following, stream=True)
    if response.next_request is None:
        return response
    await response.aclose()
    raise httpx.TooManyRedirects(f"more than {_MOST_REDIRECTS} redirects", request=request)


async def persistently(send: Callable[[], Awaitable[httpx.Response]], what: str, tries: int = TRIES) -> httpx.Response:
    """Send until the answer is one that trying again would not change.

    Errors: SourceFailed; ImageNotFound and UnsupportedImage for a host that is not there, or cannot be trusted.
    """
    trouble = ""
    for number in range(tries):
        wait: str | None = None
        try:
            response = await send()
        except (httpx.TransportError, httpx.TooManyRedirects, httpx.InvalidURL) as error:
            raise_if_for_good(error, what)
            trouble = f"{type(error).__name__}: {error}"
        else:
            if response.status_code not in _AGAIN:
                return response
            await finish(response)
            trouble, wait = f"status {response.status_code}", response.headers.get("Retry-After")
        if number < tries - 1:
            await pause(number, wait)
    times = f" {tries} times" if tries > 1 else ""
    raise SourceFailed(f"{what} failed{times}: {trouble[:500]}".strip())


def raise_if_for_good(error: Exception, what: str) -> None:
    """What no second try would change is said at once."""
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror) and cause.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            raise ImageNotFound(f"{what} is not possible: there is no such host. Check its name.") from error
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise UnsupportedImage(
                f"{what} is not safe: the host's certificate is not valid ({cause.verify_message})."
            ) from error
        if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
            raise UnsupportedImage(
                f"{what} is not possible: the host speaks no https, and the hub's settings do not allow plain http."
            ) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


async def pause(number: int, asked: str | None = None) -> None:
    """Before try `number` + 1; `asked` is a Retry-After, in seconds or as a date."""
    await asyncio.sleep(seconds_to_wait(number, asked, datetime.now(UTC)))


def seconds_to_wait(number: int, asked: str | None, now: datetime) -> float:
    seconds = 0.25 * float(2**number) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
    if asked and asked.isascii() and asked.isdecimal():
        seconds = float(asked[:9])
    elif asked:
        try:
            then = parsedate_to_datetime(asked)
            seconds = (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() - now.timestamp()
        except (ValueError, OverflowError):
            pass  # no date either
    return min(max(seconds, 0.0), LONGEST_PAUSE)


async def read_small(response: httpx.Response, most: int, what: str) -> bytes:
    """The whole body of a small document. Errors: ImageTooLarge above `most` bytes; SourceFailed."""
    content = bytearray()
    try:
        async with asyncio.timeout(_SMALL_SECONDS):
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > most:
                    raise ImageTooLarge(f"{what}: the answer has more than {most:,} bytes.")
    except TimeoutError:
        raise SourceFailed(f"{what} took longer than {_SMALL_SECONDS:g} seconds.") from None
    except httpx.TransportError as error:
        raise SourceFailed(f"{what} broke off: {error}") from error
    return bytes(content)


async def finish(response: httpx.Response) -> None:
    """Close an answer; read to its end before where that is near, so that its connection can be used again."""
    try:
        if not response.is_stream_consumed:
            async with asyncio.timeout(1.0):
                left = 0
                async for chunk in response.aiter_raw():
                    left += len(chunk)
                    if left > _LEFT_OVER:
                        break
    except (httpx.TransportError, TimeoutError):
        pass
    finally:
        await response.aclose()


@asynccontextmanager
async def closing(response: httpx.Response) -> AsyncIterator[httpx.Response]:
    try:
        yield response
    finally:
        await finish(response)
