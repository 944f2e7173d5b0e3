"""What is watched, on its way between scanner and store: units of matching, what is known of them, and shipments."""

import hashlib
import json
from datetime import datetime
from typing import NamedTuple

from models.findings import Severity


class Unit(NamedTuple):
    """A component as advisories are looked up for it: of Debian and Alpine by its source package.

    Of an identified binary `ecosystem` is the one of CPE names, and `name` is `vendor:product`.
    """

    ecosystem: str
    name: str
    version: str
    #: what findings name: the purl without its version
    package: str
    #: of the package itself, where it is not that of its source
    package_version: str = ""
    cpe: str = ""

    @property
    def digest(self) -> str:
        """In hex: names the unit in the store."""
        return hashlib.sha256(json.dumps(self).encode("utf-8", "replace")).hexdigest()


class Known(NamedTuple):
    """What the advisories say against a unit."""

    vulnerability: str
    severity: Severity
    fixed_version: str = ""
    #: in CISA's catalog of known exploited vulnerabilities
    exploited: bool = False
    url: str = ""


class Load(NamedTuple):
    """What one layer of an image brought."""

    units: frozenset[Unit]
    #: the layer is one of the base image's
    inherited: bool = False

    @property
    def digest(self) -> str:
        """In hex: images that share the layer share the load."""
        return hashlib.sha256("\n".join(sorted(unit.digest for unit in self.units)).encode()).hexdigest()


class Shipment(NamedTuple):
    """An image of one platform as the watch keeps it. `report` is the digest of the stored report."""

    image: str
    platform: str
    report: str
    scanner_version: str
    scanned_at: datetime
    loads: tuple[Load, ...] = ()

    @property
    def units(self) -> frozenset[Unit]:
        return frozenset(unit for load in self.loads for unit in load.units)


class Berth(NamedTuple):
    """Where an image of a release lies in the hub's registry."""

    image: str
    tier: str
    repository: str
