"""Manifests and indexes: read with suspicion, since whoever serves them may say anything."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from models.base import digest_of
from models.errors import ImageTooLarge, MalformedImage, UnsupportedImage
from models.policy import ImageLimits
from registry.references import is_digest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
IMAGES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
ACCEPTED = ", ".join((OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST))

#: what a descriptor or manifest may say; JSON readers in Go take any case for these, and the last one of several
_FIELDS = {
    name.casefold(): name
    for name in (
        "schemaVersion",
        "mediaType",
        "config",
        "layers",
        "manifests",
        "digest",
        "size",
        "platform",
        "os",
        "architecture",
        "variant",
        "urls",
        "annotations",
    )
}
#: bytes; what no file system holds is no size
_LARGEST = 2**63 - 1
_PLATFORM = re.compile(r"[A-Za-z0-9._-]{1,40}")
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
#: the annotation with an image's tag or whole name, in a layout's index
REFERENCE = "org.opencontainers.image.ref.name"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
#: what we can look into; an encrypted layer, say, is none of these
_LAYERS = frozenset(
    {OCI_LAYER + packed for packed in ("", "+gzip", "+zstd")}
    | {_DOCKER_LAYER + packed for packed in ("", ".gzip", ".zstd")}
)
_FILE_SYSTEMS = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")
#: of an index's entries that are for no machine: attestations
NO_PLATFORM = "unknown/unknown"
#: configurations of things that are no images (artifacts) are another matter
_CONFIGS = frozenset({OCI_CONFIG, "application/vnd.docker.container.image.v1+json"})


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of a blob or of another manifest. `size` in bytes."""

    digest: str
    size: int
    media_type: str
    platform: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The bytes as served, and what they say."""

    digest: str
    media_type: str
    content: bytes
    document: dict[str, Any]

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEXES

    @property
    def config(self) -> Descriptor:
        return read_descriptor(self.document.get("config"), "config")

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """Errors: UnsupportedImage for layers that lie elsewhere or are no file systems."""
        layers = self.descriptors()
        for layer, said in zip(layers, _list(self.document, "layers"), strict=True):
            if said.get("urls") or "nondistributable" in layer.media_type or "foreign" in layer.media_type:
                raise UnsupportedImage(
                    f"Layer {layer.digest} lies outside the registry (a foreign layer): rebuild the image without it."
                )
            if layer.media_type not in _LAYERS:
                raise UnsupportedImage(f"Layer {layer.digest} is of the unknown media type {layer.media_type[:120]!r}.")
        return layers

    def descriptors(self) -> tuple[Descriptor, ...]:
        """Blobs of an image or of an artifact, of whatever type."""
        layers = tuple(read_descriptor(layer, "layer") for layer in _list(self.document, "layers"))
        sizes: dict[str, int] = {}
        for layer in layers:
            if sizes.setdefault(layer.digest, layer.size) != layer.size:
                raise MalformedImage(f"Layer {layer.digest} has two sizes. Push the image again.")
        return layers

    def images(self) -> tuple[Descriptor, ...]:
        """What an index offers to platforms."""
        return tuple(said for said in self.entries() if said.platform != NO_PLATFORM)

    def attestations(self) -> tuple[Descriptor, ...]:
        """What stands in an index for no platform. A platform is what clients choose by: annotations say nothing."""
        return tuple(said for said in self.entries() if said.platform == NO_PLATFORM)

    def entries(self) -> tuple[Descriptor, ...]:
        return tuple(read_descriptor(said, "manifest") for said in _list(self.document, "manifests"))


def loads(content: bytes, what: str) -> Any:
    """JSON that every reader reads alike: nothing said twice. Errors: MalformedImage."""
    try:
        return json.loads(content.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise MalformedImage(f"The {what} is no JSON: {str(error)[:300]}. Push the image again.") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def parse_manifest(content: bytes, media_type: str = "") -> Manifest:
    """Errors: MalformedImage, UnsupportedImage."""
    document = loads(content, "manifest")
    if not isinstance(document, dict):
        raise MalformedImage("The manifest is no JSON object. Push the image again.")
    _require_plain(document)
    kind = document.get("mediaType") or media_type.partition(";")[0].strip() or _guessed(document)
    if not isinstance(kind, str) or kind not in INDEXES | IMAGES:
        raise UnsupportedImage(
            f"{str(kind)[:120]!r} is no image that the hub takes: push it in the OCI or Docker v2 schema 2 format."
        )
    others = ("config", "layers") if kind in INDEXES else ("manifests",)
    if both := [name for name in others if name in document]:
        raise MalformedImage(f"A manifest of type {kind} has no {both[0]}: it would be an image and an index at once.")
    return Manifest(digest_of(content), kind, content, document)


def _require_plain(document: dict[str, Any]) -> None:
    """Refuse what a client in Go would read otherwise than we do: it could run what the scanner never saw."""
    config, *lists = (document.get(name) for name in ("config", "layers", "manifests"))
    said: list[Any] = [document, config]
    said += [item for found in lists if isinstance(found, list) for item in found]
    said += [item.get("platform") for item in said if isinstance(item, dict)]
    if odd := [name for names in said if isinstance(names, dict) for name in _odd(names)]:
        raise MalformedImage(f"The manifest says {odd[0][:40]!r}: write {_FIELDS[odd[0].casefold()]!r}.")


def _odd(names: Iterable[str]) -> list[str]:
    return [name for name in names if _FIELDS.get(name.casefold(), name) != name]


def require_attestation(manifest: Manifest) -> Manifest:
    """Something that no machine can run, whatever its index says of it. Errors: UnsupportedImage."""
    if manifest.is_index or any(blob.media_type.startswith(_FILE_SYSTEMS) for blob in manifest.descriptors()):
        raise UnsupportedImage(
            f"The index calls {manifest.digest} an attestation ({NO_PLATFORM}), but it is an image: give its platform."
        )
    return manifest


def require_within(manifest: Manifest, limits: ImageLimits) -> int:
    """Bytes of the image's layers. Errors: ImageTooLarge."""
    layers = manifest.layers
    if len(layers) > limits.layers:
        raise ImageTooLarge(f"The image has {len(layers)} layers; at most {limits.layers} are allowed.")
    size = sum(layer.size for layer in layers)
    if size > limits.compressed_bytes:
        raise ImageTooLarge(f"The image has {size:,} bytes; at most {limits.compressed_bytes:,} are allowed.")
    if manifest.config.size > limits.config_bytes:
        raise ImageTooLarge(
            f"The image's config has {manifest.config.size:,} bytes; at most {limits.config_bytes:,} are allowed."
        )
    return size


