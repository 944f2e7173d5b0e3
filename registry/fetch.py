"""One image of one platform, fetched into an OCI layout folder for the scanner."""

import asyncio
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from models.errors import ImageTooLarge
from models.policy import ImageLimits
from registry.manifests import Descriptor, require_image
from registry.sources import Source

Progress = Callable[[int, int], None]


class BlobCache:
    """Blobs that were fetched already, by digest: the layers that images share are fetched once.

    Only verified bytes come in, under a name of their own first. Links instead of copies: a layout costs no space.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        return self.folder / name[:2] / name

    def link_to(self, digest: str, target: Path) -> bool:
        """Put the blob at `target` if it is here; being used keeps it from being trimmed."""
        path = self.path(digest)
        try:
            os.link(path, target)
            os.utime(path)
        except FileNotFoundError:
            return False
        return True

    def keep(self, digest: str, source: Path) -> None:
        path = self.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        os.link(source, temporary)
        temporary.replace(path)


async def fetch_image(
    source: Source,
    digest: str,
    folder: Path,
    limits: ImageLimits,
    cache: BlobCache | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write the image as a layout with exactly one manifest and return its folder. Sizes in bytes.

    Errors: those of PUBLISHERS_ERRORS, ToolFailed.
    """
    manifest = require_image(await source.manifest(digest))
    layers = manifest.layers
    total = sum(blob.size for blob in layers)
    if len(layers) > limits.layers:
        raise ImageTooLarge(f"The image has {len(layers)} layers; at most {limits.layers} are allowed.")
    if total > limits.compressed_bytes:
        raise ImageTooLarge(f"The image has {total:,} bytes; at most {limits.compressed_bytes:,} are allowed.")
    if manifest.config.size > limits.config_bytes:
        raise ImageTooLarge(f"The image's config has more than {limits.config_bytes:,} bytes.")
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    done = 0
    for blob in dict.fromkeys((manifest.config, *layers)):
        await _fetch(source, blob, blobs / blob.digest.removeprefix("sha256:"), cache)
        done += blob.size
        if progress is not None:
            progress(done, total + manifest.config.size)
    (blobs / manifest.digest.removeprefix("sha256:")).write_bytes(manifest.content)
    entry = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": len(manifest.content)}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return folder


async def _fetch(source: Source, blob: Descriptor, target: Path, cache: BlobCache | None) -> None:
    if target.exists() or (cache is not None and cache.link_to(blob.digest, target)):
        return
    temporary = target.with_suffix(".part")
    with temporary.open("wb") as file:
        async for chunk in source.blob(blob.digest, blob.size):
            await asyncio.to_thread(file.write, chunk)
    temporary.replace(target)
    if cache is not None:
        await asyncio.to_thread(cache.keep, blob.digest, target)
