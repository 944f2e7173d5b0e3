"""SPDX 2.3 in JSON: the image, its platforms and what they are made of. SPDX 2 has no vulnerabilities of its own."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from models.base import digest_of
from models.scans import Component, ComponentState, ImageReport
from scanning.reports.document import written
from scanning.reports.scanned import Scanned, cpe_in, layers_of, purl_in
from scanning.texts import clean

#: what nobody has looked for, and what is not said
_NOTHING = "NOASSERTION"
_DOCUMENT = "SPDXRef-DOCUMENT"
_IMAGE = "SPDXRef-image"


def write(scanned: Scanned) -> bytes:
    """A document that describes the image; packages by platform, each with its layer and how it was found."""
    packages = [_image(scanned)]
    relations = [_relation(_DOCUMENT, "DESCRIBES", _IMAGE)]
    for place, report in enumerate(scanned.reports):
        name = f"SPDXRef-platform-{place}"
        packages.append(_platform(name, report))
        relations.append(_relation(_IMAGE, "CONTAINS", name))
        if report.facts.os_name:
            # trivy knows a distribution by this beginning of its name
            system = f"SPDXRef-OperatingSystem-{place}"
            packages.append(_system(system, report))
            relations.append(_relation(name, "CONTAINS", system))
        for number, package in enumerate(_packages(name, report)):
            packages.append(package)
            relations.append(_relation(name, "CONTAINS", f"{name}-package-{number}"))
    scanner = scanned.reports[0].scanner
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": clean(scanned.image),
        "documentNamespace": "",
        "creationInfo": {
            "created": _instant(scanned.at),
            "creators": [f"Tool: {scanner.name}-{scanner.version.partition(',')[0]}"],
            "comment": clean(f"{scanner.version}; advisories {scanner.advisory_snapshot}"),
        },
        "packages": packages,
        "relationships": relations,
    }
    # the same content has the same name
    document["documentNamespace"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest_of(written(document)))}"
    return written(document)


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def _image(scanned: Scanned) -> dict[str, Any]:
    return {
        "SPDXID": _IMAGE,
        "name": clean(scanned.image),
        "versionInfo": scanned.digest,
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [_checksum(scanned.digest)],
        **_unknown(),
    }


def _platform(name: str, report: ImageReport) -> dict[str, Any]:
    facts = report.facts
    system = " ".join(part for part in (facts.os_name, facts.os_version) if part) or "no distribution"
    base = f"; built from {report.base.reference}@{report.base.digest}" if report.base else ""
    return {
        "SPDXID": name,
        "name": facts.platform,
        "versionInfo": facts.digest,
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [_checksum(facts.digest)],
        "comment": clean(f"{system}, {len(facts.layers)} layers{base}"),
        **_unknown(),
    }


def _system(name: str, report: ImageReport) -> dict[str, Any]:
    """The distribution: whoever matches the packages has to know whose they are."""
    return {
        "SPDXID": name,
        "name": clean(report.facts.os_name),
        "versionInfo": clean(report.facts.os_version),
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        **_unknown(),
    }


def _packages(name: str, report: ImageReport) -> Iterator[dict[str, Any]]:
    layers = {diff_id: layer.index for diff_id, layer in layers_of(report).items()}
    for number, component in enumerate(report.components):
        references = list(_references(component))
        package: dict[str, Any] = {
            "SPDXID": f"{name}-package-{number}",
            "name": clean(component.name) or "unnamed",
            "comment": clean(_how_found(component, layers.get(component.layer))),
            **_unknown(),
        }
        if component.version:
            package["versionInfo"] = clean(component.version)
        if component.source_name not in ("", component.name):
            version = component.source_version or component.version
            package["sourceInfo"] = clean(f"built package from: {component.source_name} {version}")
        if references:
            package["externalRefs"] = references
        yield package


def _how_found(component: Component, layer: int | None) -> str:
    where = f"layer {layer} ({component.layer})" if layer is not None else "no layer"
    gone = "; deleted by a later layer, and shipped all the same" if component.state is ComponentState.REMOVED else ""
    path = f"; {component.path}" if component.path else ""
    return f"{where}; {component.evidence}, confidence {component.confidence:g}{path}{gone}"


def _references(component: Component) -> Iterator[dict[str, str]]:
    if purl := purl_in(component):
        yield {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}
    if cpe := cpe_in(component):
        yield {"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": cpe}


def _unknown() -> dict[str, Any]:
    """What SPDX wants to hear of every package. No file was listed, and licences are not our subject."""
    return {
        "downloadLocation": _NOTHING,
        "filesAnalyzed": False,
        "licenseConcluded": _NOTHING,
        "licenseDeclared": _NOTHING,
        "copyrightText": _NOTHING,
        "supplier": _NOTHING,
    }


def _checksum(digest: str) -> dict[str, str]:
    return {"algorithm": "SHA256", "checksumValue": digest.removeprefix("sha256:")}


def _instant(moment: datetime) -> str:
    """SPDX knows whole seconds in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
