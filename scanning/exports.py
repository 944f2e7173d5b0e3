"""Where advisories come from: OSV exports as files, zips, folders or a URL, read one record at a time."""

import gzip
import json
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import httpx

from models.errors import NotFound, ToolFailed
from models.scans import KnownExploited
from scanning.kev import parse_entry
from scanning.scores import score_of

_KINDS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".zip")
#: bytes of the largest line or document that is read; the largest real record has under 20 MB
_LARGEST = 32 * 2**20
#: bytes of the largest export that is downloaded (all ecosystems in one zip: about 1.5 GB)
_LARGEST_EXPORT = 8 * 2**30
_SECONDS = 60.0
_GZIP = b"\x1f\x8b"
#: bytes of the largest file of scores, unpacked
_LARGEST_SCORES = 256 * 2**20
#: a source of scores that is not told
_UNNAMED = "unnamed"
#: what a file raises that is damaged, or a zip that is encrypted (RuntimeError) or packed in a way not known here
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)


class Unreadable:
    """A record that is no JSON, or too large: it is skipped and counted."""


@contextmanager
def fetched(location: str | Path) -> Iterator[Path]:
    """The export as a file or folder; what a URL sends is kept until the end.

    Errors: NotFound for a URL that is wrong, ToolFailed for one that does not answer.
    """
    if not str(location).startswith(("https://", "http://")):
        yield Path(location)
        return
    with tempfile.TemporaryDirectory(prefix="advisories-") as folder:
        yield _download(str(location), Path(folder))


def records(path: Path) -> Iterator[Any]:
    """Every record of an export, or `Unreadable` in its place. Errors: NotFound for a place without advisories."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and file.name.endswith(_KINDS))
        if not files:
            raise NotFound(f"There are no advisories in {path}: expected files that end with {', '.join(_KINDS)}.")
        for file in files:
            yield from _of_file(file)
    elif path.is_file():
        if not path.name.endswith(_KINDS):
            raise NotFound(f"{path} is no export: its name should end with {', '.join(_KINDS)}.")
        yield from _of_file(path)
    else:
        raise NotFound(f"There is nothing at {path}.")


def _download(url: str, folder: Path) -> Path:
    size = 0
    try:
        name = PurePosixPath(urlsplit(url).path).name
        target = folder / (name if name.endswith(_KINDS) else "export.zip")
        with (
            httpx.stream("GET", url, timeout=_SECONDS, follow_redirects=True) as answer,
            target.open("wb") as file,
        ):
            if answer.status_code in (404, 410):
                raise NotFound(f"There is nothing at {url}.")
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                size += len(chunk)
                if size > _LARGEST_EXPORT:
                    raise ToolFailed(f"{url} sends more than {_LARGEST_EXPORT:,} bytes.")
                file.write(chunk)
    except (ValueError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise NotFound(f"{url} is no address of an export: {error}.") from error
    except httpx.HTTPError as error:
        raise ToolFailed(f"The advisories at {url} could not be fetched: {error or type(error).__name__}.") from error
    return target


def _of_file(path: Path) -> Iterator[Any]:
    try:
        if path.name.endswith(".zip"):
            yield from _of_zip(path)
            return
        with path.open("rb") as file:
            content = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if _is_gzip(file) else file
            if path.name.endswith((".jsonl", ".jsonl.gz")):
                yield from _of_lines(content)
            else:
                yield from _of_document(content)
    except _DAMAGE as error:
        raise NotFound(f"{path} cannot be read: {error}") from error


def _is_gzip(file: BinaryIO) -> bool:
    """By its first bytes: some servers unpack what they send, others pack it."""
    magic = file.read(len(_GZIP))
    file.seek(0)
    return magic == _GZIP


def _of_lines(file: BinaryIO) -> Iterator[Any]:
    while line := file.readline(_LARGEST):
        if len(line) == _LARGEST and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = file.readline(2**16)
            yield Unreadable()
        elif line.strip():
            yield _json(line)


def _of_zip(path: Path) -> Iterator[Any]:
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".json")]
        if not members:
            raise NotFound(f"There are no advisories in {path}: expected files that end with .json.")
        for member in members:
            with archive.open(member) as file:
                yield from _of_document(cast(BinaryIO, file))


def _of_document(file: BinaryIO) -> Iterator[Any]:
    content = file.read(_LARGEST + 1)
    read = _json(content) if len(content) <= _LARGEST else Unreadable()
    if isinstance(read, list):
        yield from read
    else:
        yield read


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return Unreadable()


def catalog_in(path: Path) -> Iterator[tuple[str, KnownExploited]]:
    """(CVE, entry) of the catalog of known exploited vulnerabilities (kev.py). Errors: NotFound: a catalog is taken as
    a whole, so one broken entry is enough."""
    try:
        catalog = json.loads(_unpacked(path))
        entries = catalog["vulnerabilities"] if isinstance(catalog, dict) else catalog
        if not isinstance(entries, list) or not entries:
            raise ValueError("it has no entries")
        yield from map(parse_entry, entries)
    except (*_DAMAGE, ValueError, KeyError, RecursionError) as error:
        raise NotFound(f"{path} is no catalog of known exploited vulnerabilities: {error}") from error


def scores_in(path: Path) -> Iterator[tuple[str, str, set[str]]]:
    """(CVE, source, its vectors) of JSON of {CVE: [[source, vector, base score], ...]}, gzipped or not. A vector that
    cannot be read is left out. Errors: NotFound."""
    try:
        for cve, scores in json.loads(_unpacked(path)).items():
            vectors: dict[str, set[str]] = {}
            for told, vector, *_ in scores:
                source = told or _UNNAMED
                # a lone surrogate is in no encoding, and no database takes it
                (cve + source).encode()
                said = vectors.setdefault(source, set())
                if score_of(vector, source) is not None:
                    said.add(vector)
            for source, found in vectors.items():
                yield cve, source, found
    except (*_DAMAGE, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise NotFound(f"{path} has no scores: {error}") from error


def _unpacked(path: Path) -> bytes:
    with path.open("rb") as file:
        content = (cast(BinaryIO, gzip.GzipFile(fileobj=file)) if _is_gzip(file) else file).read(_LARGEST_SCORES + 1)
    if len(content) > _LARGEST_SCORES:
        raise ValueError(f"it has more than {_LARGEST_SCORES:,} bytes")
    return content
