"""`wharfinger scan IMAGE`: what is inside an image and which advisories match it. Needs no hub."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from activities.policy import PolicyInForce
from cli.advisories import advisory_store
from cli.context import Json, complaints, console, load_settings, runs, write_json
from models.errors import ImageNotFound, UnsupportedImage
from models.findings import Severity
from models.images import LayerFacts, PinnedPlatform
from models.policy import HubPolicy
from models.scans import ComponentState, ImageReport, Vulnerability
from registry.access import Access, SourceRules
from registry.fetch import fetch_image
from registry.resolve import resolve_tier
from registry.sources import Source, open_source
from scanning.advisories import AdvisoryStore
from scanning.scanner import Scanner
from settings import Settings

_LOCAL = ("oci:", "archive:")
#: the weightiest first; what is not scored yet waits for somebody to look at it
_ORDER = (Severity.CRITICAL, Severity.MAJOR, Severity.UNKNOWN, Severity.MINOR)
_COLOURS = {Severity.CRITICAL: "bold red", Severity.MAJOR: "yellow", Severity.UNKNOWN: "magenta", Severity.MINOR: ""}
#: characters of an instruction in a table
_SHORT = 60


class FailOn(StrEnum):
    """The lightest class that makes the command fail."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"


#: as the gate does, a vulnerability that is not scored yet counts as major
_FAILS = {
    FailOn.CRITICAL: {Severity.CRITICAL},
    FailOn.MAJOR: {Severity.CRITICAL, Severity.MAJOR, Severity.UNKNOWN},
    FailOn.MINOR: set(Severity),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image is: a source as everywhere, and a tag or digest there."""

    repository: str
    reference: str

    @property
    def is_local(self) -> bool:
        return self.repository.startswith(_LOCAL)


def place_of(image: str) -> Place:
    """`host/name:tag`, `host/name@sha256:...`, `oci:FOLDER:TAG`, `archive:FILE[:TAG]`. No reference: empty."""
    repository, at, digest = image.rpartition("@")
    if at and digest.startswith("sha256:"):
        return Place(repository, digest)
    kind = next((prefix for prefix in _LOCAL if image.startswith(prefix)), "")
    head, colon, tag = image.removeprefix(kind).rpartition(":")
    # a colon before a slash is that of a port; a folder may have one in its name
    if not colon or "/" in tag or (kind and Path(image.removeprefix(kind)).exists()):
        return Place(image, "")
    return Place(kind + head, tag)


@runs
async def scan(
    image: Annotated[
        str, typer.Argument(help="host/name:tag or host/name@sha256:…, oci:FOLDER:TAG, archive:FILE[:TAG].")
    ],
    platform: Annotated[str, typer.Option(help="Only this one, as linux/arm64; else every platform.")] = "",
    fail_on: Annotated[
        FailOn | None, typer.Option(help="Status 1 when a vulnerability of this class or a weightier one is found.")
    ] = None,
    components: Annotated[bool, typer.Option("--components", help="List every component.")] = False,
    username: Annotated[str, typer.Option(help="User name at the registry.")] = "",
    password: Annotated[
        str, typer.Option(envvar="WHARFINGER_SOURCE_PASSWORD", help="Better given in the environment.")
    ] = "",
    json_: Json = False,
) -> None:
    """Scan an image: layers, components, and vulnerabilities by class. Needs no hub and changes nothing."""
    settings = load_settings()
    policy = PolicyInForce(settings.policy_place).current()
    advisories = advisory_store(settings)
    if not await asyncio.to_thread(advisories.count):
        complaints.print("No advisories yet: components are found, but no vulnerabilities.")
        complaints.print("Bring some in: wharfinger advisories import PATH|URL")
    access = Access(username, password) if username or password else None
    digest, reports = await _scan_all(place_of(image), platform, settings, policy, advisories, access)
    if json_:
        write_json({"image": image, "digest": digest, "platforms": reports})
    else:
        for report in reports:
            _show(report, everything=components)
    if fail_on and any(found.severity in _FAILS[fail_on] for report in reports for found in report.vulnerabilities):
        raise typer.Exit(1)


async def _scan_all(
    place: Place,
    platform: str,
    settings: Settings,
    policy: HubPolicy,
    advisories: AdvisoryStore,
    access: Access | None,
) -> tuple[str, list[ImageReport]]:
    """The digest that the reference points to, and a report for each platform."""
    if place.is_local and not (path := Path(place.repository.partition(":")[2])).exists():
        raise ImageNotFound(f"There is nothing at {path}.")
    rules = SourceRules(
        plain_http_hosts=settings.plain_http_hosts,
        # whoever types an address here may reach it anyway
        allow_private_hosts=True,
        source_folders=(Path("/"),) if place.is_local else (),
        limits=policy.limits,
    )
    reports = []
    with tempfile.TemporaryDirectory(prefix="wharfinger-scan-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        scanner = Scanner(
            advisories, policy.severity, policy.limits, work / "work", settings.scanner_cache, settings.scan_seconds
        )
        async with open_source(place.repository, rules, access) as source:
            reference = place.reference or await _only_tag(source, place)
            tier = await resolve_tier(source, "", place.repository, [reference], policy.limits)
            for image in _chosen(tier.tags[0].platforms, platform):
                reports.append(await _scan_one(source, image, work, scanner, policy))
    return tier.tags[0].digest, reports


async def _only_tag(source: Source, place: Place) -> str:
    if not place.is_local:
        return "latest"
    tags = await source.tags()
    if len(tags) != 1:
        known = f"it has {', '.join(sorted(tags)[:20])}" if tags else "it has none"
        raise ImageNotFound(f"Say which tag of {place.repository}: {known}.")
    return tags[0]


def _chosen(images: tuple[PinnedPlatform, ...], platform: str) -> list[PinnedPlatform]:
    chosen = [image for image in images if not platform or image.platform.startswith(platform)]
    if not chosen:
        raise UnsupportedImage(
            f"There is no image for {platform}: it has {', '.join(image.platform for image in images)}."
        )
    return chosen


async def _scan_one(
    source: Source, image: PinnedPlatform, work: Path, scanner: Scanner, policy: HubPolicy
) -> ImageReport:
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[platform]}"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=complaints,
        transient=True,
        disable=not complaints.is_terminal,
    ) as progress:
        task = progress.add_task("fetching", total=None, platform=image.platform)
        # the platforms share the folder, and so the layers that they have in common
        layout = await fetch_image(
            source,
            image.digest,
            work / "layout",
            policy.limits,
            progress=lambda done, total: progress.update(
                task, completed=done, total=total, description=f"{_size(done)} of {_size(total)}"
            ),
        )
        progress.update(task, total=None)
        return await scanner.scan(layout, image.platform, lambda words: progress.update(task, description=words))


def _show(report: ImageReport, *, everything: bool) -> None:
    facts = report.facts
    console.print()
    system = " ".join(part for part in (facts.os_name, facts.os_version) if part) or "no distribution"
    size = f"{_counted(len(facts.layers), 'layer')}, {_size(facts.size)}"
    for line in (
        Text(f"{facts.platform}  {facts.digest}", "bold"),
        Text(f"{system} · {size} · {_components(report)}"),
        Text(f"scanner {report.scanner.version} · advisories {report.scanner.advisory_snapshot[:19]}", "dim"),
    ):
        console.print(line, soft_wrap=True)
    _show_layers(report)
    if everything:
        _show_components(report)
    secrets = [(layer.index, secret.title, secret.path) for layer in facts.layers for secret in layer.secrets]
    if secrets:
        _draw("Secrets", ("layer", "what", "where"), secrets, "")
    _show_vulnerabilities(report)


def _components(report: ImageReport) -> str:
    removed = sum(component.state is ComponentState.REMOVED for component in report.components)
    kinds = Counter(component.ecosystem or "other" for component in report.components)
    said = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
    more = f", {removed:,} of them deleted by a later layer" if removed else ""
    return _counted(len(report.components), "component") + (f" ({said}{more})" if said else "")


def _show_layers(report: ImageReport) -> None:
    components = Counter(component.layer for component in report.components)
    classes = Counter((found.layer, found.severity) for found in report.vulnerabilities)
    rows = [
        (
            layer.index,
            _size(layer.size),
            f"{layer.files:,}",
            components[layer.diff_id] or "",
            *(classes[layer.diff_id, severity] or "" for severity in _ORDER),
            _short(layer.instruction),
        )
        for layer in report.facts.layers
    ]
    columns = ("layer", "size", "files", "components", *(str(severity) for severity in _ORDER), "instruction")
    _draw("Layers", columns, rows, "It has no layers.")


def _show_components(report: ImageReport) -> None:
    index = _indexes(report.facts.layers)
    rows = [
        (
            component.name,
            component.version,
            component.ecosystem,
            index.get(component.layer, ""),
            "deleted later" if component.state is ComponentState.REMOVED else "",
            component.path,
        )
        for component in report.components
    ]
    _draw("Components", ("name", "version", "ecosystem", "layer", "", "path"), rows, "No components were found.")


def _show_vulnerabilities(report: ImageReport) -> None:
    """By layer, because that is where they are mended; the weightiest first."""
    columns = ("class", "score", "id", "component", "version", "fixed in")
    by_layer: dict[str, list[Vulnerability]] = {}
    for one in report.vulnerabilities:
        by_layer.setdefault(one.layer, []).append(one)
    index = _indexes(report.facts.layers)
    for layer in sorted(by_layer, key=lambda layer: index.get(layer, len(index))):
        found = sorted(by_layer[layer], key=lambda one: (_ORDER.index(one.severity), one.component, one.id))
        rows = [
            (
                one.severity,
                one.score.score if one.score else "",
                one.id,
                one.component,
                one.version,
                one.fixed_version or "none yet",
            )
            for one in found
        ]
        place = f"layer {index[layer]}" if layer in index else "no layer"
        _draw(f"Vulnerabilities in {place}: {_short(found[0].instruction) or 'instruction unknown'}", columns, rows, "")
    console.print()
    console.print(_summary(report.vulnerabilities))


def _summary(found: Iterable[Vulnerability]) -> Text:
    counts = Counter(one.severity for one in found)
    parts = [Text(f"{counts[severity]:,} {severity}", _COLOURS[severity]) for severity in _ORDER if counts[severity]]
    return Text(", ").join(parts) if parts else Text("No known vulnerabilities.")


def _draw(title: str, columns: Iterable[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """As `table`, but only the last column is folded: whoever copies an id wants it in one piece."""
    console.print()
    if not rows:
        console.print(empty)
        return
    *narrow, last = columns
    # names come from people: nothing of them is markup
    drawn = Table(title=Text(title), title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in narrow:
        drawn.add_column(column, no_wrap=True)
    drawn.add_column(last, overflow="fold", min_width=len(last))
    for row in rows:
        drawn.add_row(*(Text(str(cell), _COLOURS.get(cell, "") if isinstance(cell, Severity) else "") for cell in row))
    console.print(drawn)


def _indexes(layers: Iterable[LayerFacts]) -> dict[str, int]:
    return {layer.diff_id: layer.index for layer in layers}


def _short(instruction: str) -> str:
    line = " ".join(instruction.split())
    return line if len(line) <= _SHORT else line[: _SHORT - 1] + "…"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _size(count: int) -> str:
    """Bytes for people: decimal, as registries show them."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def add_to(app: typer.Typer) -> None:
    app.command()(scan)
