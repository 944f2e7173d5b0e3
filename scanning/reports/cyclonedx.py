"""CycloneDX 1.6 in JSON: the components of every platform, and the vulnerabilities with what is said of them."""

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from models.base import digest_of
from models.findings import Severity
from models.scans import Component, ComponentState, ImageReport, Score, Vulnerability
from scanning.reports import vex_words
from scanning.reports.document import written
from scanning.reports.scanned import Scanned, Sighted, cpe_in, instruction_of, layers_of, purl_in
from scanning.texts import clean

#: lowest score of each severity word of CVSS; 2 has no word for critical
_WORDS = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"))
_KINDS_OF_TRIVY = {"pkg:deb": "debian", "pkg:apk": "alpine"}
_METHODS = {"2": "CVSSv2", "3.0": "CVSSv3", "3.1": "CVSSv31", "4.0": "CVSSv4"}
#: the hub's classes in CycloneDX's words
_CLASSES = {Severity.CRITICAL: "critical", Severity.MAJOR: "medium", Severity.MINOR: "low", Severity.UNKNOWN: "unknown"}


def write(scanned: Scanned) -> bytes:
    """One document for all platforms: each is a component of the image, and depends on what it is made of."""
    parts = [_Platform(report) for report in scanned.reports]
    root = {
        "type": "container",
        "bom-ref": f"image:{scanned.digest}",
        "name": clean(scanned.image),
        "version": scanned.digest,
        "hashes": [{"alg": "SHA-256", "content": scanned.digest.removeprefix("sha256:")}],
    }
    refs = {component: part.refs[component] for part in parts for component in part.refs}
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "",
        "version": 1,
        "metadata": {
            "timestamp": scanned.at.isoformat(),
            "tools": {"components": list(_tools(scanned))},
            "component": root,
        },
        "components": [component for part in parts for component in part.components()],
        "dependencies": [
            {"ref": root["bom-ref"], "dependsOn": [part.ref for part in parts]},
            *({"ref": part.ref, "dependsOn": [part.system_ref, *part.refs.values()]} for part in parts),
        ],
        "vulnerabilities": list(_vulnerabilities(scanned.sightings(), refs)),
    }
    # the same content has the same number
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest_of(written(document)))}"
    return written(document)


#: a component of a platform's image
_Key = tuple[str, str, str, str]


def _key(report: ImageReport, purl: str, version: str, layer: str) -> _Key:
    return report.facts.digest, purl, version, layer


class _Platform:
    """The components of one platform's image, each with a reference of its own."""

    def __init__(self, report: ImageReport) -> None:
        self.report = report
        self.ref = f"platform:{report.facts.digest}"
        self.system_ref = f"{self.ref}/os"
        self.refs: dict[_Key, str] = {}
        for component in report.components:
            key = _key(report, component.purl, component.version, component.layer)
            self.refs.setdefault(key, f"{self.ref}/{len(self.refs)}/{component.purl or clean(component.name)}")

    def components(self) -> Iterator[dict[str, Any]]:
        facts = self.report.facts
        yield {
            "type": "container",
            "bom-ref": self.ref,
            "name": facts.platform,
            "version": facts.digest,
            "hashes": [{"alg": "SHA-256", "content": facts.digest.removeprefix("sha256:")}],
            "properties": list(_properties(self._facts())),
        }
        yield {
            "type": "operating-system",
            "bom-ref": self.system_ref,
            "name": clean(facts.os_name) or "none",
            "version": clean(facts.os_version),
        }
        layers = {diff_id: layer.index for diff_id, layer in layers_of(self.report).items()}
        occurrences: dict[_Key, list[str]] = {}
        first: dict[_Key, Component] = {}
        for component in self.report.components:
            key = _key(self.report, component.purl, component.version, component.layer)
            first.setdefault(key, component)
            if component.path:
                occurrences.setdefault(key, []).append(component.path)
        for key, component in first.items():
            yield _component(
                component, self.refs[key], layers.get(component.layer), list(dict.fromkeys(occurrences.get(key, ())))
            )

    def _facts(self) -> Iterator[tuple[str, object]]:
        facts, base = self.report.facts, self.report.base
        yield "platform", facts.platform
        yield "size", facts.size
        for layer in facts.layers:
            yield f"layer:{layer.index}", f"{layer.diff_id} {instruction_of(layer)}".strip()
        if base:
            yield "base", f"{base.reference}@{base.digest}"
            yield "base:layers", base.layers
            if base.rebuild:
                rebuild = base.rebuild
                yield "base:rebuild", f"{rebuild.reference}@{rebuild.digest}"
                yield "base:rebuild:mends", f"{rebuild.mended} of {rebuild.inherited}"


def _component(component: Component, ref: str, layer: int | None, paths: list[str]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "type": "library" if component.confidence == 1 else "application",
        "bom-ref": ref,
        "name": clean(component.name),
        "version": clean(component.version),
    }
    if purl := purl_in(component):
        said["purl"] = purl
    if cpe := cpe_in(component):
        said["cpe"] = cpe
    properties: list[tuple[str, object]] = [("ecosystem", component.ecosystem), ("layer:diff_id", component.layer)]
    properties += [("layer", "" if layer is None else layer), ("state", component.state)]
    properties += [("evidence", component.evidence), ("source", _source(component))]
    said["properties"] = [*_properties(properties), *_for_trivy(component)]
    said["evidence"] = _evidence(component, paths)
    return said


