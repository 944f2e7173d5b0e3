"""What has happened to a process and is not in the database yet: the record follows the authority."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from models.commands import Command
    from models.recording import Entry

from workflows.perseverance import persistently

#: entries of one record: what gathers while the database is away must fit into the server's 2 MB when it is back
_AT_ONCE = 50


class Trail:
    """Entries in the order in which they happened. A slow database delays the record, never a decision."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    @property
    def is_recorded(self) -> bool:
        return not self._entries

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)

    async def keep(self, record: Callable[[tuple[Entry, ...]], Awaitable[None]]) -> None:
        """Hand over what has gathered, again and again, until the process lets it go."""
        while True:
            await workflow.wait_condition(lambda: bool(self._entries))
            entries = tuple(self._entries[:_AT_ONCE])
            await persistently(lambda: record(entries), _unseen)  # noqa: B023 - awaited within the round
            del self._entries[: len(entries)]


def _unseen(_trouble: str) -> None:
    """The database's trouble is the log's matter: the process goes on."""


def now() -> datetime:
    """In whole seconds, for deadlines: nobody needs more, and histories have a budget."""
    return workflow.now().replace(microsecond=0)


def entry_of(command: Command, **more: object) -> Entry:
    """The entry of a command that somebody has given now."""
    said = {"event": command.act, "at": workflow.now(), "actor": command.actor, "command": command.id}
    return Entry.model_validate({**said, "text": command.text, **more})
