"""Products found by their bits alone: precision and recall on binaries of Debian packages, beside syft and trivy.

    python -m benchmarks.identify [--folder DIR] [--seed 1] [--syft PROGRAM] [--misses FILE]

The corpus (corpus.py, corpus.toml) has the packages of both releases without their package data, half of the files
renamed. A find is (file, product, version). Precision: true finds of all finds. Recall: files that have to be found,
and are. `--folder` keeps what was downloaded; syft is looked for beside this Python and on the PATH, and left out when
it is not there; trivy is run as the scanner runs it.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.corpus import Binary, Corpus, built
from benchmarks.figures import note, show
from registry.building import FileSpec, ImageBuilder
from scanning import trivy
from scanning.identify import HEAD, Identifier

LEAST_RECALL, LEAST_PRECISION = 0.9, 0.98
#: bytes that are handed over at a time, as the pass over the layers does it
_CHUNK = 2**20
_SECONDS = 900
#: names by which syft calls the products
_SYFT = {
    "libphp": "php",
    "php-cli": "php",
    "php-fpm": "php",
    "java": "openjdk",
    "jdk": "openjdk",
    "jre": "openjdk",
    "openjdk": "openjdk",
}

Find = tuple[str, str, str]


@dataclass
class Tally:
    """Of one scanner. `wrong` are finds that are not true, `missed` files that were not found."""

    right: int = 0
    wrong: list[tuple[Binary, str, str]] = field(default_factory=list)
    found: set[str] = field(default_factory=set)
    missed: list[Binary] = field(default_factory=list)

    @property
    def precision(self) -> float:
        finds = self.right + len(self.wrong)
        return self.right / finds if finds else 1.0

    @property
    def recall(self) -> float:
        wanted = len(self.found) + len(self.missed)
        return len(self.found) / wanted if wanted else 1.0


def judged(corpus: Corpus, finds: Iterable[Find]) -> Tally:
    """Every find against the table, and every file that has to be found against the finds."""
    tally = Tally()
    by_path = {binary.path: binary for binary in corpus.binaries}
    for path, product, version in sorted(set(finds)):
        binary = by_path[path]
        if corpus.is_true(binary, product, version):
            tally.right += 1
            if binary.must and product == binary.product:
                tally.found.add(path)
        else:
            tally.wrong.append((binary, product, version))
    tally.missed = [binary for binary in corpus.binaries if binary.must and binary.path not in tally.found]
    return tally


def ours(corpus: Corpus) -> tuple[list[Find], float]:
    """What the signatures find, and how many bytes a second they look at."""
    identifier = Identifier.load()
    finds: list[Find] = []
    begin = time.process_time()
    for binary in corpus.binaries:
        content = binary.content
        if identifier.wants(binary.path, len(content), content[:HEAD]):
            chunks = (content[place : place + _CHUNK] for place in range(0, len(content), _CHUNK))
            finds += [(binary.path, one.product, one.version) for one in identifier.identify(binary.path, chunks)]
    seconds = time.process_time() - begin
    return finds, sum(len(binary.content) for binary in corpus.binaries) / seconds


def image_of(corpus: Corpus, folder: Path) -> Path:
    """The corpus as an image of one layer for each release: no package database, files as they are called now."""
    builder = ImageBuilder("linux/amd64")
    by_release: dict[str, dict[str, bytes | FileSpec]] = defaultdict(dict)
    for binary in corpus.binaries:
        by_release[binary.release][binary.path] = FileSpec(binary.content, mode=0o755)
    for release, files in by_release.items():
        builder.layer(files, f"COPY {release} /")
    builder.write(folder, "1.0")
    return folder


def by_syft(program: str, layout: Path, known: set[str]) -> list[Find]:
    """What syft finds of the products, by file; of other names nothing is counted for or against it."""
    done = subprocess.run(
        [program, "scan", "-q", "--scope", "all-layers", "-o", "syft-json", f"oci-dir:{layout}"],
        check=True,
        capture_output=True,
        timeout=_SECONDS,
        env={"PATH": "/usr/bin:/bin", "HOME": str(layout.parent), "SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )
    finds = []
    for artifact in json.loads(done.stdout)["artifacts"]:
        name = _SYFT.get(artifact["name"], artifact["name"])
        if name in known:
            finds += [(place["path"].lstrip("/"), name, artifact["version"]) for place in artifact["locations"]]
    return finds


def by_trivy(layout: Path, folder: Path) -> list[Find]:
    """What trivy finds of the products: it names binaries of Go and Rust only, so hardly anything is expected."""
    report = asyncio.run(trivy.examine(layout, work=folder, cache=folder / "cache", seconds=_SECONDS))
    said = json.loads(report.content)
    return [
        (package.get("FilePath") or result["Target"], package["Name"], package.get("Version", ""))
        for result in said.get("Results") or ()
        for package in result.get("Packages") or ()
    ]


def measured(corpus: Corpus, syft: str, folder: Path) -> tuple[dict[str, Tally], float]:
    """Every scanner's tally, and our bytes a second."""
    note(f"looking at {len(corpus.binaries):,} files ourselves")
    finds, rate = ours(corpus)
    tallies = {"wharfinger": judged(corpus, finds)}
    note("making an image of them")
    layout = image_of(corpus, folder / "image")
    paths = {binary.path for binary in corpus.binaries}
    known = {binary.product for binary in corpus.binaries} - {""}
    if syft:
        note("asking syft")
        tallies["syft"] = judged(corpus, (find for find in by_syft(syft, layout, known) if find[0] in paths))
    note("asking trivy")
    theirs = (find for find in by_trivy(layout, folder) if find[0] in paths and find[1] in known)
    tallies["trivy"] = judged(corpus, theirs)
    return tallies, rate