def _evidence(component: Component, paths: list[str]) -> dict[str, Any]:
    """What we go by, and how sure we are: package data says of itself what it is, a binary is identified by content."""
    binary = component.confidence < 1
    technique = "binary-analysis" if binary else "manifest-analysis"
    method = {"technique": technique, "confidence": component.confidence, "value": clean(component.evidence)}
    cpe = cpe_in(component)
    field, value = ("cpe", cpe) if cpe else ("purl", purl_in(component))
    if not value:
        field, value = "name", clean(component.name)
    evidence: dict[str, Any] = {
        "identity": [{"field": field, "confidence": component.confidence, "concludedValue": value, "methods": [method]}]
    }
    if paths:
        evidence["occurrences"] = [{"location": clean(path)} for path in paths]
    return evidence


def _source(component: Component) -> str:
    """The source package that advisories go by, where it is another one."""
    if component.source_name in ("", component.name):
        return ""
    return f"{component.source_name} {component.source_version or component.version}"


def _for_trivy(component: Component) -> Iterator[dict[str, str]]:
    """The source package in trivy's own words: without it `trivy sbom` finds a part of what is known of Debian's."""
    kind = _KINDS_OF_TRIVY.get(component.purl.partition("/")[0])
    if kind is None or not component.source_name:
        return
    version = component.source_version or component.version
    epoch, colon, rest = version.partition(":")
    said = {"PkgType": kind, "SrcName": component.source_name}
    if kind == "alpine":
        said["SrcVersion"] = version
    else:
        upstream, _, release = (rest if colon else version).rpartition("-")
        said |= {"SrcVersion": upstream or release, "SrcRelease": release if upstream else ""}
        said |= {"SrcEpoch": epoch if colon else ""}
    yield from ({"name": f"aquasecurity:trivy:{name}", "value": clean(value)} for name, value in said.items() if value)


def _properties(said: Iterable[tuple[str, object]]) -> Iterator[dict[str, str]]:
    return ({"name": f"wharfinger:{name}", "value": clean(str(value))} for name, value in said if value != "")


def _tools(scanned: Scanned) -> Iterator[dict[str, Any]]:
    scanners = {report.scanner.name: report.scanner for report in scanned.reports}
    for scanner in scanners.values():
        said = [("advisories", scanner.advisory_snapshot)]
        yield {
            "type": "application",
            "name": scanner.name,
            "version": scanner.version,
            "properties": list(_properties(said)),
        }


def _vulnerabilities(sightings: Iterable[Sighted], refs: dict[_Key, str]) -> Iterator[dict[str, Any]]:
    """One entry for each vulnerability of which the same is said, with everything that it affects."""
    groups: dict[tuple[object, ...], list[Sighted]] = {}
    for one in sightings:
        found = one.found
        groups.setdefault((found.id, found.advisory, found.score, found.classing, found.severity, one.said), []).append(
            one
        )
    for number, group in enumerate(groups.values()):
        yield _vulnerability(number, group, refs)


def _vulnerability(number: int, group: list[Sighted], refs: dict[_Key, str]) -> dict[str, Any]:
    found, said = group[0].found, group[0].said
    entry: dict[str, Any] = {
        "bom-ref": f"vulnerability:{number}:{found.id}",
        "id": found.id,
        "ratings": list(_ratings(found)),
        "affects": list(_affects(group, refs)),
        "properties": list(_properties(_marks(group))),
    }
    if found.url:
        entry["source"] = {"url": found.url}
    names = [name for name in dict.fromkeys((found.advisory, *found.aliases)) if name != found.id]
    if names:
        entry["references"] = [{"id": name, "source": {"name": "OSV"}} for name in names]
    if found.summary:
        entry["description"] = clean(found.summary)
    fixes = dict.fromkeys((one.found.component, one.found.fixed_version) for one in group if one.found.fixed_version)
    if fixes:
        entry["recommendation"] = clean("; ".join(f"update {name} to {fixed} or later" for name, fixed in fixes))
    if said is not None:
        entry["analysis"] = vex_words.analysis_of(said)
        entry["properties"] += list(_properties(vex_words.properties_of(said)))
    return entry


def _ratings(found: Vulnerability) -> Iterator[dict[str, Any]]:
    """The security team's class comes first, then the score; what is not scored has the severity `unknown`."""
    if found.classing:
        yield {
            "source": {"name": "the hub's security team"},
            "severity": _CLASSES[found.classing.severity],
            "method": "other",
            "justification": clean(found.classing.reason),
        }
    if score := found.score:
        yield {
            "source": {"name": score.source},
            "score": score.score,
            "severity": _word_of(score),
            "method": _METHODS.get(score.version, "other"),
            "vector": score.vector,
        }
    elif not found.classing:
        yield {"severity": "unknown"}


def _word_of(score: Score) -> str:
    word = next((word for lowest, word in _WORDS if score.score >= lowest), "none")
    return "high" if word == "critical" and score.version == "2" else word


def _affects(group: list[Sighted], refs: dict[_Key, str]) -> Iterator[dict[str, Any]]:
    seen = set()
    for one in group:
        found = one.found
        ref = refs.get(_key(one.report, found.purl, found.version, found.layer), f"platform:{one.report.facts.digest}")
        if ref in seen:
            continue
        seen.add(ref)
        versions = [{"version": clean(found.version), "status": vex_words.affected_of(one.said)}]
        yield {"ref": ref, "versions": versions} if found.version else {"ref": ref}


def _marks(group: list[Sighted]) -> Iterator[tuple[str, object]]:
    found = group[0].found
    yield "class", found.severity
    if found.exploited:
        yield "known-exploited", found.exploited.added
        if found.exploited.due:
            yield "known-exploited:due", found.exploited.due
        if found.exploited.ransomware:
            yield "known-exploited:ransomware", "true"
    inherited = {one.found.inherited for one in group}
    yield "inherited", "true" if inherited == {True} else "partly" if len(inherited) > 1 else "false"
    removed = {one.component.state for one in group if one.component}
    if removed == {ComponentState.REMOVED}:
        yield "state", ComponentState.REMOVED
