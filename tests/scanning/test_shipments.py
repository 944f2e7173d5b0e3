"""From a report to what the watch keeps of it, and back to what the advisories say."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.findings import Severity
from models.images import ImageFacts, LayerFacts
from models.policy import SeverityClasses
from models.scans import BaseOrigin, Classing, Component, ImageReport, Scanner
from scanning.advisories import AdvisoryStore
from scanning.demo import DEMO_ADVISORIES
from scanning.shipments import known_of, shipment_of, unit_of

LAYERS = ("sha256:base", "sha256:app")
OPENSSL = "cpe:2.3:a:openssl:openssl:1.1.1n:*:*:*:*:*:*:*"


def report(*components: Component, base: int = 0) -> ImageReport:
    return ImageReport(
        scanner=Scanner(
            name="wharfinger",
            version="3, trivy 0.76.0, classes 7.0/4.0/0.1",
            advisory_snapshot="",
            at=datetime(2026, 3, 2, tzinfo=UTC),
        ),
        facts=ImageFacts(
            platform="linux/amd64",
            digest="sha256:image",
            config_digest="",
            size=1,
            layers=tuple(
                LayerFacts(index=place, digest=layer, diff_id=layer, size=1, uncompressed=1)
                for place, layer in enumerate(LAYERS)
            ),
        ),
        base=BaseOrigin(reference="debian:12", digest="sha256:d", layers=base) if base else None,
        components=components,
    )


def debian(name: str, version: str, source: str = "", layer: str = LAYERS[0]) -> Component:
    return Component(
        purl=f"pkg:deb/debian/{name}@{version}?arch=amd64&distro=debian-12",
        ecosystem="Debian:12",
        name=name,
        version=version,
        source_name=source,
        source_version=version,
        layer=layer,
    )


def pypi(name: str, version: str, layer: str = LAYERS[1]) -> Component:
    return Component(purl=f"pkg:pypi/{name}@{version}", ecosystem="PyPI", name=name, version=version, layer=layer)


def test_each_layer_is_a_load_and_those_of_the_base_are_inherited() -> None:
    found = shipment_of(report(debian("libssl3", "3.0.9-1", "openssl"), pypi("django", "3.2"), base=1), "sha256:report")
    assert [(len(load.units), load.inherited) for load in found.loads] == [(1, True), (1, False)]
    assert (found.image, found.report) == ("sha256:image", "sha256:report")
    # other classes of scores are no other scanner: nothing has to be scanned again
    assert found.scanner_version == "3, trivy 0.76.0"


def test_packages_are_looked_up_by_their_source_and_named_by_themselves() -> None:
    unit = unit_of(debian("libssl3", "3.0.9-1", "openssl"))
    assert unit is not None
    assert (unit.ecosystem, unit.name, unit.version, unit.package) == (
        "Debian:12",
        "openssl",
        "3.0.9-1",
        "pkg:deb/debian/libssl3",
    )


def test_a_binary_is_looked_up_by_its_cpe() -> None:
    unit = unit_of(
        Component(purl="pkg:generic/openssl@1.1.1n", ecosystem="", name="openssl", version="1.1.1n", cpe=OPENSSL)
    )
    assert unit is not None
    assert (unit.ecosystem, unit.name, unit.version, unit.cpe) == ("CPE", "openssl:openssl", "1.1.1n", OPENSSL)


@pytest.mark.parametrize(
    "component",
    [
        Component(purl="", ecosystem="", name="readme", version="1"),
        pypi("django", ""),
        pypi("x" * 500, "1"),
        pypi("django", "1" * 500),
        Component(purl="", ecosystem="", name="x", version="1", cpe="no such thing"),
    ],
)
def test_what_no_advisory_can_name_is_left_out(component: Component) -> None:
    assert unit_of(component) is None
    assert shipment_of(report(component), "d").loads == ()


def test_equal_loads_have_one_name_whatever_the_order() -> None:
    one = shipment_of(report(pypi("a", "1"), pypi("b", "1")), "d").loads[0]
    other = shipment_of(report(pypi("b", "1"), pypi("a", "1")), "d").loads[0]
    assert one.digest == other.digest
    assert one.digest != shipment_of(report(pypi("a", "1")), "d").loads[0].digest


def test_what_is_said_of_units_is_what_is_said_of_components(tmp_path: Path) -> None:
    """A batch finds the very same as a scan."""
    store = AdvisoryStore(tmp_path / "advisories.sqlite")
    store.import_from(DEMO_ADVISORIES)
    components = [
        *(debian(name, "3.0.9-1", "openssl") for name in ("libssl3", "openssl")),
        *(pypi(name, version) for name, version in (("django", "3.2.0"), ("jinja2", "2.10"), ("Jinja2", "2.10"))),
    ]
    units = {unit: component for component in components if (unit := unit_of(component))}
    known = known_of(store, units, SeverityClasses())
    assert set(known) == set(units)
    for unit, component in units.items():
        scanned = store.match([component], SeverityClasses())
        assert [(one.vulnerability, one.severity, one.fixed_version, one.url) for one in known[unit]] == [
            (one.id, one.severity, one.fixed_version, one.url) for one in scanned
        ]
    assert sum(map(len, known.values())) > 10


def test_the_security_teams_class_goes_before_the_score(tmp_path: Path) -> None:
    store = AdvisoryStore(tmp_path / "advisories.sqlite")
    path = tmp_path / "one.jsonl"
    path.write_text(
        json.dumps(
            {
                "id": "CVE-2026-0001",
                "modified": "2026-01-01T00:00:00Z",
                "affected": [{"package": {"ecosystem": "PyPI", "name": "django"}, "versions": ["3.2"]}],
            }
        )
        + "\n"
    )
    store.import_from(path)
    unit = unit_of(pypi("django", "3.2"))
    assert unit is not None
    classing = Classing(severity=Severity.CRITICAL, reason="r", at=datetime(2026, 1, 1, tzinfo=UTC))
    assert [one.severity for one in known_of(store, [unit], SeverityClasses())[unit]] == [Severity.UNKNOWN]
    classed = known_of(store, [unit], SeverityClasses(), {"CVE-2026-0001": classing})
    assert [one.severity for one in classed[unit]] == [Severity.CRITICAL]
