"""OSV's lists of changes: beside every export `all.zip` lies `modified_id.csv`, the record changed last in front.

Where few have changed since the export was imported, those are fetched one by one, and not the export.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from scanning.downloads import fetch_text
from scanning.osv import moment

#: records that are fetched one by one; with more, the export is the quicker way
_FEW = 500
_AT_ONCE = 8
#: bytes of the largest list and of the largest record
_LARGEST_LIST, _LARGEST_RECORD = 128 * 2**20, 32 * 2**20
_EXPORT = "all.zip"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,199}")


@dataclass(frozen=True, slots=True)
class Modified:
    """What a list says: `newest` is the time of the record in front, `ids` those that are younger than was asked for;
    None when they are too many to be fetched one by one."""

    newest: str
    ids: tuple[str, ...] | None


def modified_since(url: str, newest: str) -> Modified | None:
    """What has changed in the export at the URL since the time; None where there is no list that can be read."""
    if not url.endswith(f"/{_EXPORT}"):
        return None
    text = fetch_text(url.removesuffix(_EXPORT) + "modified_id.csv", _LARGEST_LIST)
    if not text:
        return None
    try:
        return _read(text, newest)
    except ValueError:
        return None


def _read(text: str, newest: str) -> Modified:
    front, ids = "", []
    for line in text.splitlines():
        time, _, id_ = line.strip().partition(",")
        said = moment(time)
        if not said or not _ID.fullmatch(id_):
            raise ValueError(f"{line!r:.80} is no line of a list")
        front = front or said
        if said <= newest:
            break
        ids.append(id_)
        if not newest or len(ids) > _FEW:
            return Modified(front, None)
    return Modified(front, tuple(ids))


@contextmanager
def fetched_some(url: str, ids: tuple[str, ...], folder: Path) -> Iterator[Path | None]:
    """A folder with the records of the export at the URL; None when one of them cannot be had by itself."""
    base = url.removesuffix(_EXPORT)
    with TemporaryDirectory(dir=folder, prefix="records-") as place, ThreadPoolExecutor(_AT_ONCE) as pool:
        texts = pool.map(lambda id_: fetch_text(f"{base}{quote(id_)}.json", _LARGEST_RECORD), ids)
        for number, text in enumerate(texts):
            if text is None:
                pool.shutdown(cancel_futures=True)
                yield None
                return
            (Path(place) / f"{number}.json").write_text(text)
        yield Path(place)
