"""Packages that compilers wrote into binaries: the lists of Go and Rust as trivy reads them, and nonsense instead."""

import json
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanning.binaries import BuildInformation
from scanning.identify import Identifier
from scanning.package_files import Package
from tests.parts.presence import needs, program
from tests.scanning.binaries import CRATES, auditable, go, rust


def packages(content: bytes, size: int = 4_096) -> list[str]:
    information = BuildInformation()
    passed = b"".join(information.passing(content[place : place + size] for place in range(0, len(content), size)))
    assert passed == content
    return [f"{package.kind} {package.name} {package.version}" for package in information.packages()]


@pytest.mark.parametrize("size", [10, 4_096, 10**9])
def test_go_lists_its_own_version_and_modules_and_what_replaced_them(size: int) -> None:
    assert packages(go(), size) == [
        "golang stdlib v1.21.5",
        "golang example.org/shop v1.2.0",
        "golang golang.org/x/net v0.1.0",
        "golang example.org/new v2.0.0",
    ]


def test_a_main_module_without_a_version_is_no_package() -> None:
    assert packages(go("mod\texample.org/shop\t(devel)\n")) == ["golang stdlib v1.21.5"]


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_rust_lists_what_runs_and_not_what_was_only_needed_to_build_it(wide: bool, order: str) -> None:
    assert packages(rust(CRATES, wide=wide, order=order)) == ["cargo shop 0.1.0", "cargo serde 1.0.193"]


def test_a_list_at_the_end_of_a_long_file_is_found() -> None:
    content = rust(CRATES)
    place = int.from_bytes(content[40:48], "little")
    moved = 20 * 2**20
    shifted = bytearray(content[:64] + bytes(moved) + content[64:])
    shifted[40:48] = (place + moved).to_bytes(8, "little")
    for number in range(4):
        at = place + moved + 64 * number + 24
        shifted[at : at + 8] = (int.from_bytes(shifted[at : at + 8], "little") + moved).to_bytes(8, "little")
    assert packages(bytes(shifted), 2**16) == ["cargo shop 0.1.0", "cargo serde 1.0.193"]


def nonsense() -> Iterator[bytes]:
    yield b""
    yield b"\x7fELF"
    yield b"no binary" * 1_000
    yield go(flags=0)
    yield go()[:-5_400]
    yield go("dep\t\t\ndep\nmod\n=>\n\t\t\t\n", "devel")
    yield go().replace(b"\x7fELF", b"\x7fELG")
    yield b"\x7fELF\2\1\1" + bytes(100) + b"Go\0\0\xff Go buildinf:" + b"\xff" * 60
    yield rust(b"")
    yield rust(b"\x78\x9cnonsense")
    yield rust(zlib.compress(bytes(50 * 2**20)))
    yield rust(zlib.compress(b"[" * 100_000))
    yield rust(auditable({"name": "x"}, {"version": 1}))
    yield rust(zlib.compress(b'{"packages": 5}'))
    yield rust(zlib.compress(b'{"packages": [5]}'))
    content = bytearray(rust(CRATES))
    for field in (40, 58, 60, 62):
        wrong = bytearray(content)
        wrong[field : field + 2] = b"\xff\xff"
        yield bytes(wrong)
    wrong = bytearray(content)
    wrong[40:48] = b"\xff" * 8
    yield bytes(wrong)
    yield bytes(content[:-40])


NONSENSE = [pytest.param(content, id=str(number)) for number, content in enumerate(nonsense())]


@pytest.mark.parametrize("content", NONSENSE)
def test_nonsense_lists_nothing(content: bytes) -> None:
    assert packages(content) == []


def test_names_with_control_characters_are_made_visible() -> None:
    (package,) = packages(rust(auditable({"name": "a\x1b[31m", "version": "1"})))
    assert package == "cargo a\\x1b[31m 1"


def test_one_pass_tells_what_a_file_is_and_what_is_in_it() -> None:
    content = go() + b"\0 deflate 1.2.13 Copyright 1995-2022 Jean-loup Gailly and Mark Adler \0"
    bits = Identifier.load().look("opt/shop", [content])
    assert [one.product for one in bits.identified] == ["zlib"]
    assert Package("golang", "golang.org/x/net", "v0.1.0") in bits.packages


@needs("trivy", "temporal")
def test_a_real_binary_lists_what_trivy_lists() -> None:
    temporal = program("temporal")
    assert temporal is not None
    trivy = [str(program("trivy")), "rootfs", "--quiet", "--scanners=license", "--skip-version-check", "--offline-scan"]
    trivy += ["--disable-telemetry", "--skip-db-update", "--format=json", "--list-all-pkgs"]
    done = subprocess.run([*trivy, str(temporal)], check=True, capture_output=True, timeout=120)
    (result,) = json.loads(done.stdout)["Results"]
    theirs = {(package["Name"], package["Version"]) for package in result["Packages"] if package.get("Version")}
    assert {(package.name, package.version) for package in _of(temporal)} == theirs
    assert len(theirs) > 100


def _of(path: Path) -> tuple[Package, ...]:
    information = BuildInformation()
    with path.open("rb") as file:
        for _ in information.passing(iter(lambda: file.read(2**20), b"")):
            pass
    return information.packages()
