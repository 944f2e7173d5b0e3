"""An OCI distribution client (specification 1.1): manifests, blobs, tags, upload in chunks, mount, deletion."""

import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager

import httpx

from models.base import digest_of
from models.errors import (
    PUBLISHERS_ERRORS,
    ImageNotFound,
    MalformedImage,
    ToolFailed,
    Unauthorized,
    WharfingerError,
)
from registry.access import Access, SourceFailed, SourceRules
from registry.authorization import Authorization
from registry.manifests import ACCEPTED, Manifest, loads, parse_manifest
from registry.references import DOCKER_HUB, is_digest, require_tag
from registry.transport import (
    TRIES,
    closing,
    finish,
    follow,
    new_client,
    pause,
    persistently,
    raise_if_for_good,
    read_small,
)

#: bytes of one PATCH, and of what is held in memory at a time
CHUNK = 8 * 2**20
_BYTES = "application/octet-stream"
#: how often an upload is begun
_UPLOADS = 3
#: pages of a tag list, so that a registry that always names a next page ends
_MOST_PAGES = 1_000
_MOST_TAGS = 100_000
#: a blob may take a minute, and its bytes at this rate: who is slower on purpose holds up a worker
_SLOWEST_BYTES_PER_SECOND = 50_000
_BLOB_SECONDS = 60.0
#: a registry that moves or hashes what was uploaded answers when it has done so
_PATIENT = httpx.Timeout(300.0, connect=10.0)

#: what a source may do wrong; of the hub's own registry it is a tool that failed
_THEIRS: tuple[type[WharfingerError], ...] = (*PUBLISHERS_ERRORS, SourceFailed)

Blob = Callable[[], AsyncIterator[bytes]]


class RegistryClient:
    """One registry, as one user. Connections are kept until `close`."""

    def __init__(self, host: str, rules: SourceRules, access: Access | None = None) -> None:
        self.host = host
        self.rules = rules
        at = DOCKER_HUB.get(host, host)
        scheme = "http" if host in rules.plain_http_hosts else "https"
        try:
            self.base = httpx.URL(f"{scheme}://{at}/v2/")
        except httpx.InvalidURL as error:
            raise ImageNotFound(f"{host[:200]!r} is no registry: write host or host:port.") from error
        self._client = new_client(rules, self.base.netloc.decode())
        self._authorization = Authorization(self._client, host, self.base, access)

    async def close(self) -> None:
        await self._client.aclose()

    async def send(
        self,
        method: str,
        url: str,
        *,
        scope: str,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        what: str,
        tries: int = TRIES,
    ) -> httpx.Response:
        """One request, authorized when the registry asks for it. The body is not read: the caller closes it.

        Errors: SourceFailed, Unauthorized, ImageNotFound and UnsupportedImage for a host that is not to be had.
        """
        target = self.base.join(url)
        timeout = _PATIENT if method == "PUT" else self._client.timeout
        for answered in (False, True):

            async def once() -> httpx.Response:
                sent = {**(headers or {}), **self._authorization.header(target, scope)}
                request = self._client.build_request(method, target, headers=sent, content=content, timeout=timeout)
                return await follow(self._client, request)

            response = await persistently(once, what, tries)
            if response.status_code not in (401, 403):
                return response
            await finish(response)
            if answered or response.status_code == 403:
                raise self._authorization.refused()
            await self._authorization.answer(response, scope)
        raise AssertionError("unreachable")


