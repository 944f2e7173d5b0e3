"""An OCI distribution client (specification 1.1): manifests, blobs, tags, upload in chunks, mount, deletion."""

import hashlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import urljoin

import httpx

from models.base import digest_of
from models.errors import ImageNotFound, ImageTooLarge, MalformedImage, ToolFailed
from registry.access import Access, SourceRules
from registry.authorization import Authorization
from registry.manifests import ACCEPTED, Manifest, parse_manifest
from registry.references import is_digest, require_tag
from registry.transport import closing, new_client, persistently

#: bytes of one PATCH, and of what is held in memory at a time
CHUNK = 8 * 2**20
#: pages of a tag list, so that a registry that always names a next page ends
_MOST_PAGES = 1_000

Blob = Callable[[], AsyncIterator[bytes]]


class RegistryClient:
    """One registry, as one user. Connections are kept until `close`."""

    def __init__(self, host: str, rules: SourceRules, access: Access | None = None) -> None:
        self.host = host
        self.rules = rules
        self._client = new_client(rules)
        self._authorization = Authorization(self._client, host, access)
        scheme = "http" if host in rules.plain_http_hosts else "https"
        self.base = f"{scheme}://{host}/v2/"

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
    ) -> httpx.Response:
        """One request, authorized when the registry asks for it. The body is not read: the caller closes it."""
        url = urljoin(self.base, url)
        for answered in (False, True):

            async def once() -> httpx.Response:
                sent = {**(headers or {}), **self._authorization.header(scope)}
                request = self._client.build_request(method, url, headers=sent, content=content)
                return await self._client.send(request, stream=True)

            response = await persistently(once, what)
            if response.status_code not in (401, 403):
                return response
            await response.aclose()
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
        most = self.client.rules.limits.manifest_bytes
        response = await self._send(
            "GET", f"manifests/{reference}", headers={"Accept": ACCEPTED}, what=f"reading {self}:{reference}"
        )
        async with closing(response):
            self._require(response, 200, reference)
            content = bytearray()
            try:
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > most:
                        raise ImageTooLarge(f"The manifest of {self}:{reference} has more than {most:,} bytes.")
            except httpx.TransportError as error:
                raise ToolFailed(f"Reading {self}:{reference} broke off: {error}") from error
        manifest = parse_manifest(bytes(content), response.headers.get("Content-Type", ""))
        said = reference if is_digest(reference) else response.headers.get("Docker-Content-Digest", manifest.digest)
        if said != manifest.digest:
            raise MalformedImage(f"{self}:{reference} should be {said}, but its bytes are {manifest.digest}.")
        return manifest

    async def digest_of_tag(self, reference: str) -> str:
        """What a tag points to; empty when there is no such tag."""
        response = await self._send(
            "HEAD", f"manifests/{reference}", headers={"Accept": ACCEPTED}, what=f"looking for {self}:{reference}"
        )
        async with closing(response):
            if response.status_code == 404:
                return ""
            self._require(response, 200, reference)
        return response.headers.get("Docker-Content-Digest") or (await self.manifest(reference)).digest

    async def tags(self) -> list[str]:
        """All of them, over as many pages as the registry makes. Errors: ImageNotFound."""
        found: list[str] = []
        url = "tags/list?n=1000"
        for _ in range(_MOST_PAGES):
            response = await self._send("GET", url, what=f"listing the tags of {self}")
            async with closing(response):
                self._require(response, 200, "")
                await response.aread()
                found += response.json().get("tags") or []
                following = response.links.get("next", {}).get("url")
            if not following:
                break
            url = following
        return found

    async def blob(self, digest: str, size: int) -> AsyncIterator[bytes]:
        """The bytes, verified while they stream: the last chunk comes only when all of it was right."""
        response = await self._send("GET", f"blobs/{digest}", what=f"reading blob {digest} of {self}")
        async with closing(response):
            self._require(response, 200, digest)
            try:
                async for chunk in verified(response.aiter_bytes(2**18), digest, size):
                    yield chunk
            except httpx.TransportError as error:
                raise ToolFailed(f"Reading blob {digest} of {self} broke off: {error}") from error

    async def has_blob(self, digest: str) -> bool:
        response = await self._send("HEAD", f"blobs/{digest}", what=f"looking for blob {digest} in {self}")
        await response.aclose()
        return response.status_code == 200

    async def put_blob(self, digest: str, size: int, content: Blob, mount_from: str = "") -> bool:
        """Upload unless it is there; says whether bytes were sent. `mount_from` names a repository of this registry."""
        if await self.has_blob(digest):
            return False
        query = f"?mount={digest}&from={mount_from}" if mount_from and mount_from != self.name else ""
        response = await self._send(
            "POST", f"blobs/uploads/{query}", what=f"uploading to {self}", scope_from=mount_from if query else ""
        )
        await response.aclose()
        if response.status_code == 201:
            return False
        self._require_hub(response, 202, f"starting an upload to {self}")
        place = urljoin(str(response.url), response.headers["Location"])
        start = 0
        buffer = bytearray()
        async for chunk in content():
            buffer += chunk
            while len(buffer) >= CHUNK:
                place, start = await self._patch(place, bytes(buffer[:CHUNK]), start)
                del buffer[:CHUNK]
        if buffer:
            place, start = await self._patch(place, bytes(buffer), start)
        url = httpx.URL(place).copy_merge_params({"digest": digest})
        response = await self._send("PUT", str(url), what=f"finishing the upload of {digest}")
        await response.aclose()
        self._require_hub(response, 201, f"finishing the upload of {digest} ({size:,} bytes)")
        return True

    async def _patch(self, place: str, chunk: bytes, start: int) -> tuple[str, int]:
        end = start + len(chunk)
        headers = {"Content-Type": "application/octet-stream", "Content-Range": f"{start}-{end - 1}"}
        response = await self._send("PATCH", place, headers=headers, content=chunk, what=f"uploading to {self}")
        await response.aclose()
        self._require_hub(response, 202, f"uploading to {self}")
        return urljoin(str(response.url), response.headers["Location"]), end

    async def put_manifest(self, reference: str, content: bytes, media_type: str) -> None:
        """Under a tag or its own digest."""
        response = await self._send(
            "PUT",
            f"manifests/{reference}",
            headers={"Content-Type": media_type},
            content=content,
            what=f"writing {self}:{reference}",
        )
        async with closing(response):
            self._require_hub(response, 201, f"writing {self}:{reference}")
            said = response.headers.get("Docker-Content-Digest", "")
        if said and said != digest_of(content):
            raise ToolFailed(f"{self}:{reference} was written as {digest_of(content)}, but is {said}.")

    async def delete_manifest(self, digest: str) -> bool:
        """Says whether there was one. Errors: ToolFailed when the registry does not let anybody delete."""
        response = await self._send("DELETE", f"manifests/{digest}", what=f"deleting {digest} of {self}")
        await response.aclose()
        if response.status_code == 404:
            return False
        if response.status_code == 405:
            raise ToolFailed(f"{self.client.host} does not allow deletion: set storage.delete.enabled in its settings.")
        self._require_hub(response, 202, f"deleting {digest} of {self}")
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
    ) -> httpx.Response:
        acts = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(method, "pull,push")
        scope = f"repository:{self.name}:{acts}"
        if scope_from:
            scope += f" repository:{scope_from}:pull"
        url = path if path.startswith(("http://", "https://", "/")) else f"{self.name}/{path}"
        return await self.client.send(method, url, scope=scope, headers=headers, content=content, what=what)

    def _require(self, response: httpx.Response, status: int, reference: str) -> None:
        if response.status_code == status:
            return
        named = f"{self}@{reference}" if is_digest(reference) else f"{self}:{reference}".rstrip(":")
        if response.status_code in (400, 404, 405):
            raise ImageNotFound(f"There is no {named}: check the repository and the tag, and that it was pushed.")
        raise ToolFailed(f"{self.client.host} answered {response.status_code} for {named}.")

    def _require_hub(self, response: httpx.Response, status: int, what: str) -> None:
        if response.status_code != status:
            raise ToolFailed(f"{self.client.host} answered {response.status_code}: {what} did not work.")


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
