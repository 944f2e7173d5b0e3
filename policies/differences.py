"""What changed between two iterations: manifest fields, images, layers, components, vulnerabilities, checks."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from models.content import ContentManifest, Track
from models.findings import Finding, FindingStatus
from models.reports import Differences, ExaminedImage, IterationReport
from models.scans import ComponentState, ImageReport
from policies.image_practices import IMAGE
from policies.vulnerabilities import RULE

_SHORT = 80
#: of the manifest's fields
_PRIVATE = re.compile(r"credentials$")
_NO_PART_OF_AN_EDIT = re.compile(r"^track$|\.source(\.|$)")


def differences(
    before: IterationReport,
    after: IterationReport,
    images_before: Sequence[ImageReport],
    images_after: Sequence[ImageReport],
    manifest_before: ContentManifest | None,
    manifest_after: ContentManifest,
) -> Differences:
    """For the second review: only what changed has to be looked at again.

    A listing edit brings no images: beside a version, only the page and what was found of it is compared.
    """
    if manifest_after.track is Track.LISTING:
        before, images_before = _page_of(before), ()
    old, new = _open(before), _open(after)
    there = {finding.key for finding in after.findings}
    appeared = [finding for key, finding in new.items() if key not in old]
    # what was waived or accepted meanwhile is judged, not mended
    vanished = [finding for key, finding in old.items() if key not in there]
    return Differences(
        manifest=_manifest(manifest_before, manifest_after),
        images=_images(before.images, after.images),
        layers=_layers(before, after, images_before, images_after),
        components=_components(images_before, images_after),
        new_vulnerabilities=tuple(_said(f) for f in appeared if f.rule == RULE),
        mended_vulnerabilities=tuple(_said(f) for f in vanished if f.rule == RULE),
        new_findings=tuple(_said(f) for f in appeared if f.rule != RULE),
        mended_findings=tuple(_said(f) for f in vanished if f.rule != RULE),
        still_open=len(new) - len(appeared),
    )


def page_in_force(version: ContentManifest, edit: ContentManifest) -> ContentManifest:
    """The page of a version after the edit that was approved later; the images' sources are the version's."""
    sources = {tier.name: tier.source for tier in version.tiers}
    tiers = tuple(tier.model_copy(update={"source": sources.get(tier.name)}) for tier in edit.tiers)
    return edit.model_copy(update={"tiers": tiers, "track": version.track, "release_notes": version.release_notes})


def _page_of(report: IterationReport) -> IterationReport:
    page = tuple(f for f in report.findings if f.rule != RULE and f.rule.partition(".")[0] != IMAGE.name)
    return report.model_copy(update={"findings": page, "images": ()})


def _open(report: IterationReport) -> dict[str, Finding]:
    return {finding.key: finding for finding in report.findings if finding.status is FindingStatus.OPEN}


def _said(finding: Finding) -> str:
    return f"{finding.title} ({finding.where})" if finding.where and len(finding.where) < _SHORT else finding.title


def _manifest(before: ContentManifest | None, after: ContentManifest) -> tuple[str, ...]:
    if before is None:
        return ()
    old, new = _flat(before.model_dump(mode="json")), _flat(after.model_dump(mode="json"))
    passed_over = _NO_PART_OF_AN_EDIT if after.track is Track.LISTING else _PRIVATE
    lines = []
    for field in dict.fromkeys((*old, *new)):
        if passed_over.search(field):
            continue
        if field not in new:
            lines.append(f"{field} removed")
        elif field not in old:
            lines.append(f"{field} added: {_short(new[field])}")
        elif old[field] != new[field]:
            lines.append(f"{field}: {_short(old[field])} -> {_short(new[field])}")
    return tuple(lines)


def _flat(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        parts = [(f"{path}.{name}".strip("."), item) for name, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        parts = [(f"{path}.{number}", item) for number, item in enumerate(value)]
    else:
        return {path: ", ".join(map(str, value)) if isinstance(value, list) else str(value)}
    return {name: text for part in parts for name, text in _flat(part[1], part[0]).items()}


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHORT else line[: _SHORT - 1] + "…"


def _images(before: Sequence[ExaminedImage], after: Sequence[ExaminedImage]) -> tuple[str, ...]:
    lines = []
    for name, old, new in _pairs(before, after):
        if new is None:
            lines.append(f"{name} is gone")
        elif old is None:
            lines.append(f"{name} is new: {new.digest}")
        elif old.digest != new.digest:
            lines.append(f"{name}: {old.digest[:19]} -> {new.digest[:19]}")
    return tuple(lines)


def _pairs(
    before: Sequence[ExaminedImage], after: Sequence[ExaminedImage]
) -> Iterator[tuple[str, ExaminedImage | None, ExaminedImage | None]]:
    """Each image and the one that it replaces: of the same tier and platform, and of several there by tag."""
    for place in dict.fromkeys((image.tier, image.platform) for image in (*before, *after)):
        old = [image for image in before if (image.tier, image.platform) == place]
        new = [image for image in after if (image.tier, image.platform) == place]
        several = len(old) > 1 or len(new) > 1
        for image in new:
            earlier = old[0] if old and not several else next((one for one in old if _same(one, image)), None)
            if earlier:
                old.remove(earlier)
            yield _called(image, several), earlier, image
        for image in old:
            yield _called(image, several), image, None


def _called(image: ExaminedImage, several: bool) -> str:
    tag = f":{image.tags[0]}" if several and image.tags else ""
    return f"{image.tier}{tag} {image.platform}"


def _same(old: ExaminedImage, new: ExaminedImage) -> bool:
    return old.digest == new.digest or not set(old.tags).isdisjoint(new.tags)


def _layers(
    before: IterationReport, after: IterationReport, old: Sequence[ImageReport], new: Sequence[ImageReport]
) -> tuple[str, ...]:
    """How many layers each image shares with the one it replaces."""
    layers = {report.facts.digest: Counter(layer.diff_id for layer in report.facts.layers) for report in (*old, *new)}
    lines = []
    for name, earlier, image in _pairs(before.images, after.images):
        if earlier is None or image is None or earlier.digest == image.digest:
            continue
        if (was := layers.get(earlier.digest)) is None or (is_ := layers.get(image.digest)) is None:
            continue
        count, shared, gone = is_.total(), (was & is_).total(), (was - is_).total()
        lines.append(f"{name}: {count}, {shared} of them as before, {count - shared} new, {gone} gone")
    return tuple(lines)


def _components(before: Sequence[ImageReport], after: Sequence[ImageReport]) -> tuple[str, ...]:
    """Where no image could be read, nothing is known of components: they are neither new nor removed."""
    if not before or not after:
        return ()
    old, new = _versions(before), _versions(after)
    lines = []
    for name in sorted(old.keys() | new.keys()):
        was, is_ = ", ".join(sorted(old.get(name, ()))), ", ".join(sorted(new.get(name, ())))
        if was != is_:
            lines.append(f"{_short(name[0])} {_short(was) or 'new'} -> {_short(is_) or 'removed'}")
    return tuple(lines)


def _versions(reports: Sequence[ImageReport]) -> dict[tuple[str, str], set[str]]:
    """(name, ecosystem) -> versions: Debian's requests is not PyPI's."""
    found: dict[tuple[str, str], set[str]] = {}
    for report in reports:
        for component in report.components:
            if component.state is ComponentState.PRESENT:
                found.setdefault((component.name, component.ecosystem), set()).add(component.version)
    return found
