"""Which real parts this machine has, and what becomes of a test that lacks one: skipped with the reason on a person's
machine, failed where the environment variable CI is set - a part that is missing there is a mistake of ours.

    @needs("docker-registry", "skopeo")
    async def test_...

    @pytest.fixture(scope="session")
    def cluster() -> ...:
        require("postgresql")
"""

import functools
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.version_oracles import semver_package


def program(name: str) -> Path | None:
    """Where a program is: beside this Python first, then on the PATH, then where Debian keeps servers."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=beside) or shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    return Path(found) if found else None


def postgresql_programs() -> Path | None:
    """The folder with initdb and postgres: Debian keeps it off the PATH. The newest release of several."""
    for initdb in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_release, reverse=True):
        return initdb.parent
    found = program("initdb")
    return found.resolve().parent if found else None


def _release(initdb: Path) -> int:
    release = initdb.parents[1].name
    return int(release) if release.isdigit() else 0


@dataclass(frozen=True, slots=True)
class Part:
    """Something real that tests use: how to see whether it is here, and how to get it."""

    is_here: Callable[[], object]
    remedy: str


DEBIAN = "run `scripts/apt.sh test`"
LOCKED = "run `make setup`"

PARTS = {
    "docker-registry": Part(lambda: program("docker-registry"), DEBIAN),
    "skopeo": Part(lambda: program("skopeo"), DEBIAN),
    "postgresql": Part(postgresql_programs, DEBIAN),
    "temporal": Part(lambda: program("temporal"), LOCKED),
    "temporal-test-server": Part(lambda: program("temporal-test-server"), LOCKED),
    "trivy": Part(lambda: program("trivy"), LOCKED),
    "node-semver": Part(lambda: program("node") and semver_package(), DEBIAN),
    "rpm": Part(lambda: program("rpm"), DEBIAN),
    **{
        name: Part(functools.partial(program, name), "it is part of every Debian")
        for name in ("dpkg", "dpkg-deb", "setpriv", "prlimit")
    },
}


def missing(*parts: str) -> str:
    """A sentence about the parts that are not here; empty when all are."""
    absent = [f"{name} ({PARTS[name].remedy})" for name in parts if not PARTS[name].is_here()]
    return f"not on this machine: {', '.join(absent)}" if absent else ""


def require(*parts: str) -> None:
    """In a fixture: skip the test that wants it, or fail it in CI, where a part is missing."""
    __tracebackhide__ = True
    if reason := missing(*parts):
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def needs(*parts: str) -> pytest.MarkDecorator:
    """On a test, a class or a module (`pytestmark`). Raises KeyError for a part that nobody knows."""
    return pytest.mark.needs(*(name for name in parts if PARTS[name]))
