"""The demo's images: built on the spot from real packages of PyPI, old ones first, mended ones later.

Two tiers of a small bookkeeping service, each for two platforms. The packages are pinned by hash and fetched by the
machine's own pip, so that whoever has set up a mirror or a proxy for pip has it here too. There is no container engine:
a wheel's files are what `pip install` would put into the image.
"""

import asyncio
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from models.errors import ToolFailed
from registry.building import ImageBuilder, write_index

PLATFORMS = ("linux/amd64", "linux/arm64")
TIERS = ("Standard", "Pro")

_HERE = Path(__file__).parent
_SITE = "usr/local/lib/python3.11/site-packages"
_FETCH_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Recipe:
    """One release of the product: its tag, where its packages are listed, and whether it is built as it should be."""

    tag: str
    packages: Path
    mended: bool


CARELESS = Recipe("1.0", _HERE / "packages-old.txt", mended=False)
MENDED = Recipe("1.0.1", _HERE / "packages-mended.txt", mended=True)

_APPLICATION = b'''"""The demo's service: answers with the balance of an account."""
from django.http import JsonResponse


def balance(request, account):
    return JsonResponse({"account": account, "balance": "0.00"})
'''
_PRO = b'''"""Reports, for the Pro tier only."""


def monthly(accounts):
    return sorted(accounts)
'''
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nledger:x:10001:10001::/srv/ledger:/sbin/nologin\n"
_LICENCE = b"Permission is granted to use the demo's service for any purpose.\n"
_PIP_CACHE = b"what pip keeps to install faster the next time; nobody installs in a container\n" * 4_000


async def build(recipe: Recipe, layout: Path) -> dict[str, str]:
    """Write every tier's image into a layout of its own below `layout`: tier -> digest of its index.

    Errors: ToolFailed when the packages cannot be fetched.
    """
    with tempfile.TemporaryDirectory(prefix="wharfinger-demo-") as place:
        wheels = await asyncio.to_thread(_fetch, recipe.packages, Path(place))
        packages = await asyncio.to_thread(lambda: {name: _files(wheel) for name, wheel in wheels.items()})
    return await asyncio.to_thread(_write, recipe, packages, layout)


def _write(recipe: Recipe, packages: dict[str, dict[str, bytes]], layout: Path) -> dict[str, str]:
    digests = {}
    for tier in TIERS:
        folder = layout / tier.lower()
        images = {platform: _image(recipe, tier, platform, packages).write(folder) for platform in PLATFORMS}
        digests[tier] = write_index(folder, recipe.tag, images)
    return digests


def _image(recipe: Recipe, tier: str, platform: str, packages: dict[str, dict[str, bytes]]) -> ImageBuilder:
    builder = ImageBuilder(platform, cmd=("python", "-m", "ledger"), working_dir="/srv/ledger", ports=("8000/tcp",))
    builder.layer({"etc/passwd": _PASSWD, "etc/hostname": platform.encode() + b"\n"}, "COPY rootfs/ /")
    client = {**packages["requests"], **packages["urllib3"]}
    service = {**packages["django"], **packages["jinja2"]}
    if recipe.mended:
        builder.layer(client, "RUN pip install --no-cache-dir requests urllib3")
        builder.layer(service, "RUN pip install --no-cache-dir django jinja2")
        builder.layer({"licenses/LICENSE": _LICENCE}, "COPY LICENSE /licenses/")
        builder.user = "10001"
        builder.author = "Harbour Ledgers"
        builder.healthcheck = {
            "Test": ["CMD", "python", "-m", "ledger.health"],
            "Interval": 30_000_000_000,
            "Timeout": 3_000_000_000,
            "Retries": 3,
        }
        builder.labels = {
            f"org.opencontainers.image.{name}": value
            for name, value in {
                "title": f"Ledger {tier}",
                "version": recipe.tag,
                "vendor": "Harbour Ledgers",
                "licenses": "MIT",
                "description": "Bookkeeping for small harbours",
            }.items()
        }
    else:
        builder.layer({**client, "root/.cache/pip/http/0": _PIP_CACHE}, "RUN pip install requests urllib3")
        builder.layer(service, "RUN pip install django jinja2")
        builder.whiteout(["root/.cache/pip/http/0"], "RUN rm -r /root/.cache/pip")
        builder.env = (*builder.env, "LEDGER_ADMIN_PASSWORD=harbour")
    builder.layer({"srv/ledger/ledger.py": _APPLICATION}, "COPY ledger.py /srv/ledger/")
    if tier == "Pro":
        builder.layer({"srv/ledger/reports.py": _PRO}, "COPY reports.py /srv/ledger/")
    return builder


def _fetch(packages: Path, folder: Path) -> dict[str, Path]:
    """The wheels of a list of pinned packages, by name."""
    command = [_python_with_pip(), "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(packages), "--dest", str(folder)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_FETCH_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as slow:
        raise ToolFailed(
            f"pip did not fetch the demo's packages within {_FETCH_SECONDS} s: is there a network?"
        ) from slow
    if done.returncode != 0:
        raise ToolFailed(f"pip could not fetch the demo's packages: {_last_lines(done.stderr)}")
    return {wheel.name.partition("-")[0].lower(): wheel for wheel in folder.glob("*.whl")}


def _python_with_pip() -> str:
    """Our own environment has no pip: the Python that it was made from has."""
    for python in _pythons():
        asked = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False)
        if asked.returncode == 0:
            return python
    raise ToolFailed(
        "No Python with pip was found, and the demo's packages come from PyPI: apt-get install python3-pip."
    )


def _pythons() -> Iterable[str]:
    folder = Path(sys.base_prefix) / "bin"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for name in (f"python{version}", "python3"):
        if (python := folder / name).exists():
            yield str(python)
    yield sys.executable


def _last_lines(text: str) -> str:
    """What pip says last is the reason."""
    return " ".join(text.strip().splitlines()[-3:]) or "it said nothing."


def _files(wheel: Path) -> dict[str, bytes]:
    """What installing the wheel puts into an image."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            f"{_SITE}/{member.filename}": archive.read(member) for member in archive.infolist() if not member.is_dir()
        }
