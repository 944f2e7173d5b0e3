"""What the benchmark of identification holds for true is read off packages as it should be."""

import subprocess
from pathlib import Path

import pytest

from benchmarks import corpus, identify
from benchmarks.corpus import Binary, Corpus
from tests.parts.presence import needs

ELF = b"\x7fELF" + b"\0" * 60
PRODUCT = {"name": "zlib", "source": "zlib", "must": ["usr/lib/libz.so.1.*"]}


def binary(path: str, product: str = "", version: str = "", *, must: bool = False, package: str = "p") -> Binary:
    return Binary("bookworm", package, path, path, ELF, product, version, must)


@pytest.mark.parametrize(
    ("version", "upstream"),
    [
        ("1:9.2p1-2+deb12u5", "9.2p1"),
        ("1:1.2.13.dfsg-1", "1.2.13"),
        ("18.19.0+dfsg-6~deb12u2", "18.19.0"),
        ("3.0.20-1~deb12u2", "3.0.20"),
        ("1.1.1w-0+deb11u1", "1.1.1w"),
        ("17.0.19+10-1~deb12u1", "17.0.19+10"),
        ("1:10.11.11-0+deb12u1", "10.11.11"),
        ("2.36", "2.36"),
    ],
)
def test_what_packagers_add_is_no_part_of_the_version(version: str, upstream: str) -> None:
    assert corpus.upstream(version) == upstream


@needs("dpkg-deb")
def test_binaries_of_a_package_belong_to_its_source(tmp_path: Path) -> None:
    root = tmp_path / "zlib1g"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        "Package: zlib1g\nSource: zlib\nVersion: 1:1.2.13.dfsg-1\nArchitecture: amd64\nMaintainer: M <m@x.example>\n"
        "Description: compression\n"
    )
    (root / "usr" / "lib").mkdir(parents=True)
    (root / "usr" / "lib" / "libz.so.1.2.13").write_bytes(ELF)
    (root / "usr" / "lib" / "other.so").write_bytes(ELF)
    (root / "usr" / "lib" / "README").write_text("no binary")
    subprocess.run(["dpkg-deb", "--build", str(root), str(tmp_path / "z.deb")], check=True, capture_output=True)
    found = list(corpus._binaries(tmp_path / "z.deb", "bookworm", [PRODUCT]))
    assert [(one.original, one.package, one.product, one.version, one.must) for one in found] == [
        ("usr/lib/libz.so.1.2.13", "zlib1g", "zlib", "1.2.13", True),
        ("usr/lib/other.so", "zlib1g", "zlib", "1.2.13", False),
    ]


def test_half_of_the_files_lose_their_name_and_every_time_the_same() -> None:
    files = [binary(f"usr/bin/tool{number}") for number in range(200)]
    names = [one.path for one in corpus.renamed(files, seed=1)]
    assert names == [one.path for one in corpus.renamed(files, seed=1)]
    assert len(set(names)) == len(names)
    hidden = [name for name in names if name.startswith("opt/")]
    assert 70 < len(hidden) < 130
    assert not any("tool" in name for name in hidden)


def test_finds_are_judged_by_file_product_and_version() -> None:
    whole = Corpus(
        (
            binary("z", "zlib", "1.2.13", must=True),
            binary("unfound", "zlib", "1.2.13", must=True),
            binary("java", "openjdk", "17.0.19+10", must=True),
            binary("tool"),
            binary("static", package="busybox-static"),
        ),
        packages=3,
        missing=(),
        bundled=(("busybox-static", "glibc", "2.*"),),
    )
    tally = identify.judged(
        whole,
        [
            ("z", "zlib", "1.2.13"),
            ("z", "zlib", "1.2.13"),
            ("java", "openjdk", "17.0.19"),
            ("tool", "zlib", "1.2.13"),
            ("unfound", "zlib", "1.2.11"),
            ("static", "glibc", "2.36"),
        ],
    )
    assert tally.right == 3
    assert [(one.path, version) for one, _, version in tally.wrong] == [("tool", "1.2.13"), ("unfound", "1.2.11")]
    assert [one.path for one in tally.missed] == ["unfound"]
    assert (tally.precision, tally.recall) == (3 / 5, 2 / 3)


def test_a_scanner_that_finds_nothing_is_precise_and_recalls_nothing() -> None:
    tally = identify.judged(Corpus((binary("z", "zlib", "1", must=True),), 1, (), ()), [])
    assert (tally.precision, tally.recall) == (1.0, 0.0)
