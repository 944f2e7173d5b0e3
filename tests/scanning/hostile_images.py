"""Images from strangers that mean harm: each says what it attacks, and what has to come of it."""

import gzip
import hashlib
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from registry.building import FileSpec, ImageBuilder, put_blob, tag_layout, tar_of
from registry.manifests import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from tests.scanning.images import STATUS, debian, dpkg

MIB = 2**20
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_FINE = tar_of(debian())
#: of a layer that is refused before anybody asks
_NONE = "sha256:" + "0" * 64


@dataclass(frozen=True, slots=True)
class Attack:
    """`refused` is part of the one line of error; empty for an image that is to be scanned like any other."""

    name: str
    attacks: str
    build: Callable[[Path], None]
    refused: str = ""


def image(folder: Path, *blobs: bytes, diff_ids: list[str] | None = None, **changes: Any) -> None:
    """An image of layers with these very bytes; `changes` replace entries of its manifest."""
    config = {
        "architecture": "amd64",
        "os": changes.pop("os", "linux"),
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids or [_diff_id(blob) for blob in blobs]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, **put_blob(folder, json.dumps(config).encode())},
        "layers": [{"mediaType": _LAYER, **put_blob(folder, blob)} for blob in blobs],
    }
    written(folder, manifest | changes)


def written(folder: Path, manifest: object, media_type: str = OCI_MANIFEST) -> None:
    content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    tag_layout(folder, "1.0", {"mediaType": media_type, **put_blob(folder, content)})


def _diff_id(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(gzip.decompress(blob)).hexdigest()}"


def _packed(tar: bytes) -> bytes:
    return gzip.compress(tar, 1, mtime=0)


def _header(name: str, size: int, kind: bytes = b"0") -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.USTAR_FORMAT)


def _gzip_bomb(folder: Path) -> None:
    """4 GiB of zeros in 4 MB: members of one gzip stream may follow one another."""
    image(
        folder, _packed(_header("zeros", 4 * 2**30)) + gzip.compress(bytes(64 * MIB), 9, mtime=0) * 64, diff_ids=[_NONE]
    )


def _zstandard_bomb(folder: Path) -> None:
    frames = zstandard.compress(_header("zeros", 4 * 2**30)) + zstandard.compress(bytes(64 * MIB)) * 64
    image(folder, frames, diff_ids=[_NONE])


def _nested_bomb(folder: Path) -> None:
    """Archives in archives, four deep, the innermost of which unpacks to a GiB."""
    content = bytes(2**30)
    for depth in range(4):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(f"{depth}.jar" if depth else "META-INF/maven/g/a/pom.properties", content)
        content = buffer.getvalue()
    image(folder, _packed(tar_of({**debian(), "app/bomb.jar": content})))


def _many_files(folder: Path) -> None:
    blob = io.BytesIO()
    digest = hashlib.sha256()
    with gzip.GzipFile(fileobj=blob, mode="wb", compresslevel=1, mtime=0) as packed:
        for piece in _empty_files("f/", 0, 1_000_000):
            packed.write(piece)
            digest.update(piece)
    image(folder, blob.getvalue(), diff_ids=[f"sha256:{digest.hexdigest()}"])


def _empty_files(prefix: str, first: int, count: int) -> Iterator[bytes]:
    """An archive of empty files that have numbers for names: their headers differ in name and checksum only."""
    model = bytearray(_header(f"{prefix}0000000", 0))
    model[148:156] = b" " * 8
    base, place = sum(model) - sum(b"0000000"), len(prefix)
    batch: list[bytes] = []
    for number in range(first, first + count):
        name = b"%07d" % number
        model[place : place + 7] = name
        model[148:156] = b"%06o\0 " % (base + sum(name))
        batch.append(bytes(model))
        if len(batch) == 10_000:
            yield b"".join(batch)
            batch = []
    yield b"".join(batch) + bytes(1024)


def _whiteouts(folder: Path) -> None:
    """Fifty layers, each of which deletes two thousand files of the layers below."""
    layers = [b"".join(_empty_files("d/", 0, 2_050))]
    layers += [b"".join(_empty_files("d/.wh.", layer, 2_000)) for layer in range(50)]
    image(folder, _packed(_FINE), *(_packed(layer) for layer in layers))


