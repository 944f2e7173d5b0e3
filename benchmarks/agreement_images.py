"""Images whose packages stand close to the bounds of advisories, where two scanners disagree first if they ever do.

Each is a few files: package databases as dpkg, apk, pip, npm and Go write them, with versions that real advisories
name, and those just below, just above and beside them. The same advisories and seed make the same images.
"""

import json
import random
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry.building import FileSpec, ImageBuilder

Files = dict[str, bytes | FileSpec]
#: name of a package -> the bounds and listed versions that its advisories name
Bounds = dict[str, tuple[str, ...]]

SITE = "usr/local/lib/python3.11/site-packages"
STATUS = "var/lib/dpkg/status"
INSTALLED = "lib/apk/db/installed"

#: ways to write a version near a bound; what its ecosystem does not take for a version at all is real, too
_NEAR: dict[str, tuple[str, ...]] = {
    "Debian": ("{}", "{}", "{}~", "{}~rc1", "{}+deb12u1", "{}+b1", "{}.1", "{}a"),
    "Alpine": (
        "{}",
        "{}",
        "{release-}",
        "{release+}",
        "{bare}",
        "{bare}_rc1-r0",
        "{bare}_git20200101-r0",
        "{bare}_p1-r1",
    ),
    "PyPI": ("{}", "{}", "{}", "{}rc1", "{}.post1", "{}.dev1", "{}+local.1", "{}b2"),
    "npm": ("{}", "{}", "{patch-}", "{patch+}", "{}-beta.1", "{}-0", "{}+build.5", "{}-rc.2"),
    "Go": ("{}", "{}", "{patch-}", "{patch+}", "{}-rc.1", "{}-0.20200101000000-0123456789ab", "{}+incompatible"),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """An image and what it is about."""

    name: str
    builder: ImageBuilder


def bounds_of(records: Iterable[Any]) -> dict[str, Bounds]:
    """By ecosystem as OSV writes it, what the records that are in force name."""
    found: dict[str, dict[str, dict[str, None]]] = defaultdict(lambda: defaultdict(dict))
    for record in records:
        for entry in () if record.get("withdrawn") else record.get("affected") or ():
            package = entry["package"]
            names = found[package["ecosystem"]][package["name"]]
            for said in entry.get("ranges") or ():
                if said["type"] != "GIT":
                    names.update((bound, None) for event in said["events"] for bound in event.values() if bound != "0")
            names.update((listed, None) for listed in entry.get("versions") or ())
    return {
        ecosystem: {name: tuple(versions) for name, versions in packages.items() if versions}
        for ecosystem, packages in found.items()
    }


def chosen(ecosystem: str, bounds: Bounds, count: int, seed: int) -> dict[str, str]:
    """That many packages with a version each, near one of their bounds."""
    chance = random.Random(seed)  # noqa: S311
    names = chance.sample(sorted(bounds), min(count, len(bounds)))
    return {name: _near(ecosystem, chance.choice(bounds[name]), chance) for name in names}


def _near(ecosystem: str, bound: str, chance: random.Random) -> str:
    way = chance.choice(_NEAR[ecosystem.partition(":")[0]])
    if "+" in bound and ecosystem == "Go":
        return bound
    bare, _, release = bound.partition("-r")
    number = int(release) if release.isdigit() else 0
    numbers = bound.split("-")[0].split(".")
    last = int(numbers[-1]) if numbers[-1].isdigit() else 0
    before = ".".join([*numbers[:-1], str(max(0, last - 1))])
    after = ".".join([*numbers[:-1], str(last + 1)])
    for said, meant in {
        "{}": bound,
        "{bare}": bare,
        "{release-}": f"{bare}-r{max(0, number - 1)}",
        "{release+}": f"{bare}-r{number + 1}",
        "{patch-}": before,
        "{patch+}": after,
    }.items():
        way = way.replace(said, meant)
    return way


def debian_release(release: str) -> Files:
    return {
        "etc/os-release": f'ID=debian\nVERSION_ID="{release}"\nPRETTY_NAME="Debian {release}"\n'.encode(),
        "etc/debian_version": f"{release}.5\n".encode(),
    }


def alpine_release(release: str) -> Files:
    return {
        "etc/os-release": f'ID=alpine\nVERSION_ID={release}.2\nPRETTY_NAME="Alpine Linux v{release}"\n'.encode(),
        "etc/alpine-release": f"{release}.2\n".encode(),
    }


def dpkg_status(packages: Mapping[str, str], rebuilt: bool = False) -> bytes:
    """A binary package of each source package: `libNAME`, so that only its source is what advisories name. `rebuilt`
    gives it the version of a binary-only upload, which its source has not."""
    return "\n".join(_dpkg_paragraph(name, version, rebuilt) for name, version in packages.items()).encode()


def _dpkg_paragraph(name: str, version: str, rebuilt: bool) -> str:
    source = f"{name} ({version})" if rebuilt else name
    return (
        f"Package: lib{name}\nStatus: install ok installed\nArchitecture: amd64\nSource: {source}\n"
        f"Version: {version}{'+b3' if rebuilt else ''}\nMaintainer: Nobody <nobody@example.org>\nDescription: none\n"
    )


def dpkg_folder(packages: Mapping[str, str]) -> Files:
    """As images without a package manager have it: a file for each package."""
    return {
        f"var/lib/dpkg/status.d/lib{name}": _dpkg_paragraph(name, version, rebuilt=False).encode()
        for name, version in packages.items()
    }


def apk_installed(packages: Mapping[str, str]) -> bytes:
    """Subpackages, whose origin is what advisories name."""
    return "".join(
        f"C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:{name}-libs\nV:{version}\nA:x86_64\nS:1\nI:2\nT:none\nL:MIT\no:{name}\n\n"
        for name, version in packages.items()
    ).encode()


def wheels(packages: Mapping[str, str]) -> Files:
    return {
        f"{SITE}/{name.replace('-', '_')}-{version}.dist-info/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        ).encode()
        for name, version in packages.items()
    }


def modules(packages: Mapping[str, str], folder: str = "app") -> Files:
    return {
        f"{folder}/node_modules/{name}/package.json": json.dumps({"name": name, "version": version}).encode()
        for name, version in packages.items()
    }


_GO_MAGIC = b"\xff Go buildinf:\x08\x02"
_GO_MARK = b"\0" * 16


def go_binary(release: str, dependencies: Mapping[str, str]) -> FileSpec:
    """A program of nothing but what Go writes into each about its modules; `release` as in `go1.21.5`."""
    lines = ["path\texample.org/shop", "mod\texample.org/shop\t(devel)\t"]
    sum_ = f"h1:{'0' * 43}="
    lines += [f"dep\t{name}\t{version}\t{sum_}" for name, version in dependencies.items()]
    told = _GO_MARK + ("\n".join(lines) + "\n").encode() + _GO_MARK
    data = _GO_MAGIC.ljust(32, b"\0") + _counted(release.encode()) + _counted(told)
    start, address = 128, 0x400000
    names = b"\0.go.buildinfo\0.shstrtab\0"
    sections = start + len(data) + len(names)
    elf = b"\x7fELF\x02\x01\x01"
    header = struct.pack("<16sHHIQQQIHHHHHH", elf, 2, 62, 1, address + start, 64, sections, 0, 64, 56, 1, 64, 3, 2)
    segment = struct.pack("<IIQQQQQQ", 1, 6, 0, address, address, sections, sections, 0x1000)
    table = b"".join(
        struct.pack("<IIQQQQIIQQ", name, kind, flags, place and address + place, place, size, 0, 0, 16, 0)
        for name, kind, flags, place, size in (
            (0, 0, 0, 0, 0),
            (names.index(b".go"), 1, 3, start, len(data)),
            (names.index(b".sh"), 3, 0, start + len(data), len(names)),
        )
    )
    return FileSpec((header + segment).ljust(start, b"\0") + data + names + table, mode=0o755)


def _counted(content: bytes) -> bytes:
    count, found = len(content), bytearray()
    while count >= 0x80:
        found.append(count & 0x7F | 0x80)
        count >>= 7
    return bytes([*found, count]) + content


def samples(known: Mapping[str, Bounds], seed: int = 1) -> Iterator[Sample]:
    """Of each ecosystem that advisories are known for. `known` as `bounds_of` gives it."""
    for number, (ecosystem, bounds) in enumerate(sorted(known.items())):
        make = _MAKERS.get(ecosystem.partition(":")[0])
        if make is not None:
            yield from make(ecosystem, bounds, seed + 100 * number)
    yield _mixed(known, seed)


def _debian(ecosystem: str, bounds: Bounds, seed: int) -> Iterator[Sample]:
    release = ecosystem.partition(":")[2]
    base = debian_release(release)

    def image(files: Files) -> ImageBuilder:
        return ImageBuilder().layer({**base, **files}, "ADD rootfs.tar.xz /")

    oldest = {name: f"{versions[0]}~" for name, versions in bounds.items()}
    exact = {name: versions[-1] for name, versions in bounds.items()}
    yield Sample(f"debian-{release}-before", image({STATUS: dpkg_status(oldest)}))
    yield Sample(f"debian-{release}-rebuilt", image({STATUS: dpkg_status(exact, rebuilt=True)}))
    near = chosen(ecosystem, bounds, len(bounds), seed)
    yield Sample(f"debian-{release}-near", image({STATUS: dpkg_status(near)}))
    yield Sample(f"debian-{release}-folder", image(dpkg_folder(chosen(ecosystem, bounds, len(bounds), seed + 1))))


def _alpine(ecosystem: str, bounds: Bounds, seed: int) -> Iterator[Sample]:
    release = ecosystem.partition(":v")[2]
    installed = {INSTALLED: apk_installed(chosen(ecosystem, bounds, len(bounds), seed))}
    yield Sample(
        f"alpine-{release}", ImageBuilder().layer({**alpine_release(release), **installed}, "ADD alpine.tar /")
    )


def _pypi(ecosystem: str, bounds: Bounds, seed: int) -> Iterator[Sample]:
    for number in range(4):
        packages = chosen(ecosystem, bounds, 400, seed + number)
        yield Sample(f"pypi-{number + 1}", ImageBuilder().layer(wheels(packages), "RUN pip install"))


def _npm(ecosystem: str, bounds: Bounds, seed: int) -> Iterator[Sample]:
    for number in range(3):
        top, nested = (chosen(ecosystem, bounds, 250, seed + 10 * number + part) for part in (0, 1))
        files = {**modules(top), **modules(nested, "app/node_modules/express")}
        yield Sample(f"npm-{number + 1}", ImageBuilder().layer(files, "RUN npm ci"))


def _go(ecosystem: str, bounds: Bounds, seed: int) -> Iterator[Sample]:
    chance = random.Random(seed)  # noqa: S311
    dependencies = {name: versions for name, versions in bounds.items() if "." in name}
    releases = [version for version in bounds.get("stdlib", ("1.20.1",)) if "-" not in version]
    for number in range(3):
        files: Files = {}
        for place in range(8):
            found = chosen(ecosystem, dependencies, 60, seed + 10 * number + place)
            versions = {name: f"v{version}" for name, version in found.items()}
            files[f"usr/local/bin/program{place}"] = go_binary(f"go{chance.choice(releases)}", versions)
        yield Sample(f"go-{number + 1}", ImageBuilder().layer(files, "COPY --from=build /out /usr/local/bin"))


def _mixed(known: Mapping[str, Bounds], seed: int) -> Sample:
    """Several ecosystems in layers: what is upgraded and deleted again is where it was, or is not there."""
    builder = ImageBuilder()
    debian = next((name for name in sorted(known, reverse=True) if name.startswith("Debian")), "")
    if debian:
        packages = chosen(debian, known[debian], 30, seed)
        builder.layer({**debian_release(debian.partition(":")[2]), STATUS: dpkg_status(packages)}, "ADD rootfs.tar /")
        newer = {name: f"{known[debian][name][-1]}+deb12u9" for name in list(packages)[::2]}
        builder.layer({STATUS: dpkg_status({**packages, **newer})}, "RUN apt-get upgrade")
    pypi, npm = (chosen(name, known.get(name, {}), 40, seed) for name in ("PyPI", "npm"))
    builder.layer(wheels(pypi), "RUN pip install")
    builder.layer(modules(npm), "RUN npm ci")
    gone = list(wheels(dict(list(pypi.items())[::4]))) + list(modules(dict(list(npm.items())[::4])))
    builder.whiteout([path.rpartition("/")[0] for path in gone], "RUN rm -r")
    go = chosen("Go", {name: said for name, said in known.get("Go", {}).items() if "." in name}, 40, seed)
    server = go_binary("go1.20.1", {name: f"v{version}" for name, version in go.items()})
    return Sample("mixed", builder.layer({"server": server}, "COPY server /"))


_MAKERS: dict[str, Callable[[str, Bounds, int], Iterator[Sample]]] = {
    "Debian": _debian,
    "Alpine": _alpine,
    "PyPI": _pypi,
    "npm": _npm,
    "Go": _go,
}
