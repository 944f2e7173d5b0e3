"""Which files a layer's package databases say they brought: a binary that is named there belongs to its package.

Each layer's databases are read by themselves: a package manager writes files and names into the same layer, so a file
that another layer puts in the place of a package's is no longer the package's.
"""

from collections.abc import Callable, Iterator

from scanning import rpm
from scanning.texts import decoded

#: folders that are one place with those of the same name below /usr (Debian since 12, Alpine by and by)
_MERGED = frozenset({"bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32"})
#: bytes of all names for each byte of a database, beside what a small one may have: real ones have less than one
_SHARE, _SMALL = 2, 2**16
_APK = frozenset({"lib/apk/db/installed", "usr/lib/apk/db/installed"})

_Reader = Callable[[bytes], Iterator[bytes]]


def place(path: str) -> str:
    """Where a file lies, without leading slash: `/lib/x` and `usr/lib/x` are one place."""
    path = path.removeprefix("./").lstrip("/")
    return f"usr/{path}" if path.partition("/")[0] in _MERGED else path


def tells_of_files(path: str) -> bool:
    """Whether `files_of` can read it."""
    return _reader_of(path) is not None


def files_of(path: str, content: bytes) -> frozenset[str]:
    """The places of all files that a package database names; of what cannot be read, none."""
    reader = _reader_of(path)
    if reader is None:
        return frozenset()
    names = _within(reader(content), _SHARE * len(content) + _SMALL)
    return frozenset(place(decoded(name)) for name in names if name)


def _within(names: Iterator[bytes], most: int) -> Iterator[bytes]:
    """A folder that is named once may have a million files: as many bytes of names as a database can honestly have."""
    for name in names:
        most -= len(name)
        if most < 0:
            return
        yield name


def _reader_of(path: str) -> _Reader | None:
    folder, _, name = path.rpartition("/")
    if folder == "var/lib/dpkg/info" and name.endswith(".list"):
        return _dpkg_list
    if folder == "var/lib/dpkg/status.d" and name.endswith(".md5sums"):
        return _md5sums
    if path in _APK:
        return _apk
    if path in rpm.DATABASES:
        return rpm.files_in
    return None


def _dpkg_list(content: bytes) -> Iterator[bytes]:
    """A path a line; folders are named as well."""
    yield from content.split(b"\n")


def _md5sums(content: bytes) -> Iterator[bytes]:
    """`<md5>  usr/lib/os-release`, as distroless images have them."""
    for line in content.split(b"\n"):
        yield line.partition(b"  ")[2]


def _apk(content: bytes) -> Iterator[bytes]:
    """`F:` is a folder, the `R:` lines after it are the files in it."""
    folder = b""
    for line in content.split(b"\n"):
        if line.startswith(b"F:"):
            folder = line[2:]
        elif line.startswith(b"R:"):
            yield folder + b"/" + line[2:] if folder else line[2:]