def _dpkg_status(folder: Path) -> None:
    """A gibibyte of packages that compresses just well enough to be none of the bombs."""
    noise = b"".join(
        b"X-%d: %s\n" % (number, hashlib.sha256(b"%d" % number).hexdigest().encode()) for number in range(2_600)
    )
    paragraph = b"Package: p\nStatus: install ok installed\nVersion: 1\n" + noise
    part = (paragraph + b"Description: " + b"a" * (16 * MIB - len(paragraph) - 15) + b"\n\n")[: 16 * MIB]
    start, end, rest = _header(STATUS, 2**30), bytes(1024), _packed(_FINE)
    image(folder, rest, _packed(start) + _packed(part) * 64 + _packed(end), diff_ids=[_diff_id(rest), _NONE])


def _names(folder: Path) -> None:
    """What a terminal, a page and a spreadsheet would take for orders."""
    status = dpkg("\x1b[2J\x1b[31mred 1.0", "<script>alert(1)</script> 1.0", "=cmd|'/c' 1.0", "\u202egpj.exe 1.0")
    files: dict[str, bytes | FileSpec] = {**debian(), STATUS: status}
    ImageBuilder(labels={"title": "\x1b]0;owned\x07"}, author="\x00\x1b[8m").layer(files).write(folder, "1.0")


def _not_utf_8(folder: Path) -> None:
    files: dict[str, bytes | FileSpec] = {
        "etc/os-release": b"ID=\xff\xfe\nVERSION_ID=\xed\xa0\x80\n",
        STATUS: b"Package: \xc3\x28\nVersion: \xff\n",
    }
    ImageBuilder().layer(files).write(folder, "1.0")


