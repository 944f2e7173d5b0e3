"""Makes the demo's advisories from OSV exports of PyPI: facts only, for the packages that the demo's images carry.

    python scripts/make_demo_advisories.py FOLDER_WITH_OSV_EXPORTS

Kept are ids, times, affected ranges and versions, and severity vectors. Texts are not: the licence of what is left is
told in scanning/data/NOTICE. The same exports make the same file.
"""

import json
import sys
from pathlib import Path
from typing import Any

from scanning.demo import DEMO_ADVISORIES
from scanning.exports import records
from scanning.osv import normal_name, parse_record

PACKAGES = frozenset({"django", "pyyaml", "requests", "urllib3", "jinja2"})
_LARGEST = 500_000


def main(folder: Path) -> None:
    content = made_from(folder)
    if len(content) > _LARGEST:
        raise SystemExit(f"{len(content):,} bytes are too many for the repository; at most {_LARGEST:,}.")
    DEMO_ADVISORIES.write_text(content)
    print(f"{content.count(chr(10))} advisories, {len(content):,} bytes in {DEMO_ADVISORIES.name}")


def made_from(folder: Path) -> str:
    """One record a line, by id. Of several exports the youngest record counts, also when it is withdrawn."""
    youngest: dict[str, tuple[str, dict[str, Any]]] = {}
    for record in records(folder):
        if not isinstance(record, dict) or not any(_wanted(entry) for entry in record.get("affected", ())):
            continue
        modified = parse_record(record).modified
        if modified >= youngest.get(record["id"], ("", {}))[0]:
            youngest[record["id"]] = (modified, record)
    kept = (facts_of(record) for _, (_, record) in sorted(youngest.items()) if not record.get("withdrawn"))
    return "".join(json.dumps(facts, sort_keys=True, separators=(",", ":")) + "\n" for facts in kept)


def facts_of(record: dict[str, Any]) -> dict[str, Any]:
    """The record without its texts and without what other packages it affects."""
    affected = [entry for entry in record.get("affected", ()) if _wanted(entry)]
    facts = {
        "id": record["id"],
        "modified": record.get("modified", ""),
        "aliases": sorted(record.get("aliases", ())),
        "affected": [_entry(entry) for entry in affected],
        "severity": record.get("severity", []),
    }
    return {name: value for name, value in facts.items() if value}


def _wanted(entry: dict[str, Any]) -> bool:
    package = entry.get("package", {})
    return package.get("ecosystem") == "PyPI" and normal_name("PyPI", package.get("name", "")) in PACKAGES


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    ranges = [said for said in entry.get("ranges", ()) if said.get("type") != "GIT"]
    package = {"ecosystem": "PyPI", "name": normal_name("PyPI", entry["package"]["name"])}
    kept = {"package": package, "ranges": [{"type": said["type"], "events": said["events"]} for said in ranges]}
    # the list says nothing that the ranges do not, where there are ranges
    return kept if ranges else {**kept, "versions": entry.get("versions", [])}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
