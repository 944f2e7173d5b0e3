"""Cache folders of trivy, each for one run at a time: it locks its cache, and would wait for the lock in vain.

Trivy believes what an image's config says its layers unpack to. Who lies there could have it remember an empty layer in
the place of another's true one, so what a run has left is kept only when our own pass has verified the same layers.
"""

import contextlib
import fcntl
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from models.errors import ToolFailed

#: scans at a time that have a cache of their own
_CACHES = 64
#: bytes from which a cache begins anew: trivy itself takes nothing out
_LARGEST = 2**30


@dataclass(frozen=True, slots=True)
class Claimed:
    """A folder that no other run uses now, until the claim ends."""

    folder: Path
    _true: Path
    _known: frozenset[str]

    def is_true_of(self, layers: Iterable[str]) -> None:
        """These diff_ids were verified: what the run has left in the folder may be believed."""
        temporary = self._true.with_name(f"{self._true.name}.{secrets.token_hex(4)}")
        temporary.write_text("\n".join(sorted(self._known.union(layers))))
        temporary.replace(self._true)


@contextlib.contextmanager
def claimed(cache: Path, layers: Iterable[str]) -> Iterator[Claimed]:
    """That of the free folders which knows most of the layers. Errors: ToolFailed when none is free."""
    cache.mkdir(parents=True, exist_ok=True)
    wanted = frozenset(layers)
    # the lowest of those that know as much, so that few scans at a time use few folders
    for number in sorted(range(_CACHES), key=lambda number: -len(_known(_true(cache, number)) & wanted)):
        with (cache / f"{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            folder, true = cache / str(number), _true(cache, number)
            known = _known(true)
            # a run that ends badly, however it ends, leaves nothing to believe
            true.unlink(missing_ok=True)
            if not known or _size(folder) > _LARGEST:
                known = frozenset()
                shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(exist_ok=True)
            yield Claimed(folder, true, known)
            return
    raise ToolFailed(f"{_CACHES} scans run already.")


def _true(cache: Path, number: int) -> Path:
    return cache / f"{number}.layers"


def _known(true: Path) -> frozenset[str]:
    try:
        return frozenset(true.read_text().split())
    except FileNotFoundError:
        return frozenset()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
