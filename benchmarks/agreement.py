"""What the scanner finds beside what trivy finds, with the same advisories in both: every difference by its cause.

    python -m benchmarks.agreement [--real] [--advisories FOLDER] [--layouts FOLDER] [--seed 1] [--json FILE]

More than twenty images are built on the spot with packages near the bounds of the advisories; `--real` adds five that
Debian's, Python's, npm's and Go's own tools make from the network, `--layouts` a folder of OCI layouts of one's own.
A statement is (ecosystem, package, installed version, vulnerability, layer), and both have to name the same fix.
docs/agreement.md explains each cause of a difference; one that is not known there is `unexplained`.
"""

import argparse
import asyncio
import json
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import trivy_db
from benchmarks.agreement_causes import Answers, Records, Statement, cause_of, first_fix
from benchmarks.agreement_images import bounds_of, samples
from benchmarks.agreement_real import build
from benchmarks.figures import note, show
from models.policy import ImageLimits, SeverityClasses
from models.scans import Component, ComponentState, ImageReport, Vulnerability
from scanning import exports, trivy
from scanning.advisories import AdvisoryStore
from scanning.scanner import Scanner

PLATFORM = "linux/amd64"
ECOSYSTEMS = ("deb", "apk", "pypi", "npm", "go")

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "osv"
#: an older state of another one
_NOT_READ = frozenset({"pypi-2024.osv.jsonl.gz"})
_SECONDS = 600.0
#: trivy's types of results -> ours
_TYPES = {"debian": "deb", "alpine": "apk", "python-pkg": "pypi", "node-pkg": "npm", "gobinary": "go"}


@dataclass(frozen=True, slots=True)
class Difference:
    """`ours` and `theirs` are the fixes that are named, None where nothing is stated at all."""

    image: str
    statement: Statement
    ours: str | None
    theirs: str | None
    cause: str


@dataclass(frozen=True, slots=True)
class Said:
    """trivy's statement: the fixes of all branches, and other names of the vulnerability."""

    statement: Statement
    fixes: str
    names: frozenset[str]


@dataclass
class Compared:
    """Of one image: statements that are the same, by ecosystem, and the differences."""

    image: str
    records: Records
    agreed: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def add(self, report: ImageReport, theirs: Iterable[Said]) -> None:
        """Both scanners' answers."""
        gone = {_place(one) for one in report.components if one.state is ComponentState.REMOVED}
        left: dict[Statement, list[Said]] = defaultdict(list)
        for said in theirs:
            left[replace(said.statement, id="")].append(said)
        for one in report.vulnerabilities:
            statement = Statement(_kind(one.purl), one.component, one.version, one.id, one.layer)
            about = left[replace(statement, id="")]
            same = [said for said in about if _is_same(said, one)]
            about[:] = [said for said in about if said not in same]
            if not same:
                self._differs(statement, one.fixed_version, None, is_gone=_place(one) in gone)
            elif one.fixed_version in {first_fix(statement, said.fixes) for said in same}:
                self.agreed[statement.ecosystem] += 1
            else:
                self._differs(statement, one.fixed_version, " | ".join(said.fixes for said in same))
        for said in (said for about in left.values() for said in about):
            self._differs(said.statement, None, said.fixes)

    def _differs(self, statement: Statement, ours: str | None, theirs: str | None, is_gone: bool = False) -> None:
        cause = "removed" if is_gone else cause_of(self.records.case(Answers(statement, ours, theirs)))
        self.differences.append(Difference(self.image, statement, ours, theirs, cause))


def _is_same(said: Said, one: Vulnerability) -> bool:
    """By its id, or by that of the record where one of the two knows no better name."""
    return said.statement.id in (one.id, *one.aliases) or one.id in said.names


def _place(one: Component | Vulnerability) -> tuple[str, str, str]:
    return one.purl, one.version, one.layer


def _kind(purl: str) -> str:
    kind = purl.removeprefix("pkg:").partition("/")[0]
    return "go" if kind == "golang" else kind


def statements_of(report: Any) -> Iterator[Said]:
    """Of trivy's report."""
    for result in report.get("Results") or ():
        for one in result.get("Vulnerabilities") or ():
            statement = Statement(
                _TYPES.get(result["Type"], result["Type"]),
                one["PkgName"],
                one["InstalledVersion"],
                one["VulnerabilityID"],
                one["Layer"]["DiffID"],
            )
            yield Said(statement, one.get("FixedVersion") or "", frozenset(one.get("VendorIDs") or ()))


@dataclass(frozen=True, slots=True)
class Pair:
    """Both scanners, with the same advisories; everything they write is below `folder`."""

    folder: Path
    records: Records

    @classmethod
    def taught(cls, folder: Path, records: list[Any]) -> "Pair":
        """Both know these records of OSV."""
        pair = cls(folder, Records.of(records))
        trivy_db.write(pair._cache, records)
        export = folder / "same.jsonl"
        export.write_text("".join(json.dumps(record) + "\n" for record in records))
        pair._advisories.import_from(export)
        return pair

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
        found = Compared(image, self.records)
        found.add(report, statements_of(said))
        return found

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


async def run(advisories: Path, others: list[Path], seed: int, target: Path | None, is_real: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="wharfinger-agreement-") as place:
        folder = Path(place)
        folder.chmod(0o711)  # trivy runs as nobody where we are root
        files = [advisories] if advisories.is_file() else sorted(advisories.glob("*.gz"))
        records = [record for file in files if file.name not in _NOT_READ for record in exports.records(file)]
        pair = Pair.taught(folder, records)
        note(f"{len(records):,} advisories in both")
        if is_real:
            await asyncio.to_thread(build, folder / "real")
            others = [*others, folder / "real"]
        found: list[Compared] = []
        for name, layout in _images(folder / "layouts", records, others, seed):
            found.append(await pair.compare(name, layout))
            note(f"{name}: {found[-1].agreed.total()} agreed, {len(found[-1].differences)} differ")
    if target:
        told = [asdict(difference) for one in found for difference in one.differences]
        target.write_text(json.dumps(told, indent=1) + "\n")
    _show(found)


def _images(folder: Path, records: list[Any], others: list[Path], seed: int) -> Iterator[tuple[str, Path]]:
    for sample in samples(bounds_of(records), seed):
        layout = folder / sample.name
        layout.mkdir(parents=True)
        sample.builder.write(layout, "1.0")
        yield sample.name, layout
    for index in (index for other in others for index in sorted(other.glob("*/index.json"))):
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
    parser.add_argument("--real", action="store_true", help="also images made by mmdebstrap, pip, npm and go")
    parser.add_argument("--layouts", type=Path, action="append", default=[], help="a folder of OCI layouts, as well")
    parser.add_argument("--seed", type=int, default=1, help="of the images that are built")
    parser.add_argument("--json", type=Path, help="where every statement that differs is written")
    given = parser.parse_args()
    asyncio.run(run(given.advisories, given.layouts, given.seed, given.json, given.real))


if __name__ == "__main__":
    main()
