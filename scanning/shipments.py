"""From a report to what the watch keeps of it: units of matching by layer; and what the advisories say of units."""

from collections.abc import Collection, Iterable, Mapping

from models.exposures import Known, Load, Shipment, Unit
from models.policy import SeverityClasses
from models.scans import Classing, Component, ImageReport
from scanning.advisories import AdvisoryStore
from scanning.cpe import CPE, parse_cpe
from scanning.matching import looked_up
from scanning.osv import normal_name

#: characters: what is longer is no name that an advisory has, and no index takes it
_LONGEST = 400


def shipment_of(report: ImageReport, digest: str) -> Shipment:
    """`digest` is that of the stored report. What has no advisories (a file without a version, say) is left out."""
    base = {layer.diff_id for layer in report.facts.layers[: report.base.layers]} if report.base else set()
    layers: dict[str, set[Unit]] = {}
    for component in report.components:
        if unit := unit_of(component):
            layers.setdefault(component.layer, set()).add(unit)
    return Shipment(
        image=report.facts.digest,
        platform=report.facts.platform,
        report=digest,
        scanner_version=what_looks(report.scanner.version),
        scanned_at=report.scanner.at,
        loads=tuple(Load(frozenset(units), inherited=layer in base) for layer, units in layers.items()),
    )


def what_looks(scanner_version: str) -> str:
    """The part of a scanner's version by which images are looked at: other classes of scores need no new look."""
    return scanner_version.partition(", classes ")[0]


def unit_of(component: Component) -> Unit | None:
    """None for what no advisory can name."""
    purl = component.purl.partition("?")[0]
    package = purl.rpartition("@")[0] or purl or component.name
    unit: Unit | None = None
    if component.ecosystem:
        name, version = looked_up(component)
        own = component.version if component.version != version else ""
        unit = Unit(component.ecosystem, normal_name(component.ecosystem, name), version, package, own)
    elif component.cpe:
        unit = _of_binary(component, package)
    return unit if unit and unit.name and unit.version and max(map(len, unit)) <= _LONGEST else None


def _of_binary(component: Component, package: str) -> Unit | None:
    try:
        cpe = parse_cpe(component.cpe)
    except ValueError:
        return None
    return Unit(CPE, cpe.name, cpe.full_version or component.version, package, cpe=component.cpe)


def known_of(
    advisories: AdvisoryStore,
    units: Iterable[Unit],
    severity: SeverityClasses,
    classings: Mapping[str, Classing] | None = None,
) -> dict[Unit, tuple[Known, ...]]:
    """What is in force against each unit; every unit has an entry. Units of one source package are looked up once.

    Costs what AdvisoryStore.match costs, so call it in a thread. Errors: ToolFailed.
    """
    looked: dict[tuple[str, str, str, str], list[Unit]] = {}
    for unit in units:
        looked.setdefault((unit.ecosystem, unit.name, unit.version, unit.cpe), []).append(unit)
    found: dict[str, list[Known]] = {}
    for hit in advisories.match(_asked(looked), severity, classings):
        known = Known(hit.id, hit.severity, hit.fixed_version, hit.exploited is not None, hit.url)
        found.setdefault(hit.purl, []).append(known)
    return {unit: tuple(found.get(str(number), ())) for number, same in enumerate(looked.values()) for unit in same}


def _asked(looked: Collection[tuple[str, str, str, str]]) -> Iterable[Component]:
    """Components that are called by their place."""
    for number, (ecosystem, name, version, cpe) in enumerate(looked):
        known_as = "" if ecosystem == CPE else ecosystem
        yield Component(purl=str(number), ecosystem=known_as, name=name, version=version, cpe=cpe)
