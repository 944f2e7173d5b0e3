"""The corpus of the benchmark `identify`: binaries of Debian packages, half of them renamed, and what is true of them.

Packages come through apt with a configuration of its own, from wherever this machine's apt has its packages; nothing
is installed. What is true is read off the packages (corpus.toml): the source package says whose file it is, and its
version which.
"""

import fnmatch
import hashlib
import io
import random
import re
import subprocess
import tarfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.figures import note

TABLE = Path(__file__).with_name("corpus.toml")
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_SECONDS = 600
_ELF = b"\x7fELF"
_EPOCH = re.compile(r"^\d+:")
#: what packagers add to an upstream version
_ADDED = re.compile(r"([+~.-](dfsg|ds|repack|really|deb|git)).*$")


@dataclass(frozen=True, slots=True)
class Binary:
    """One file of the corpus. `product` is empty where nothing is to be found; `must`: it has to be found."""

    release: str
    package: str
    original: str
    path: str
    content: bytes
    product: str
    version: str
    must: bool


@dataclass(frozen=True, slots=True)
class Corpus:
    """`bundled` are (package, product, version pattern) that are true by hand."""

    binaries: tuple[Binary, ...]
    packages: int
    missing: tuple[str, ...]
    bundled: tuple[tuple[str, str, str], ...]

    def is_true(self, binary: Binary, product: str, version: str) -> bool:
        """Whether a find in the file is right."""
        if product == binary.product:
            return same_version(version, binary.version)
        return any(
            (binary.package, product) == (package, name) and fnmatch.fnmatchcase(version, pattern)
            for package, name, pattern in self.bundled
        )


def same_version(found: str, true: str) -> bool:
    """OpenJDK's builds count on after a plus."""
    return found == true or found.partition("+")[0] == true.partition("+")[0]


def upstream(version: str) -> str:
    """`1:9.2p1-2+deb12u5` -> `9.2p1`, `1:1.2.13.dfsg-1` -> `1.2.13`."""
    rest = _EPOCH.sub("", version)
    return _ADDED.sub("", rest.rpartition("-")[0] or rest)


def fetched(folder: Path, release: str, packages: list[str]) -> tuple[list[Path], list[str]]:
    """The packages of a release as .deb files below `folder`, and the names of those that it does not have."""
    options = _apt(folder, release)
    known = set(
        subprocess.run(
            ["apt-cache", *options, "pkgnames"], check=True, capture_output=True, text=True, timeout=_SECONDS
        ).stdout.split()
    )
    wanted = [name for name in packages if name in known]
    debs = folder / release / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["apt-get", *options, "-q", "download", *wanted], check=True, capture_output=True, cwd=debs, timeout=_SECONDS
    )
    # the folder may have others of an earlier time
    kept = [deb for deb in sorted(debs.glob("*.deb")) if deb.name.partition("_")[0] in set(wanted)]
    return kept, [name for name in packages if name not in known]


def _apt(folder: Path, release: str) -> list[str]:
    """A configuration of its own: this machine's addresses, another release, and nothing of its state."""
    root = folder / release / "apt"
    lists = root / "lists"
    options = [
        f"-oDir::Etc::SourceList={root / 'sources.list'}",
        f"-oDir::Etc::SourceParts={root / 'none'}",
        f"-oDir::State={root}",
        f"-oDir::State::Lists={lists}",
        f"-oDir::State::status={root / 'status'}",
        f"-oDir::Cache={root / 'cache'}",
        "-oAPT::Architecture=amd64",
        "-oAPT::Architectures=amd64",
        "-oAPT::Sandbox::User=root",
    ]
    if (root / "status").exists():
        return options
    for part in (lists / "partial", root / "cache" / "archives" / "partial"):
        part.mkdir(parents=True)
    (root / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {_archive()} {release} main\n")
    (root / "status").touch()
    note(f"lists of {release}")
    subprocess.run(["apt-get", *options, "-q", "update"], check=True, capture_output=True, timeout=_SECONDS)
    return options


def _archive() -> str:
    """Where this machine's apt has Debian's main archive. The security archive has updates only."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"], check=True, capture_output=True, text=True, timeout=60
    ).stdout.split()
    for address in told:
        if address.rstrip("/").endswith("/debian"):
            return address
    raise SystemExit("apt on this machine has no archive of Debian: the corpus cannot be fetched.")


def built(folder: Path, seed: int, positives_only: bool = False) -> Corpus:
    """Fetch what is not in `folder` yet, and take the binaries out."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    negatives: list[str] = [] if positives_only else table["negatives"]["packages"]
    binaries: list[Binary] = []
    count, missing = 0, []
    for release in table["releases"]:
        own = [package for product in table["product"] for package in product["packages"].get(release, ())]
        note(f"packages of {release}")
        debs, lacking = fetched(folder, release, [*own, *negatives])
        missing += [f"{release}: {name}" for name in lacking if name in own]
        count += len(debs)
        for deb in debs:
            binaries += _binaries(deb, release, table["product"])
    bundled = tuple((one["package"], one["product"], one["version"]) for one in table["bundled"])
    return Corpus(tuple(renamed(binaries, seed)), count, tuple(missing), bundled)


def _binaries(deb: Path, release: str, products: list[dict[str, Any]]) -> Iterator[Binary]:
    name, version, source = subprocess.run(
        ["dpkg-deb", "--show", "--showformat", "${Package}\n${source:Version}\n${source:Package}", str(deb)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.split("\n")
    product = next((one for one in products if fnmatch.fnmatchcase(source, one["source"])), None)
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], check=True, capture_output=True, timeout=_SECONDS)
    with tarfile.open(fileobj=io.BytesIO(tar.stdout)) as archive:
        for member in archive:
            path = member.name.removeprefix("./")
            must = product is not None and any(fnmatch.fnmatchcase(path, pattern) for pattern in product["must"])
            if not member.isreg():
                continue
            file = archive.extractfile(member)
            content = file.read() if file else b""
            if content.startswith(_ELF) or must:
                whose, which = (product["name"], upstream(version)) if product else ("", "")
                yield Binary(release, name, path, path, content, whose, which, must)


def renamed(binaries: list[Binary], seed: int) -> Iterator[Binary]:
    """Every second file gets a name that says nothing; texts that are known by their name keep it."""
    chance = random.Random(seed)  # noqa: S311 - for the same corpus again, not for a secret
    for number, binary in enumerate(binaries):
        hidden = chance.random() < 0.5 and binary.content.startswith(_ELF)
        word = hashlib.sha256(f"{seed} {number}".encode()).hexdigest()[:12]
        place = f"{binary.release}/{binary.package}"
        yield replace(binary, path=f"opt/{place}/{word}" if hidden else f"{place}/{binary.original}")
