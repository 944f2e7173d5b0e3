"""Images built without a container engine: the demo's and the tests' images are made on the spot, byte for byte anew.

>>> builder = ImageBuilder("linux/amd64")
>>> builder.layer({"etc/motd": b"hello"}, "COPY motd /etc/motd")
>>> builder.write(folder, "1.0")
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from models.policy import ImageLimits
from registry.client import RegistryRepository
from registry.layout import LayoutSource
from registry.manifests import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST

_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
#: of files that say no time: the same content is the same digest
_NEVER = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FileSpec:
    """A file that is not simply 0644 and root's."""

    content: bytes
    mode: int = 0o644
    uid: int = 0


@dataclass
class ImageBuilder:
    """One image of one platform. Configure, add layers in order, then `write`."""

    platform: str = "linux/amd64"
    env: tuple[str, ...] = ("PATH=/usr/local/bin:/usr/bin:/bin",)
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    working_dir: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    #: as in an image's config: Test, Interval and Timeout in nanoseconds, Retries
    healthcheck: dict[str, Any] | None = None
    author: str = ""
    created: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    _layers: list[tuple[bytes, str]] = field(default_factory=list)
    _history: list[dict[str, Any]] = field(default_factory=list)

    def layer(self, files: Mapping[str, bytes | FileSpec], instruction: str = "") -> "ImageBuilder":
        """A layer of files by their paths (no leading slash)."""
        return self.raw_layer(tar_of(files), instruction)

    def layer_from_folder(self, folder: Path, prefix: str, instruction: str = "") -> "ImageBuilder":
        """Every file below the folder, under `prefix`; links are followed."""
        files: dict[str, bytes | FileSpec] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = "/".join(part for part in (prefix.strip("/"), path.relative_to(folder).as_posix()) if part)
                files[name] = FileSpec(path.read_bytes(), mode=0o755 if path.stat().st_mode & 0o100 else 0o644)
        return self.layer(files, instruction)

    def whiteout(self, paths: Iterable[str], instruction: str = "") -> "ImageBuilder":
        """A layer that deletes files of the layers below."""
        marks = {}
        for path in paths:
            folder, _, name = path.rpartition("/")
            marks[f"{folder}/.wh.{name}" if folder else f".wh.{name}"] = b""
        return self.layer(marks, instruction)

    def raw_layer(self, tar: bytes, instruction: str = "") -> "ImageBuilder":
        """A layer of these very bytes: for hostile ones as well."""
        self._layers.append((gzip.compress(tar, 6, mtime=0), f"sha256:{hashlib.sha256(tar).hexdigest()}"))
        self._history.append({"created": _stamp(self.created), "created_by": instruction or "COPY files /"})
        return self

    def instruction(self, text: str) -> "ImageBuilder":
        """An instruction that makes no layer (ENV, LABEL, CMD, ...)."""
        self._history.append({"created": _stamp(self.created), "created_by": text, "empty_layer": True})
        return self

    def write(self, folder: Path, tag: str = "") -> str:
        """Write into the layout `folder`, which is made; returns the manifest's digest. Without a tag it is only there
        by digest."""
        os_, architecture, *variant = self.platform.split("/")
        config: dict[str, Any] = {
            "created": _stamp(self.created),
            "author": self.author,
            "architecture": architecture,
            "os": os_,
            **({"variant": variant[0]} if variant else {}),
            "config": self._config(),
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in self._layers]},
            "history": self._history,
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, **put_blob(folder, json.dumps(config).encode())},
            "layers": [{"mediaType": _LAYER, **put_blob(folder, content)} for content, _ in self._layers],
        }
        content = json.dumps(manifest).encode()
        written = put_blob(folder, content)
        if tag:
            tag_layout(folder, tag, {"mediaType": OCI_MANIFEST, **written})
        return str(written["digest"])

    def _config(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "User": self.user,
            "Env": list(self.env),
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.cmd),
            "WorkingDir": self.working_dir,
            "Labels": self.labels,
            "ExposedPorts": {port: {} for port in self.ports},
            "Volumes": {volume: {} for volume in self.volumes},
            "Healthcheck": self.healthcheck,
        }
        return {name: value for name, value in said.items() if value}


def write_index(folder: Path, tag: str, images: Mapping[str, str]) -> str:
    """An index of images that are in the layout: platform -> manifest digest. Returns the index's digest."""
    entries = []
    for platform, digest in images.items():
        os_, architecture, *variant = platform.split("/")
        said = {"os": os_, "architecture": architecture, **({"variant": variant[0]} if variant else {})}
        size = (folder / "blobs" / "sha256" / digest.removeprefix("sha256:")).stat().st_size
        entries.append({"mediaType": OCI_MANIFEST, "digest": digest, "size": size, "platform": said})
    content = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
    written = put_blob(folder, content)
    tag_layout(folder, tag, {"mediaType": OCI_INDEX, **written})
    return str(written["digest"])


def put_blob(folder: Path, content: bytes) -> dict[str, Any]:
    """Digest and size, as a descriptor has them."""
    digest = hashlib.sha256(content).hexdigest()
    path = folder / "blobs" / "sha256" / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def tag_layout(folder: Path, tag: str, descriptor: Mapping[str, Any]) -> None:
    """Point a tag of the layout to a manifest; one that there is moves."""
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    path = folder / "index.json"
    document: dict[str, Any] = {"schemaVersion": 2, "manifests": []}
    if path.exists():
        document = json.loads(path.read_text())
    name = "org.opencontainers.image.ref.name"
    others = [entry for entry in document["manifests"] if entry.get("annotations", {}).get(name) != tag]
    document["manifests"] = [*others, {**descriptor, "annotations": {name: tag}}]
    path.write_text(json.dumps(document))


async def push_layout(folder: Path, tag: str, target: RegistryRepository) -> str:
    """Push what a tag of the layout points to, under the same tag; returns its digest."""
    source = LayoutSource(folder, ImageLimits())
    top = await source.manifest(tag)
    manifests = [await source.manifest(image.digest) for image in top.images()] if top.is_index else []
    for manifest in manifests or [top]:
        for blob in dict.fromkeys((*manifest.layers, manifest.config)):
            await target.put_blob(blob.digest, blob.size, partial(source.blob, blob.digest, blob.size))
        await target.put_manifest(manifest.digest, manifest.content, manifest.media_type)
    await target.put_manifest(tag, top.content, top.media_type)
    return top.digest


def tar_of(files: Mapping[str, bytes | FileSpec]) -> bytes:
    """A tar of files, with the folders above them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        made: set[str] = set()
        for name, said in files.items():
            spec = said if isinstance(said, FileSpec) else FileSpec(said)
            for folder in _folders(name):
                if folder not in made:
                    made.add(folder)
                    entry = tarfile.TarInfo(folder)
                    entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, int(_NEVER.timestamp())
                    tar.addfile(entry)
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.uid = len(spec.content), spec.mode, spec.uid
            entry.mtime = int(_NEVER.timestamp())
            tar.addfile(entry, io.BytesIO(spec.content))
    return buffer.getvalue()


def _folders(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: place + 1]) for place in range(len(parts))]


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
