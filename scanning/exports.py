"""Where advisories come from: OSV exports as files, zips, folders or a URL, read one record at a time."""

import gzip
import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import httpx

from models.errors import NotFound, ToolFailed

_KINDS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".zip")
#: bytes of the largest record that is read; the largest real one has under 20 MB
_LARGEST = 64 * 2**20
#: bytes of the largest export that is downloaded (all ecosystems in one zip: about 1.5 GB)
_LARGEST_EXPORT = 8 * 2**30
_SECONDS = 60.0


class Unreadable:
    """A record that is no JSON: it is skipped and counted."""


def records(location: str | Path) -> Iterator[Any]:
    """Every record of an export, or `Unreadable` in its place.

    Errors: NotFound for a place without advisories, ToolFailed for a URL that does not answer.
    """
    with ExitStack() as stack:
        if str(location).startswith(("https://", "http://")):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="advisories-"))
            path = _download(str(location), Path(folder))
        else:
            path = Path(location)
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
    name = PurePosixPath(urlsplit(url).path).name
    target = folder / (name if name.endswith(_KINDS) else "export.zip")
    size = 0
    try:
        with (
            httpx.stream("GET", url, timeout=_SECONDS, follow_redirects=True) as answer,
            target.open("wb") as file,
        ):
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                size += len(chunk)
                if size > _LARGEST_EXPORT:
                    raise ToolFailed(f"{url} sends more than {_LARGEST_EXPORT:,} bytes.")
                file.write(chunk)
    except httpx.HTTPError as error:
        raise ToolFailed(f"The advisories at {url} could not be fetched: {error or type(error).__name__}.") from error
    return target


def _of_file(path: Path) -> Iterator[Any]:
    try:
        if path.name.endswith(".zip"):
            yield from _of_zip(path)
            return
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
            if path.name.endswith((".jsonl", ".jsonl.gz")):
                yield from _of_lines(cast(BinaryIO, file))
            else:
                yield from _of_document(file.read(_LARGEST_EXPORT))
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise NotFound(f"{path} cannot be read: {error}") from error


def _of_lines(file: BinaryIO) -> Iterator[Any]:
    while line := file.readline(_LARGEST):
        if line.strip():
            yield _json(line)


def _of_zip(path: Path) -> Iterator[Any]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.filename.endswith(".json"):
                continue
            if member.file_size > _LARGEST:
                yield Unreadable()
                continue
            with archive.open(member) as file:
                yield from _of_document(file.read(_LARGEST))


def _of_document(content: bytes) -> Iterator[Any]:
    read = _json(content)
    if isinstance(read, list):
        yield from read
    else:
        yield read


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return Unreadable()
