"""The parsers of our own making, each with honest seeds and the errors that its contract allows."""

import io
import json
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, cast

from models.errors import InvalidManifest, MalformedImage
from registry.building import tar_of
from scanning import cpe, kev, nvd, osv, ownership, package_files, zips
from scanning.cpe_versions import cpe_version_key
from scanning.identify import HEAD, Identifier
from scanning.json_streams import objects_in
from scanning.reports import vex_documents
from scanning.tars import TarReader
from scanning.version_keys import InvalidVersion
from scanning.versions import compare, fixed_after, is_affected
from tests.scanning.binaries import CRATES, go, rust
from tests.scanning.rpms import DATABASE, database, header

_ECOSYSTEMS = (
    *("Debian:12", "Alpine:v3.18", "PyPI", "npm", "Go", "Maven", "RubyGems", "crates.io", "NuGet", "Packagist", "Hex"),
    *("Pub", "Rocky Linux:9", "Ubuntu:22.04", "SwiftURL", "ConanCenter"),
)


@dataclass(frozen=True, slots=True)
class Target:
    """`allowed` is what `feed` may raise: of a parser that answers whatever it is given, nothing."""

    name: str
    what: str
    seeds: tuple[bytes, ...]
    feed: Callable[[bytes], object]
    allowed: tuple[type[Exception], ...] = ()
    #: damaged as a tree as well: bytes of JSON are mostly none any more when they are damaged
    is_json: bool = False


class _Held:
    """An archive in memory, as TarReader reads it."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def read(self, count: int) -> bytes:
        found = self.peek(count)
        self._at += len(found)
        return found

    def chunk(self, most: int) -> bytes:
        return self.read(most)

    def peek(self, count: int) -> bytes:
        return self._content[self._at : self._at + count]

    def skip(self, count: int) -> int:
        return len(self.read(count))


def _tar(content: bytes) -> None:
    reader = TarReader(_Held(content), "Layer 0")
    for entry in reader:
        if ".." in entry.path.split("/") or entry.path.startswith("/"):
            raise AssertionError(f"a path that leads out: {entry.path!r}")
        if entry.is_file and not entry.sparse and entry.size < 2**16:
            reader.content()


def _tar_seeds() -> tuple[bytes, ...]:
    ours = tar_of({"etc/os-release": b"ID=debian\n", "usr/bin/x": b"\x7fELF" + b"x" * 700})
    seeds = [ours]
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
            for name, kind in (("a/b", tarfile.REGTYPE), ("link", tarfile.SYMTYPE), ("dev", tarfile.CHRTYPE)):
                member = tarfile.TarInfo(name)
                member.type, member.linkname, member.size = kind, "b", 5 if kind == tarfile.REGTYPE else 0
                archive.addfile(member, io.BytesIO(b"hello"))
            if form != tarfile.USTAR_FORMAT:
                archive.addfile(tarfile.TarInfo("long/" * 40 + "name"))
        seeds.append(buffer.getvalue())
    return tuple(seeds)


def _packages(path: str) -> Callable[[bytes], object]:
    def feed(content: bytes) -> None:
        for package in package_files.packages_in(path, content):
            if not package.name or not all(part.isprintable() for part in (package.name, package.version)):
                raise AssertionError(f"a name that cannot be shown: {package!r}")

    return feed


def _jar() -> bytes:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("META-INF/maven/g/a/pom.properties", "version=1.0\ngroupId=g\nartifactId=a\n")
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("lib/inner.jar", inner.getvalue())
    return outer.getvalue()


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", json.dumps(_OSV))
        archive.writestr("b.json", "{}", zipfile.ZIP_STORED)
        with archive.open("c.json", "w", force_zip64=True) as file:
            file.write(b"[]")
    return buffer.getvalue()


def _export(content: bytes) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        for member in zips.members_of(cast(BinaryIO, file)):
            unpacked = zips.MemberReader(cast(BinaryIO, file), member).read(2**16)
            if len(unpacked) > member.size:
                raise AssertionError(f"more than the directory says: {member!r}")


def _document(content: bytes) -> None:
    """What is read record by record is what the standard library reads as a whole."""
    found = [record for record, _ in objects_in(io.BytesIO(content), 2**16)]
    whole = json.loads(content)
    records = whole if isinstance(whole, list) else whole.get("vulnerabilities", [whole])
    if isinstance(records, list) and json.dumps(found) != json.dumps(records):
        raise AssertionError(f"{found!r} is not {records!r}")


def _json(parse: Callable[[object], object]) -> Callable[[bytes], object]:
    """Damaged JSON is the importer's matter: what is still JSON reaches the parser of records."""

    def feed(content: bytes) -> None:
        try:
            record = json.loads(content)
        except (ValueError, RecursionError):
            return
        parse(record)

    return feed


