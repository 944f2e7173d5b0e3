"""What all reports are made of: an image, what was found in it on every platform, and what is said of that."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from models.findings import Severity
from models.images import LayerFacts
from models.scans import Component, ImageReport, Vulnerability
from models.vex import VexStatement
from policies.instructions import shown

_PURL = re.compile(r"pkg:[A-Za-z0-9.+-]+/[!-~]+")
#: a value of a CPE name (NISTIR 7695): special characters are quoted
_AVSTRING = r"(?:[*-]|(?:\?*|\*)(?:[A-Za-z0-9._-]|\\[!-/:-@\[-`{-~])+(?:\?*|\*))"
_LANGUAGE = r"(?:[*-]|[A-Za-z]{2,3}(?:-(?:[A-Za-z]{2}|[0-9]{3}))?)"
_CPE = re.compile(rf"cpe:2\.3:[aho*-](?::{_AVSTRING}){{5}}:{_LANGUAGE}(?::{_AVSTRING}){{4}}")

#: the weightiest first; what is not scored yet waits for somebody to look at it
ORDER = (Severity.CRITICAL, Severity.MAJOR, Severity.UNKNOWN, Severity.MINOR)


@dataclass(frozen=True, slots=True)
class Scanned:
    """`image` is what people call it, `digest` that of its index or only manifest; one report for each platform."""

    image: str
    digest: str
    reports: tuple[ImageReport, ...]
    #: VEX or waivers that cover a vulnerability of a platform
    statements: Mapping[tuple[str, Vulnerability], VexStatement] = field(default_factory=dict)

    @property
    def at(self) -> datetime:
        """When the newest of the reports was made."""
        return max(report.scanner.at for report in self.reports)

    def sightings(self) -> Iterator["Sighted"]:
        """Every vulnerability of every platform; platforms as they come, within one the weightiest first."""
        for report in self.reports:
            yield from _sightings(self, report)


class Sighted(NamedTuple):
    """A vulnerability where it was seen."""

    report: ImageReport
    found: Vulnerability
    component: Component | None = None
    layer: LayerFacts | None = None
    said: VexStatement | None = None

    @property
    def platform(self) -> str:
        return self.report.facts.platform

    @property
    def path(self) -> str:
        """The file that told of the component, without leading slash; empty where none is known."""
        return self.component.path if self.component else ""

    @property
    def instruction(self) -> str:
        return instruction_of(self.layer) if self.layer else shown(self.found.instruction)


def instruction_of(layer: LayerFacts) -> str:
    """A report is read by more people than the image: secrets in instructions are not repeated."""
    return shown(" ".join(layer.instruction.split()))


def purl_in(component: Component) -> str:
    """The package URL; empty for what is none, or has white space in it, where another field might begin."""
    return component.purl if _PURL.fullmatch(component.purl) else ""


def cpe_in(component: Component) -> str:
    """The CPE 2.3 name; empty for what is none, as a version that an image says may not fit into one."""
    return component.cpe if _CPE.fullmatch(component.cpe) else ""


def layers_of(report: ImageReport) -> dict[str, LayerFacts]:
    """By diff_id; of two equal layers the lower one."""
    return {layer.diff_id: layer for layer in reversed(report.facts.layers)}


def size(count: float) -> str:
    """Bytes for people: decimal, as registries show them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _sightings(scanned: Scanned, report: ImageReport) -> Iterator[Sighted]:
    layers = layers_of(report)
    components = {(one.purl, one.version, one.layer): one for one in reversed(report.components)}
    for found in sorted(report.vulnerabilities, key=_order):
        yield Sighted(
            report,
            found,
            components.get((found.purl, found.version, found.layer)),
            layers.get(found.layer),
            scanned.statements.get((report.facts.digest, found)),
        )


def _order(found: Vulnerability) -> tuple[object, ...]:
    """The weightiest class first, within it what is known to be exploited."""
    said = found.component, found.version, found.id, found.layer, found.purl
    return ORDER.index(found.severity), found.exploited is None, *said