def require_image(manifest: Manifest) -> Manifest:
    """An image, not an index and not some other artifact. Errors: UnsupportedImage."""
    if manifest.is_index:
        raise UnsupportedImage("An index inside an index: list the images themselves.")
    if manifest.config.media_type not in _CONFIGS:
        raise UnsupportedImage(
            f"Its config is of type {manifest.config.media_type[:120]!r}: this is no container image."
        )
    return manifest


def _guessed(document: dict[str, Any]) -> str:
    """An OCI document need not say what it is."""
    if document.get("schemaVersion") != 2:
        return "schema version " + str(document.get("schemaVersion"))
    return OCI_INDEX if "manifests" in document else OCI_MANIFEST


def _list(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = document.get(name)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise MalformedImage(f"The manifest has no list of {name}. Push the image again.")
    return found


def read_descriptor(said: object, what: str) -> Descriptor:
    if not isinstance(said, dict):
        raise MalformedImage(f"The manifest has no {what}. Push the image again.")
    digest, size, media_type = said.get("digest"), said.get("size"), said.get("mediaType")
    if not isinstance(digest, str) or not is_digest(digest):
        raise MalformedImage(f"The manifest's {what} has no sha256 digest. Push the image again.")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LARGEST:
        raise MalformedImage(f"The manifest's {what} {digest} has no size. Push the image again.")
    annotations = said.get("annotations")
    reference = annotations.get(REFERENCE, "") if isinstance(annotations, dict) else ""
    media_type = media_type if isinstance(media_type, str) else ""
    return Descriptor(digest, size, media_type, platform_of(said.get("platform")), str(reference))


def platform_of(said: object) -> str:
    """`os/architecture[/variant]`, empty when it is not said. Errors: MalformedImage for what is no such name."""
    if not isinstance(said, dict):
        return ""
    parts = [part for part in (said.get("os"), said.get("architecture"), said.get("variant")) if part]
    if not all(isinstance(part, str) and _PLATFORM.fullmatch(part) for part in parts):
        raise MalformedImage(f"{str(parts)[:100]} is no platform. Build the image again.")
    return "/".join(parts)
