"""Small documents that are read as a whole: scores by CVE, and the catalog of known exploited vulnerabilities."""

import json
from collections.abc import Iterator
from pathlib import Path

from models.errors import NotFound
from models.scans import KnownExploited
from scanning.exports import DAMAGE, opened
from scanning.kev import parse_entry
from scanning.scores import score_of

#: bytes of the largest document, unpacked
_LARGEST = 256 * 2**20
#: a source of scores that is not told
_UNNAMED = "unnamed"


def scores_in(path: Path) -> Iterator[tuple[str, str, set[str]]]:
    """(CVE, source, its vectors) of JSON of {CVE: [[source, vector, base score], ...]}, gzipped or not. A vector that
    cannot be read is left out. Errors: NotFound."""
    try:
        for cve, scores in json.loads(_content(path)).items():
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
    except (*DAMAGE, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise NotFound(f"{path} has no scores: {error}") from error


def exploited_in(path: Path) -> Iterator[tuple[str, KnownExploited]]:
    """(CVE, entry) of the catalog (kev.py), gzipped or not. Errors: NotFound: a catalog is taken as a whole, so one
    broken entry is enough."""
    try:
        catalog = json.loads(_content(path))
        entries = catalog["vulnerabilities"] if isinstance(catalog, dict) else catalog
        if not isinstance(entries, list) or not entries:
            raise ValueError("it has no entries")
        yield from map(parse_entry, entries)
    except (*DAMAGE, ValueError, KeyError, RecursionError) as error:
        raise NotFound(f"{path} is no catalog of known exploited vulnerabilities: {error}") from error


def _content(path: Path) -> bytes:
    with opened(path) as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST:,} bytes")
    return content
