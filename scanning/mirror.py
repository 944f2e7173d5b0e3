"""A mirror of OSV's exports: a folder from which a machine without a network imports, or a server of one's own.

It looks as OSV's bucket does: <ecosystem>/all.zip, and beside it modified_id.csv, the list of what changed last.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from zipfile import BadZipFile

from models.errors import NotFound, WharfingerError
from scanning.downloads import fetch_text, fetched
from scanning.zips import members_of

#: https://google.github.io/osv.dev/data/
OSV_EXPORTS = "https://osv-vulnerabilities.storage.googleapis.com"

_EXPORT, _LIST, _VERSION = "all.zip", "modified_id.csv", "all.zip.version"
_LARGEST_LIST = 128 * 2**20


@dataclass(frozen=True, slots=True)
class Mirrored:
    """One ecosystem: `size` in bytes; `problem` is why its export is not the newest, empty when it is."""

    ecosystem: str
    records: int = 0
    size: int = 0
    changed: bool = False
    problem: str = ""


def export_url(ecosystem: str, base: str = OSV_EXPORTS) -> str:
    """Where OSV has the export of an ecosystem. Errors: NotFound for what is no name of one."""
    if (
        not ecosystem.strip()
        or not ecosystem.isprintable()
        or ecosystem.startswith(".")
        or set(ecosystem) & set("/\\:")
    ):
        raise NotFound(f"{ecosystem!r:.80} is no ecosystem of OSV's exports: say Debian or PyPI, without a release.")
    return f"{base.rstrip('/')}/{quote(ecosystem)}/{_EXPORT}"


def mirror(
    folder: Path, ecosystems: Iterable[str], base: str = OSV_EXPORTS, progress: Callable[[str, int], None] | None = None
) -> tuple[Mirrored, ...]:
    """Fetch what has changed; an export takes the place of the one before when it is complete and can be read.

    One that cannot be had leaves the others alone. `progress` is told the ecosystem and how many bytes there are.
    Errors: NotFound for what is no ecosystem, before anything is fetched.
    """
    wanted = {ecosystem: export_url(ecosystem, base) for ecosystem in ecosystems}
    return tuple(_mirror(folder / ecosystem, ecosystem, url, progress) for ecosystem, url in wanted.items())


def _mirror(folder: Path, ecosystem: str, url: str, progress: Callable[[str, int], None] | None) -> Mirrored:
    def say(size: int) -> None:
        if progress is not None:
            progress(ecosystem, size)

    say(0)
    try:
        changed = _fetch(folder, url, say)
    except WharfingerError as error:
        return Mirrored(ecosystem, problem=str(error))
    export = folder / _EXPORT
    return Mirrored(ecosystem, _count(export), export.stat().st_size, changed)


def _fetch(folder: Path, url: str, say: Callable[[int], None]) -> bool:
    """Whether there is something new."""
    folder.mkdir(parents=True, exist_ok=True)
    export, version = folder / _EXPORT, folder / _VERSION
    have = version.read_text() if version.exists() and export.exists() else ""
    # the list first: an export that is younger than its list has nothing that the list hides
    listed = fetch_text(url.removesuffix(_EXPORT) + _LIST, _LARGEST_LIST)
    with fetched(url, folder / ".downloads", have, say) as found:
        if found.path is not None:
            _count(found.path)
            version.unlink(missing_ok=True)
            found.path.replace(export)
            version.write_text(found.version)
    if listed:
        (folder / _LIST).write_text(listed)
    return found.path is not None


def _count(export: Path) -> int:
    try:
        with export.open("rb") as file:
            return sum(1 for member in members_of(file) if member.name.endswith(".json"))
    except BadZipFile as error:
        raise NotFound(f"{export} cannot be read: {error}.") from error
