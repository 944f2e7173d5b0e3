"""An image in its layout folder: manifest, config and history, read with suspicion."""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.errors import ImageTooLarge, MalformedImage, ToolFailed
from models.images import Healthcheck, ImageFacts, LayerFacts
from models.policy import ImageLimits
from scanning.texts import clean

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NANO = 1e9
#: entries of one list of the config that a report repeats
_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, and the instruction of the history that made it. `size` in compressed bytes."""

    index: int
    digest: str
    diff_id: str
    size: int
    path: Path
    instruction: str
    created: datetime | None


@dataclass(frozen=True, slots=True)
class Image:
    """What manifest and config say; nothing of the layers has been looked at."""

    digest: str
    config_digest: str
    platform: str
    layers: tuple[Layer, ...]
    empty_instructions: tuple[str, ...]
    config: dict[str, Any]


def read_image(layout: Path, platform: str, limits: ImageLimits) -> Image:
    """The image of a layout with one manifest. Errors: MalformedImage, ImageTooLarge, ToolFailed."""
    entries = _json((layout / "index.json").read_bytes(), "index").get("manifests")
    if not isinstance(entries, list) or len(entries) != 1:
        raise MalformedImage("The layout should have exactly one image.")
    digest = _descriptor(entries[0], "manifest")[0]
    manifest = _json(_blob(layout, digest, limits.manifest_bytes), "manifest")
    config_digest, _ = _descriptor(manifest.get("config"), "config")
    config = _json(_blob(layout, config_digest, limits.config_bytes), "config")
    said = "/".join(str(config.get(part) or "") for part in ("os", "architecture"))
    if said.split("/") != platform.split("/")[:2]:
        raise MalformedImage(f"The image is for {clean(said, 80)}, not for {platform}, as its index says.")
    layers, empty = _layers(layout, manifest, config, limits)
    return Image(digest, config_digest, platform, layers, empty, config)


def facts_of(image: Image, layers: tuple[LayerFacts, ...], os_name: str, os_version: str) -> ImageFacts:
    """What the rules ask of an image."""
    said = image.config.get("config")
    config: dict[str, Any] = said if isinstance(said, dict) else {}
    return ImageFacts(
        platform=image.platform,
        digest=image.digest,
        config_digest=image.config_digest,
        size=sum(layer.size for layer in image.layers),
        created=_moment(image.config.get("created")),
        author=_text(image.config.get("author")),
        user=_text(config.get("User")),
        working_dir=_text(config.get("WorkingDir")),
        entrypoint=_texts(config.get("Entrypoint")),
        cmd=_texts(config.get("Cmd")),
        shell=_texts(config.get("Shell")),
        env=_texts(config.get("Env")),
        ports=_names(config.get("ExposedPorts")),
        volumes=_names(config.get("Volumes")),
        labels=_labels(config.get("Labels")),
        healthcheck=_healthcheck(config.get("Healthcheck")),
        stop_signal=_text(config.get("StopSignal")),
        os_name=os_name,
        os_version=os_version,
        layers=layers,
        empty_instructions=image.empty_instructions,
    )


def _layers(
    layout: Path, manifest: dict[str, Any], config: dict[str, Any], limits: ImageLimits
) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    said = manifest.get("layers")
    rootfs = config.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(said, list) or not isinstance(diff_ids, list) or len(said) != len(diff_ids):
        raise MalformedImage("The image's config does not list the layers that its manifest has. Push the image again.")
    if not all(isinstance(diff_id, str) and _DIGEST.fullmatch(diff_id) for diff_id in diff_ids):
        raise MalformedImage("The image's config names a layer without a sha256 digest. Push the image again.")
    if len(said) > limits.layers:
        raise ImageTooLarge(f"The image has {len(said)} layers; at most {limits.layers} are allowed.")
    instructions, empty = _history(config.get("history"), len(said))
    layers = []
    for index, (layer, diff_id) in enumerate(zip(said, diff_ids, strict=True)):
        digest, size = _descriptor(layer, "layer")
        instruction, created = instructions[index]
        layers.append(Layer(index, digest, diff_id, size, _path(layout, digest), instruction, created))
    return tuple(layers), empty


def _history(said: object, layers: int) -> tuple[list[tuple[str, datetime | None]], tuple[str, ...]]:
    """(instruction, when) of each layer, and instructions that made none.

    A history that does not fit the layers belongs to none of them; its instructions are still judged.
    """
    entries = [entry for entry in said if isinstance(entry, dict)] if isinstance(said, list) else []
    made = [entry for entry in entries if not entry.get("empty_layer")]
    empty = tuple(_text(entry.get("created_by")) for entry in entries if entry.get("empty_layer"))[:_MOST]
    if len(made) == layers:
        return [(_text(entry.get("created_by")), _moment(entry.get("created"))) for entry in made], empty
    everything = tuple(_text(entry.get("created_by")) for entry in entries)[:_MOST]
    return [("", None)] * layers, everything


def _descriptor(said: object, what: str) -> tuple[str, int]:
    digest = said.get("digest") if isinstance(said, dict) else None
    size = said.get("size") if isinstance(said, dict) else None
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest) or not isinstance(size, int) or size < 0:
        raise MalformedImage(f"The image names a {what} without digest and size. Push the image again.")
    return digest, size


def _path(layout: Path, digest: str) -> Path:
    path = layout / "blobs" / "sha256" / digest.removeprefix("sha256:")
    if not path.is_file():
        # it was fetched and verified: that it is gone is nothing of the publisher's
        raise ToolFailed(f"The blob {digest} is no longer in the work folder.")
    return path


def _blob(layout: Path, digest: str, most: int) -> bytes:
    path = _path(layout, digest)
    if path.stat().st_size > most:
        raise ImageTooLarge(f"{digest} has more than {most:,} bytes.")
    content = path.read_bytes()
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
        raise MalformedImage(f"The blob {digest} has other bytes than its digest says. Push the image again.")
    return content


def _json(content: bytes, what: str) -> dict[str, Any]:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise MalformedImage(f"The image's {what} is no JSON: {str(error)[:200]}. Push the image again.") from error
    if not isinstance(said, dict):
        raise MalformedImage(f"The image's {what} is no JSON object. Push the image again.")
    return said


def _text(value: object) -> str:
    return clean(value) if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    """Old images have a command as one string."""
    if isinstance(value, str):
        return (clean(value),)
    return tuple(_text(one) for one in value[:_MOST]) if isinstance(value, list) else ()


def _names(value: object) -> tuple[str, ...]:
    return tuple(sorted(clean(name) for name in value)[:_MOST]) if isinstance(value, dict) else ()


def _labels(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {clean(name): _text(text) for name, text in sorted(value.items())[:_MOST]}


def _moment(value: object) -> datetime | None:
    """RFC 3339. Go writes the year 1 for no time at all."""
    if not isinstance(value, str):
        return None
    try:
        # nine digits of a second are more than Python reads
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year > 1 else None


def _healthcheck(value: object) -> Healthcheck | None:
    if not isinstance(value, dict):
        return None
    retries = value.get("Retries")
    return Healthcheck(
        test=_texts(value.get("Test")),
        interval_seconds=_seconds(value.get("Interval")),
        timeout_seconds=_seconds(value.get("Timeout")),
        retries=retries if isinstance(retries, int) else 0,
    )


def _seconds(value: object) -> float:
    return value / _NANO if isinstance(value, int) else 0.0
