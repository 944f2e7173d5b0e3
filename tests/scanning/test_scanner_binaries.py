"""Whole scans of images whose binaries no package database names: renamed, nested, owned after all, removed."""

import json
from dataclasses import replace
from pathlib import Path

from models.findings import Severity
from models.scans import Component, ComponentState
from registry.building import FileSpec, ImageBuilder
from scanning.advisories import AdvisoryStore
from scanning.advisory_sources import SourceKind
from tests.parts.presence import needs
from tests.scanning.binaries import CRATES, go, rust
from tests.scanning.conftest import Laboratory
from tests.scanning.images import STATUS, Files, debian, dpkg, marks
from tests.scanning.test_nvd import NGINX as VULNERABLE_NGINX
from tests.scanning.test_nvd import V31, cve

pytestmark = needs("trivy")

ELF = b"\x7fELF\x02\x01\x01" + bytes(9)
NGINX = ELF + b'invalid option: "%c"\0nginx version: nginx/1.22.1\n\0'
ZLIB = b"\0 deflate 1.2.13 Copyright 1995-2022 Jean-loup Gailly and Mark Adler \0"
NAME = "usr/sbin/nginx"


def program(content: bytes) -> FileSpec:
    return FileSpec(content, 0o755)


def with_package(content: bytes) -> Files:
    """nginx as apt-get installs it."""
    return {
        **debian(),
        STATUS: dpkg("nginx 1.22.1-9+deb12u3"),
        "var/lib/dpkg/info/nginx.list": f"/.\n/usr\n/usr/sbin\n/{NAME}\n".encode(),
        NAME: program(content),
    }


def said(component: Component) -> str:
    return f"{component.purl.partition('?')[0]} {component.state}"


async def test_a_renamed_program_and_the_library_inside_it_are_components(laboratory: Laboratory) -> None:
    builder = ImageBuilder("linux/amd64").layer({"opt/shop/web": program(NGINX + ZLIB)}, "COPY web /opt/shop/")
    report = await laboratory.scan(builder)
    assert [said(one) for one in report.components] == [
        "pkg:generic/nginx@1.22.1 present",
        "pkg:generic/zlib@1.2.13 present",
    ]
    nginx = report.components[0]
    assert (nginx.path, nginx.layer) == ("opt/shop/web", report.facts.layers[0].diff_id)
    assert nginx.evidence == "binary signature: nginx version: nginx/1.22.1"
    assert 0.9 < nginx.confidence < 1


async def test_a_program_without_package_data_has_the_cves_that_nvd_knows(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    nvd = tmp_path / "nvd.json"
    metrics = {"cvssMetricV31": [{"source": "nvd@nist.gov", "type": "Primary", "cvssData": {"vectorString": V31}}]}
    record = cve(VULNERABLE_NGINX, metrics=metrics)
    nvd.write_text(json.dumps({"format": "NVD_CVE", "version": "2.0", "vulnerabilities": [record]}))
    store = AdvisoryStore(tmp_path / "advisories.sqlite")
    store.import_from(nvd, kind=SourceKind.NVD)
    builder = ImageBuilder("linux/amd64").layer({"opt/shop/web": program(NGINX)}, "COPY web /opt/shop/")
    (found,) = (await replace(laboratory, advisories=store).scan(builder)).vulnerabilities
    assert (found.component, found.version, found.fixed_version) == ("nginx", "1.22.1", "1.26.2")
    assert (found.severity, found.instruction) == (Severity.CRITICAL, "COPY web /opt/shop/")


async def test_a_program_that_a_package_owns_is_that_package_and_nothing_else(laboratory: Laboratory) -> None:
    builder = ImageBuilder("linux/amd64").layer(with_package(NGINX), "RUN apt-get install nginx")
    builder.layer({NAME: FileSpec(NGINX, 0o4755)}, "RUN chmod u+s /usr/sbin/nginx")
    report = await laboratory.scan(builder)
    assert [said(one) for one in report.components] == ["pkg:deb/debian/nginx@1.22.1-9%2Bdeb12u3 present"]


async def test_a_program_put_in_a_packages_place_is_a_component_beside_the_package(laboratory: Laboratory) -> None:
    builder = ImageBuilder("linux/amd64").layer(with_package(NGINX), "RUN apt-get install nginx")
    builder.layer({NAME: program(NGINX.replace(b"1.22.1", b"1.27.0"))}, "COPY nginx /usr/sbin/")
    report = await laboratory.scan(builder)
    assert [said(one) for one in report.components] == [
        "pkg:generic/nginx@1.27.0 present",
        "pkg:deb/debian/nginx@1.22.1-9%2Bdeb12u3 present",
    ]


async def test_what_a_later_layer_deletes_still_ships(laboratory: Laboratory) -> None:
    builder = ImageBuilder("linux/amd64").layer({"opt/build": program(NGINX)}, "COPY build /opt/")
    builder.layer(marks("opt/build"), "RUN rm /opt/build")
    (component,) = (await laboratory.scan(builder)).components
    assert (component.name, component.state) == ("nginx", ComponentState.REMOVED)


async def test_what_go_and_rust_compiled_into_deleted_programs_still_ships(laboratory: Laboratory) -> None:
    builder = ImageBuilder("linux/amd64")
    builder.layer({"opt/go": program(go()), "opt/rust": program(rust(CRATES))}, "COPY go rust /opt/")
    builder.layer(marks("opt/go", "opt/rust"), "RUN rm /opt/go /opt/rust")
    report = await laboratory.scan(builder)
    assert {said(one) for one in report.components} == {
        "pkg:golang/stdlib@v1.21.5 removed",
        "pkg:golang/example.org/shop@v1.2.0 removed",
        "pkg:golang/golang.org/x/net@v0.1.0 removed",
        "pkg:golang/example.org/new@v2.0.0 removed",
        "pkg:cargo/shop@0.1.0 removed",
        "pkg:cargo/serde@1.0.193 removed",
    }
    assert {one.ecosystem for one in report.components} == {"Go", "crates.io"}


async def test_what_is_still_there_is_listed_once(laboratory: Laboratory) -> None:
    builder = ImageBuilder("linux/amd64")
    builder.layer({"opt/go": program(go()), "opt/rust": program(rust(CRATES))}, "COPY go rust /opt/")
    report = await laboratory.scan(builder)
    purls = [one.purl for one in report.components]
    assert len(purls) == len(set(purls))
    assert {one.state for one in report.components} <= {ComponentState.PRESENT}


async def test_modules_of_a_program_that_a_package_owns_are_the_packages(laboratory: Laboratory) -> None:
    files = with_package(go())
    builder = ImageBuilder("linux/amd64").layer(files, "RUN apt-get install nginx")
    builder.layer(
        {STATUS: dpkg(), **marks(NAME, "var/lib/dpkg/info/nginx.list")},
        "RUN apt-get purge nginx",
    )
    report = await laboratory.scan(builder)
    assert [said(one) for one in report.components] == ["pkg:deb/debian/nginx@1.22.1-9%2Bdeb12u3 removed"]
