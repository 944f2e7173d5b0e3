"""One pass over an image's layers: what each adds, deletes and hides. Nothing is ever unpacked.

The policy's rules ask for facts of single layers (LayerFacts); packages that a later layer deletes are found by
comparing every layer's package databases with what is there in the end.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from models.images import LayerFacts
from scanning.blobs import Budget, opened
from scanning.image import Image, Layer
from scanning.package_files import LARGEST, Package, packages_in, reader_of
from scanning.tars import Entry, TarReader
from scanning.texts import decoded
from scanning.trees import Tree

#: deeper folders count to the one at this depth
_DEPTH = 5
#: folders, paths and licences of one layer that a report names; of more, the weightiest
_MOST_FOLDERS = 5_000
_MOST_PATHS = 1_000
_SETUID = 0o6000
_MARK, _OPAQUE, _AUFS = ".wh.", ".wh..wh..opq", ".wh..wh."
_OS_RELEASES = ("etc/os-release", "usr/lib/os-release")
_LICENCE = re.compile(r"(licen[cs]es?|copying|unlicense|eula)([._-].*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ShippedPackage:
    """A package that a layer's database or manifest names. `removed`: it is not there in the end."""

    package: Package
    layer: str
    path: str
    removed: bool


@dataclass(frozen=True, slots=True)
class LayersSeen:
    """What the pass found. `os_release` are the fields of the image's os-release file."""

    layers: tuple[LayerFacts, ...]
    os_release: dict[str, str]
    packages: tuple[ShippedPackage, ...]


@dataclass
class _Contents:
    """What one layer's archive holds. Sizes in bytes."""

    files: int = 0
    tree: Tree = field(default_factory=Tree)
    folders: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    setuid: list[str] = field(default_factory=list)
    licences: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)
    databases: dict[str, tuple[Package, ...]] = field(default_factory=dict)
    #: of files that the same archive holds again, further down: they ship as well
    hidden: list[tuple[str, tuple[Package, ...]]] = field(default_factory=list)
    os_releases: dict[str, bytes] = field(default_factory=dict)


def pass_over(image: Image, budget: Budget, says: Callable[[str], None]) -> LayersSeen:
    """Read every layer once, in order. Errors: MalformedImage, ImageTooLarge; Stopped when the budget says so."""
    merged = _Merged()
    facts = []
    for layer in image.layers:
        says(f"reading layer {layer.index + 1} of {len(image.layers)}")
        with opened(layer.path, layer.digest, layer.size, budget) as stream:
            contents = _read(TarReader(stream, f"Layer {layer.index} ({layer.digest})"), budget)
            stream.finish(layer.diff_id)
        deleted = merged.apply(layer.diff_id, contents)
        facts.append(_facts(layer, contents, deleted, stream.media_type, stream.uncompressed))
    return LayersSeen(tuple(facts), merged.os_release(), merged.packages())


def _read(tar: TarReader, budget: Budget) -> _Contents:
    found = _Contents()
    for entry in tar:
        budget.takes_file()
        if entry.is_folder or not entry.path:
            continue
        folder, _, name = entry.path.rpartition("/")
        if name.startswith(_MARK):
            _mark(found, folder, name)
            continue
        found.files += 1
        found.tree.add(entry.path, entry.size)
        # a link in its place hides a file as well as another file does
        found.os_releases.pop(entry.path, None)
        if entry.path in found.databases:
            found.hidden.append((entry.path, found.databases.pop(entry.path)))
        if entry.is_file:
            _look_at(entry, folder, name, tar, found)
    return found


def _mark(found: _Contents, folder: str, name: str) -> None:
    if name == _OPAQUE:
        found.opaque.append(folder)
    elif not name.startswith(_AUFS) and (target := name.removeprefix(_MARK)) not in ("", ".", ".."):
        found.deleted.append(f"{folder}/{target}" if folder else target)


def _look_at(entry: Entry, folder: str, name: str, tar: TarReader, found: _Contents) -> None:
    if folder and entry.size:
        found.folders[folder] += entry.size
    if entry.mode & _SETUID:
        found.setuid.append(entry.path)
    if _LICENCE.fullmatch(name) or folder == "licenses" or folder.startswith("licenses/"):
        found.licences.append(entry.path)
    if entry.sparse or entry.size > LARGEST:
        return
    if entry.path in _OS_RELEASES:
        found.os_releases[entry.path] = tar.content()
    elif reader_of(entry.path) is not None:
        found.databases[entry.path] = packages_in(entry.path, tar.content())


