"""Our scanner and trivy, taught the same advisories, say the same of an image; where they do not, it is known why.

The large comparison is `python -m benchmarks.agreement`; docs/agreement.md has its figures and its causes.
"""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bbolt, trivy_db
from benchmarks.agreement import Compared, Pair
from benchmarks.agreement_causes import CAUSES, Answers, Records, Statement, cause_of
from benchmarks.agreement_images import (
    SITE,
    STATUS,
    Files,
    alpine_release,
    apk_installed,
    bounds_of,
    debian_release,
    dpkg_status,
    go_binary,
    modules,
    samples,
    wheels,
)
from registry.building import ImageBuilder
from scanning.demo import DEMO_ADVISORIES
from scanning.exports import records
from scanning.trivy import program
from tests.parts.presence import needs

pytestmark = needs("trivy")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "agreement.md"


def record(id_: str, package: str, *events: str, versions: Iterable[str] = (), **changes: Any) -> dict[str, Any]:
    """Of `PyPI/left` and `introduced 0`, `fixed 2.0`."""
    ecosystem, _, name = package.partition("/")
    said = [dict([event.split(" ")]) for event in events]
    entry: dict[str, Any] = {"package": {"ecosystem": ecosystem, "name": name}, "versions": list(versions)}
    if said:
        entry["ranges"] = [{"type": "ECOSYSTEM", "events": said}]
    return {"id": id_, "modified": "2026-01-01T00:00:00Z", "affected": [entry], **changes}


#: as they are in the world, a few of each ecosystem that the demo has none of
FACTS = [
    record("CVE-2023-4911", "Debian:12/glibc", "introduced 0", "fixed 2.36-9+deb12u3"),
    record("CVE-2024-2961", "Debian:12/glibc", "introduced 0", "fixed 2.36-9+deb12u6"),
    record("CVE-2024-0727", "Debian:12/openssl", "introduced 0", "fixed 3.0.13-1~deb12u1"),
    record("CVE-2023-38545", "Debian:12/curl", "introduced 0", "fixed 7.88.1-10+deb12u4"),
    record("CVE-2022-48303", "Debian:12/tar", "introduced 0", "fixed 1.34+dfsg-1.2"),
    record("CVE-2019-14697", "Alpine:v3.11/musl", "introduced 0", "fixed 1.1.23-r2"),
    record("CVE-2020-28196", "Alpine:v3.11/krb5", "introduced 0", "fixed 1.17.2-r0"),
    record("CVE-2019-5747", "Alpine:v3.11/busybox", "introduced 0", "fixed 1.30.1-r2"),
    record("CVE-2018-1000500", "Alpine:v3.11/busybox", "introduced 0", "fixed 1.31.1-r10"),
    record("CVE-2019-6111", "Alpine:v3.11/openssh", "introduced 0", "fixed 7.9_p1-r3"),
    record("GO-2020-0001", "Go/github.com/gin-gonic/gin", "introduced 0", "fixed 1.6.0", aliases=["CVE-2020-36567"]),
    record("GO-2021-0113", "Go/golang.org/x/text", "introduced 0", "fixed 0.3.7", aliases=["CVE-2021-38561"]),
    record("GO-2022-0493", "Go/golang.org/x/sys", "introduced 0", "fixed 0.0.0-20220412211240-33da011f77ad"),
    record("GO-2023-1840", "Go/stdlib", "introduced 0", "fixed 1.19.10", "introduced 1.20.0-0", "fixed 1.20.5"),
    record("NSWG-516", "npm/lodash", "introduced 0", "fixed 4.17.19"),
    record("NSWG-12", "npm/hapi", "introduced 0", "fixed 6.1.0"),
]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair.taught(tmp_path_factory.mktemp("pair"), [*records(DEMO_ADVISORIES), *FACTS])


async def compared(pair: Pair, builder: ImageBuilder, folder: Path) -> Compared:
    folder.mkdir()
    builder.write(folder, "1.0")
    return await pair.compare(folder.name, folder)


