"""Archives of images: what `docker save` and `skopeo copy ... oci-archive:` write, brought into an OCI layout.

Names in an archive come from strangers. None of them ever becomes a path of ours: members are written under numbers.
"""

import hashlib
import json
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from models.errors import ImageNotFound, ImageTooLarge, MalformedImage
from models.policy import ImageLimits
from registry.manifests import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST

#: members of an image archive: layers, configs, a few files beside them
_MOST_MEMBERS = 20_000
_CHUNK = 2**20


@dataclass
class _Members:
    """Regular files of the archive by their names, as numbered files of ours."""

    folder: Path
    limits: ImageLimits
    files: dict[str, Path] = field(default_factory=dict)
    written: int = 0

    def take(self, archive: Path) -> None:
        try:
            with tarfile.open(archive, "r|*", encoding="utf-8", errors="strict") as tar:
                for number, member in enumerate(tar):
                    if number >= _MOST_MEMBERS:
                        raise ImageTooLarge(f"The archive has more than {_MOST_MEMBERS:,} members: this is no image.")
                    self._take(tar, member, number)
        except UnicodeDecodeError as error:
            raise MalformedImage("The archive has a member whose name is not UTF-8.") from error
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise MalformedImage(f"The archive cannot be read: {error}. Save the image again.") from error

    def _take(self, tar: tarfile.TarFile, member: tarfile.TarInfo, number: int) -> None:
        name = member.name.removeprefix("./")
        if name.startswith("/") or ".." in name.split("/"):
            raise MalformedImage(f"The archive has a member outside itself: {member.name[:200]!r}.")
        if member.isdir():
            return
        if not member.isreg():
            raise MalformedImage(f"The archive has a link or device, {member.name[:200]!r}: save the image again.")
        source = tar.extractfile(member)
        assert source is not None  # noqa: S101 - a regular file has content
        target = self.folder / str(number)
        with target.open("wb") as file:
            while chunk := source.read(_CHUNK):
                self.written += len(chunk)
                if self.written > self.limits.uncompressed_bytes:
                    raise ImageTooLarge(f"The archive has more than {self.limits.uncompressed_bytes:,} bytes.")
                file.write(chunk)
        self.files[name] = target

    def json(self, name: str) -> Any:
        path = self.files[name]
        if path.stat().st_size > self.limits.manifest_bytes:
            raise ImageTooLarge(f"{name} has more than {self.limits.manifest_bytes:,} bytes.")
        try:
            return json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise MalformedImage(f"{name} in the archive is no JSON: {error}") from error

    def get(self, name: object) -> Path:
        path = self.files.get(name) if isinstance(name, str) else None
        if path is None:
            raise MalformedImage(f"The archive names {str(name)[:200]!r}, but does not have it. Save the image again.")
        return path


def unpack(archive: Path, folder: Path, limits: ImageLimits) -> Path:
    """Write the archive's images as an OCI layout into `folder`, which is returned. `folder` must be empty.

    Errors: MalformedImage, ImageTooLarge, ImageNotFound.
    """
    if not archive.is_file():
        raise ImageNotFound(f"There is no archive {archive.name}.")
    loose = folder / "members"
    loose.mkdir(parents=True)
    try:
        members = _Members(loose, limits)
        members.take(archive)
        layout = folder / "layout"
        (layout / "blobs" / "sha256").mkdir(parents=True)
        if "index.json" in members.files:
            _from_oci(members, layout)
        elif "manifest.json" in members.files:
            _from_docker(members, layout)
        else:
            raise MalformedImage("The archive holds no image: it has neither index.json nor manifest.json.")
    finally:
        shutil.rmtree(loose)
    return layout


def _from_oci(members: _Members, layout: Path) -> None:
    """Blobs are taken by what their bytes are, not by their names; who names a wrong one does not find it."""
    members.get("index.json").rename(layout / "index.json")
    for name, path in members.files.items():
        if name.startswith("blobs/sha256/"):
            _keep(layout, path)


def _from_docker(members: _Members, layout: Path) -> None:
    said = members.json("manifest.json")
    if not isinstance(said, list) or not all(isinstance(image, dict) for image in said):
        raise MalformedImage("manifest.json of the archive is no list of images.")
    entries = []
    kept: dict[Path, dict[str, Any]] = {}
    for image in said:
        names = [image.get("Config"), *(image.get("Layers") or [])]
        if len(names) - 1 > members.limits.layers:
            raise ImageTooLarge(f"The image has {len(names) - 1} layers, more than {members.limits.layers}.")
        for path in (members.get(name) for name in names):
            if path not in kept:
                kept[path] = _keep(layout, path)
        config, *layers = (kept[members.get(name)] for name in names)
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, **_plain(config)},
            "layers": [
                {"mediaType": "application/vnd.oci.image.layer.v1.tar" + layer["suffix"], **_plain(layer)}
                for layer in layers
            ],
        }
        content = json.dumps(manifest, separators=(",", ":")).encode()
        written = _write(layout, content)
        for tag in image.get("RepoTags") or ["latest"]:
            entries.append(
                {
                    "mediaType": OCI_MANIFEST,
                    **written,
                    "annotations": {"org.opencontainers.image.ref.name": str(tag).rpartition(":")[2]},
                }
            )
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    (layout / "index.json").write_text(json.dumps(index))


def _plain(blob: dict[str, Any]) -> dict[str, Any]:
    return {"digest": blob["digest"], "size": blob["size"]}


def _keep(layout: Path, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = _digest(file)
        file.seek(0)
        start = file.read(4)
    size = path.stat().st_size
    path.rename(layout / "blobs" / "sha256" / digest)
    suffix = "+gzip" if start.startswith(b"\x1f\x8b") else "+zstd" if start == b"\x28\xb5\x2f\xfd" else ""
    return {"digest": f"sha256:{digest}", "size": size, "suffix": suffix}


def _write(layout: Path, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (layout / "blobs" / "sha256" / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def _digest(file: IO[bytes]) -> str:
    seen = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        seen.update(chunk)
    return seen.hexdigest()
