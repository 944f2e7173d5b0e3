"""Manifests and indexes: read with suspicion, since whoever serves them may say anything."""

import json
from dataclasses import dataclass
from typing import Any

from models.base import digest_of
from models.errors import MalformedImage, UnsupportedImage
from registry.references import is_digest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
IMAGES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
ACCEPTED = ", ".join((OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST))

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
        layers = tuple(read_descriptor(layer, "layer") for layer in _list(self.document, "layers"))
        for layer, said in zip(layers, _list(self.document, "layers"), strict=True):
            if said.get("urls") or "nondistributable" in layer.media_type or "foreign" in layer.media_type:
                raise UnsupportedImage(
                    f"Layer {layer.digest} lies outside the registry (a foreign layer): rebuild the image without it."
                )
            if not layer.media_type.startswith(
                ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.diff.tar")
            ):
                raise UnsupportedImage(f"Layer {layer.digest} is of the unknown media type {layer.media_type}.")
        return layers

    def descriptors(self) -> tuple[Descriptor, ...]:
        """Blobs of an artifact, of whatever type."""
        return tuple(read_descriptor(layer, "layer") for layer in _list(self.document, "layers"))

    def images(self) -> tuple[Descriptor, ...]:
        """Images of an index; attestations, which belong to no platform, are left out."""
        found = []
        for said in _list(self.document, "manifests"):
            annotations = said.get("annotations")
            if isinstance(annotations, dict) and "vnd.docker.reference.type" in annotations:
                continue
            image = read_descriptor(said, "manifest")
            if image.platform == "unknown/unknown":
                continue
            found.append(image)
        return tuple(found)


def parse_manifest(content: bytes, media_type: str = "") -> Manifest:
    """Errors: MalformedImage, UnsupportedImage."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise MalformedImage(f"The manifest is no JSON: {error}. Push the image again.") from error
    if not isinstance(document, dict):
        raise MalformedImage("The manifest is no JSON object. Push the image again.")
    kind = document.get("mediaType") or media_type.partition(";")[0].strip() or _guessed(document)
    if kind not in INDEXES | IMAGES:
        raise UnsupportedImage(
            f"{str(kind)[:120]!r} is no image that the hub takes: push it in the OCI or Docker v2 schema 2 format."
        )
    return Manifest(digest_of(content), kind, content, document)


def require_image(manifest: Manifest) -> Manifest:
    """An image, not an index and not some other artifact. Errors: UnsupportedImage."""
    if manifest.is_index:
        raise UnsupportedImage("An index inside an index: list the images themselves.")
    if manifest.config.media_type not in _CONFIGS:
        raise UnsupportedImage(f"Its config is of type {manifest.config.media_type}: this is no container image.")
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
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise MalformedImage(f"The manifest's {what} {digest} has no size. Push the image again.")
    annotations = said.get("annotations")
    reference = annotations.get("org.opencontainers.image.ref.name", "") if isinstance(annotations, dict) else ""
    return Descriptor(digest, size, str(media_type or ""), platform_of(said.get("platform")), str(reference))


def platform_of(said: object) -> str:
    """`os/architecture[/variant]`, empty when it is not said."""
    if not isinstance(said, dict):
        return ""
    parts = (said.get("os"), said.get("architecture"), said.get("variant"))
    return "/".join(str(part)[:40] for part in parts if part)
