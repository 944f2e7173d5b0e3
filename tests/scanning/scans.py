"""Scans to write reports of: every kind of component and vulnerability once, and texts that mean harm."""

from datetime import UTC, date, datetime
from typing import Any

from models.base import digest_of
from models.findings import Severity, VexJustification, VexState
from models.images import ImageFacts, LayerFacts, SecretFact
from models.scans import (
    BaseOrigin,
    Classing,
    Component,
    ComponentState,
    ImageReport,
    KnownExploited,
    Rebuild,
    Scanner,
    Score,
    Vulnerability,
)
from models.vex import VexStatement
from scanning.reports.scanned import Scanned

AT = datetime(2026, 3, 2, 9, 30, 15, 123456, tzinfo=UTC)
LAYERS = tuple(digest_of(f"layer {number}".encode()) for number in range(3))
IMAGE = "registry.example/team/shop:1.0"
DIGEST = digest_of(b"index")
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
#: what an image or an advisory may say to do harm to who reads a report of it
HOSTILE = '=HYPERLINK("http://evil.example")</td><script>alert(1)</script>\x1b[2J\u202e,\r\n"x'

COMPONENTS = (
    Component(
        purl="pkg:deb/debian/libssl3@3.0.9-1?arch=amd64&distro=debian-12",
        ecosystem="Debian:12",
        name="libssl3",
        version="3.0.9-1",
        source_name="openssl",
        source_version="3.0.9-1",
        layer=LAYERS[0],
        path="var/lib/dpkg/status",
    ),
    Component(
        purl="pkg:pypi/jinja2@2.10",
        ecosystem="PyPI",
        name="Jinja2",
        version="2.10",
        layer=LAYERS[1],
        path="usr/lib/python3/dist-packages/Jinja2-2.10.dist-info/METADATA",
    ),
    Component(
        purl="pkg:pypi/django@3.2.0",
        ecosystem="PyPI",
        name="Django",
        version="3.2.0",
        layer=LAYERS[1],
        state=ComponentState.REMOVED,
        evidence="deleted by a later layer",
    ),
    Component(
        purl="pkg:generic/nginx@1.18.0",
        ecosystem="",
        name="nginx",
        version="1.18.0",
        layer=LAYERS[2],
        evidence="binary signature: nginx/1.18.0",
        confidence=0.95,
        cpe="cpe:2.3:a:f5:nginx:1.18.0:*:*:*:*:*:*:*",
        path="opt/web/server of ours",
    ),
    Component(purl="", ecosystem="", name=HOSTILE, version=HOSTILE, layer=LAYERS[2], path=f"opt/{HOSTILE}"),
)


def vulnerability(id_: str, component: Component, **more: Any) -> Vulnerability:
    said: dict[str, Any] = {
        "id": id_,
        "advisory": f"OSV-{id_}",
        "purl": component.purl,
        "component": component.name,
        "version": component.version,
        "layer": component.layer,
        "url": f"https://nvd.nist.gov/vuln/detail/{id_}",
    }
    return Vulnerability.model_validate(said | more)


VULNERABILITIES = (
    vulnerability(
        "CVE-2023-0001",
        COMPONENTS[0],
        score=Score(score=9.8, vector=VECTOR, source="NVD", version="3.1"),
        severity=Severity.CRITICAL,
        exploited=KnownExploited(added=date(2023, 5, 1), due=date(2023, 5, 22), ransomware=True),
        inherited=True,
        mended_by_rebuild=True,
        fixed_version="3.0.11-1",
        summary="Remote code execution.",
        aliases=("GHSA-1111-2222-3333",),
    ),
    vulnerability("CVE-2023-0002", COMPONENTS[0], inherited=True, summary="Nobody has scored it."),
    vulnerability(
        "CVE-2019-10906",
        COMPONENTS[1],
        score=Score(score=4.3, vector="AV:N/AC:M/Au:N/C:P/I:N/A:N", source="NVD", version="2"),
        severity=Severity.CRITICAL,
        classing=Classing(severity=Severity.CRITICAL, reason="Everybody is sandboxed by it.", at=AT),
        fixed_version="2.10.1",
    ),
    vulnerability(
        "CVE-2021-33203",
        COMPONENTS[2],
        score=Score(score=4.9, vector=VECTOR, source="GHSA-68w8-qjq3-2gfm", version="3.1"),
        severity=Severity.MAJOR,
        fixed_version="3.2.4",
    ),
    vulnerability(
        "CVE-2021-23017",
        COMPONENTS[3],
        score=Score(score=0.1, vector="CVSS:4.0/AV:N", source="NVD", version="4.0"),
        severity=Severity.MINOR,
    ),
    vulnerability("CVE-2024-0666", COMPONENTS[4], summary=HOSTILE, url="javascript:alert(1)"),
)

STATEMENT = VexStatement(
    vulnerability="CVE-2021-33203",
    state=VexState.NOT_AFFECTED,
    justification=VexJustification.COMPONENT_NOT_PRESENT,
    words="A later layer deletes it.",
    author="pat@harbour.example",
    at=AT,
    expires=datetime(2026, 6, 1, tzinfo=UTC),
)


def report(platform: str = "linux/amd64", **changes: Any) -> ImageReport:
    layers = tuple(
        LayerFacts(
            index=index,
            digest=digest_of(f"blob {index}".encode()),
            diff_id=diff_id,
            size=1_000_000,
            uncompressed=3_000_000,
            instruction=("ADD rootfs.tar /", "RUN API_TOKEN=hunter2 pip install", "COPY server /opt/web")[index],
            secrets=(SecretFact(rule="key", title="A key", path="app/key.pem"),) if index == 2 else (),
        )
        for index, diff_id in enumerate(LAYERS)
    )
    facts = ImageFacts(
        platform=platform,
        digest=digest_of(platform.encode()),
        config_digest=digest_of(b"config"),
        size=3_000_000,
        os_name="debian",
        os_version="12",
        created=AT,
        layers=layers,
    )
    base = BaseOrigin(
        reference="registry.example/library/debian:12",
        digest=digest_of(b"base"),
        layers=1,
        rebuild=Rebuild(
            reference="registry.example/library/debian:12", digest=digest_of(b"new"), mended=1, inherited=2
        ),
    )
    made = ImageReport(
        scanner=Scanner(name="wharfinger", version="1, trivy 0.76.0", advisory_snapshot=digest_of(b"known"), at=AT),
        facts=facts,
        base=base,
        components=COMPONENTS,
        vulnerabilities=VULNERABILITIES,
    )
    return made.model_copy(update=changes)


def scanned(*platforms: str) -> Scanned:
    """Of these platforms, or of two; one vulnerability is covered by a statement on each."""
    reports = tuple(report(platform) for platform in platforms or ("linux/amd64", "linux/arm64"))
    return Scanned(
        image=IMAGE,
        digest=DIGEST,
        reports=reports,
        statements={(one.facts.digest, VULNERABILITIES[3]): STATEMENT for one in reports},
    )


def bare() -> Scanned:
    """An image with nothing in it."""
    facts = ImageFacts(platform="linux/amd64", digest=DIGEST, config_digest=DIGEST, size=0)
    empty = report(facts=facts, base=None, components=(), vulnerabilities=())
    return Scanned(image="oci:empty:latest", digest=DIGEST, reports=(empty,))
