"""Tiny images for the scanner's tests: package databases of all kinds in a few files, whole layouts in milliseconds."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import zstandard

from registry.building import FileSpec, ImageBuilder, put_blob, tag_layout
from registry.manifests import OCI_MANIFEST

Files = dict[str, bytes | FileSpec]

SITE = "usr/local/lib/python3.11/site-packages"
STATUS = "var/lib/dpkg/status"
APK = "lib/apk/db/installed"


def debian(version: str = "12") -> Files:
    """What makes an image a Debian one."""
    return {
        "etc/os-release": f'PRETTY_NAME="Debian GNU/Linux {version}"\nID=debian\nVERSION_ID="{version}"\n'.encode(),
        "etc/debian_version": f"{version}.5\n".encode(),
    }


def dpkg(*packages: str) -> bytes:
    """Of `name version [source [source version]]`; a leading `-` is removed but for its configuration."""
    paragraphs = []
    for said in packages:
        name, version, *source = said.removeprefix("-").split()
        lines = [f"Package: {name}"]
        lines.append("Status: deinstall ok config-files" if said.startswith("-") else "Status: install ok installed")
        lines += ["Architecture: amd64", f"Version: {version}", "Maintainer: Nobody <nobody@example.org>"]
        if source:
            lines.append(f"Source: {source[0]}" + (f" ({source[1]})" if len(source) > 1 else ""))
        lines += ["Description: a package", " of several lines"]
        paragraphs.append("\n".join(lines) + "\n")
    return "\n".join(paragraphs).encode()


def apk(*packages: str) -> bytes:
    """Of `name version [origin]`."""
    parts = []
    for said in packages:
        name, version, *origin = said.split()
        lines = ["C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=", f"P:{name}", f"V:{version}", "A:x86_64", "S:1", "I:2"]
        lines += ["T:a package", "U:https://example.org", "L:MIT", f"o:{origin[0] if origin else name}", "t:1"]
        parts.append("\n".join(lines) + "\n\n")
    return "".join(parts).encode()


def wheel(name: str, version: str) -> Files:
    """An installed Python package."""
    folder = f"{SITE}/{name}-{version}.dist-info"
    return {
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nWords.\n".encode(),
        f"{folder}/RECORD": b"",
        f"{SITE}/{name.lower()}/__init__.py": f"__version__ = '{version}'\n".encode(),
    }


def module(name: str, version: str) -> Files:
    """An installed npm package."""
    content = json.dumps({"name": name, "version": version, "license": "MIT"}).encode()
    return {f"app/node_modules/{name}/package.json": content}


def shop(platform: str = "linux/amd64") -> ImageBuilder:
    """Debian, Python and npm packages; what later layers delete and mend; a secret that was deleted as well."""
    builder = ImageBuilder(platform, cmd=("python", "-m", "shop"), user="10001")
    old = dpkg("bash 1:5.2.15-2+b2", "libssl3 3.0.9-1 openssl", "perl-base 5.36.0-7 perl", "libc6 2.36-9 glibc 2.36-9")
    builder.layer({**debian(), STATUS: old, "usr/bin/su": FileSpec(b"elf", 0o4755)}, "ADD rootfs.tar.xz /")
    builder.layer({**wheel("Django", "3.2.0"), **wheel("Jinja2", "2.10")}, "RUN pip install django jinja2")
    builder.layer({**module("lodash", "4.17.15"), "app/key.pem": KEY}, "COPY app /app")
    new = dpkg(
        "bash 1:5.2.15-2+b2", "libssl3 3.0.15-1 openssl", "-perl-base 5.36.0-7 perl", "libc6 2.36-9 glibc 2.36-9"
    )
    builder.layer({STATUS: new, **marks(f"{SITE}/Django-3.2.0.dist-info", "app/key.pem")}, "RUN apt-get upgrade")
    builder.layer(wheel("Django", "3.2.25"), "RUN pip install -U django")
    return builder


#: shaped like a key, and none
KEY = (
    b"-----BEGIN RSA PRIVATE KEY-----\n"
    + b"\n".join(bytes([65 + row]) * 4 + b"qz7Rk0Ww2mXc5vBn8uYt1oPl4aSd6fGh9jKe3rTy" * 1 for row in range(12))
    + b"\n-----END RSA PRIVATE KEY-----\n"
)


def marks(*paths: str) -> Files:
    """Whiteouts, to be put into a layer beside other files."""
    found: Files = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        found[f"{folder}/.wh.{name}" if folder else f".wh.{name}"] = b""
    return found


def layout_of(builder: ImageBuilder, folder: Path) -> Path:
    """A layout with this image and nothing else, as `fetch_image` makes it."""
    folder.mkdir(parents=True)
    builder.write(folder, "1.0")
    return folder


def gzipped(tar: bytes) -> bytes:
    return gzip.compress(tar, 6, mtime=0)


def gzipped_in_two(tar: bytes) -> bytes:
    return gzipped(tar[:700]) + gzipped(tar[700:])


def zstandard_(tar: bytes) -> bytes:
    return zstandard.compress(tar)


def plain(tar: bytes) -> bytes:
    return tar


def recompressed(layout: Path, *ways: Callable[[bytes], bytes]) -> Path:
    """The same image, each layer's blob made anew; the media types stay as they were, and so may be wrong."""
    return changed(layout, lambda manifest, config: _recompress(layout, manifest, ways))


def _recompress(layout: Path, manifest: dict[str, Any], ways: tuple[Callable[[bytes], bytes], ...]) -> None:
    for layer, way in zip(manifest["layers"], ways, strict=True):
        path = layout / "blobs" / "sha256" / layer["digest"].removeprefix("sha256:")
        layer.update(put_blob(layout, way(gzip.decompress(path.read_bytes()))))


def changed(layout: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Path:
    """Change manifest and config; digests are right again afterwards."""
    blobs = layout / "blobs" / "sha256"
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"].removeprefix("sha256:")).read_bytes())
    config = json.loads((blobs / manifest["config"]["digest"].removeprefix("sha256:")).read_bytes())
    change(manifest, config)
    manifest["config"].update(put_blob(layout, json.dumps(config).encode()))
    tag_layout(layout, "1.0", {"mediaType": OCI_MANIFEST, **put_blob(layout, json.dumps(manifest).encode())})
    return layout


def tar_with(*members: tarfile.TarInfo, content: Mapping[str, bytes] | None = None, **kinds: Any) -> bytes:
    """A tar of these very members, in this order, whatever they are."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **kinds) as tar:
        for member in members:
            found = (content or {}).get(member.name, b"")
            member.size = len(found)
            tar.addfile(member, io.BytesIO(found))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.mode = kind, link, mode
    return found
