"""What an answer about a component rests on, and that a scan says so where it rests on little."""

import io

import pytest
from rich.console import Console

from cli import scan_tables
from models.scans import Component
from registry.building import ImageBuilder
from scanning.reports.scanned import Scanned
from scanning.standing import Doubt, doubt_of, doubts_in
from tests.parts.presence import needs
from tests.scanning.conftest import Laboratory
from tests.scanning.images import wheel


def component(ecosystem: str, version: str, name: str = "left", **changes: str) -> Component:
    return Component(purl=f"pkg:any/{name}@{version}", ecosystem=ecosystem, name=name, version=version, **changes)


@pytest.mark.parametrize(
    ("said", "doubt"),
    [
        (component("Debian:12", "1.0-1"), None),
        (component("Maven", "1.0"), None),
        (component("Go", "(devel)"), Doubt.VERSION),
        (component("Go", ""), Doubt.VERSION),
        (component("PyPI", "trunk"), Doubt.VERSION),
        (component("CocoaPods", "1.0"), Doubt.ORDER),
        (component("", "8.5.0", "curl"), Doubt.KIND),
        (component("", "8.5.0", "curl", cpe="cpe:2.3:a:haxx:curl:8.5.0:*:*:*:*:*:*:*"), None),
        # advisories go by the source package, whose version it is that counts
        (component("Debian:12", "?", source_name="left", source_version="1.0-1"), None),
        (component("Debian:12", "1.0-1", source_name="left", source_version="?"), Doubt.VERSION),
    ],
)
def test_there_is_doubt_where_nothing_is_known_or_compared(said: Component, doubt: Doubt | None) -> None:
    assert doubt_of(said) is doubt


def test_doubts_name_each_package_once_and_in_order() -> None:
    several = [component("Go", "(devel)", name) for name in ("b", "a", "b")]
    assert doubts_in([*several, component("npm", "1.0.0"), component("", "1", "c")]) == {
        Doubt.KIND: ("c 1",),
        Doubt.VERSION: ("a (devel)", "b (devel)"),
    }
    assert doubts_in([component("npm", "1.0.0")]) == {}


@needs("trivy")
async def test_a_scan_says_of_what_it_knows_little(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = ImageBuilder()
    for number in range(7):
        builder.layer(wheel(f"local{number}", "trunk"))
    report = await laboratory.scan(builder.layer(wheel("Django", "3.2.25")))
    written = io.StringIO()
    monkeypatch.setattr(scan_tables, "console", Console(file=written, width=300))
    scan_tables.show(Scanned("oci:image", "sha256:0", (report,)), everything=False)
    assert (
        "7 components without a version that can be read: only what is known of all versions counts: "
        "local0 trunk, local1 trunk, local2 trunk, local3 trunk, local4 trunk, and 2 more"
    ) in written.getvalue()
    assert "Django" not in written.getvalue().partition("7 components")[2].partition("\n")[0]
