"""A submission folder: product.toml with the manifest items, and the files that it names."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.base import digest_of
from models.content import ContentManifest
from models.errors import InvalidManifest, Problem
from models.policy import ManifestLimits

MANIFEST_FILE = "product.toml"

#: fields whose text may stand in a file: written `{ file = "description.md" }`
_TEXTS = ("long_description", "release_notes")


@dataclass(frozen=True, slots=True)
class SubmissionFolder:
    """What a folder says: the manifest, and the bytes of the pictures that it names by digest."""

    manifest: ContentManifest
    pictures: dict[str, bytes]


def read_folder(folder: Path, limits: ManifestLimits, credentials: str | None = None) -> SubmissionFolder:
    """Read a submission folder. InvalidManifest lists every reason, field by field; nothing outside is ever read.

    `credentials` is the id of the stored secret for private sources.
    """
    return _Reader(folder, limits, credentials).read()


class _Reader:
    def __init__(self, folder: Path, limits: ManifestLimits, credentials: str | None) -> None:
        self._folder = folder.resolve()
        self._limits = limits
        self._credentials = credentials
        self._problems: list[Problem] = []
        self._pictures: dict[str, bytes] = {}
        self._left = limits.folder_bytes

    def read(self) -> SubmissionFolder:
        written = self._toml()
        for name in _TEXTS:
            if name in written:
                written[name] = self._text(name, written[name])
        for number, licence in enumerate(_tables(written.get("licences"))):
            if "text" in licence:
                licence["text"] = self._text(f"licences.{number}.text", licence["text"])
        for number, tier in enumerate(_tables(written.get("tiers"))):
            if "installation" in tier:
                tier["installation"] = self._text(f"tiers.{number}.installation", tier["installation"])
            source = tier.get("source")
            if isinstance(source, dict):
                self._source(f"tiers.{number}.source", source)
        if "icon" in written:
            written["icon"] = self._picture("icon", written["icon"], self._limits.icon_bytes)
        if isinstance(pictures := written.get("screenshots"), list):
            written["screenshots"] = [
                self._picture(f"screenshots.{number}", name, self._limits.screenshot_bytes)
                for number, name in enumerate(pictures)
            ]
        manifest = self._manifest(written)
        if manifest is None or self._problems:
            raise InvalidManifest(self._problems)
        return SubmissionFolder(manifest, self._pictures)

    def _toml(self) -> dict[str, Any]:
        content = self._bytes(MANIFEST_FILE, MANIFEST_FILE, self._limits.manifest_bytes)
        if content is None:
            raise InvalidManifest(self._problems)
        try:
            return tomllib.loads(content.decode("utf-8"))
        except UnicodeDecodeError as error:
            problem = f"is not UTF-8 (byte {error.start}): save it as UTF-8."
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            problem = f"is not TOML: {error}."
        raise InvalidManifest([Problem(MANIFEST_FILE, problem)])

    def _bytes(self, field: str, name: object, most: int) -> bytes | None:
        """Content of a file inside the folder; a problem otherwise."""
        if not isinstance(name, str) or not name:
            self._problems.append(Problem(field, "must be the name of a file in the submission folder."))
            return None
        try:
            path = (self._folder / name).resolve()
            if not path.is_relative_to(self._folder):
                raise ValueError(f"{name} lies outside the submission folder.")
            if not path.is_file():
                raise ValueError(f"there is no file {name} in the submission folder.")
            size = path.stat().st_size
            if size > most:
                raise ValueError(f"{name} has {size:,} bytes; at most {most:,} are allowed.")
            if size > self._left:
                raise ValueError(f"the folder's files are too large: {self._limits.folder_bytes:,} bytes in all.")
            self._left -= size
            return path.read_bytes()
        except (OSError, ValueError) as error:
            self._problems.append(Problem(field, str(error)))
            return None

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
            if forbidden in source:
                del source[forbidden]
                self._problems.append(
                    Problem(f"{field}.{forbidden}", "does not belong here: give it with --username at submission.")
                )
        if self._credentials:
            source["credentials"] = self._credentials

    def _manifest(self, written: dict[str, Any]) -> ContentManifest | None:
        unknown = sorted(set(written) - set(ContentManifest.model_fields))
        self._problems += [Problem(name, "is not a field of the content manifest.") for name in unknown]
        try:
            return ContentManifest.model_validate(written)
        except ValidationError as error:
            for mistake in error.errors(include_url=False, include_input=False):
                field = ".".join(str(part) for part in mistake["loc"]) or MANIFEST_FILE
                self._problems.append(Problem(field, f"{_sentence(mistake['msg'])}"))
            return None


def _tables(value: object) -> list[dict[str, Any]]:
    return [table for table in value if isinstance(table, dict)] if isinstance(value, list) else []


def _sentence(message: str) -> str:
    return "is missing." if message == "Field required" else message[0].lower() + message[1:].rstrip(".") + "."
