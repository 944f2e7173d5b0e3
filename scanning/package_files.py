"""Package databases and manifests inside layers, read for what trivy leaves out: packages that a later layer deletes.

Trivy reports what is there in the end. What a lower layer had before still ships with the image, so each layer's own
databases are read as well: dpkg, apk, rpm, Python's and npm's metadata - and Java archives, which trivy passes over.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.parser import HeaderParser

from scanning import rpm
from scanning.jars import SUFFIXES, coordinates_in
from scanning.texts import clean

#: bytes of the largest database that is read; Debian's with 5,000 packages has 5 MB
LARGEST = 64 * 2**20
_SOURCE = re.compile(r"(\S+)(?: \(([^)]+)\))?$")


@dataclass(frozen=True, slots=True)
class Package:
    """`kind` is deb, apk, rpm, pypi, npm, maven, golang or cargo."""

    kind: str
    name: str
    version: str
    source_name: str = ""
    source_version: str = ""
    architecture: str = ""


def whole_version(epoch: int, version: str, release: str) -> str:
    """As Debian and RPM write it: `epoch:version-release`."""
    return (f"{epoch}:" if epoch else "") + version + (f"-{release}" if release else "")


Reader = Callable[[bytes], Iterator[Package]]


def reader_of(path: str) -> Reader | None:
    """Who reads this file, if it tells of packages."""
    folder, _, name = path.rpartition("/")
    if name == "package.json":
        return _npm
    if (name == "METADATA" and folder.endswith(".dist-info")) or (
        name == "PKG-INFO" and folder.endswith((".egg-info", "/EGG-INFO"))
    ):
        return _python
    if name.endswith(".egg-info"):
        return _python
    if path == "var/lib/dpkg/status" or (folder == "var/lib/dpkg/status.d" and not name.endswith(".md5sums")):
        return _dpkg
    if path in ("lib/apk/db/installed", "usr/lib/apk/db/installed"):
        return _apk
    if path in rpm.DATABASES:
        return _rpm
    if name.lower().endswith(SUFFIXES):
        return _maven
    return None


def packages_in(path: str, content: bytes) -> tuple[Package, ...]:
    """Packages of a file that `reader_of` knows; what cannot be read tells of none."""
    reader = reader_of(path)
    if reader is None:
        return ()
    return tuple(cleaned(package) for package in reader(content) if package.name and package.version)


def cleaned(package: Package) -> Package:
    """Fit for a report, whatever the image says."""
    return Package(
        package.kind,
        clean(package.name),
        clean(package.version),
        clean(package.source_name),
        clean(package.source_version),
        clean(package.architecture),
    )


def _dpkg(content: bytes) -> Iterator[Package]:
    for paragraph in _paragraphs(content):
        status = paragraph.get("Status", "install ok installed").split()
        # what was removed but for its configuration is no package any more
        if not status or status[-1] != "installed":
            continue
        name, version = paragraph.get("Package", ""), paragraph.get("Version", "")
        source = _SOURCE.match(paragraph.get("Source", ""))
        yield Package(
            "deb",
            name,
            version,
            source[1] if source else name,
            (source[2] if source else "") or version,
            paragraph.get("Architecture", ""),
        )


def _paragraphs(content: bytes) -> Iterator[dict[str, str]]:
    """deb822: fields of one line are enough."""
    paragraph: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").split("\n"):
        if not line.strip():
            if paragraph:
                yield paragraph
            paragraph = {}
        elif not line[0].isspace():
            field, _, value = line.partition(":")
            paragraph[field] = value.strip()
    if paragraph:
        yield paragraph


def _apk(content: bytes) -> Iterator[Package]:
    for part in content.decode("utf-8", "replace").split("\n\n"):
        fields = {line[0]: line[2:].strip() for line in part.split("\n") if line[1:2] == ":"}
        name, version = fields.get("P", ""), fields.get("V", "")
        yield Package("apk", name, version, fields.get("o") or name, version, fields.get("A", ""))


def _rpm(content: bytes) -> Iterator[Package]:
    for one in rpm.packages_in(content):
        version = whole_version(one.epoch, one.version, one.release)
        # name-version-release, as the file of the source package is called
        name, *rest = one.source.rsplit("-", 2)
        source = whole_version(one.epoch, *rest) if len(rest) == 2 else ""
        yield Package("rpm", one.name, version, name if source else one.name, source or version, one.architecture)


def _python(content: bytes) -> Iterator[Package]:
    head = content.split(b"\n\n", 1)[0].decode("utf-8", "replace")
    said = HeaderParser().parsestr(head)
    yield Package("pypi", str(said.get("Name", "")).strip(), str(said.get("Version", "")).strip())


def _npm(content: bytes) -> Iterator[Package]:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return
    if (
        isinstance(said, dict)
        and isinstance(name := said.get("name"), str)
        and isinstance(version := said.get("version"), str)
    ):
        yield Package("npm", name.strip(), version.strip())


def _maven(content: bytes) -> Iterator[Package]:
    for name, version in coordinates_in(content):
        yield Package("maven", name, version)