def _facts(
    layer: Layer, contents: _Contents, deleted: list[tuple[str, int]], media_type: str, uncompressed: int
) -> LayerFacts:
    return LayerFacts(
        index=layer.index,
        digest=layer.digest,
        diff_id=layer.diff_id,
        media_type=media_type,
        size=layer.size,
        uncompressed=uncompressed,
        instruction=layer.instruction,
        created=layer.created,
        files=contents.files,
        folders=_sums(contents.folders),
        setuid=tuple(sorted(set(contents.setuid))[:_MOST_PATHS]),
        deleted=_weightiest(deleted),
        licence_files=tuple(sorted(set(contents.licences))[:_MOST_PATHS]),
    )


def _sums(folders: dict[str, int]) -> tuple[tuple[str, int], ...]:
    """Each folder's bytes counted for every folder above it, down to the depth that is kept."""
    sums: dict[str, int] = defaultdict(int)
    for folder, size in folders.items():
        parts = folder.split("/", _DEPTH)[:_DEPTH]
        for depth in range(1, len(parts) + 1):
            sums["/".join(parts[:depth])] += size
    kept = sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:_MOST_FOLDERS]
    return tuple(sorted(kept))


def _weightiest(deleted: list[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """The first are those that a person wants to read; the bytes of the rest are not lost."""
    ordered = sorted(deleted, key=lambda item: (-item[1], item[0]))
    kept, rest = ordered[:_MOST_PATHS], ordered[_MOST_PATHS:]
    if rest:
        kept.append((f"{len(rest):,} more", sum(size for _, size in rest)))
    return tuple(kept)


@dataclass
class _Merged:
    """The file system as the layers so far make it."""

    tree: Tree = field(default_factory=Tree)
    #: path -> (layer, what it tells of) of the databases that are there in the end
    live: dict[str, tuple[str, tuple[Package, ...]]] = field(default_factory=dict)
    #: (path, layer, what it tells of) of all that ever were
    shipped: list[tuple[str, str, tuple[Package, ...]]] = field(default_factory=list)
    os_releases: dict[str, bytes] = field(default_factory=dict)

    def apply(self, diff_id: str, contents: _Contents) -> list[tuple[str, int]]:
        """Put a layer on top; returns what it deletes, with the bytes that the layers below still ship for it."""
        deleted = []
        for path in dict.fromkeys(contents.deleted):
            if self.tree.has(path):
                deleted.append((path, self.tree.remove(path, self._forget)))
        for folder in dict.fromkeys(contents.opaque):
            deleted.extend(self.tree.empty(folder, self._forget))
        # no folder of the layer below is left where the layer above has a file, and the reverse
        self.tree.merge(contents.tree, self._forget)
        for path, packages in (*contents.hidden, *contents.databases.items()):
            self.shipped.append((path, diff_id, packages))
        self.live.update((path, (diff_id, packages)) for path, packages in contents.databases.items())
        self.os_releases.update(contents.os_releases)
        return deleted

    def _forget(self, path: str) -> None:
        self.live.pop(path, None)
        self.os_releases.pop(path, None)

    def packages(self) -> tuple[ShippedPackage, ...]:
        """Each package once: where it is now, or else where it was first."""
        found: dict[Package, ShippedPackage] = {}
        for path, (diff_id, packages) in self.live.items():
            for package in packages:
                found.setdefault(package, ShippedPackage(package, diff_id, path, removed=False))
        for path, diff_id, packages in self.shipped:
            for package in packages:
                found.setdefault(package, ShippedPackage(package, diff_id, path, removed=True))
        return tuple(found.values())

    def os_release(self) -> dict[str, str]:
        for path in _OS_RELEASES:
            if path in self.os_releases:
                return dict(_fields(self.os_releases[path]))
        return {}


def _fields(content: bytes) -> Iterator[tuple[str, str]]:
    """os-release(5): shell assignments, quoted or not."""
    for line in content[:65_536].split(b"\n"):
        name, equals, value = decoded(line.strip()).partition("=")
        if equals:
            yield name, value.strip("\"'")
