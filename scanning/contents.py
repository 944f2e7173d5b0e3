"""What one layer's archive holds, read once from its beginning to its end: a value that scanning/analyses.py stores."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from models.errors import ImageTooLarge
from scanning.blobs import Budget
from scanning.identify import HEAD, Identified, Identifier
from scanning.jars import SUFFIXES
from scanning.ownership import files_of, place, tells_of_files
from scanning.package_files import LARGEST, Package, packages_in, reader_of
from scanning.tars import Entry, TarReader
from scanning.texts import decoded
from scanning.trees import Tree

#: deeper folders count to the one at this depth
_DEPTH = 5
#: folders and paths of one layer that a report names; of more, the weightiest
_MOST_FOLDERS = 5_000
MOST_PATHS = 1_000
OS_RELEASES = ("etc/os-release", "usr/lib/os-release")
#: bytes of an os-release that are read
_LONGEST_RELEASE = 65_536
#: bytes of the largest Java archive that is read, all of it at once; a whole application has about 100 MB
_LARGEST_ARCHIVE = 128 * 2**20
_SETUID = 0o6000
_MARK, _OPAQUE, _AUFS = ".wh.", ".wh..wh..opq", ".wh..wh."
_LICENCE = re.compile(r"(licen[cs]es?|copying|unlicense|eula)([._-].*)?", re.IGNORECASE)


@dataclass(slots=True)
class Binary:
    """A file that signatures know. `names`: its own and those of hard links to it, as far as the archive leaves them.

    `owned`: the same layer's package database says that a package brought it.
    """

    identified: tuple[Identified, ...]
    names: list[str]
    owned: bool = False


@dataclass(slots=True)
class Contents:
    """Sizes in bytes; `entries` counts all that the archive lists, `files` what is neither folder nor mark."""

    media_type: str = ""
    uncompressed: int = 0
    entries: int = 0
    files: int = 0
    tree: Tree = field(default_factory=Tree)
    folders: tuple[tuple[str, int], ...] = ()
    setuid: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    deleted: list[str] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)
    databases: dict[str, tuple[Package, ...]] = field(default_factory=dict)
    #: of files that the same archive holds again, further down: they ship as well
    hidden: list[tuple[str, tuple[Package, ...]]] = field(default_factory=list)
    binaries: list[Binary] = field(default_factory=list)
    #: path -> fields
    os_releases: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def packages(self) -> int:
        """How many it names."""
        return sum(map(len, self.databases.values())) + sum(len(packages) for _, packages in self.hidden)


def read(tar: TarReader, budget: Budget) -> Contents:
    """All of an archive but its digests and sizes. Errors: MalformedImage, ImageTooLarge; Stopped."""
    reading = _Reading(tar, budget)
    for entry in tar:
        reading.takes(entry)
    return reading.finished()


class _Reading:
    def __init__(self, tar: TarReader, budget: Budget) -> None:
        self._tar, self._budget = tar, budget
        self._identifier = Identifier.load()
        self._found = Contents()
        self._folders: dict[str, int] = defaultdict(int)
        self._setuid: set[str] = set()
        self._licences: set[str] = set()
        #: the binary that has this name now
        self._named: dict[str, Binary] = {}
        #: programs that have packages compiled into them
        self._compiled: set[str] = set()
        #: places of files that the layer's package databases name; their hashes, for the names are most of a database
        self._owned: set[int] = set()

    def takes(self, entry: Entry) -> None:
        found = self._found
        found.entries += 1
        self._budget.takes_files(1)
        if entry.is_folder or not entry.path:
            return
        folder, _, name = entry.path.rpartition("/")
        if name.startswith(_MARK):
            self._mark(folder, name)
            return
        found.files += 1
        found.tree.add(folder, name, entry.size)
        self._hide(entry.path)
        if entry.is_file:
            self._look_at(entry, folder, name)
        elif binary := self._named.get(entry.link):
            binary.names.append(entry.path)
            self._named[entry.path] = binary

    def finished(self) -> Contents:
        found = self._found
        found.folders = _sums(self._folders)
        found.setuid = tuple(sorted(self._setuid)[:MOST_PATHS])
        found.licences = tuple(sorted(self._licences)[:MOST_PATHS])
        for binary in found.binaries:
            binary.owned = self._owns(binary.identified[0].path)
        for path in self._compiled:
            # a program that a package owns is that package, and not its modules too
            if self._owns(path):
                found.databases.pop(path, None)
        return found

    def _owns(self, path: str) -> bool:
        return hash(place(path)) in self._owned

    def _mark(self, folder: str, name: str) -> None:
        if name == _OPAQUE:
            self._found.opaque.append(folder)
        elif not name.startswith(_AUFS) and (target := name.removeprefix(_MARK)) not in ("", ".", ".."):
            self._found.deleted.append(f"{folder}/{target}" if folder else target)

    def _hide(self, path: str) -> None:
        """What the archive had under this name before; a link in its place hides a file as another file does."""
        found = self._found
        found.os_releases.pop(path, None)
        if path in found.databases:
            found.hidden.append((path, found.databases.pop(path)))
        if path in self._named:
            self._named.pop(path).names.remove(path)

    def _look_at(self, entry: Entry, folder: str, name: str) -> None:
        path, size = entry.path, entry.size
        if folder and size:
            self._folders[folder] += size
        if entry.mode & _SETUID:
            self._setuid.add(path)
        if _LICENCE.fullmatch(name) or folder == "licenses" or folder.startswith("licenses/"):
            self._licences.add(path)
        if entry.sparse or not size:
            return
        if self._reads(path, size):
            return
        if self._identifier.wants(path, size, self._tar.head(HEAD)):
            self._identify(path)

    def _reads(self, path: str, size: int) -> bool:
        """Whether the file is one that tells of packages or of the system."""
        is_release, is_database, tells = path in OS_RELEASES, reader_of(path) is not None, tells_of_files(path)
        if not (is_release or is_database or tells):
            return False
        if path.lower().endswith(SUFFIXES):
            if size > _LARGEST_ARCHIVE:
                return False
        elif size > LARGEST:
            raise ImageTooLarge(f"{path} has {size:,} bytes; what tells of packages has {LARGEST:,} at most.")
        content = self._tar.content()
        if is_release:
            self._found.os_releases[path] = dict(_fields(content))
        if is_database:
            packages = packages_in(path, content)
            self._budget.takes_packages(len(packages))
            self._found.databases[path] = packages
        if tells:
            if len(self._owned) + content.count(b"\n") > self._budget.limits.files:
                raise ImageTooLarge(f"The packages of a layer name more than {self._budget.limits.files:,} files.")
            self._owned.update(map(hash, files_of(path, content)))
        return True

    def _identify(self, path: str) -> None:
        bits = self._identifier.look(path, self._tar.chunks())
        if bits.packages:
            self._budget.takes_packages(len(bits.packages))
            self._found.databases[path] = bits.packages
            self._compiled.add(path)
        if bits.identified:
            binary = Binary(bits.identified, [path])
            self._found.binaries.append(binary)
            self._named[path] = binary


def _sums(folders: dict[str, int]) -> tuple[tuple[str, int], ...]:
    """Each folder's bytes counted for every folder above it, down to the depth that is kept."""
    sums: dict[str, int] = defaultdict(int)
    for folder, size in folders.items():
        parts = folder.split("/", _DEPTH)[:_DEPTH]
        for depth in range(1, len(parts) + 1):
            sums["/".join(parts[:depth])] += size
    kept = sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:_MOST_FOLDERS]
    return tuple(sorted(kept))


def _fields(content: bytes) -> Iterator[tuple[str, str]]:
    """os-release(5): shell assignments, quoted or not."""
    for line in content[:_LONGEST_RELEASE].split(b"\n"):
        name, equals, value = decoded(line.strip()).partition("=")
        if equals:
            yield name, value.strip("\"'")
