"""Images as they come from the tools themselves, for `python -m benchmarks.agreement --real`.

Debian by mmdebstrap (as root), Python packages by pip, npm packages by npm, and a Go program with stubs of old modules.
What a tool is missing for is left out, with a word. Needs the network; nothing of it is kept but the layouts.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.agreement_images import debian_release
from benchmarks.figures import note
from registry.building import FileSpec, ImageBuilder

_SECONDS = 900
_PYTHON = ("django==3.2.0", "pyyaml==6.0", "requests==2.19.0", "jinja2==2.10", "sqlparse==0.2.4", "pillow==10.0.0")
_NPM = ("lodash@4.17.15", "minimist@1.2.0", "axios@0.21.0", "express@4.16.0", "handlebars@4.0.11", "ws@3.3.0")
#: old versions that Go's advisories are about; stubs stand in for their sources
_GO = {
    "github.com/gin-gonic/gin": "v1.5.0",
    "github.com/dgrijalva/jwt-go": "v3.2.0+incompatible",
    "github.com/gogo/protobuf": "v1.3.1",
    "github.com/miekg/dns": "v1.1.20",
    "github.com/prometheus/client_golang": "v1.11.0",
    "golang.org/x/crypto": "v0.0.0-20200220183623-bac4c82f6975",
    "golang.org/x/net": "v0.0.0-20210226172049-e18ecbb05110",
    "golang.org/x/text": "v0.3.5",
    "google.golang.org/grpc": "v1.53.0",
    "gopkg.in/yaml.v2": "v2.2.2",
}


def build(folder: Path) -> None:
    """A layout for each image, in folders by its name."""
    with tempfile.TemporaryDirectory(prefix="wharfinger-real-") as place:
        for name, make in _IMAGES.items():
            work = Path(place) / name
            work.mkdir()
            try:
                builder = make(work)
            # a tool is missing, or says no
            except (OSError, subprocess.SubprocessError) as error:
                note(f"{name} is left out: {error}")
                continue
            layout = folder / name
            shutil.rmtree(layout, ignore_errors=True)
            layout.mkdir(parents=True)
            builder.write(layout, "1.0")
            note(f"{name} is in {layout}")


def _debian(release: str) -> Callable[[Path], ImageBuilder]:
    def make(work: Path) -> ImageBuilder:
        tar = work / "root.tar"
        command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=openssl,curl,python3-minimal,git"]
        _run([*command, release, str(tar), "deb http://deb.debian.org/debian " + release + " main"], work)
        return ImageBuilder().raw_layer(tar.read_bytes(), "ADD rootfs.tar /")

    return make


def _python(work: Path) -> ImageBuilder:
    command = ["pip", "install", "--quiet", "--no-compile", "--no-deps", f"--target={work / 'site'}"]
    _run([*command, *_PYTHON], work)
    builder = ImageBuilder().layer(debian_release("12"), "ADD rootfs.tar /")
    return builder.layer_from_folder(work / "site", "usr/lib/python3/dist-packages", "RUN pip install")


def _npm(work: Path) -> ImageBuilder:
    (work / "package.json").write_text('{"name": "shop", "version": "1.0.0"}')
    _run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", *_NPM], work)
    builder = ImageBuilder().layer(debian_release("12"), "ADD rootfs.tar /")
    return builder.layer_from_folder(work, "srv/shop", "RUN npm install")


def _go(work: Path) -> ImageBuilder:
    """Vendored, so that nothing is fetched; what Go writes into the program is as with the real sources."""
    listing, imports = [], []
    for name, version in _GO.items():
        stub = work / "vendor" / name
        stub.mkdir(parents=True)
        (stub / "stub.go").write_text("package stub\n")
        listing.append(f"# {name} {version}\n## explicit\n{name}\n")
        imports.append(f'import _ "{name}"\n')
    (work / "vendor" / "modules.txt").write_text("".join(listing))
    required = "".join(f"\t{name} {version}\n" for name, version in _GO.items())
    (work / "go.mod").write_text(f"module example.org/shop\n\ngo 1.16\n\nrequire (\n{required})\n")
    (work / "main.go").write_text(f"package main\n\n{''.join(imports)}\nfunc main() {{}}\n")
    go = {"GOFLAGS": "-mod=vendor", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOCACHE": str(work / "cache")}
    _run([shutil.which("go") or "go", "build", "-o", "server", "."], work, go)
    return ImageBuilder().layer({"server": FileSpec((work / "server").read_bytes(), 0o755)}, "COPY server /")


def _run(command: list[str], work: Path, more: dict[str, str] | None = None) -> None:
    """Errors: OSError where the program is missing, SubprocessError where it fails."""
    environment = {**os.environ, **(more or {})}
    subprocess.run(command, cwd=work, env=environment, check=True, timeout=_SECONDS, stdin=subprocess.DEVNULL)


_IMAGES: dict[str, Callable[[Path], ImageBuilder]] = {
    "real-bookworm": _debian("bookworm"),
    "real-bullseye": _debian("bullseye"),
    "real-python": _python,
    "real-npm": _npm,
    "real-go": _go,
}
