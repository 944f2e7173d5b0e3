"""trivy's database from OSV records: trivy and our own store know the same, and what they say can be compared.

>>> write(cache, exports.records(Path("go.osv.jsonl.gz")))

Written is what trivy-db itself makes of such records, in the order of their own events: `debian 12`/SOURCE/CVE and
`alpine 3.11`/SOURCE/CVE with the version that fixes it, `pip::SOURCE`/NAME/CVE with the constraints of its ranges. Then
`trivy image --cache-dir=CACHE --skip-db-update --offline-scan --scanners=vuln` finds them.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion as InvalidPythonVersion
from packaging.version import Version as PythonVersion

from benchmarks import bbolt
from scanning.versions import compare

#: OSV's ecosystem -> trivy's, of languages
_LANGUAGES = {"PyPI": "pip", "npm": "npm", "Go": "go"}
#: OSV's ecosystem -> trivy's, of distributions
_DISTRIBUTIONS = {"Debian": "debian", "Alpine": "alpine"}
#: beginning of an id -> (id, name) of the source in trivy's words
_SOURCES = {
    "GHSA": ("ghsa", "GitHub Security Advisory"),
    "PYSEC": ("osv", "Open Source Vulnerability"),
    "GO": ("govulndb", "The Go Vulnerability Database"),
    "NSWG": ("nodejs-security-wg", "Node.js Ecosystem Security Working Group"),
}
_METADATA = {
    "Version": 2,
    "NextUpdate": "2099-01-01T00:00:00Z",
    "UpdatedAt": "2026-01-01T00:00:00Z",
    "DownloadedAt": "2026-01-01T00:00:00Z",
}
#: bucket -> package -> id -> advisory
_Advisories = dict[str, dict[str, dict[str, dict[str, Any]]]]


def write(cache: Path, records: Iterable[Any]) -> int:
    """The database below a cache folder of trivy, from records as OSV has them; withdrawn ones are left out, and so are
    ecosystems that are not compared. Returns how many (package, vulnerability) are in it."""
    advisories: _Advisories = defaultdict(lambda: defaultdict(dict))
    sources: dict[str, dict[str, str]] = {}
    titles: dict[str, str] = {}
    for record in records:
        if not isinstance(record, dict) or record.get("withdrawn"):
            continue
        for entry in record.get("affected") or ():
            ecosystem, name = entry["package"]["ecosystem"], entry["package"]["name"]
            bucket, source = _bucket(ecosystem, record["id"])
            if not bucket:
                continue
            sources[bucket] = source
            for id_ in _ids(record):
                titles[id_] = record.get("summary") or ""
                _add(
                    advisories[bucket][_name(ecosystem, name)],
                    id_,
                    entry,
                    [record["id"], *(record.get("aliases") or ())],
                )
    folder = cache / "db"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.json").write_text(json.dumps(_METADATA))
    bbolt.write(folder / "trivy.db", _tree(advisories, sources, titles))
    return sum(len(found) for packages in advisories.values() for found in packages.values())


def _tree(advisories: _Advisories, sources: dict[str, dict[str, str]], titles: dict[str, str]) -> bbolt.Tree:
    tree: dict[str, bbolt.Tree] = {
        "data-source": {bucket: _json(source) for bucket, source in sources.items()},
        "vulnerability": {id_: _json({"Title": title, "Severity": "UNKNOWN"}) for id_, title in titles.items()},
    }
    for bucket, packages in advisories.items():
        tree[bucket] = {
            name: {id_: _json(advisory) for id_, advisory in found.items()} for name, found in packages.items()
        }
    return tree


def _bucket(ecosystem: str, id_: str) -> tuple[str, dict[str, str]]:
    base, _, release = ecosystem.partition(":")
    if base in _DISTRIBUTIONS:
        name = f"{_DISTRIBUTIONS[base]} {release.removeprefix('v')}"
        return name, {"ID": _DISTRIBUTIONS[base], "Name": name, "URL": "https://osv.dev"}
    if base not in _LANGUAGES:
        return "", {}
    source, title = _SOURCES.get(id_.partition("-")[0], ("osv", "Open Source Vulnerability"))
    return f"{_LANGUAGES[base]}::{title}", {"ID": source, "Name": title, "URL": "https://osv.dev"}


def _name(ecosystem: str, name: str) -> str:
    """As trivy looks for it: it knows no case of PyPI's and npm's names."""
    if ecosystem == "PyPI":
        return name.lower().replace("_", "-").replace(".", "-")
    return name.lower() if ecosystem == "npm" else name


def _ids(record: Mapping[str, Any]) -> list[str]:
    """What the record is about: its CVEs, or itself."""
    names = [record["id"], *(record.get("aliases") or ())]
    return sorted({name for name in names if name.startswith("CVE-")}) or [record["id"]]


def _add(found: dict[str, dict[str, Any]], id_: str, entry: Mapping[str, Any], names: Iterable[str]) -> None:
    """Several entries about one package and vulnerability are one advisory."""
    ecosystem = entry["package"]["ecosystem"]
    if ecosystem.partition(":")[0] in _DISTRIBUTIONS:
        known = found.get(id_, {}).get("FixedVersion", "")
        fixed = _fixed(entry)
        # trivy knows one fix for each: the later one mends by every account
        if not known or compare(ecosystem, known, fixed) < 0:
            found[id_] = {"FixedVersion": fixed}
        return
    vulnerable = list(_constraints(entry))
    patched = [bound for kind, bound in _events(entry) if kind == "fixed"]
    said = found.setdefault(id_, {"VendorIDs": [], "VulnerableVersions": [], "PatchedVersions": []})
    said["VendorIDs"] += [
        name for name in names if not name.startswith("CVE-") and name not in (id_, *said["VendorIDs"])
    ]
    said["VulnerableVersions"] += [one for one in vulnerable if one not in said["VulnerableVersions"]]
    said["PatchedVersions"] += [one for one in patched if one not in said["PatchedVersions"]]


def _fixed(entry: Mapping[str, Any]) -> str:
    return next((bound for kind, bound in _events(entry) if kind == "fixed"), "")


def _events(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for said in entry.get("ranges") or ():
        if said["type"] != "GIT":
            yield from (event for events in said["events"] for event in events.items())


def _constraints(entry: Mapping[str, Any]) -> Iterator[str]:
    """`>=1.0, <1.2` for each `introduced` and what follows it, and `=1.1` for what only the list names."""
    intervals: list[tuple[str, str, str]] = []
    for kind, bound in _events(entry):
        if kind == "introduced":
            intervals.append((bound, "", ""))
        elif kind in ("fixed", "last_affected") and intervals:
            intervals[-1] = (intervals[-1][0], "<" if kind == "fixed" else "<=", bound)
    for low, sign, high in intervals:
        above = "" if low == "0" and sign else f">={low}"
        yield ", ".join(part for part in (above, sign + high) if part)
    if entry.get("versions"):
        yield from (f"={listed}" for listed in entry["versions"] if not _is_within(listed, intervals))


def _is_within(version: str, intervals: list[tuple[str, str, str]]) -> bool:
    """By Python's own rules: only PyPI's records have both. What cannot be read is not within."""
    try:
        found = PythonVersion(version)
        return any(
            (low == "0" or PythonVersion(low) <= found)
            and (not sign or found < PythonVersion(high) or (sign == "<=" and found == PythonVersion(high)))
            for low, sign, high in intervals
        )
    except InvalidPythonVersion:
        return False


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
