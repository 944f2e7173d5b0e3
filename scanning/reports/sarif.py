"""SARIF 2.1.0: a rule for each vulnerability, a result for each place in a layer where it is."""

import hashlib
from typing import Any
from urllib.parse import quote

from models.findings import Severity
from models.scans import Vulnerability
from models.vex import VexStatement
from policies.vex import HARMLESS
from policies.vulnerabilities import key_for
from scanning.reports.document import written
from scanning.reports.scanned import ORDER, Scanned, Sighted
from scanning.texts import clean

_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.MAJOR: "warning",
    Severity.UNKNOWN: "warning",
    Severity.MINOR: "note",
}
#: code hosts sort by this where there is no score: the lowest of each class. An unknown one counts as major
_SCORES = {Severity.CRITICAL: "7.0", Severity.MAJOR: "4.0", Severity.UNKNOWN: "4.0", Severity.MINOR: "0.1"}
#: paths in an image are relative to this
_ROOT = "ROOTFS"


def write(scanned: Scanned) -> bytes:
    """One run. What a VEX statement says is harmless is suppressed, with its words."""
    sightings = list(scanned.sightings())
    worst: dict[str, Vulnerability] = {}
    for one in sightings:
        known = worst.get(one.found.id)
        if known is None or _weight(one.found) < _weight(known):
            worst[one.found.id] = one.found
    index = {name: place for place, name in enumerate(worst)}
    scanner = scanned.reports[0].scanner
    return written(
        {
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {
                        "driver": {
                            "name": scanner.name,
                            "version": scanner.version,
                            "rules": [_rule(found) for found in worst.values()],
                        }
                    },
                    "originalUriBaseIds": {_ROOT: {"description": {"text": "the root of the image's file system"}}},
                    "results": [_result(scanned, one, index[one.found.id]) for one in sightings],
                    "columnKind": "unicodeCodePoints",
                    "properties": {
                        "image": clean(scanned.image),
                        "digest": scanned.digest,
                        "platforms": [report.facts.platform for report in scanned.reports],
                        "advisories": scanner.advisory_snapshot,
                    },
                }
            ],
        }
    )


def _weight(found: Vulnerability) -> tuple[int, float]:
    return ORDER.index(found.severity), -(found.score.score if found.score else 0)


def _rule(found: Vulnerability) -> dict[str, Any]:
    tags = ["security", "vulnerability", str(found.severity)]
    if found.exploited:
        tags.append("known-exploited")
    score = found.score
    vector = f" CVSS {score.version}: {score.score}, {score.vector} ({score.source})." if score else " Not scored yet."
    rule: dict[str, Any] = {
        "id": found.id,
        "shortDescription": {"text": clean(found.summary)[:1000] or found.id},
        "fullDescription": {"text": f"{found.id}: {clean(found.summary) or 'no description'}{vector}"},
        "help": {"text": f"Advisory {found.advisory}. {_aliases(found)}{clean(found.url)}".strip()},
        "defaultConfiguration": {"level": _LEVELS[found.severity]},
        "properties": {
            "tags": tags,
            "precision": "very-high",
            "security-severity": _security_severity(found),
        },
    }
    if found.url.startswith(("https://", "http://")):
        rule["helpUri"] = quote(found.url, safe="/:?#[]@!$&'()*+,;=%-._~")
    return rule


def _security_severity(found: Vulnerability) -> str:
    """The score; where the security team has classed it otherwise, the lowest score of that class."""
    if found.score is None or found.classing is not None:
        return _SCORES[found.severity]
    return f"{found.score.score:.1f}"


def _aliases(found: Vulnerability) -> str:
    return f"Also {', '.join(found.aliases)}. " if found.aliases else ""


def _result(scanned: Scanned, one: Sighted, rule: int) -> dict[str, Any]:
    found = one.found
    result: dict[str, Any] = {
        "ruleId": found.id,
        "ruleIndex": rule,
        "level": _LEVELS[found.severity],
        "message": {"text": clean(_message(one))},
        "locations": [_location(scanned, one)],
        "partialFingerprints": {"wharfinger/v1": _fingerprint(one)},
        "properties": {
            "purl": found.purl,
            "fixedVersion": found.fixed_version,
            "inherited": found.inherited,
            "platform": one.platform,
            "layer": found.layer,
            "confidence": one.component.confidence if one.component else 1.0,
        },
    }
    if one.said is not None and one.said.state in HARMLESS:
        result["suppressions"] = [_suppression(one.said)]
    return result


def _message(one: Sighted) -> str:
    found = one.found
    fix = f"fixed in {found.fixed_version}" if found.fixed_version else "no fixed version is known"
    origin = " It comes with the base image." if found.inherited else ""
    layer = f", layer {one.layer.index}: {one.instruction or 'instruction unknown'}" if one.layer else ""
    return f"{found.id} in {found.component} {found.version} ({fix}). {one.platform}{layer}.{origin}"


def _location(scanned: Scanned, one: Sighted) -> dict[str, Any]:
    """The file that told of the component. What has none, as the code hosts want one, has the image's name."""
    path = clean(one.path or scanned.image)
    layer = f"layer {one.layer.index}" if one.layer else "no layer"
    whole = f"{one.platform}/{one.found.layer or 'no layer'}"
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(path.lstrip("/")), "uriBaseId": _ROOT},
            "region": {"startLine": 1},
        },
        "logicalLocations": [{"name": layer, "fullyQualifiedName": whole, "kind": "layer"}],
        "message": {"text": f"{one.found.component} in {layer} of {one.platform}"},
    }


def _fingerprint(one: Sighted) -> str:
    """The same matter in the same place of the next version of the image."""
    parts = f"{key_for(one.found)}\n{one.platform}\n{one.path}"
    return hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()


def _suppression(said: VexStatement) -> dict[str, str]:
    words = f"{said.state}{f', {said.justification}' if said.justification else ''}: {said.words}"
    return {"kind": "external", "justification": clean(words)}
