"""One pass over an image's layers: what each adds, deletes and hides. Nothing is ever unpacked.

The policy's rules ask for facts of single layers (LayerFacts); packages and binaries that a later layer deletes are
found by comparing every layer's contents with what is there in the end. A layer that was read before is not read again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from models.images import LayerFacts
from scanning.analyses import Analyses
from scanning.blobs import Budget, opened
from scanning.contents import MOST_PATHS, OS_RELEASES, Binary, Contents, read
from scanning.identify import ShippedBinary
from scanning.image import Image, Layer
from scanning.package_files import Package
from scanning.tars import TarReader
from scanning.trees import Tree


@dataclass(frozen=True, slots=True)
class ShippedPackage:
    """A package that a layer's database or manifest names. `removed`: it is not there in the end."""

    package: Package
    layer: str
    path: str
    removed: bool


@dataclass(frozen=True, slots=True)
class LayersSeen:
    """What the pass found. `os_release` are the fields of the image's os-release file.

    `binaries` are those that no package brought.
    """

    layers: tuple[LayerFacts, ...]
    os_release: dict[str, str]
    packages: tuple[ShippedPackage, ...]
    binaries: tuple[ShippedBinary, ...] = ()


def pass_over(
    image: Image, budget: Budget, says: Callable[[str], None], analyses: Analyses | None = None
) -> LayersSeen:
    """Read every layer once, in order; those that `analyses` knows not at all.

    Errors: MalformedImage, ImageTooLarge; Stopped when the budget says so.
    """
    merged = _Merged()
    facts = []
    for layer in image.layers:
        contents = _known(layer, budget, analyses)
        if contents is None:
            says(f"reading layer {layer.index + 1} of {len(image.layers)}")
            contents = _read(layer, budget)
            if analyses is not None:
                analyses.keep(layer.digest, layer.diff_id, contents)
        deleted = merged.apply(layer.diff_id, contents)
        facts.append(_facts(layer, contents, deleted))
    if analyses is not None:
        analyses.trim()
    return LayersSeen(tuple(facts), merged.os_release(), merged.packages(), merged.binaries())


def _known(layer: Layer, budget: Budget, analyses: Analyses | None) -> Contents | None:
    """It counts against the limits as if it were read."""
    contents = analyses.find(layer.digest, layer.diff_id) if analyses is not None else None
    if contents is not None:
        budget.takes(contents.uncompressed)
        budget.holds(layer.digest, layer.size, contents.uncompressed)
        budget.takes_files(contents.entries)
        budget.takes_packages(contents.packages)
    return contents


def _read(layer: Layer, budget: Budget) -> Contents:
    with opened(layer.path, layer.digest, layer.size, budget) as stream:
        contents = read(TarReader(stream, f"Layer {layer.index} ({layer.digest})"), budget)
        stream.finish(layer.diff_id)
        contents.media_type, contents.uncompressed = stream.media_type, stream.uncompressed
    return contents


def _facts(layer: Layer, contents: Contents, deleted: list[tuple[str, int]]) -> LayerFacts:
    return LayerFacts(
        index=layer.index,
        digest=layer.digest,
        diff_id=layer.diff_id,
        media_type=contents.media_type,
        size=layer.size,
        uncompressed=contents.uncompressed,
        instruction=layer.instruction,
        created=layer.created,
        files=contents.files,
        folders=contents.folders,
        setuid=contents.setuid,
        deleted=_weightiest(deleted),
        licence_files=contents.licences,
    )


def _weightiest(deleted: list[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """The first are those that a person wants to read; the bytes of the rest are not lost."""
    ordered = sorted(deleted, key=lambda item: (-item[1], item[0]))
    kept, rest = ordered[:MOST_PATHS], ordered[MOST_PATHS:]
    if rest:
        kept.append((f"{len(rest):,} more", sum(size for _, size in rest)))
    return tuple(kept)


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """A binary in a layer. `owned`: it is a package's."""

    binary: Binary
    layer: str
    owned: bool

    def says_the_same(self, binary: Binary) -> bool:
        said = [{(one.product, one.version) for one in which.identified} for which in (self.binary, binary)]
        return said[0] == said[1]


@dataclass
class _Merged:
    """The file system as the layers so far make it."""

    tree: Tree = field(default_factory=Tree)
    #: path -> (layer, what it tells of) of the databases that are there in the end
    live: dict[str, tuple[str, tuple[Package, ...]]] = field(default_factory=dict)
    #: (path, layer, what it tells of) of all that ever were
    shipped: list[tuple[str, str, tuple[Package, ...]]] = field(default_factory=list)
    #: the same of binaries; one with several names is there as long as one of them is
    named: dict[str, _Placed] = field(default_factory=dict)
    placed: list[_Placed] = field(default_factory=list)
    os_releases: dict[str, dict[str, str]] = field(default_factory=dict)

    def apply(self, diff_id: str, contents: Contents) -> list[tuple[str, int]]:
        """Put a layer on top; returns what it deletes, with the bytes that the layers below still ship for it."""
        deleted = []
        binaries = [self._placed(binary, diff_id) for binary in contents.binaries]
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
        self.placed.extend(binaries)
        self.named.update((name, one) for one in binaries for name in one.binary.names)
        self.os_releases.update(contents.os_releases)
        return deleted

    def _placed(self, binary: Binary, diff_id: str) -> _Placed:
        """A package's file that a layer only changes the owner or mode of is the package's still."""
        before = [self.named[name] for name in binary.names if name in self.named]
        owned = binary.owned or any(one.owned and one.says_the_same(binary) for one in before)
        return _Placed(binary, diff_id, owned)

    def _forget(self, path: str) -> None:
        self.live.pop(path, None)
        self.named.pop(path, None)
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

    def binaries(self) -> tuple[ShippedBinary, ...]:
        """All that are no package's, in the order of the layers."""
        there = {id(one) for one in self.named.values()}
        return tuple(
            ShippedBinary(identified, one.layer, removed=id(one) not in there)
            for one in self.placed
            if not one.owned
            for identified in one.binary.identified
        )

    def os_release(self) -> dict[str, str]:
        return next((self.os_releases[path] for path in OS_RELEASES if path in self.os_releases), {})
