"""Commands as people type them: the whole command line, over a store of the test's own or over the room's hub."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import starter
from desk.hub import Hub
from settings import Settings
from store.database import Database
from tests.desk.hubs import hub, settings  # noqa: F401
from tests.parts.databases import sqlite_template  # noqa: F401
from tests.parts.leaks import nothing_leaks  # noqa: F401
from tests.parts.rows import Harbour, harbour
from tests.parts.servers import temporal  # noqa: F401


@dataclass
class Shell:
    """`await shell("queue", "--json")`; the status is to be the one that is said."""

    environment: Mapping[str, str]
    runner: CliRunner = field(default_factory=CliRunner)

    async def __call__(self, *words: str, status: int = 0, typed: str | None = None, **environment: str) -> Result:
        # a command brings an event loop of its own: it runs in a thread, as ours goes on
        return await asyncio.to_thread(self.run, *words, status=status, typed=typed, **environment)

    def run(self, *words: str, status: int = 0, typed: str | None = None, **environment: str) -> Result:
        told = {**self.environment, **environment}
        result = self.runner.invoke(starter.app, words, input=typed, env=told, catch_exceptions=False)
        assert result.exit_code == status, (words, result.exit_code, result.stdout, result.stderr)
        return result

    async def json(self, *words: str, status: int = 0) -> Any:
        """What a program reads: one document, and nothing beside it."""
        result = await self(*words, "--json", status=status)
        assert result.stderr == ""
        return json.loads(result.stdout)

    async def refused(self, *words: str, **environment: str) -> str:
        """One line on standard error, and nothing on the other."""
        result = await self(*words, status=1, **environment)
        assert result.stdout == ""
        [line] = result.stderr.splitlines()
        assert line.startswith("wharfinger: ")
        return str(line.removeprefix("wharfinger: "))


@pytest.fixture
def home(sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """A hub's folder with an empty, migrated database; the test runs beside it."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(sqlite_template, folder / "wharfinger.sqlite")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def shell(home: Path) -> Shell:
    """Over a store of the test's own, with no server at all."""
    return Shell({"WHARFINGER_HOME": str(home), "WHARFINGER_TEMPORAL__ADDRESS": "127.0.0.1:1"})


@pytest.fixture
async def crane(home: Path) -> AsyncIterator[Harbour]:
    """Rows of a publisher, its product and its submission."""
    database = Database(home / "wharfinger.sqlite")
    yield await harbour(database)
    await database.close()


@pytest.fixture
def hub_shell(hub: Hub, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:  # noqa: F811
    """Over the room's hub, with its worker."""
    monkeypatch.chdir(tmp_path)
    return Shell(
        {
            "WHARFINGER_HOME": str(settings.home),
            "WHARFINGER_TEMPORAL__ADDRESS": settings.temporal.address,
            "WHARFINGER_SOURCE_FOLDERS": json.dumps([str(folder) for folder in settings.source_folders]),
        }
    )