class RegistryRepository:
    """One repository of a registry, as a source and as a target."""

    def __init__(self, client: RegistryClient, name: str) -> None:
        self.client = client
        self.name = name

    def __str__(self) -> str:
        return f"{self.client.host}/{self.name}"

    async def manifest(self, reference: str) -> Manifest:
        """By tag or digest, its digest verified. Errors: ImageNotFound, MalformedImage, ImageTooLarge, ..."""
        require_tag(reference)
        what = f"Reading {self._named(reference)}"
        response = await self._send("GET", f"manifests/{reference}", headers={"Accept": ACCEPTED}, what=what)
        async with closing(response):
            self._require(response, reference)
            content = await read_small(response, self.client.rules.limits.manifest_bytes, what)
        manifest = parse_manifest(content, response.headers.get("Content-Type", ""))
        said = reference if is_digest(reference) else response.headers.get("Docker-Content-Digest", manifest.digest)
        if said != manifest.digest:
            raise MalformedImage(
                f"{self._named(reference)} should be {said[:100]}, but its bytes are {manifest.digest}."
            )
        return manifest

    async def digest_of_tag(self, reference: str) -> str:
        """What a tag points to; empty when there is no such tag."""
        what = f"Looking for {self._named(reference)}"
        response = await self._send("HEAD", f"manifests/{reference}", headers={"Accept": ACCEPTED}, what=what)
        async with closing(response):
            if response.status_code == 404:
                return ""
            self._require(response, reference)
        return response.headers.get("Docker-Content-Digest") or (await self.manifest(reference)).digest

    async def tags(self) -> list[str]:
        """All of them, over as many pages as the registry makes. Errors: ImageNotFound."""
        found: list[str] = []
        what = f"Listing the tags of {self}"
        url = "tags/list?n=1000"
        for _ in range(_MOST_PAGES):
            response = await self._send("GET", url, what=what)
            async with closing(response):
                self._require(response, "")
                said = loads(await read_small(response, self.client.rules.limits.manifest_bytes, what), "list of tags")
            listed = said.get("tags") if isinstance(said, dict) else None
            found += [tag for tag in listed if isinstance(tag, str)] if isinstance(listed, list) else []
            following = response.links.get("next", {}).get("url")
            if not following or len(found) > _MOST_TAGS:
                break
            url = _joined(response, following, what)
        return found[:_MOST_TAGS]

    async def blob(self, digest: str, size: int) -> AsyncIterator[bytes]:
        """The bytes, verified while they stream: the last chunk comes only when all of it was right."""
        async with aclosing(self._stream(digest, size)) as chunks:
            async for chunk in verified(chunks, digest, size):
                yield chunk

    async def _stream(self, digest: str, size: int) -> AsyncGenerator[bytes, None]:
        """The bytes as they come; where they break off, they are taken up again."""
        what, start = f"Reading blob {digest} of {self}", 0
        patience = _BLOB_SECONDS + size / _SLOWEST_BYTES_PER_SECOND
        for number in range(TRIES):
            headers = {"Range": f"bytes={start}-"} if start else {}
            response = await self._send("GET", f"blobs/{digest}", headers=headers, what=what)
            async with closing(response):
                self._require(response, digest, partial=bool(start))
                passed = start if response.status_code == 200 else 0  # it knows no ranges: what we have comes again
                try:
                    began = time.monotonic()
                    async for chunk in response.aiter_raw():
                        patience -= time.monotonic() - began
                        if patience < 0:
                            raise SourceFailed(f"{what} is too slow: {start:,} of {size:,} bytes have come.")
                        fresh = chunk[passed:]
                        passed -= min(passed, len(chunk))
                        start += len(fresh)
                        if fresh:
                            yield fresh
                        began = time.monotonic()  # what the reader does with it is not the source's time
                    return
                except httpx.TransportError as error:
                    raise_if_for_good(error, what)
                    trouble = f"{type(error).__name__}: {error}"
            if start >= size:
                return
            if number < TRIES - 1:
                await pause(number)
        raise SourceFailed(f"{what} broke off {TRIES} times, after {start:,} of {size:,} bytes: {trouble[:500]}")

    async def has_blob(self, digest: str) -> bool:
        response = await self._send("HEAD", f"blobs/{digest}", what=f"Looking for blob {digest} in {self}")
        await finish(response)
        return response.status_code == 200

    async def put_blob(self, digest: str, size: int, content: Blob, mount_from: str = "") -> bool:
        """Upload unless it is there; says whether bytes were sent. `mount_from` names a repository of this registry.

        What breaks off begins again: how much of a chunk has arrived, registries do not agree in saying.
        """
        for number in range(_UPLOADS):
            if await self.has_blob(digest):
                return number > 0
            try:
                return await self._upload(digest, size, content, mount_from)
            except ToolFailed as failure:
                if isinstance(failure, SourceFailed) or number == _UPLOADS - 1:
                    raise
            await pause(number)
        raise AssertionError("unreachable")

    async def _upload(self, digest: str, size: int, content: Blob, mount_from: str) -> bool:
        place = await self._begin(digest, mount_from)
        if not place:
            return False
        start, buffer = 0, bytearray()
        async for chunk in content():
            buffer += chunk
            while len(buffer) > CHUNK:
                place = await self._patch(place, bytes(buffer[:CHUNK]), start)
                start += CHUNK
                del buffer[:CHUNK]
        what = f"Finishing the upload of {digest} ({size:,} bytes) to {self}"
        url = httpx.URL(place).copy_merge_params({"digest": digest})
        headers = _range(start, len(buffer)) if start else {"Content-Type": _BYTES}
        response = await self._send("PUT", str(url), headers=headers, content=bytes(buffer), what=what, tries=1)
        await finish(response)
        self._require_done(response, 201, what)
        return True

    async def _begin(self, digest: str, mount_from: str) -> str:
        """Where to upload to; empty when the blob could be mounted instead."""
        what = f"Starting an upload to {self}"
        if mount_from and mount_from != self.name:
            query = f"blobs/uploads/?mount={digest}&from={mount_from}"
            try:
                response = await self._send("POST", query, what=what, scope_from=mount_from)
            except (Unauthorized, ToolFailed):
                return await self._begin(digest, "")  # we may not read there: it is uploaded like any other
        else:
            response = await self._send("POST", "blobs/uploads/", what=what)
        await finish(response)
        if response.status_code == 201:
            return ""
        return self._next_place(response, what)

    async def _patch(self, place: str, chunk: bytes, start: int) -> str:
        what = f"Uploading to {self}"
        headers = _range(start, len(chunk))
        response = await self._send("PATCH", place, headers=headers, content=chunk, what=what, tries=1)
        await finish(response)
        return self._next_place(response, what)

    def _next_place(self, response: httpx.Response, what: str) -> str:
        self._require_done(response, 202, what)
        with self._blaming():
            return _joined(response, response.headers.get("Location", "http://"), what)

    async def put_manifest(self, reference: str, content: bytes, media_type: str) -> None:
        """Under a tag or its own digest."""
        what = f"Writing {self._named(reference)}"
        response = await self._send(
            "PUT", f"manifests/{reference}", headers={"Content-Type": media_type}, content=content, what=what
        )
        async with closing(response):
            self._require_done(response, 201, what)
            said = response.headers.get("Docker-Content-Digest", "")
        if said and said != digest_of(content):
            raise ToolFailed(f"{self._named(reference)} was written as {digest_of(content)}, but is {said[:100]}.")

    async def delete_manifest(self, digest: str) -> bool:
        """Says whether there was one. Errors: ToolFailed when the registry does not let anybody delete."""
        what = f"Deleting {self._named(digest)}"
        response = await self._send("DELETE", f"manifests/{digest}", what=what)
        await finish(response)
        if response.status_code == 404:
            return False
        if response.status_code == 405:
            raise ToolFailed(f"{self.client.host} does not allow deletion: set storage.delete.enabled in its settings.")
        self._require_done(response, 202, what)
        return True

    async def _send(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        what: str,
        scope_from: str = "",
        tries: int = TRIES,
    ) -> httpx.Response:
        acts = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(method, "pull,push")
        scope = f"repository:{self.name}:{acts}"
        if scope_from:
            scope += f" repository:{scope_from}:pull"
        url = path if path.startswith(("http://", "https://")) else f"{self.name}/{path}"
        with self._blaming():
            return await self.client.send(
                method, url, scope=scope, headers=headers, content=content, what=what, tries=tries
            )

    @contextmanager
    def _blaming(self) -> Iterator[None]:
        """Around whatever the registry may do wrong."""
        yield

    def _named(self, reference: str) -> str:
        return f"{self}@{reference}" if is_digest(reference) else f"{self}:{reference}".rstrip(":")

    def _require(self, response: httpx.Response, reference: str, *, partial: bool = False) -> None:
        if response.status_code == 200 or (partial and response.status_code == 206):
            return
        named = self._named(reference)
        with self._blaming():
            if response.status_code in (400, 404, 405):
                raise ImageNotFound(f"There is no {named}: check the repository and the tag, and that it was pushed.")
            raise SourceFailed(f"{self.client.host} answered {response.status_code} for {named}.")

    def _require_done(self, response: httpx.Response, status: int, what: str) -> None:
        if response.status_code != status:
            raise ToolFailed(f"{what} did not work: {self.client.host} answered {response.status_code}.")


