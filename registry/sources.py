"""Where images come from: a repository of a registry, an OCI layout folder, or an archive."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from models.errors import ImageNotFound
from registry.access import Access, SourceRules
from registry.archive import unpack
from registry.client import RegistryClient, RegistryRepository
from registry.layout import LayoutSource
from registry.manifests import Manifest
from registry.references import parse_repository


class Source(Protocol):
    """What can be read. Everything that comes out of it is verified."""

    async def manifest(self, reference: str) -> Manifest:
        """By tag or digest."""

    def blob(self, digest: str, size: int) -> AsyncIterator[bytes]:
        """Bytes of a blob; the last of them only when digest and size were right."""

    async def tags(self) -> list[str]:
        """Every tag."""


@asynccontextmanager
async def open_source(repository: str, rules: SourceRules, access: Access | None = None) -> AsyncIterator[Source]:
    """`host[:port]/namespace/name`, `oci:FOLDER` or `archive:FILE`.

    Errors: ImageNotFound, UnsupportedImage (a place that the rules do not allow), MalformedImage, ImageTooLarge.
    """
    if repository.startswith("oci:"):
        yield LayoutSource(_local(repository.removeprefix("oci:"), rules), rules.limits)
    elif repository.startswith("archive:"):
        archive = _local(repository.removeprefix("archive:"), rules)
        folder = _scratch(rules.work_folder)
        try:
            layout = await asyncio.to_thread(unpack, archive, folder, rules.limits)
            yield LayoutSource(layout, rules.limits, f"archive:{archive.name}")
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    else:
        reference = parse_repository(repository)
        client = RegistryClient(reference.host, rules, access)
        try:
            yield RegistryRepository(client, reference.name)
        finally:
            await client.close()


def _scratch(work: Path | None) -> Path:
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="archive-", dir=work))


def _local(place: str, rules: SourceRules) -> Path:
    """The same words whether it is missing or not allowed: nobody learns what lies on our disk."""
    try:
        path = Path(place).resolve()
        allowed = any(path.is_relative_to(folder.resolve()) for folder in rules.source_folders) and path.exists()
    except (OSError, ValueError, RuntimeError):  # a name too long, with a NUL, or of links in a circle
        allowed = False
    if not allowed:
        raise ImageNotFound(
            f"There is no local source {place[:200]}: folders are read only where the hub's settings say so."
        )
    return path
