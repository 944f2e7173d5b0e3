"""A submission folder: product.toml with the manifest items, and the files that it names."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desk import product_file
from desk.product_file import MANIFEST_FILE
from models.base import digest_of
from models.content import ContentManifest
from models.errors import ImageNotFound, InvalidManifest, NotFound, Problem
from models.images import ImageSource
from models.policy import ManifestLimits
from registry.references import parse_repository, require_tag

#: fields whose text may stand in a file: written `{ file = "description.md" }`
_TEXTS = ("long_description", "release_notes")
#: of a name in a message, characters
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class SubmissionFolder:
    """What a folder says: the manifest, and the bytes of the pictures that it names by digest.

    `problems` is what is wrong with the folder itself; the fields that it names hold neutral values in the manifest.
    """

    manifest: ContentManifest
    pictures: dict[str, bytes]
    problems: tuple[Problem, ...] = ()


def read_folder(folder: Path, limits: ManifestLimits) -> SubmissionFolder:
    """Read a submission folder; nothing outside of it is ever read.

    What is wrong stands in `problems`, and the desk refuses it together with what the rules say. Errors: NotFound
    where there is no folder; InvalidManifest where product.toml cannot be read at all.
    """
    if not folder.is_dir():
        raise NotFound(f"There is no folder {folder}: `wharfinger init {folder}` makes one to begin with.")
    return _Reader(folder, limits).read()


def read_file(path: Path, most: int) -> bytes:
    """A file of at most `most` bytes. Errors: OSError; ValueError with a sentence about the file, without its name."""
    # a pipe would wait for its writer for ever, and opening a device may do something
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("is no file.")
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is no file.")
        if status.st_size > most:
            raise ValueError(f"has {status.st_size:,} bytes; at most {most:,} are allowed.")
        return file.read(status.st_size)


class _Reader:
    def __init__(self, folder: Path, limits: ManifestLimits) -> None:
        self._folder = folder.resolve()
        self._limits = limits
        self._problems: list[Problem] = []
        self._pictures: dict[str, bytes] = {}
        self._left = limits.folder_bytes

    def read(self) -> SubmissionFolder:
        content = self._bytes(MANIFEST_FILE, MANIFEST_FILE, self._limits.manifest_bytes)
        if content is None:
            raise InvalidManifest(self._problems)
        written = product_file.parse(content)
        self._texts(written)
        self._tiers(written)
        if "icon" in written:
            written["icon"] = self._picture("icon", written["icon"], self._limits.icon_bytes)
        if isinstance(shots := written.get("screenshots"), list):
            written["screenshots"] = [
                self._picture(f"screenshots.{number}", name, self._limits.screenshot_bytes)
                for number, name in enumerate(shots[: product_file.MOST_PROBLEMS])
            ]
        manifest, problems = product_file.manifest_of(written)
        found = [*self._problems, *problems]
        unread = {problem.field for problem in found}
        found += [problem for problem in _misnamed(manifest) if problem.field not in unread]
        return SubmissionFolder(manifest, self._pictures, tuple(product_file.shortened(found)))

    def _texts(self, written: dict[str, Any]) -> None:
        for name in _TEXTS:
            if name in written:
                written[name] = self._text(name, written[name])
        for number, licence in enumerate(_tables(written.get("licences"))):
            if licence and "text" in licence:
                licence["text"] = self._text(f"licences.{number}.text", licence["text"])

    def _tiers(self, written: dict[str, Any]) -> None:
        for number, tier in enumerate(_tables(written.get("tiers"))):
            if tier and "installation" in tier:
                tier["installation"] = self._text(f"tiers.{number}.installation", tier["installation"])
            if tier and isinstance(source := tier.get("source"), dict):
                self._source(f"tiers.{number}.source", source)

    def _bytes(self, field: str, name: object, most: int) -> bytes | None:
        """Content of a file inside the folder; a problem otherwise."""
        if not isinstance(name, str) or not name:
            self._problems.append(Problem(field, "must be the name of a file in the submission folder."))
            return None
        said = name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "..."
        try:
            return self._content(name, most)
        except FileNotFoundError:
            problem = f"there is no file {said} in the submission folder."
        except OSError as error:
            problem = f"{said} cannot be read: {(error.strerror or str(error)).lower()}."
        except RuntimeError:  # how pathlib says that links lead in a circle
            problem = f"{said} cannot be read: its links lead in a circle."
        except ValueError as error:
            problem = f"{said} {error}"
        self._problems.append(Problem(field, problem))
        return None

    def _content(self, name: str, most: int) -> bytes:
        """Errors: OSError, RuntimeError, and ValueError with a sentence for people."""
        if "\0" in name:
            raise ValueError("is no name of a file.")
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder):
            raise ValueError("lies outside the submission folder.")
        if self._left < path.stat().st_size <= most:
            raise ValueError(f"makes the folder too large: {self._limits.folder_bytes:,} bytes are allowed in all.")
        content = read_file(path, min(most, self._left))
        self._left -= len(content)
        return content

    def _text(self, field: str, value: object) -> object:
        if not isinstance(value, dict):
            return value
        content = self._bytes(field, value.get("file"), self._limits.manifest_bytes)
        if content is None:
            return ""
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            self._problems.append(Problem(field, f"is not UTF-8 (byte {error.start}): save it as UTF-8."))
            return ""

    def _picture(self, field: str, name: object, most: int) -> str:
        content = self._bytes(field, name, most)
        if content is None:
            return ""
        digest = digest_of(content)
        self._pictures[digest] = content
        return digest

    def _source(self, field: str, source: dict[str, Any]) -> None:
        """Credentials never stand in the file: whoever reads the folder would have them."""
        for forbidden in ("credentials", "username", "password", "token"):
            if source.pop(forbidden, None) is not None:
                self._problems.append(
                    Problem(f"{field}.{forbidden}", "does not belong here: give it with --username at submission.")
                )


def _misnamed(manifest: ContentManifest) -> Iterator[Problem]:
    """Repositories and tags that no registry can have: said now, not when nobody is at the desk any more."""
    for number, tier in enumerate(manifest.tiers):
        if tier.source is not None:
            yield from _misnamed_in(f"tiers.{number}.source", tier.source)


def _misnamed_in(field: str, source: ImageSource) -> Iterator[Problem]:
    # what lies in a folder or a file is looked for where it is read: nobody learns here what there is
    if not source.repository.startswith(("oci:", "archive:")):
        try:
            parse_repository(source.repository)
        except ImageNotFound as mistake:
            yield Problem(f"{field}.repository", str(mistake))
    seen: set[str] = set()
    for place, tag in enumerate(source.tags):
        try:
            require_tag(tag)
        except ImageNotFound as mistake:
            yield Problem(f"{field}.tags.{place}", str(mistake))
        else:
            if tag in seen:
                yield Problem(f"{field}.tags.{place}", f"{tag} is given twice.")
        seen.add(tag)


def _tables(value: object) -> list[dict[str, Any] | None]:
    """The tables of a list at their places; None for what is no table, which the manifest's form complains of."""
    if not isinstance(value, list):
        return []
    return [item if isinstance(item, dict) else None for item in value]
