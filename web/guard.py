"""What every answer has in common: no page of ours is framed, sniffed or scripted; no request is larger than a form."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

from web.rendering import STYLE_DIGEST

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: bytes; our largest form has one email address
_LARGEST_REQUEST = 16 * 1024

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; img-src 'self'; style-src 'sha256-{STYLE_DIGEST}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # tokens stand in addresses
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}


def guarded(headers: MutableHeaders) -> None:
    """Add what is not there yet."""
    for name, value in HEADERS.items():
        headers.setdefault(name, value)


class Guard:
    """Sets the headers, answers HEAD as GET without a body, and bounds what a request may send."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = scope["method"] == "HEAD"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                guarded(MutableHeaders(scope=message))
            elif head:
                message = {**message, "body": b""}
            await send(message)

        # mail programs and link checkers ask with HEAD what a link is
        await self._app({**scope, "method": "GET"} if head else scope, _bounded(receive), answer)


def _bounded(receive: Receive) -> Receive:
    left = _LARGEST_REQUEST

    async def some() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, f"A request has at most {_LARGEST_REQUEST:,} bytes.")
        return message

    return some