async def test_both_say_the_same_of_every_ecosystem(pair: Pair, tmp_path: Path) -> None:
    system: Files = {**alpine_release("3.11"), "lib/apk/db/installed": apk_installed(OLD_ALPINE)}
    builder = ImageBuilder().layer(system, "ADD alpine.tar /")
    builder.layer(wheels({"Django": "3.2.0", "Jinja2": "2.10", "PyYAML": "5.3"}), "RUN pip install")
    builder.layer(modules({"lodash": "4.17.15", "hapi": "6.0.9"}), "RUN npm ci")
    builder.layer({"server": go_binary("go1.20.1", OLD_GO)}, "COPY server /")
    found = await compared(pair, builder, tmp_path / "old")
    assert found.differences == []
    assert found.agreed["apk"] == 4
    assert found.agreed["go"] == 4
    assert found.agreed["pypi"] > 10
    assert found.agreed["npm"] >= 2


OLD_ALPINE = {"musl": "1.1.23-r1", "busybox": "1.30.1-r1", "openssh": "7.9_p1-r2", "krb5": "1.17.2-r0"}
OLD_GO = {
    "github.com/gin-gonic/gin": "v1.5.0",
    "golang.org/x/text": "v0.3.6",
    "golang.org/x/sys": "v0.0.0-20220319134239-a9b59b0215f8",
}


async def test_what_is_mended_has_nothing_by_both_accounts(pair: Pair, tmp_path: Path) -> None:
    mended = {"musl": "1.1.23-r2", "busybox": "1.31.1-r10", "openssh": "7.9_p1-r3"}
    builder = ImageBuilder().layer({**alpine_release("3.11"), "lib/apk/db/installed": apk_installed(mended)})
    builder.layer({**modules({"lodash": "4.17.19"}), "server": go_binary("go1.20.5", {"golang.org/x/text": "v0.3.7"})})
    found = await compared(pair, builder, tmp_path / "mended")
    assert found.differences == []
    assert found.agreed.total() == 0


async def test_both_say_the_same_near_every_bound_of_the_demos_advisories(pair: Pair, tmp_path: Path) -> None:
    """Versions at, just below and just above what the advisories name; known causes only."""
    near = list(samples(bounds_of([*records(DEMO_ADVISORIES), *FACTS]), seed=3))
    found = [await compared(pair, one.builder, tmp_path / one.name) for one in near if one.name in NEAR]
    assert {one.image for one in found} == NEAR
    agreed = sum((one.agreed for one in found), Counter[str]())
    assert agreed["deb"] >= 5
    assert agreed["pypi"] > 25
    assert {difference.cause for one in found for difference in one.differences} == {"removed"}


NEAR = {"debian-12-before", "debian-12-rebuilt", "pypi-1", "mixed"}


async def test_a_package_that_a_later_layer_deletes_is_the_only_thing_that_trivy_does_not_see(
    pair: Pair, tmp_path: Path
) -> None:
    builder = ImageBuilder().layer({**debian_release("12"), STATUS: dpkg_status({"bash": "5.2.15-2"})})
    builder.layer(wheels({"Django": "3.2.0"}), "RUN pip install").whiteout([f"{SITE}/Django-3.2.0.dist-info"])
    found = await compared(pair, builder, tmp_path / "deleted")
    assert {difference.cause for difference in found.differences} == {"removed"}
    assert {difference.statement.package for difference in found.differences} == {"Django"}


