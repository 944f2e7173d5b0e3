"""A scan for people at a terminal: layers, components, and vulnerabilities where they are mended."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table
from rich.text import Text

from cli.context import console
from models.findings import Severity
from models.images import LayerFacts
from models.scans import ComponentState, ImageReport, Vulnerability
from scanning.reports.scanned import ORDER, Scanned, Sighted, instruction_of, size
from scanning.standing import doubts_in

_COLOURS = {Severity.CRITICAL: "bold red", Severity.MAJOR: "yellow", Severity.UNKNOWN: "magenta", Severity.MINOR: ""}
#: characters of an instruction in a table
_SHORT = 60
#: components that are named where there may be many
_FEW = 5


def show(scanned: Scanned, *, everything: bool) -> None:
    """Each platform in turn; `everything` lists the components as well."""
    sightings = list(scanned.sightings())
    for report in scanned.reports:
        _show(report, [one for one in sightings if one.report is report], everything=everything)


def _show(report: ImageReport, sightings: Sequence[Sighted], *, everything: bool) -> None:
    facts = report.facts
    console.print()
    system = " ".join(part for part in (facts.os_name, facts.os_version) if part) or "no distribution"
    weight = f"{_counted(len(facts.layers), 'layer')}, {size(facts.size)}"
    for line in (
        Text(f"{facts.platform}  {facts.digest}", "bold"),
        Text(f"{system} · {weight} · {_components(report)}"),
        *_origin(report),
        *_doubts(report),
        Text(f"scanner {report.scanner.version} · advisories {report.scanner.advisory_snapshot[:19]}", "dim"),
    ):
        console.print(line, soft_wrap=True)
    _show_layers(report)
    if everything:
        _show_components(report)
    secrets = [(layer.index, secret.title, secret.path) for layer in facts.layers for secret in layer.secrets]
    if secrets:
        _draw("Secrets", ("layer", "what", "where"), secrets, "")
    _show_vulnerabilities(report, sightings)


def _origin(report: ImageReport) -> Iterator[Text]:
    """What it is built from, where that is known, and what a rebuild would mend."""
    base = report.base
    if base is None:
        return
    layers = "layer 0" if base.layers == 1 else f"layers 0 to {base.layers - 1}"
    yield Text(f"built from {base.reference} ({layers})")
    if rebuild := base.rebuild:
        yield Text(
            f"rebuild on {rebuild.reference}@{rebuild.digest[:19]}: mends {rebuild.mended:,} of {rebuild.inherited:,} "
            "inherited vulnerabilities",
            "bold",
        )


def _doubts(report: ImageReport) -> Iterator[Text]:
    """Of what nothing is known, and not because there is nothing."""
    for doubt, names in doubts_in(report.components).items():
        more = (f"and {len(names) - _FEW:,} more",) if len(names) > _FEW else ()
        yield Text(f"{_counted(len(names), 'component')} {doubt}: {', '.join((*names[:_FEW], *more))}", "magenta")


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
            size(layer.size),
            f"{layer.files:,}",
            components[layer.diff_id] or "",
            *(classes[layer.diff_id, severity] or "" for severity in ORDER),
            _short(instruction_of(layer)),
        )
        for layer in report.facts.layers
    ]
    columns = ("layer", "size", "files", "components", *(str(severity) for severity in ORDER), "instruction")
    _draw("Layers", columns, rows, "It has no layers.")


def _show_components(report: ImageReport) -> None:
    index = _indexes(report.facts.layers)
    rows = [
        (
            component.name,
            component.version,
            component.ecosystem,
            index.get(component.layer, ""),
            ", ".join(
                said
                for said in (
                    "deleted later" if component.state is ComponentState.REMOVED else "",
                    f"by content, {component.confidence:.0%}" if component.confidence < 1 else "",
                )
                if said
            ),
            component.path,
        )
        for component in report.components
    ]
    _draw("Components", ("name", "version", "ecosystem", "layer", "", "path"), rows, "No components were found.")


def _show_vulnerabilities(report: ImageReport, sightings: Iterable[Sighted]) -> None:
    """By layer, because that is where they are mended; the weightiest first."""
    columns = ("class", "score", "id", "component", "version", "fixed in", "")
    by_layer: dict[str, list[Sighted]] = {}
    for one in sightings:
        by_layer.setdefault(one.found.layer, []).append(one)
    index = _indexes(report.facts.layers)
    for layer in sorted(by_layer, key=lambda layer: index.get(layer, len(index))):
        rows = [
            (
                one.found.severity,
                one.found.score.score if one.found.score else "",
                one.found.id,
                one.found.component,
                one.found.version,
                one.found.fixed_version or "none yet",
                ", ".join(_marks(one)),
            )
            for one in by_layer[layer]
        ]
        place = f"layer {index[layer]}" if layer in index else "no layer"
        instruction = _short(by_layer[layer][0].instruction) or "instruction unknown"
        _draw(f"Vulnerabilities in {place}: {instruction}", columns, rows, "")
    console.print()
    console.print(_summary(report.vulnerabilities))


def _marks(one: Sighted) -> Iterator[str]:
    """What is known beside the score."""
    found = one.found
    if found.exploited:
        yield "exploited by ransomware" if found.exploited.ransomware else "exploited"
    if found.classing:
        yield "classed by hand"
    if found.inherited:
        yield "base, mended by the rebuild" if found.mended_by_rebuild else "base"
    if one.component and one.component.confidence < 1:
        yield f"by content, {one.component.confidence:.0%}"
    if one.said:
        yield f"vex: {one.said.state}"


def _summary(found: Iterable[Vulnerability]) -> Text:
    counts = Counter(one.severity for one in found)
    parts = [Text(f"{counts[severity]:,} {severity}", _COLOURS[severity]) for severity in ORDER if counts[severity]]
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