def _osv(record: object) -> None:
    advisory = osv.parse_record(record)
    json.dumps(osv.to_json(advisory)).encode()
    for entry in advisory.affected:
        is_affected("1.2.3-4", entry)
    fixed_after("1.2.3-4", advisory.affected)


def _nvd(record: object) -> None:
    parsed = nvd.parse_cve(record)
    if not parsed:
        raise AssertionError("a record that is nothing")


def _versions(content: bytes) -> None:
    """Any two texts, in every ecosystem; an order has to be one."""
    first, _, second = content.decode("utf-8", "replace").partition("\n")
    for ecosystem in _ECOSYSTEMS:
        try:
            order = compare(ecosystem, first, second)
        except InvalidVersion:
            continue
        if order != -compare(ecosystem, second, first):
            raise AssertionError(f"{ecosystem}: {first!r} and {second!r} are in no order")


def _look(content: bytes) -> None:
    content = b"\x7fELF" + content.removeprefix(b"\x7fELF")
    identifier = Identifier.load()
    if identifier.wants("opt/x", len(content), content[:HEAD]):
        cut = len(content) // 3
        bits = identifier.look("opt/x", (content[:cut], content[cut:]))
        for found in bits.identified:
            if not found.version.isprintable() or not 0 < found.confidence <= 1:
                raise AssertionError(f"{found!r}")


def _rpm(content: bytes) -> None:
    _packages(DATABASE)(content)
    ownership.files_of(DATABASE, content)


