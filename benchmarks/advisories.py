"""The import of a whole ecosystem's advisories, and of the few that have changed in it since.

    python -m benchmarks.advisories [--records 100000] [--changed 1000]

The records are real ones (OSV exports in ../shared/data beside the checkout), each repeated under ids and names of its
own until there are as many; without them, ones that are made in their likeness. They are packed as OSV's own exports
are (all.zip, a member a record), as lines, and as a folder of files. The baseline reads the same zip with the standard
library and parses every record, and does nothing with it.
"""

import argparse
import gzip
import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figures import note, show, within
from models.policy import SeverityClasses
from models.scans import Component
from scanning.advisories import AdvisoryStore
from scanning.advisory_imports import Imported

RECORDS, CHANGED = 100_000, 1_000
#: seconds for as many
MOST_IMPORT, MOST_INCREMENTAL = 60.0, 2.0

_REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "osv"
_VERSIONS = 40
_COMPONENTS = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--changed", type=int, default=CHANGED)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wharfinger-advisories-") as place:
        measure(Path(place), asked.records, asked.changed)


def measure(folder: Path, count: int, changed: int) -> None:
    note(f"making {count:,} records, of which {changed:,} change")
    places = {"all.zip": folder / "all.zip", "lines": folder / "all.jsonl.gz", "folder of files": folder / "files"}
    every = max(1, count // changed)
    _write(places, enumerate(_records(count)))
    begun = time.process_time()
    baseline = _timed(lambda: _parse(places["all.zip"]))
    baseline_processor = time.process_time() - begun
    stores = {name: AdvisoryStore(folder / f"{name}.sqlite") for name in places}
    forms = {}
    for name, place in places.items():
        note(f"importing: {name}")
        forms[name] = _Form(stores[name], place)
        forms[name].first_time()
    note("changing some")
    records = ((number, record) for number, record in enumerate(_records(count)))
    _write(places, ((number, _changed(record) if number % every == 0 else record) for number, record in records), every)
    for name, form in forms.items():
        note(f"importing what has changed: {name}")
        form.second_time()
        _check(form, count, changed)
    matching = _timed(lambda: _match(stores["all.zip"])) / _COMPONENTS * 1000
    _show(forms, (baseline, baseline_processor), matching, count, changed)


def _show(forms: "dict[str, _Form]", baseline: tuple[float, float], matching: float, count: int, changed: int) -> None:
    zipped = forms["all.zip"]
    source = "real records (../shared/data/osv), repeated" if _REAL.exists() else "generated records"
    show(
        f"Import of {count:,} advisories, then of {changed:,} changed ones among them",
        (
            "export",
            "first import, s",
            "of the processor, s",
            "the same again, s",
            "with the changes, s",
            "of the processor, s",
        ),
        [
            (name, form.first, form.first_cpu, form.again, form.incremental, form.incremental_cpu)
            for name, form in forms.items()
        ],
        {
            "import_seconds": zipped.first,
            "incremental_seconds": zipped.incremental,
            "import_ratio": zipped.first_cpu / baseline[1],
            "import_cpu_seconds": zipped.first_cpu,
            "incremental_cpu_seconds": zipped.incremental_cpu,
            "records": count,
            "changed": changed,
        },
        [
            f"import: {within(zipped.first, MOST_IMPORT)} s",
            f"incremental: {within(zipped.incremental, MOST_INCREMENTAL)} s",
            f"baseline: reading and parsing all.zip alone took {baseline[0]:.1f} s, {baseline[1]:.1f} of the processor",
            f"the ratio is that of the processor's time: others on the machine change it least; made from {source}",
            f"matching: {matching:.2f} ms a component, over ten names of which most have many advisories",
        ],
    )


@dataclass(slots=True)
class _Form:
    """One way to pack the records; in seconds: all of them, the same again, and those that have changed."""

    store: AdvisoryStore
    place: Path
    first: float = 0.0
    again: float = 0.0
    incremental: float = 0.0
    first_cpu: float = 0.0
    incremental_cpu: float = 0.0
    done: list[Imported] = field(default_factory=list)
    named: int = 0

    def first_time(self) -> None:
        begun = time.process_time()
        self.first = _timed(self._import)
        self.first_cpu = time.process_time() - begun
        self.again = _timed(self._import)

    def second_time(self) -> None:
        mark = self.store.mark()
        begun = time.process_time()
        self.incremental = _timed(self._import)
        self.incremental_cpu = time.process_time() - begun
        self.named = len(self.store.changes_after(mark).advisories)

    def _import(self) -> None:
        self.done.append(self.store.import_from(self.place))


def _check(form: _Form, count: int, changed: int) -> None:
    """The figures are of imports that did what they should."""
    first, again, incremental = form.done
    assert first.skipped == again.skipped == incremental.skipped == 0, form.done
    assert first.added > 0.8 * count, first
    assert (again.added, again.changed) == (0, 0), again
    # withdrawn ones change nothing
    assert 0.8 * changed < incremental.changed <= changed + 1, incremental
    assert form.named >= incremental.changed, form.named


def _write(places: dict[str, Path], records: Iterator[tuple[int, dict[str, Any]]], every: int = 1) -> None:
    """As a zip, as lines and as a folder, of which only every so many files are written."""
    with (
        zipfile.ZipFile(places["all.zip"], "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        gzip.open(places["lines"], "wb", compresslevel=1) as lines,
    ):
        for number, record in records:
            content = json.dumps(record, separators=(",", ":")).encode()
            archive.writestr(f"{record['id']}.json", content)
            lines.write(content + b"\n")
            if number % every == 0:
                below = places["folder of files"] / f"{number // 1000:03}"
                below.mkdir(parents=True, exist_ok=True)
                (below / f"{record['id']}.json").write_bytes(content)


def _records(count: int) -> Iterator[dict[str, Any]]:
    known = list(_real()) or [_made(number) for number in range(1000)]
    for number in range(count):
        record = json.loads(json.dumps(known[number % len(known)]))
        turn = number // len(known)
        # several databases write under the CVE itself: a number of its own for each
        record["id"] = f"{record['id']}-{number}"
        record["aliases"] = [f"{alias}{turn}" for alias in record.get("aliases", ())]
        for entry in record.get("affected", ()):
            if "package" in entry:
                entry["package"]["name"] += f"-{turn}" if turn else ""
        yield record


def _real() -> Iterator[dict[str, Any]]:
    for path in sorted(_REAL.glob("*.jsonl.gz")):
        with gzip.open(path) as file:
            yield from map(json.loads, file)


def _made(number: int) -> dict[str, Any]:
    events = [{"introduced": "0"}, {"fixed": f"{number % 7}.{number % 50}"}]
    package = {"ecosystem": "PyPI", "name": f"package-{number % 400}"}
    versions = [f"{number % 7}.{minor}" for minor in range(number % _VERSIONS)]
    return {
        "id": f"PYSEC-2024-{number}",
        "modified": "2024-01-01T00:00:00Z",
        "aliases": [f"CVE-2024-{10_000 + number}"],
        "details": f"What is wrong with {package['name']}, and what may come of it. " * (number % 30),
        "affected": [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}], "versions": versions}],
    }


def _changed(record: dict[str, Any]) -> dict[str, Any]:
    """A range more, at a later time."""
    changed: dict[str, Any] = json.loads(json.dumps(record))
    changed["modified"] = "2028-01-01T00:00:00Z"
    for entry in changed.get("affected", ()):
        events = [{"introduced": "900"}, {"fixed": "901"}]
        kind = next((range_["type"] for range_ in entry.get("ranges", ()) if range_["type"] != "GIT"), "ECOSYSTEM")
        entry["ranges"] = [*entry.get("ranges", ()), {"type": kind, "events": events}]
    return changed


def _parse(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            json.loads(archive.read(name))


def _match(store: AdvisoryStore) -> None:
    names = ["django", "requests", "numpy", "left", "jinja2", "urllib3", "pyyaml", "flask", "unknown", "pillow"]
    components = [
        Component(purl=f"pkg:pypi/{name}@1.{number}", ecosystem="PyPI", name=name, version=f"1.{number}")
        for number in range(_COMPONENTS // len(names))
        for name in names
    ]
    assert store.match(components, SeverityClasses())


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
