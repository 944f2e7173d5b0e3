"""All remembered sources asked for what is new: what the hourly watch does, and `wharfinger advisories sync`."""

from collections.abc import Callable
from dataclasses import dataclass

from models.errors import WharfingerError
from scanning.advisories import AdvisoryStore
from scanning.advisory_imports import Imported
from scanning.advisory_sources import Source


@dataclass(frozen=True, slots=True)
class SourceSynced:
    """`problem` is why nothing came of it, in words; empty when all is well."""

    source: Source
    imported: Imported
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Synced:
    """What all sources together brought; `mark` and `snapshot` are those of the store now."""

    sources: tuple[SourceSynced, ...]
    added: int
    changed: int
    skipped: int
    mark: int
    snapshot: str

    @property
    def problems(self) -> tuple[str, ...]:
        """Of the sources that could not be imported."""
        return tuple(one.problem for one in self.sources if one.problem)


def sync(store: AdvisoryStore, progress: Callable[[str], None] | None = None) -> Synced:
    """Import what has changed from every remembered source, each in a transaction of its own: one that fails keeps no
    other from being imported. `progress` is told in words how far it is, every second or more often; what it raises
    ends the synchronization, and nothing of the source that is being imported is kept. Errors: ToolFailed, when the
    store cannot be used."""
    done = tuple(_one(store, source, progress) for source in store.sources())
    return Synced(
        sources=done,
        added=sum(one.imported.added for one in done),
        changed=sum(one.imported.changed for one in done),
        skipped=sum(one.imported.skipped for one in done),
        mark=store.mark(),
        snapshot=store.snapshot(),
    )


def _one(store: AdvisoryStore, source: Source, progress: Callable[[str], None] | None) -> SourceSynced:
    def say(records: int) -> None:
        if progress is not None:
            progress(f"{source.location}: {records:,} records")

    say(0)
    try:
        return SourceSynced(source, store.import_from(source.location, say, source.kind))
    except WharfingerError as error:
        store.note_problem(source.location, source.kind, str(error))
        return SourceSynced(source, Imported(), str(error))
