"""The report as one HTML page, for reading and for print. It fetches nothing, and runs nothing."""

from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from models.findings import Severity
from models.scans import Component, ComponentState, ImageReport, KnownExploited
from scanning.reports.scanned import ORDER, Scanned, Sighted, instruction_of, layers_of, size
from scanning.standing import doubts_in
from scanning.texts import clean


def write(scanned: Scanned) -> bytes:
    """The whole page in UTF-8. Whatever an image or an advisory says is shown as text."""
    sightings = list(scanned.sightings())
    page = (
        _templates()
        .get_template("page.html")
        .render(
            image=clean(scanned.image),
            digest=scanned.digest,
            at=scanned.at,
            scanner=scanned.reports[0].scanner,
            order=ORDER,
            totals=_counts(sightings),
            distinct=len({one.found.id for one in sightings}),
            fixable=sum(bool(one.found.fixed_version) for one in sightings),
            exploited=sum(one.found.exploited is not None for one in sightings),
            platforms=[
                _platform(report, [one for one in sightings if one.report is report]) for report in scanned.reports
            ],
        )
    )
    return page.encode("utf-8", "replace")


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(size=size, clean=clean, link=_link, exploit=_exploit)
    return environment


def _platform(report: ImageReport, sightings: list[Sighted]) -> dict[str, Any]:
    facts = report.facts
    by_layer: dict[str, Counter[Severity]] = {}
    for one in sightings:
        by_layer.setdefault(one.found.layer, Counter())[one.found.severity] += 1
    shipped = Counter(component.layer for component in report.components)
    return {
        "report": report,
        "facts": facts,
        "counts": _counts(sightings),
        "inherited": sum(one.found.inherited for one in sightings),
        "sightings": sightings,
        "layers": [
            (layer, instruction_of(layer), shipped[layer.diff_id], by_layer.get(layer.diff_id, Counter()))
            for layer in facts.layers
        ],
        "secrets": [(layer.index, secret) for layer in facts.layers for secret in layer.secrets],
        "doubts": doubts_in(report.components),
        "components": _components(report),
    }


def _components(report: ImageReport) -> list[tuple[Component, int | None, bool]]:
    """With the layer's number and whether a later layer deletes it; by ecosystem and name."""
    layers = {diff_id: layer.index for diff_id, layer in layers_of(report).items()}
    return [
        (component, layers.get(component.layer), component.state is ComponentState.REMOVED)
        for component in sorted(report.components, key=lambda one: (one.ecosystem, one.name, one.version, one.path))
    ]


def _counts(sightings: Iterable[Sighted]) -> Counter[Severity]:
    return Counter(one.found.severity for one in sightings)


def _link(url: str) -> str:
    """An address that a browser may follow; empty for any other, such as one that is a script."""
    return url if url.startswith(("https://", "http://")) else ""


def _exploit(exploited: KnownExploited) -> str:
    said = f"known to be exploited since {exploited.added:%Y-%m-%d}"
    return said + (", by ransomware" if exploited.ransomware else "")