def _links(folder: Path) -> None:
    """Links to the host's files, circles of links, devices and pipes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, target in (
            ("etc", tarfile.SYMTYPE, "/etc"),
            ("etc/shadow", tarfile.REGTYPE, ""),
            ("a", tarfile.SYMTYPE, "b"),
            ("b", tarfile.SYMTYPE, "a"),
            ("var", tarfile.SYMTYPE, "../../../../../var"),
            ("disk", tarfile.BLKTYPE, ""),
            ("memory", tarfile.CHRTYPE, ""),
            ("pipe", tarfile.FIFOTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    image(folder, _packed(_FINE), _packed(buffer.getvalue()))


def _sparse(folder: Path) -> None:
    """Eight exabytes of holes in one block."""
    header = bytearray(_header("holes", 512, b"S"))
    header[257:265] = b"ustar  \0"
    header[386:410] = b"%011o\0" % 0 + b"%011o\0" % 512
    header[483:495] = b"\x80" + bytes(3) + struct.pack(">Q", 2**62)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    image(folder, _packed(_FINE), _packed(bytes(header) + b"x" * 512 + bytes(1024)))


def _pax(folder: Path) -> None:
    """A size that no file has, in the header that overrides the other."""
    record = b"28 size=99999999999999999999\n"
    tar = _header("pax", len(record), b"x") + record.ljust(512, b"\0") + _header("f", 1) + b"x".ljust(512, b"\0")
    image(folder, _packed(tar + bytes(1024)))


def _path_out(folder: Path) -> None:
    image(folder, _packed(_header("../../../etc/cron.d/evil", 0) + bytes(1024)))


def _lying_digest(folder: Path) -> None:
    blob = _packed(_FINE)
    image(folder, blob)
    path = folder / "blobs" / "sha256" / hashlib.sha256(blob).hexdigest()
    path.write_bytes(blob[:-1] + b"!")


def _lying_size(folder: Path) -> None:
    blob = _packed(_FINE)
    layer = {"mediaType": _LAYER, **put_blob(folder, blob), "size": 5}
    image(folder, blob, layers=[layer])


def _lying_diff_id(folder: Path) -> None:
    image(folder, _packed(_FINE), diff_ids=["sha256:" + "0" * 64])


def _foreign(folder: Path) -> None:
    layer = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": "sha256:" + "0" * 64,
        "size": 100,
        "urls": ["http://127.0.0.1:1/layer"],
    }
    image(folder, layers=[layer], diff_ids=["sha256:" + "0" * 64])


def _cycle(folder: Path) -> None:
    """An index that names an index that names the first: with digests nobody can make one but by lying."""
    first, second = "1" * 64, "2" * 64
    for own, other in ((first, second), (second, first)):
        content = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [{"mediaType": OCI_INDEX, "digest": f"sha256:{other}", "size": 300}],
        }
        put_blob(folder, b"")
        (folder / "blobs" / "sha256" / own).write_text(json.dumps(content))
    size = (folder / "blobs" / "sha256" / first).stat().st_size
    tag_layout(folder, "1.0", {"mediaType": OCI_INDEX, "digest": f"sha256:{first}", "size": size})


def _deep_index(folder: Path) -> None:
    """Indexes in indexes, and an image at the bottom of a thousand."""
    image(folder, _packed(_FINE))
    inner: dict[str, Any] = json.loads((folder / "index.json").read_text())["manifests"][0]
    inner.pop("annotations")
    for _ in range(1_000):
        content = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [inner]}
        inner = {"mediaType": OCI_INDEX, **put_blob(folder, json.dumps(content).encode())}
    tag_layout(folder, "1.0", inner)


def _config(content: bytes) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        image(folder, _packed(_FINE), config={"mediaType": OCI_CONFIG, **put_blob(folder, content)})

    return build


ATTACKS: tuple[Attack, ...] = (
    Attack("path-out", "the host's files, by a path", _path_out, "leads out of the image"),
    Attack("links", "the host's files, by links; devices", _links),
    Attack("sparse", "disk and memory, by holes", _sparse),
    Attack("pax", "arithmetic, by a size beyond all integers", _pax, "has a pax header that cannot be read"),
    Attack("names", "terminals, pages and spreadsheets of readers", _names),
    Attack("not-utf-8", "whoever thinks that all text is UTF-8", _not_utf_8),
    Attack("lying-digest", "trust in digests of blobs", _lying_digest, "has other bytes than its digest says"),
    Attack("lying-size", "trust in sizes of blobs", _lying_size, "is longer than the 5 bytes that its manifest says"),
    Attack("lying-diff-id", "trust in what layers are said to unpack to", _lying_diff_id, "does not unpack to"),
    Attack("foreign", "the hub's network, by a layer that lies elsewhere", _foreign, "a foreign layer"),
    Attack("cycle", "whoever follows indexes without end", _cycle, "has other bytes than its name says"),
    Attack("deep-index", "recursion", _deep_index, "index"),
    Attack("config-text", "the reader of JSON", _config(b"\xff not json"), "no JSON"),
    Attack("config-deep", "the reader of JSON, by depth", _config(b"[" * 100_000), "no JSON"),
    Attack("config-list", "whoever expects an object", _config(b"[]"), "is for no platform"),
    Attack("manifest-text", "the reader of manifests", lambda folder: written(folder, b"{"), "JSON"),
    Attack(
        "media-type",
        "whoever guesses",
        lambda folder: written(folder, {"schemaVersion": 2}, "application/x-tar"),
        "application/x-tar",
    ),
    Attack(
        "windows",
        "whoever thinks that all images are Linux's",
        lambda folder: image(folder, _packed(_FINE), os="windows"),
        "windows",
    ),
    Attack("whiteouts", "time, by a hundred thousand deletions", _whiteouts),
)

#: these take seconds each, and are measured
HEAVY: tuple[Attack, ...] = (
    Attack("gzip-bomb", "disk and memory, by 4 GiB in 4 MB", _gzip_bomb, "a bomb is no layer"),
    Attack("zstd-bomb", "disk and memory, by 4 GiB in some KB", _zstandard_bomb, "a bomb is no layer"),
    Attack("nested-bomb", "memory, by archives in archives", _nested_bomb),
    Attack("dpkg-status", "memory, by a package database of 1 GiB", _dpkg_status, "what tells of packages has"),
    Attack("many-files", "time and memory, by a million files", _many_files),
)
