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
from scanning.osv import normal_name

PACKAGES = frozenset({"django", "pyyaml", "requests", "urllib3", "jinja2"})
_LARGEST = 500_000


def main(folder: Path) -> None:
    kept: dict[str, dict[str, Any]] = {}
    for record in records(folder):
        if not isinstance(record, dict) or record.get("withdrawn"):
            continue
        facts = facts_of(record)
        known = kept.get(record["id"])
        if facts["affected"] and (known is None or known["modified"] <= facts["modified"]):
            kept[record["id"]] = facts
    lines = [json.dumps(kept[id_], sort_keys=True, separators=(",", ":")) for id_ in sorted(kept)]
    content = "\n".join(lines) + "\n"
    if len(content) > _LARGEST:
        raise SystemExit(f"{len(content):,} bytes are too many for the repository; at most {_LARGEST:,}.")
    DEMO_ADVISORIES.write_text(content)
    print(f"{len(lines)} advisories, {len(content):,} bytes in {DEMO_ADVISORIES.name}")


def facts_of(record: dict[str, Any]) -> dict[str, Any]:
    """The record without its texts and without what other packages it affects."""
    affected = [entry for entry in record.get("affected", ()) if _wanted(entry.get("package", {}))]
    facts = {
        "id": record["id"],
        "modified": record.get("modified", ""),
        "aliases": sorted(record.get("aliases", ())),
        "affected": [_entry(entry) for entry in affected],
        "severity": record.get("severity", []),
    }
    return {name: value for name, value in facts.items() if value or name == "affected"}


def _wanted(package: dict[str, Any]) -> bool:
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
