"""Java archives: what Maven wrote into them. Trivy lists them only with a database of its own, which we do not have.

An archive comes from a stranger like all the rest: its directory, its entries and the archives inside it are bounded.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

#: bytes of the directory at the end of an archive; one with 65,535 entries has about 7 MB
_LONGEST_DIRECTORY = 8 * 2**20
_LONGEST_PROPERTIES = 64 * 2**10
#: bytes that all archives inside one may unpack to: a Spring Boot application has about 100 MB
_INNER = 256 * 2**20
#: archives inside archives: an .ear has .war files, which have .jar files
_DEPTH = 3
SUFFIXES = (".jar", ".war", ".ear", ".par", ".hpi", ".jpi")

Coordinates = tuple[str, str]


def coordinates_in(content: bytes) -> Iterator[Coordinates]:
    """(group:artifact, version) of every pom.properties, also of shaded and inner archives. None of a broken one."""
    yield from _in(content, [_INNER], _DEPTH)


def _in(content: bytes, left: list[int], depth: int) -> Iterator[Coordinates]:
    if not _is_bounded(content):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                if entry.filename.startswith("META-INF/maven/") and entry.filename.endswith("/pom.properties"):
                    yield from _coordinates(_read(archive, entry, _LONGEST_PROPERTIES))
                elif entry.filename.lower().endswith(SUFFIXES) and depth > 1 and left[0] > 0:
                    inner = _read(archive, entry, left[0])
                    left[0] -= len(inner)
                    yield from _in(inner, left, depth - 1)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, struct.error):
        # NotImplementedError of an unknown compression is a RuntimeError, as is an encrypted entry
        return


def _is_bounded(content: bytes) -> bool:
    """By the record at its end, the last 64 KiB of which may be a comment: what zipfile would read all of."""
    place = content.rfind(b"PK\x05\x06", max(0, len(content) - 65_557))
    if place < 0 or len(content) < place + 22:
        return False
    size = int.from_bytes(content[place + 12 : place + 16], "little")
    # 0xFFFFFFFF says that a zip64 record has the true size
    return size <= _LONGEST_DIRECTORY


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    if entry.file_size > most:
        return b""
    with archive.open(entry) as file:
        return file.read(most)


def _coordinates(content: bytes) -> Iterator[Coordinates]:
    said = {}
    for line in content.decode("utf-8", "replace").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", "!")):
            said[name.strip()] = value.strip()
    group, artifact, version = said.get("groupId"), said.get("artifactId"), said.get("version")
    # a placeholder that Maven did not fill in says nothing
    if group and artifact and version and "$" not in group + artifact + version:
        yield f"{group}:{artifact}", version