class HubRepository(RegistryRepository):
    """A repository of the hub's own registry: whatever goes wrong there is the hub's matter, never a publisher's."""

    @contextmanager
    def _blaming(self) -> Iterator[None]:
        try:
            yield
        except _THEIRS as error:
            raise ToolFailed(f"The hub's own registry: {error}") from error


def _range(start: int, size: int) -> dict[str, str]:
    return {"Content-Type": _BYTES, "Content-Range": f"{start}-{start + size - 1}"}


def _joined(response: httpx.Response, place: str, what: str) -> str:
    """Where an answer says that it goes on."""
    try:
        found = response.url.join(place)
    except (httpx.InvalidURL, ValueError):
        found = httpx.URL()
    if not found.host:
        raise SourceFailed(f"{what} did not work: the answer does not say where it goes on.")
    return str(found)


async def verified(chunks: AsyncIterator[bytes], digest: str, size: int) -> AsyncIterator[bytes]:
    """Bytes as they come, held back by one chunk until digest and size are right. Errors: MalformedImage."""
    seen, total, held = hashlib.sha256(), 0, b""
    async for chunk in chunks:
        total += len(chunk)
        if total > size:
            raise MalformedImage(
                f"Blob {digest} is longer than the {size:,} bytes that its manifest says. Push it again."
            )
        seen.update(chunk)
        if held:
            yield held
        held = chunk
    if total != size:
        raise MalformedImage(f"Blob {digest} ends after {total:,} of {size:,} bytes. Push the image again.")
    if f"sha256:{seen.hexdigest()}" != digest:
        raise MalformedImage(f"Blob {digest} has other bytes than its digest says. Push the image again.")
    if held:
        yield held
