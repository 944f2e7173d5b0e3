"""What the hub does when a server stumbles: tries again, takes up where it broke, and gives up in the end."""

import asyncio
import gzip
import json
import os
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from models.base import digest_of
from models.errors import ImageNotFound, ImageTooLarge, MalformedImage, ToolFailed, WharfingerError
from registry import transport
from registry.access import SourceFailed, SourceRules
from registry.client import CHUNK, HubRepository, RegistryClient, RegistryRepository
from registry.transport import TRIES
from tests.parts.listening import Listening
from tests.registry.scripted import Asked, Reply, ScriptedServer, chunks, manifest

Start = Callable[..., Awaitable[ScriptedServer]]
Connect = Callable[..., RegistryClient]

MANIFEST = "/v2/team/app/manifests/1.0"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_what_may_pass_is_tried_again(
    scripted: Start, connect: Connect, pauses: list[float], status: int
) -> None:
    server = await scripted({MANIFEST: [Reply(status), Reply(status, body=b"sorry"), Reply(body=manifest())]})
    found = await RegistryRepository(connect(server.address), "team/app").manifest("1.0")
    assert found.content == manifest()
    assert len(pauses) == 2
    assert 0.125 <= pauses[0] <= 0.375


async def test_a_server_says_when_to_come_again(scripted: Start, connect: Connect, pauses: list[float]) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=20)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    asked = ["7", soon, "86400", "-1 or never"]
    replies = [Reply(429, headers={"Retry-After": said}) for said in asked]
    server = await scripted({MANIFEST: [*replies, Reply(body=manifest())]})
    await RegistryRepository(connect(server.address), "team/app").manifest("1.0")
    assert pauses[0] == 7
    assert 1 < pauses[1] <= 20
    assert pauses[2] == transport.LONGEST_PAUSE
    assert pauses[3] < 4


async def test_a_server_that_never_comes_to_its_senses_is_a_failure_of_the_source(
    scripted: Start, connect: Connect, pauses: list[float]
) -> None:
    server = await scripted({MANIFEST: Reply(503)})
    with pytest.raises(SourceFailed, match=f"failed {TRIES} times: status 503"):
        await RegistryRepository(connect(server.address), "team/app").manifest("1.0")
    assert len(server.asked) == TRIES