def _vex() -> tuple[bytes, ...]:
    statement = {
        "vulnerability": {"name": "CVE-2026-1234"},
        "products": [{"@id": "pkg:oci/ledger@sha256%3A" + "0" * 64, "subcomponents": [{"@id": "pkg:pypi/django@3.2"}]}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_present",
        "impact_statement": "Never called.",
    }
    return (
        json.dumps(
            {
                "@context": "https://openvex.dev/ns/v0.2.0",
                "@id": "https://example.org/vex/1",
                "author": "Ada",
                "timestamp": "2026-01-02T03:04:05Z",
                "version": 1,
                "statements": [statement],
            }
        ).encode(),
        json.dumps(
            {
                "bomFormat": "CycloneDX",
                "specVersion": "1.6",
                "version": 1,
                "vulnerabilities": [
                    {
                        "id": "CVE-2026-1234",
                        "analysis": {"state": "not_affected", "justification": "code_not_present", "detail": "Words."},
                        "affects": [{"ref": "pkg:pypi/django@3.2"}],
                    }
                ],
            }
        ).encode(),
    )


_OSV = {
    "id": "GHSA-1111-2222-3333",
    "modified": "2026-01-02T03:04:05Z",
    "aliases": ["CVE-2026-1234"],
    "summary": "A summary",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "Django"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.2.1"}]}],
            "versions": ["3.2", "3.1.0"],
        },
        {
            "package": {"ecosystem": "Debian:12", "name": "openssl"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"last_affected": "3.0.1-1"}]}],
        },
    ],
    "references": [{"type": "ADVISORY", "url": "https://example.org/a"}],
}
_CVE = {
    "cve": {
        "id": "CVE-2026-1234",
        "vulnStatus": "Analyzed",
        "lastModified": "2026-01-02T03:04:05.000",
        "descriptions": [{"lang": "en", "value": "Words."}],
        "metrics": {
            "cvssMetricV31": [
                {
                    "source": "nvd@nist.gov",
                    "type": "Primary",
                    "cvssData": {"vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "baseScore": 9.8},
                }
            ]
        },
        "configurations": [
            {
                "nodes": [
                    {
                        "operator": "OR",
                        "negate": False,
                        "cpeMatch": [
                            {
                                "vulnerable": True,
                                "criteria": "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*",
                                "versionStartIncluding": "3.0.0",
                                "versionEndExcluding": "3.0.7",
                            }
                        ],
                    }
                ]
            }
        ],
        "references": [{"url": "https://example.org/a"}],
    }
}
_KEV = {
    "cveID": "CVE-2026-1234",
    "dateAdded": "2026-01-02",
    "dueDate": "2026-02-03",
    "knownRansomwareCampaignUse": "Known",
}
_DPKG = (
    b"Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl (3.0.9-1)\n"
    b"Version: 3.0.9-1\n"
    b"Description: words\n more of them\n\nPackage: bash\nStatus: deinstall ok config-files\nVersion: 5.2\n"
)
_APK = (
    b"C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\no:musl\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\n\nP:zlib\nV:1.2.13-r1\n\n"
)
_PYTHON = b"Metadata-Version: 2.1\nName: Django\nVersion: 3.2.0\nSummary: words\n\nMore.\n"
_NPM = b'{"name": "@scope/lodash", "version": "4.17.15", "license": "MIT"}'
_VERSIONS = (
    b"1:3.0.9-1~deb12u2\n1:3.0.9-1",
    b"1.2.4_git2023-r5\n1.2.4-r0",
    b"1.0rc1.post2.dev3+local\n1.0",
    b"v1.2.3-0.2020\nv1.2.3",
)
_BINARY = (
    b"\0GNU C Library (Debian GLIBC 2.36-9+deb12u9) stable release version 2.36.\n\0OpenSSL 3.0.9 30 May 2023\0"
    b" deflate 1.2.13 Copyright 1995-2022\0nginx/1.22.1\0libcurl/7.88.1\0"
)

TARGETS: tuple[Target, ...] = (
    Target("tar", "the reader of layers", _tar_seeds(), _tar, (MalformedImage,)),
    Target("dpkg", "Debian's package database", (_DPKG,), _packages("var/lib/dpkg/status")),
    Target("apk", "Alpine's package database", (_APK,), _packages("lib/apk/db/installed")),
    Target("python", "metadata of Python's packages", (_PYTHON,), _packages("x/a.dist-info/METADATA")),
    Target("npm", "package.json", (_NPM,), _packages("app/package.json"), is_json=True),
    Target("jar", "Java archives", (_jar(),), _packages("app/a.jar")),
    Target(
        "owned-dpkg",
        "lists of a package's files",
        (b"/.\n/usr\n/usr/bin/x\n",),
        lambda content: ownership.files_of("var/lib/dpkg/info/x.list", content),
    ),
    Target(
        "owned-apk",
        "files in Alpine's database",
        (_APK,),
        lambda content: ownership.files_of("lib/apk/db/installed", content),
    ),
    Target("rpm", "rpm's package database", (database(header("bash", "5.1", "2", files=("/usr/bin/bash",))),), _rpm),
    Target("binary", "signatures of binaries, Go's and Rust's lists", (_BINARY, go(), rust(CRATES)), _look),
    Target("vex", "OpenVEX and CycloneDX of strangers", _vex(), vex_documents.read, (InvalidManifest,), is_json=True),
    Target("osv", "OSV records", (json.dumps(_OSV).encode(),), _json(_osv), (osv.InvalidAdvisory,), is_json=True),
    Target("nvd", "records of NVD", (json.dumps(_CVE).encode(),), _json(_nvd), (osv.InvalidAdvisory,), is_json=True),
    Target(
        "kev",
        "entries of CISA's catalog",
        (json.dumps(_KEV).encode(),),
        _json(kev.parse_entry),
        (kev.InvalidEntry,),
        is_json=True,
    ),
    Target(
        "cpe",
        "CPE names",
        (b"cpe:2.3:a:openssl:openssl:3.0.1:beta\\+1:*:*:*:*:*:*",),
        lambda content: cpe.parse_cpe(content.decode("utf-8", "replace")),
        (ValueError,),
    ),
    Target(
        "cpe-versions",
        "versions in CPE names",
        (b"1.0.2zg", b"1.8.0_292-b10", b"3.1-dev6", b"9.2-p1", b"8.0-update292"),
        lambda content: cpe_version_key("oracle:openjdk", content.decode("utf-8", "replace")),
        (InvalidVersion,),
    ),
    Target("export", "zips of advisories", (_zip(),), _export, (zipfile.BadZipFile, zlib.error, NotImplementedError)),
    Target(
        "document",
        "long documents of advisories",
        (json.dumps([_OSV, {}]).encode(), json.dumps({"format": "NVD_CVE", "vulnerabilities": [_CVE]}).encode()),
        _document,
        (ValueError, RecursionError),
    ),
    Target("versions", "versions of every ecosystem", _VERSIONS, _versions),
)