def report(corpus: Corpus, tallies: dict[str, Tally], rate: float) -> bool:
    """The table by product; whether the limits are kept."""
    products = sorted({binary.product for binary in corpus.binaries if binary.must})
    rows: list[list[object]] = []
    for product in products:
        wanted = [binary for binary in corpus.binaries if binary.must and binary.product == product]
        cells: list[object] = [product, len(wanted)]
        for tally in tallies.values():
            wrong = sum(name == product for _, name, _ in tally.wrong)
            found = sum(binary.path in tally.found for binary in wanted)
            cells.append(f"{found}" + (f" ({wrong} false)" if wrong else ""))
        rows.append(cells)
    total = sum(binary.must for binary in corpus.binaries)
    rows.append(["recall", total, *(f"{tally.recall:.3f}" for tally in tallies.values())])
    rows.append(["precision", "", *(f"{tally.precision:.3f}" for tally in tallies.values())])
    figures: dict[str, float | int] = {
        "precision": tallies["wharfinger"].precision,
        "recall": tallies["wharfinger"].recall,
        "files": len(corpus.binaries),
        "packages": corpus.packages,
        "megabytes_per_second": rate / 1e6,
    }
    for name in set(tallies) - {"wharfinger"}:
        figures |= {f"{name}_precision": tallies[name].precision, f"{name}_recall": tallies[name].recall}
    show(
        f"Identified by content: {len(corpus.binaries):,} files of {corpus.packages} packages, half of them renamed",
        ["product", "files", *tallies],
        rows,
        figures,
        [f"Not in the archive: {', '.join(corpus.missing)}."] if corpus.missing else [],
    )
    mine = tallies["wharfinger"]
    return mine.recall >= LEAST_RECALL and mine.precision >= LEAST_PRECISION


def _misses(tallies: dict[str, Tally]) -> str:
    lines = []
    for name, tally in tallies.items():
        lines += [f"# {name}: {len(tally.wrong)} false, {len(tally.missed)} missed"]
        lines += [
            f"false {binary.release} {binary.package} {binary.original}: {product} {version}"
            f" (is {binary.product or 'none of them'} {binary.version})"
            for binary, product, version in tally.wrong
        ]
        lines += [
            f"missed {binary.release} {binary.package} {binary.original}: {binary.product} {binary.version}"
            for binary in tally.missed
        ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Precision and recall of the identification of binaries.")
    parser.add_argument("--folder", type=Path, help="keeps what was downloaded for the next time")
    parser.add_argument("--seed", type=int, default=1, help="which files are renamed")
    parser.add_argument("--positives-only", action="store_true", help="without the packages that are none of them")
    parser.add_argument("--syft", default=_beside("syft"), help="the program, when it is not on the PATH")
    parser.add_argument("--misses", type=Path, help="write every false and every missed find into this file")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="identify-") as scratch:
        corpus = built(given.folder or Path(scratch), given.seed, given.positives_only)
        tallies, rate = measured(corpus, given.syft, Path(scratch))
    if given.misses:
        given.misses.write_text(_misses(tallies), encoding="utf-8")
    return 0 if report(corpus, tallies, rate) else 1


def _beside(name: str) -> str:
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name) or ""


if __name__ == "__main__":
    sys.exit(main())
