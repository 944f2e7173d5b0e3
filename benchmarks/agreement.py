"""What the scanner finds beside what trivy finds, with the same advisories in both: every difference by its cause.

    python -m benchmarks.agreement [--advisories FOLDER] [--layouts FOLDER] [--seed 1] [--json FILE]

More than twenty images are built on the spot with packages near the bounds of the advisories; `--layouts` adds images
of one's own, a folder of OCI layouts. A statement is (ecosystem, package, installed version, vulnerability, layer), and
both have to name the same fix. docs/agreement.md explains each cause; one that is not known there is `unexplained`.
"""

import argparse
import asyncio
import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import trivy_db
from benchmarks.agreement_images import bounds_of, samples
from benchmarks.figures import note, show
from models.policy import ImageLimits, SeverityClasses
from models.scans import ComponentState, ImageReport
from scanning import exports, trivy
from scanning.advisories import AdvisoryStore
from scanning.scanner import Scanner
from scanning.version_keys import InvalidVersion
from scanning.versions import compare

PLATFORM = "linux/amd64"
ECOSYSTEMS = ("deb", "apk", "pypi", "npm", "go")

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "osv"
#: an older state of another one
_NOT_READ = frozenset({"pypi-2024.osv.jsonl.gz"})
_SECONDS = 600.0
#: trivy's types of results -> ours
_TYPES = {"debian": "deb", "alpine": "apk", "python-pkg": "pypi", "node-pkg": "npm", "gobinary": "go"}
_ORDERS = {"deb": "Debian", "apk": "Alpine", "pypi": "PyPI", "npm": "npm", "go": "Go"}


@dataclass(frozen=True, slots=True, order=True)
class Statement:
    """That a package of a layer has a vulnerability."""

    ecosystem: str
    package: str
    version: str
    id: str
    layer: str


@dataclass(frozen=True, slots=True)
class Difference:
    """`ours` and `theirs` are the fixes that are named, None where nothing is stated at all."""

    image: str
    statement: Statement
    ours: str | None
    theirs: str | None
    cause: str


@dataclass
class Compared:
    """Of one image: statements that are the same, by ecosystem, and the differences."""

    image: str
    agreed: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)


def compared(image: str, report: ImageReport, theirs: Mapping[Statement, str]) -> Compared:
    """Both scanners' answers for one image."""
    found = Compared(image)
    gone = {
        (component.purl, component.version, component.layer)
        for component in report.components
        if component.state is ComponentState.REMOVED
    }
    left = dict(theirs)
    for one in report.vulnerabilities:
        ecosystem = _kind(one.purl)
        said = [
            statement
            for id_ in (one.id, *one.aliases)
            if (statement := Statement(ecosystem, one.component, one.version, id_, one.layer)) in left
        ]
        fixes = [left.pop(statement) for statement in said]
        statement = Statement(ecosystem, one.component, one.version, one.id, one.layer)
        if not fixes:
            cause = "removed" if (one.purl, one.version, one.layer) in gone else _cause(statement, theirs=False)
            found.differences.append(Difference(image, statement, one.fixed_version, None, cause))
        elif one.fixed_version in {_first_fix(statement, fix) for fix in fixes}:
            found.agreed[ecosystem] += 1
        else:
            cause = "fix"
            found.differences.append(Difference(image, statement, one.fixed_version, " | ".join(fixes), cause))
    for statement, fix in left.items():
        found.differences.append(Difference(image, statement, None, fix, _cause(statement, theirs=True)))
    return found


def _cause(statement: Statement, *, theirs: bool) -> str:
    return "unexplained"


def _first_fix(statement: Statement, listed: str) -> str:
    """trivy names the fixes of all branches, `2.2.24, 3.1.12, 3.2.4`: the first one that is an upgrade."""
    order = _ORDERS[statement.ecosystem]
    later: list[str] = []
    for fix in listed.split(", "):
        try:
            if compare(order, fix, statement.version) > 0 and not (later and compare(order, later[0], fix) < 0):
                later = [fix]
        except InvalidVersion:
            continue
    return later[0] if later else ""


def _kind(purl: str) -> str:
    kind = purl.removeprefix("pkg:").partition("/")[0]
    return "go" if kind == "golang" else kind


def statements_of(report: Any) -> dict[Statement, str]:
    """Of trivy's report, with the fixes that it names."""
    return dict(_statements(report))


