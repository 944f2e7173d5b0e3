"""A web server on loopback that knows ETags and ranges, and breaks off when it is told to."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    body: bytes | Callable[[], bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    #: in quotation marks; empty for a page without a name
    etag: str = ""
    #: bytes after which the connection breaks, for each request to come
    breaks_after: list[int] = field(default_factory=list)


@dataclass
class Website:
    """`asked` holds path, status and the range of every request."""

    address: str = ""
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[tuple[str, int, str]] = field(default_factory=list)

    def put(self, path: str, body: bytes | Callable[[], bytes], **fields: object) -> str:
        """The URL of the page."""
        self.pages[path] = Page(body, **fields)  # type: ignore[arg-type]
        return self.address + path


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    website: Website

    def do_GET(self) -> None:
        page = self.website.pages.get(self.path, Page(b"", 404))
        body = page.body() if callable(page.body) else page.body
        asked = self.headers.get("Range", "")
        status, headers = page.status, dict(page.headers)
        if page.etag:
            headers["ETag"] = page.etag
            if self.headers.get("If-None-Match") == page.etag:
                status, body = 304, b""
            elif asked and self.headers.get("If-Range") == page.etag:
                first = int(asked.removeprefix("bytes=").rstrip("-"))
                status = 206
                headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
                body = body[first:]
        self.website.asked.append((self.path, status, asked))
        self.send_response(status)
        # said, or a client that follows a redirect would use the connection again
        for name, value in ({"Content-Length": str(len(body)), "Connection": "close"} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: page.breaks_after.pop(0)] if page.breaks_after else body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def website() -> Iterator[Website]:
    site = Website()
    answers = type("Answers", (_Answers,), {"website": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
