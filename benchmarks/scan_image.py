"""The images that `benchmarks.scan` scans: built on the spot from real files of this machine, and of nothing else."""

import copy
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from registry.building import FileSpec, ImageBuilder

PLATFORM = "linux/amd64"
MB = 1_000_000
#: a larger one would make the image's size a matter of luck
_LARGEST_FILE = 20 * MB
#: of an image's bytes: what a release of the application brings anew
_APPLICATION = 0.05


@dataclass(frozen=True, slots=True)
class Built:
    """The layouts before and after the top layer changed; of the first, files, their bytes, and bytes as pushed."""

    before: Path
    after: Path
    files: int
    bytes: int
    compressed: int


@dataclass(frozen=True, slots=True)
class _Layer:
    instruction: str
    files: dict[str, bytes | FileSpec]
    size: int


def build(folder: Path, megabytes: int) -> Built:
    """Four layers, as far as this machine has so much: Debian with its package database, Python's standard library,
    installed packages, and an application of a twentieth of the size, which is another one in the second image."""
    total = megabytes * MB
    application = int(total * _APPLICATION)
    base = ImageBuilder(PLATFORM, user="10001", cmd=("python3",))
    files = size = 0
    for layer in _base((total - application) // 3):
        base.layer(layer.files, layer.instruction)
        files, size = files + len(layer.files), size + layer.size
    # taken from the end, which the layer of installed packages has no room for
    site = Path(sysconfig.get_path("purelib"))
    sources = list(_files(site))[::-1]
    first = _gathered("COPY app /app", sources, site, "app/", application)
    second = _gathered("COPY app /app", sources[len(first.files) :], site, "app/", application)
    before, after = (_write(base, layer, folder / name) for layer, name in ((first, "before"), (second, "after")))
    blobs = sum(blob.stat().st_size for blob in (before / "blobs" / "sha256").iterdir())
    return Built(before, after, files + len(first.files), size + first.size, blobs)


def _write(base: ImageBuilder, layer: _Layer, layout: Path) -> Path:
    copy.deepcopy(base).layer(layer.files, layer.instruction).write(layout, "1.0")
    return layout


def _base(share: int) -> Iterator[_Layer]:
    system = [Path("/etc/os-release"), Path("/etc/debian_version"), *_files(Path("/var/lib/dpkg"), deep=False)]
    system += [path for path in _files(Path("/var/lib/dpkg/info")) if path.suffix in (".list", ".md5sums")]
    programs = [*_files(Path("/usr/bin")), *_files(Path("/usr/lib"))]
    yield _gathered("RUN apt-get install -y python3", [*system, *programs], Path("/"), "", share)
    standard = Path(sysconfig.get_path("stdlib"))
    yield _gathered("COPY python /usr/local", _files(standard), standard, "usr/local/lib/python3/", share)
    site = Path(sysconfig.get_path("purelib"))
    yield _gathered("RUN pip install -r requirements.txt", _files(site), site, "srv/site-packages/", share)


def _files(folder: Path, *, deep: bool = True) -> Iterator[Path]:
    """Sorted, so that the same machine makes the same image."""
    found = folder.rglob("*") if deep else folder.glob("*")
    return iter(sorted(path for path in found if path.is_file() and not path.is_symlink()))


def _gathered(instruction: str, paths: Iterable[Path], top: Path, under: str, share: int) -> _Layer:
    files: dict[str, bytes | FileSpec] = {}
    size = 0
    for path in paths:
        try:
            if path.stat().st_size > min(_LARGEST_FILE, share - size):
                continue
            content = path.read_bytes()
        except OSError:
            continue  # of another user, or gone meanwhile
        files[under + path.relative_to(top).as_posix()] = content
        size += len(content)
    return _Layer(instruction, files, size)
