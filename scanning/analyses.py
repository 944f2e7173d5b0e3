"""What was read of layers, kept: who pushes an image again with another layer on top waits for that layer only.

A layer is known by the digest of its blob together with its diff_id, and only after both were verified: who says of his
blob that it unpacks to somebody else's layer is not believed. What is damaged here was never here.
"""

import contextlib
import hashlib
import json
import os
import secrets
from dataclasses import astuple
from pathlib import Path
from typing import Any

from isal import isal_zlib

from scanning.contents import Binary, Contents
from scanning.identify import Identified
from scanning.package_files import Package
from scanning.trees import Tree

#: of what is written here: another number, and all layers are read again
_FORM = 1
#: bytes of all analyses; of a layer with 10,000 files about 100 kB are kept
MOST_BYTES = 2**29
#: bytes of one analysis, as it is written; a layer of which there is more to say is read each time
_LARGEST = 2**26
_DIGEST_SIZE = hashlib.sha256().digest_size


class Analyses:
    """In a folder that nobody else writes to; any number of processes at a time may. Sizes in bytes.

    `knowledge` names all that an analysis depends on beside the layer: what others knew is not found.
    """

    def __init__(self, folder: Path, knowledge: str, most_bytes: int = MOST_BYTES) -> None:
        self._folder, self._knowledge, self._most_bytes = folder, f"{_FORM} {knowledge}", most_bytes

    def find(self, digest: str, diff_id: str) -> Contents | None:
        """What was kept of a layer; None where nothing was, or nothing that can be read."""
        path = self._path(digest, diff_id)
        try:
            content = path.read_bytes()
            os.utime(path)  # being used keeps it from being trimmed
        except OSError:
            return None
        if hashlib.sha256(content[_DIGEST_SIZE:]).digest() != content[:_DIGEST_SIZE]:
            path.unlink(missing_ok=True)
            return None
        return _contents(json.loads(isal_zlib.decompress(content[_DIGEST_SIZE:])))

    def keep(self, digest: str, diff_id: str, contents: Contents) -> None:
        """Errors: none; what cannot be kept is read again."""
        try:
            said = json.dumps(_values(contents), separators=(",", ":"), check_circular=False).encode()
        except RecursionError:  # folders in folders without end
            return
        content = isal_zlib.compress(said, 1)
        if len(content) > _LARGEST:
            return
        path = self._path(digest, diff_id)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(hashlib.sha256(content).digest() + content)
            temporary.replace(path)
        except OSError:  # a full disk, say
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def trim(self) -> None:
        """Delete what was unused for longest until no more is left than is allowed."""
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.glob("??/*"):
            with contextlib.suppress(FileNotFoundError):  # trimmed by somebody else while we look
                stat = path.lstat()
                found.append((stat.st_mtime, stat.st_size, path))
        left = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if left <= self._most_bytes:
                break
            path.unlink(missing_ok=True)
            left -= size

    def _path(self, digest: str, diff_id: str) -> Path:
        name = hashlib.sha256(f"{self._knowledge}\n{digest}\n{diff_id}".encode()).hexdigest()
        return self._folder / name[:2] / name


def _values(contents: Contents) -> list[Any]:
    """As JSON has them; `_contents` reads them."""
    return [
        contents.media_type,
        contents.uncompressed,
        contents.entries,
        contents.files,
        contents.tree.root,
        contents.folders,
        contents.setuid,
        contents.licences,
        contents.deleted,
        contents.opaque,
        {path: [astuple(one) for one in packages] for path, packages in contents.databases.items()},
        [(path, [astuple(one) for one in packages]) for path, packages in contents.hidden],
        [([astuple(one) for one in binary.identified], binary.names, binary.owned) for binary in contents.binaries],
        contents.os_releases,
    ]


def _contents(values: list[Any]) -> Contents:
    media_type, uncompressed, entries, files, root, folders, setuid, licences, deleted, opaque, *found = values
    databases, hidden, binaries, os_releases = found
    return Contents(
        media_type=media_type,
        uncompressed=uncompressed,
        entries=entries,
        files=files,
        tree=Tree(root),
        folders=tuple((folder, size) for folder, size in folders),
        setuid=tuple(setuid),
        licences=tuple(licences),
        deleted=deleted,
        opaque=opaque,
        databases={path: tuple(Package(*one) for one in packages) for path, packages in databases.items()},
        hidden=[(path, tuple(Package(*one) for one in packages)) for path, packages in hidden],
        binaries=[
            Binary(tuple(Identified(*one) for one in identified), names, owned) for identified, names, owned in binaries
        ],
        os_releases=os_releases,
    )
