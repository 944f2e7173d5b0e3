"""A server that answers exactly as a test tells it: lies, breaks off, goes on for ever, comes to its senses."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from models.base import digest_of
from registry.access import SourceRules
from registry.manifests import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from tests.parts.listening import Listening

CONFIG = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}).encode()


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """`length` is what the header says when it is not the truth; after `breaks_after` bytes the connection breaks."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    breaks_after: int | None = None
    #: bytes that follow without end; the length is then not said
    goes_on: bytes = b""


Answer = Reply | bytes | Callable[[Asked], Reply]


class ScriptedServer:
    """`answers` by path; a list is used up from the front, and its last one stays."""

    def __init__(
        self, answers: Mapping[str, Answer | list[Answer]] | Callable[[Asked], Reply], tls: ssl.SSLContext | None = None
    ) -> None:
        self.answers = answers
        self.asked: list[Asked] = []
        #: bytes of bodies that were taken from us
        self.sent = 0
        self._listening = Listening(self._meet, tls)

    async def start(self) -> None:
        await self._listening.__aenter__()

    async def stop(self) -> None:
        await self._listening.__aexit__()

    @property
    def port(self) -> int:
        return self._listening.port

    @property
    def address(self) -> str:
        return self._listening.address

    @property
    def rules(self) -> SourceRules:
        return SourceRules(plain_http_hosts=(self.address,))

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await self._answer(reader, writer):
            pass

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        asked = await _read(reader)
        if asked is None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return False
        self.asked.append(asked)
        reply = self._reply(asked)
        head = f"HTTP/1.1 {reply.status} So\r\n" + "".join(
            f"{name}: {said}\r\n" for name, said in reply.headers.items()
        )
        if not reply.goes_on:
            head += f"Content-Length: {len(reply.body) if reply.length is None else reply.length}\r\n"
        writer.write(head.encode("latin-1") + b"\r\n")
        if asked.method == "HEAD":
            await writer.drain()
            return True
        body = reply.body if reply.breaks_after is None else reply.body[: reply.breaks_after]
        writer.write(body)
        await writer.drain()
        self.sent += len(body)
        while reply.goes_on:
            writer.write(reply.goes_on)
            await writer.drain()
            self.sent += len(reply.goes_on)
        return reply.breaks_after is None

    def _reply(self, asked: Asked) -> Reply:
        if callable(self.answers):
            return self.answers(asked)
        answer: Answer | list[Answer] | None = self.answers.get(asked.path)
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer is None:
            return Reply(404)
        if isinstance(answer, bytes):
            return Reply(body=answer)
        return answer if isinstance(answer, Reply) else answer(asked)


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    """None for a greeting of TLS, which a server of plain http does not understand."""
    first = await reader.readexactly(1)
    if first == b"\x16":
        return None
    method, target, _ = (first + await reader.readuntil(b"\r\n")).decode().split(" ", 2)
    headers: dict[str, str] = {}
    while (line := (await reader.readuntil(b"\r\n")).decode().strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    return Asked(method, parts.path, parse_qs(parts.query), headers, body)


def manifest(*layers: bytes, config_blob: bytes = CONFIG, **more: object) -> bytes:
    """An image of these blobs; `more` fields replace its own."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": digest_of(config_blob), "size": len(config_blob)},
            "layers": [{"mediaType": OCI_LAYER, "digest": digest_of(blob), "size": len(blob)} for blob in layers],
            **more,
        }
    ).encode()


def index(*images: tuple[str, bytes], **more: object) -> bytes:
    """An index of (platform, manifest)."""
    entries = []
    for platform, content in images:
        os_, architecture, *variant = platform.split("/")
        said = {"os": os_, "architecture": architecture, **({"variant": variant[0]} if variant else {})}
        entries.append(
            {"mediaType": OCI_MANIFEST, "digest": digest_of(content), "size": len(content), "platform": said, **more}
        )
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()


def served(name: str, tag: str, top: bytes, *others: bytes, blobs: tuple[bytes, ...] = (CONFIG,)) -> dict[str, Answer]:
    """What an honest registry answers for one repository: manifests by tag and digest, blobs by digest."""
    kind = {"Content-Type": str(json.loads(top).get("mediaType", OCI_MANIFEST))}
    answers: dict[str, Answer] = {f"/v2/{name}/manifests/{tag}": Reply(body=top, headers=kind)}
    for content in (top, *others):
        said = {"Content-Type": str(json.loads(content).get("mediaType", OCI_MANIFEST))}
        answers[f"/v2/{name}/manifests/{digest_of(content)}"] = Reply(body=content, headers=said)
    for blob in blobs:
        answers[f"/v2/{name}/blobs/{digest_of(blob)}"] = Reply(body=blob)
    return answers


class CuttingProxy:
    """A connection to a real server that is cut: the n-th one after `cuts[n]` bytes from the client, the later not."""

    def __init__(self, address: str, cuts: list[int]) -> None:
        self._host, _, port = address.partition(":")
        self._port, self._cuts = int(port), cuts
        self.connections = 0
        self._listening = Listening(self._meet)

    async def __aenter__(self) -> str:
        """Its address."""
        return (await self._listening.__aenter__()).address

    async def __aexit__(self, *_: object) -> None:
        await self._listening.__aexit__()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self._cuts[self.connections] if self.connections < len(self._cuts) else 2**62
        self.connections += 1
        there, back = await asyncio.open_connection(self._host, self._port)
        answers = asyncio.create_task(_pass_on(there, writer, 2**62))
        try:
            await _pass_on(reader, back, left)
        finally:
            # both at once, without waiting: we may be cancelled while we wait
            back.close()
            writer.close()
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int) -> None:
    with contextlib.suppress(ConnectionError):
        while left > 0 and (content := await reader.read(min(left, 2**16))):
            left -= len(content)
            writer.write(content)
            await writer.drain()


async def chunks(content: bytes, size: int = 2**16) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


BEARER = 'Bearer realm="{realm}",service="hub",scope="repository:team/app:pull"'


def asking_for_tokens(realm: str) -> Callable[[Asked], Reply]:
    return lambda _: Reply(401, headers={"WWW-Authenticate": BEARER.format(realm=realm)})
