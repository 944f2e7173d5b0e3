"""How registries are spoken to: only addresses that the hub may reach, retries where they help."""

import asyncio
import ipaddress
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx

from models.errors import ToolFailed, UnsupportedImage
from registry.access import SourceRules

#: tries of one request, and the longest pause between two, seconds
TRIES = 5
LONGEST_PAUSE = 30.0
_AGAIN = frozenset({429, 500, 502, 503, 504})
TIMEOUT = httpx.Timeout(60.0, connect=10.0)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Connects only to addresses that the rules allow, and to the very address that was looked at.

    A source names a host of the publisher's choosing: without this it could name our own database (SSRF). Resolving
    first and connecting later by name would let the name change in between (DNS rebinding).
    """

    def __init__(self, rules: SourceRules, inner: httpx.AsyncBaseTransport | None = None) -> None:
        self._rules = rules
        self._inner = inner or httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=20))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        netloc = url.netloc.decode()
        if url.scheme != "https" and netloc not in self._rules.plain_http_hosts:
            raise UnsupportedImage(f"{netloc} is spoken to by https only: the hub's settings do not allow plain http.")
        if netloc not in self._rules.plain_http_hosts and not self._rules.allow_private_hosts:
            address = await public_address(url.host, url.port or (443 if url.scheme == "https" else 80))
            request.extensions = {**request.extensions, "sni_hostname": url.host}
            request.url = url.copy_with(host=address)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def public_address(host: str, port: int) -> str:
    """An address of the host, all of which are public. Errors: UnsupportedImage; ToolFailed when there is none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpx.ConnectError(f"{host} has no address: {error}") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not ipaddress.ip_address(address.partition("%")[0]).is_global:
            raise UnsupportedImage(f"{host} is at the private address {address}: the hub reads public registries only.")
    return addresses[0]


def new_client(rules: SourceRules) -> httpx.AsyncClient:
    """No proxies or credentials of the machine: what a source may reach is decided here alone."""
    return httpx.AsyncClient(
        transport=GuardedTransport(rules), timeout=TIMEOUT, trust_env=False, follow_redirects=True, max_redirects=5
    )


async def persistently(send: Callable[[], Awaitable[httpx.Response]], what: str) -> httpx.Response:
    """Send until the answer is one that trying again would not change. Errors: ToolFailed."""
    trouble = ""
    for number in range(TRIES):
        try:
            response = await send()
        except (httpx.TransportError, httpx.TooManyRedirects) as error:
            trouble, wait = f"{type(error).__name__}: {error}", None
        else:
            if response.status_code not in _AGAIN:
                return response
            await response.aclose()
            trouble, wait = f"status {response.status_code}", response.headers.get("Retry-After")
        if number < TRIES - 1:
            await asyncio.sleep(_pause(number, wait))
    raise ToolFailed(f"{what} failed {TRIES} times: {trouble}".strip())


def _pause(number: int, asked: str | None) -> float:
    if asked and asked.isdecimal():
        return min(float(asked), LONGEST_PAUSE)
    return min(0.25 * float(2**number) * random.uniform(0.5, 1.5), LONGEST_PAUSE)  # noqa: S311 - no secret


@asynccontextmanager
async def closing(response: httpx.Response) -> AsyncIterator[httpx.Response]:
    try:
        yield response
    finally:
        await response.aclose()