def _statements(report: Any) -> Iterator[tuple[Statement, str]]:
    for result in report.get("Results") or ():
        for one in result.get("Vulnerabilities") or ():
            statement = Statement(
                _TYPES.get(result["Type"], result["Type"]),
                one["PkgName"],
                one["InstalledVersion"],
                one["VulnerabilityID"],
                one["Layer"]["DiffID"],
            )
            yield statement, one.get("FixedVersion") or ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both scanners, with the same advisories; everything they write is below `folder`."""

    folder: Path

    def teach(self, records: Iterable[Any]) -> int:
        """Errors: those of an import."""
        said = list(records)
        trivy_db.write(self._cache, said)
        export = self.folder / "same.jsonl"
        export.write_text("".join(json.dumps(record) + "\n" for record in said))
        return self._advisories.import_from(export).total

    async def compare(self, image: str, layout: Path, platform: str = PLATFORM) -> Compared:
        """A layout of one image."""
        scanner = Scanner(
            self._advisories,
            SeverityClasses(),
            ImageLimits(),
            self.folder / "work",
            self.folder / "layers",
            seconds=_SECONDS,
        )
        report = await scanner.scan(layout, platform, lambda _: None)
        said = await asyncio.to_thread(self._trivy, layout)
        return compared(image, report, statements_of(said))

    @property
    def _advisories(self) -> AdvisoryStore:
        return AdvisoryStore(self.folder / "advisories.sqlite")

    @property
    def _cache(self) -> Path:
        return self.folder / "cache"

    def _trivy(self, layout: Path) -> Any:
        command = [trivy.program(), "image", "--quiet", "--scanners=vuln", "--format=json", "--ignorefile="]
        command += ["--skip-version-check", "--disable-telemetry", "--skip-db-update", "--skip-java-db-update"]
        command += ["--offline-scan", "--skip-check-update", f"--cache-dir={self._cache}", f"--input={layout}"]
        done = subprocess.run(command, capture_output=True, check=True, timeout=_SECONDS)
        return json.loads(done.stdout)


async def run(advisories: Path, layouts: Path | None, seed: int, target: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="wharfinger-agreement-") as place:
        folder = Path(place)
        folder.chmod(0o711)  # trivy runs as nobody where we are root
        files = [advisories] if advisories.is_file() else sorted(advisories.glob("*.gz"))
        records = [record for file in files if file.name not in _NOT_READ for record in exports.records(file)]
        pair = Pair(folder)
        note(f"{pair.teach(records):,} advisories in both")
        found: list[Compared] = []
        for name, layout in _images(folder / "layouts", records, layouts, seed):
            found.append(await pair.compare(name, layout))
            note(f"{name}: {found[-1].agreed.total()} agreed, {len(found[-1].differences)} differ")
    if target:
        told = [asdict(difference) for one in found for difference in one.differences]
        target.write_text(json.dumps(told, indent=1) + "\n")
    _show(found)


def _images(folder: Path, records: list[Any], layouts: Path | None, seed: int) -> Iterator[tuple[str, Path]]:
    for sample in samples(bounds_of(records), seed):
        layout = folder / sample.name
        layout.mkdir(parents=True)
        sample.builder.write(layout, "1.0")
        yield sample.name, layout
    for index in sorted(layouts.glob("*/index.json")) if layouts else ():
        yield index.parent.name, index.parent


def _show(found: list[Compared]) -> None:
    rows = []
    for one in found:
        causes = Counter(difference.cause for difference in one.differences)
        said = ", ".join(f"{count} {cause}" for cause, count in sorted(causes.items()))
        rows.append((one.image, *(one.agreed[name] or "" for name in ECOSYSTEMS), said))
    agreed = sum((one.agreed for one in found), Counter[str]())
    causes = Counter(difference.cause for one in found for difference in one.differences)
    rows.append(("all", *(agreed[name] for name in ECOSYSTEMS), str(causes.total())))
    show(
        f"Agreement with trivy over {len(found)} images",
        ("image", *ECOSYSTEMS, "differences"),
        rows,
        {
            "images": len(found),
            "agreed": agreed.total(),
            "differences": causes.total(),
            "unexplained": causes["unexplained"],
            **{f"agreed_{name}": agreed[name] for name in ECOSYSTEMS},
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agreement", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--advisories", type=Path, default=_SHARED, help="OSV exports: a file, or a folder of *.gz")
    parser.add_argument("--layouts", type=Path, help="a folder of OCI layouts, to be compared as well")
    parser.add_argument("--seed", type=int, default=1, help="of the images that are built")
    parser.add_argument("--json", type=Path, help="where every statement that differs is written")
    given = parser.parse_args()
    asyncio.run(run(given.advisories, given.layouts, given.seed, given.json))


if __name__ == "__main__":
    main()