@pytest.mark.parametrize(
    ("cause", "said", "installed"),
    [
        ("unreadable", record("A-1", "PyPI/left", "introduced 0", "fixed 2.0", versions=["trunk"]), "1.0"),
        ("installed", record("A-1", "PyPI/left", "introduced 0"), "1.0beta2b2"),
        ("spelt-out", record("A-1", "PyPI/left", "introduced 0", "fixed 3.0.0-beta0"), "2.0"),
        ("local-pre-release", record("A-1", "PyPI/left", "introduced 0", "fixed 2.0"), "2.0rc1+cpu"),
        ("before-zero", record("A-1", "Go/example.org/left", "introduced 0"), "v0.0.0-20240102030405-0123456789ab"),
        ("union", record("A-1", "npm/left", "introduced 0", "fixed 2.0.0"), "1.1.7"),
        ("fix-affected", record("A-1", "npm/left", "introduced 0", "fixed 2.0.0"), "1.1.0"),
        ("capitals", record("A-1", "npm/Left", "introduced 0", "fixed 2.0.0"), "1.0.0"),
        ("several-ends", record("A-1", "PyPI/left", "introduced 0", "last_affected 1.0", "last_affected 1.1"), "1.1"),
        ("misspelt", record("A-1", "Alpine:v3.11/left", "introduced 0", "fixed 2.7.16-33"), "2.7.16"),
    ],
)
async def test_each_cause_of_a_difference_is_one(
    cause: str, said: dict[str, Any], installed: str, tmp_path: Path
) -> None:
    """As docs/agreement.md says; a newer trivy that does otherwise shows here."""
    said["affected"] += another_range(cause)
    pair = Pair.taught(tmp_path, [said])
    ecosystem, _, name = (said["affected"][0]["package"][key] for key in ("ecosystem", "name", "name"))
    found = await compared(pair, ImageBuilder().layer(package(ecosystem, name.lower(), installed)), tmp_path / "image")
    assert [difference.cause for difference in found.differences] == [cause]
    assert found.agreed.total() == 0


def another_range(cause: str) -> list[dict[str, Any]]:
    if cause not in ("union", "fix-affected"):
        return []
    entries: list[dict[str, Any]] = record("A-1", "npm/left", "introduced 0", "fixed 1.1.7")["affected"]
    return entries


def package(ecosystem: str, name: str, version: str) -> Files:
    if ecosystem == "PyPI":
        return wheels({name: version})
    if ecosystem == "npm":
        return modules({name: version})
    if ecosystem == "Go":
        return {"server": go_binary("go1.20.1", {name: version})}
    return {**alpine_release("3.11"), "lib/apk/db/installed": apk_installed({name: version})}


def test_the_page_explains_every_cause() -> None:
    explained = set(re.findall(r"^### `([a-z-]+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert explained == set(CAUSES)


def test_a_difference_without_a_cause_is_unexplained() -> None:
    known = Records.of([record("A-1", "PyPI/left", "introduced 0", "fixed 2.0")])
    assert cause_of(known.case(Answers(Statement("pypi", "left", "1.0", "A-1", ""), None, "2.0"))) == "unexplained"


def test_trivy_reads_a_large_tree_of_ours(tmp_path: Path) -> None:
    """Thousands of buckets make branches, a long value its own pages: found are the first, the last and all between."""
    names = [f"package-{number:05}" for number in range(4000)]
    said = [record(f"A-{name}", f"PyPI/{name}", "introduced 0", "fixed 2.0", summary="long " * 3000) for name in names]
    assert trivy_db.write(tmp_path / "cache", said) == len(names)
    chosen = [*names[::400], names[-1]]
    ImageBuilder().layer(wheels(dict.fromkeys(chosen, "1.0"))).write(tmp_path / "image", "1.0")
    flags = (
        "--quiet",
        "--scanners=vuln",
        "--skip-db-update",
        "--offline-scan",
        "--skip-version-check",
        "--format=json",
    )
    command = [program(), "image", *flags, "--disable-telemetry", f"--cache-dir={tmp_path / 'cache'}"]
    done = subprocess.run([*command, f"--input={tmp_path / 'image'}"], capture_output=True, check=True, timeout=60)
    found = {
        one["VulnerabilityID"]: one["FixedVersion"]
        for result in json.loads(done.stdout)["Results"]
        for one in result["Vulnerabilities"]
    }
    assert found == {f"A-{name}": "2.0" for name in chosen}


def test_an_empty_tree_is_a_file_too(tmp_path: Path) -> None:
    bbolt.write(tmp_path / "empty.db", {})
    assert (tmp_path / "empty.db").stat().st_size == 5 * 4096
