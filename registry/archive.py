"""Archives of images: what `docker save` and `skopeo copy ... oci-archive:` write, brought into an OCI layout.

Names in an archive come from strangers. None of them ever becomes a path of ours: members are written under numbers.
"""

import hashlib
import json
import posixpath
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from models.errors import ImageNotFound, ImageTooLarge, MalformedImage
from models.policy import ImageLimits
from registry.manifests import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, REFERENCE, loads
from registry.members import Archive, Member, opened

#: members of an image archive: layers, configs, a few files beside them
_MOST_MEMBERS = 20_000
#: links that lead to links
_MOST_HOPS = 8
_CHUNK = 2**20


@dataclass
class _Members:
    """Regular files of the archive by their names, as numbered files of ours; links by where they lead."""

    folder: Path
    limits: ImageLimits
    files: dict[str, Path] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def take(self, path: Path) -> None:
        with opened(path, self.limits.uncompressed_bytes, self.limits.decompression_ratio) as archive:
            for number, member in enumerate(archive):
                if number >= _MOST_MEMBERS:
                    raise ImageTooLarge(f"The archive has more than {_MOST_MEMBERS:,} members: this is no image.")
                self._take(archive, member, self.folder / str(number))

    def _take(self, archive: Archive, member: Member, target: Path) -> None:
        name = _inside(member.name)
        if name in self.files or name in self.links:
            raise MalformedImage(f"The archive has {name[:200]!r} twice. Save the image again.")
        match member.kind:
            case "symlink":  # older archives of several images have each layer once, and links to it
                self.links[name] = _inside(member.link, posixpath.dirname(name))
            case "hardlink":
                self.links[name] = _inside(member.link)
            case "file":
                with target.open("wb") as file:
                    while chunk := archive.read(_CHUNK):
                        file.write(chunk)
                self.files[name] = target

    def json(self, name: str) -> Any:
        path = self.files[name]
        if path.stat().st_size > self.limits.manifest_bytes:
            raise ImageTooLarge(f"{name} has more than {self.limits.manifest_bytes:,} bytes.")
        return loads(path.read_bytes(), f"archive's {name}")

    def get(self, name: object) -> Path:
        found = posixpath.normpath(name) if isinstance(name, str) else ""
        for _ in range(_MOST_HOPS):
            found = self.links.get(found, found)
        path = self.files.get(found)
        if path is None:
            raise MalformedImage(f"The archive names {str(name)[:200]!r}, but does not have it. Save the image again.")
        return path


def _inside(name: str, folder: str = "") -> str:
    """The name within the archive. Errors: MalformedImage for one that leads out of it."""
    plain = posixpath.normpath(posixpath.join(folder, name))
    if plain.startswith("/") or plain.split("/")[0] == ".." or "\0" in plain or not name:
        raise MalformedImage(f"The archive has a member or link outside itself: {name[:200]!r}.")
    return plain


def unpack(archive: Path, folder: Path, limits: ImageLimits) -> Path:
    """Write the archive's images as an OCI layout into `folder`, which is to be empty; returns the layout's folder.

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
    entries: list[dict[str, Any]] = []
    kept: dict[Path, dict[str, Any]] = {}
    for image in said:
        layers = _names(image, "Layers")
        if len(layers) > members.limits.layers:
            raise ImageTooLarge(f"The image has {len(layers)} layers; at most {members.limits.layers} are allowed.")
        paths = [members.get(name) for name in (image.get("Config"), *layers)]
        for path in paths:
            if path not in kept:
                kept[path] = _keep(layout, path)
        entries += _entries(_manifest(layout, [kept[path] for path in paths]), _names(image, "RepoTags"))
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    (layout / "index.json").write_text(json.dumps(index))


def _names(image: dict[str, Any], field_: str) -> list[str]:
    found = image.get(field_) or []
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise MalformedImage(f"manifest.json of the archive has {field_} that are no list of names.")
    return found


def _manifest(layout: Path, blobs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Always the same bytes for the same archive: what was approved is found again when it is published."""
    config, *layers = blobs
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": config["digest"], "size": config["size"]},
        "layers": [
            {"mediaType": OCI_LAYER + layer["suffix"], "digest": layer["digest"], "size": layer["size"]}
            for layer in layers
        ],
    }
    return _write(layout, json.dumps(manifest, separators=(",", ":")).encode())


def _entries(written: dict[str, Any], tags: Iterable[str]) -> list[dict[str, Any]]:
    """Under its whole names; under none for an image without tags: it is found by its digest."""
    entry = {"mediaType": OCI_MANIFEST, **written}
    return [{**entry, "annotations": {REFERENCE: tag}} for tag in tags] or [entry]


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