async def test_where_nobody_listens_is_a_failure_of_the_source(connect: Connect, pauses: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(SourceFailed, match="ConnectError"):
            await RegistryRepository(connect(address), "team/app").manifest("1.0")


async def test_a_server_that_says_nothing_is_given_up(
    scripted: Start, connect: Connect, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "TIMEOUT", httpx.Timeout(30.0, read=0.05))

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other side has had enough

    async with Listening(silent) as server:
        with pytest.raises(SourceFailed, match="ReadTimeout"):
            await RegistryRepository(connect(server.address), "team/app").manifest("1.0")


@pytest.mark.parametrize("host", ["a..example", "." + "a" * 5 + ".example", "a" * 70 + ".example", "a" * 300])
async def test_what_cannot_be_a_host_is_said_at_once(host: str, pauses: list[float]) -> None:
    for rules in (SourceRules(), SourceRules(allow_private_hosts=True)):
        client = RegistryClient(host, rules)
        with pytest.raises(ImageNotFound, match="is no name of a host"):
            await RegistryRepository(client, "team/app").manifest("1.0")
        await client.close()


async def test_a_small_document_that_drips_is_given_up(
    scripted: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_SMALL_SECONDS", 0.05)
    server = await scripted({MANIFEST: Reply(body=manifest(), length=10_000)})
    with pytest.raises(SourceFailed, match="took longer than"):
        await RegistryRepository(connect(server.address), "team/app").manifest("1.0")


async def test_a_blob_that_breaks_off_is_taken_up_where_it_broke(
    scripted: Start, connect: Connect, pauses: list[float]
) -> None:
    content = os.urandom(300_000)
    place = f"/v2/team/app/blobs/{digest_of(content)}"

    def rest(asked: Asked) -> Reply:
        start = int(asked.headers["range"].removeprefix("bytes=").rstrip("-"))
        return Reply(206, body=content[start:], breaks_after=100_000 if start < 150_000 else None)

    server = await scripted({place: [Reply(body=content, breaks_after=100_000), rest]})
    blob = RegistryRepository(connect(server.address), "team/app").blob(digest_of(content), len(content))
    assert b"".join([chunk async for chunk in blob]) == content
    assert [asked.headers.get("range") for asked in server.asked] == [None, "bytes=100000-", "bytes=200000-"]


async def test_a_blob_is_read_again_where_ranges_are_not_known(
    scripted: Start, connect: Connect, pauses: list[float]
) -> None:
    content = os.urandom(300_000)
    place = f"/v2/team/app/blobs/{digest_of(content)}"
    server = await scripted({place: [Reply(body=content, breaks_after=200_000), Reply(body=content)]})
    blob = RegistryRepository(connect(server.address), "team/app").blob(digest_of(content), len(content))
    assert b"".join([chunk async for chunk in blob]) == content


async def test_a_blob_that_always_breaks_off_is_a_failure_of_the_source(
    scripted: Start, connect: Connect, pauses: list[float]
) -> None:
    content = b"x" * 1000
    server = await scripted({f"/v2/team/app/blobs/{digest_of(content)}": Reply(body=content, breaks_after=10)})
    blob = RegistryRepository(connect(server.address), "team/app").blob(digest_of(content), len(content))
    with pytest.raises(SourceFailed, match=f"broke off {TRIES} times"):
        async for _ in blob:
            pass


async def test_a_blob_that_drips_is_given_up(
    scripted: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.client._BLOB_SECONDS", 0.0)
    monkeypatch.setattr("registry.client._SLOWEST_BYTES_PER_SECOND", 10**12)
    content = b"x" * 1000
    server = await scripted({f"/v2/team/app/blobs/{digest_of(content)}": content})
    blob = RegistryRepository(connect(server.address), "team/app").blob(digest_of(content), len(content))
    with pytest.raises(SourceFailed, match="too slow"):
        await anext(blob)


async def test_an_upload_whose_last_answer_was_lost_is_known_to_have_worked(
    scripted: Start, connect: Connect, pauses: list[float]
) -> None:
    content = os.urandom(CHUNK + 10)
    stored = False

    def answer(asked: Asked) -> Reply:
        nonlocal stored
        match asked.method:
            case "HEAD":
                return Reply(200 if stored else 404)
            case "POST" | "PATCH":
                return Reply(202, headers={"Location": "/v2/hub/app/blobs/uploads/1?state=a"})
            case "PUT" if not stored:
                stored = True
                return Reply(502)
        return Reply(404)

    server = await scripted(answer)
    hub = HubRepository(connect(server.address), "hub/app")
    assert await hub.put_blob(digest_of(content), len(content), lambda: chunks(content)) is True
    last = next(asked for asked in server.asked if asked.method == "PUT")
    assert last.query == {"state": ["a"], "digest": [digest_of(content)]}
    assert len(last.body) == 10


@pytest.mark.parametrize("reply", [Reply(202), Reply(400), Reply(202, headers={"Location": "http://["})])
async def test_a_hub_registry_that_does_not_play_along_is_a_failure_of_the_hub(
    scripted: Start, connect: Connect, pauses: list[float], reply: Reply
) -> None:
    server = await scripted(lambda asked: Reply(404) if asked.method == "HEAD" else reply)
    hub = HubRepository(connect(server.address), "hub/app")
    with pytest.raises(ToolFailed) as caught:
        await hub.put_blob(digest_of(b"x"), 1, lambda: chunks(b"x"))
    assert type(caught.value) is ToolFailed


async def test_all_pages_of_tags_are_read_and_no_more_than_there_can_be(
    scripted: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.client._MOST_PAGES", 20)
    first = Reply(body=b'{"tags": ["1", "2"]}', headers={"Link": '</v2/team/app/tags/list?n=2&last=2>; rel="next"'})
    last = Reply(body=json.dumps({"tags": ["3", 4, None]}).encode())
    server = await scripted({"/v2/team/app/tags/list": [first, last]})
    repository = RegistryRepository(connect(server.address), "team/app")
    assert await repository.tags() == ["1", "2", "3"]
    endless = await scripted({"/v2/team/app/tags/list": first})
    assert set(await RegistryRepository(connect(endless.address), "team/app").tags()) == {"1", "2"}
    assert len(endless.asked) == 20


@pytest.mark.parametrize("said", [b"[]", b'{"tags": null}', b'{"tags": {}}', b'"tags"'])
async def test_a_list_of_tags_that_is_none_is_empty(scripted: Start, connect: Connect, said: bytes) -> None:
    server = await scripted({"/v2/team/app/tags/list": said})
    assert await RegistryRepository(connect(server.address), "team/app").tags() == []


async def test_an_answer_is_never_unpacked_on_the_way(scripted: Start, connect: Connect) -> None:
    """A compressed answer could be a bomb; bytes that were not asked for so are wrong bytes."""
    packed = gzip.compress(manifest())
    server = await scripted({MANIFEST: Reply(body=packed, headers={"Content-Encoding": "gzip"})})
    with pytest.raises(MalformedImage, match="no JSON"):
        await RegistryRepository(connect(server.address), "team/app").manifest("1.0")
    assert server.asked[0].headers["accept-encoding"] == "identity"


async def test_a_manifest_of_a_gigabyte_is_read_up_to_the_limit(scripted: Start, connect: Connect) -> None:
    server = await scripted({MANIFEST: Reply(goes_on=b" " * 2**16)})
    with pytest.raises(ImageTooLarge, match="more than 4,194,304 bytes"):
        await RegistryRepository(connect(server.address), "team/app").manifest("1.0")
    assert server.sent < 30 * 2**20


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 999 \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 100 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: \xff\xfe\r\nDocker-Content-Digest: \xff\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
    ],
)
async def test_a_server_that_does_not_speak_http_well_is_a_clear_error(
    connect: Connect, pauses: list[float], said: bytes
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()

    async with Listening(answer) as server:
        repository = RegistryRepository(connect(server.address), "team/app")
        with pytest.raises(WharfingerError):
            await repository.manifest("1.0")
        with pytest.raises(WharfingerError):
            await anext(repository.blob(digest_of(b"x"), 1))
        with pytest.raises(WharfingerError):
            await HubRepository(repository.client, "hub/app").put_manifest("1.0", manifest(), "application/json")
