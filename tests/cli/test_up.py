"""`wharfinger up`: everything on one machine, found by the commands beside it, and nothing left of it afterwards."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from cli.context import UP_FILE
from cli.harbour import Harbour
from cli.servers import RegistryServer
from settings import Settings
from tests.cli.conftest import Shell
from tests.desk.hubs import settings_of
from tests.parts.presence import needs

pytestmark = [pytest.mark.system, needs("temporal")]

#: seconds; five servers start one after the other, on two cores that others use as well
_PATIENCE = 120


@asynccontextmanager
async def up(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`wharfinger up --json` in a folder; killed at the end where it has not been stopped."""
    program = "import sys; sys.argv = ['wharfinger', 'up', '--json']; from starter import main; main()"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WHARFINGER_")}
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        cwd=folder,
        env={**environment, "WHARFINGER_HOME": str(folder / "home")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            with suppress(ProcessLookupError):
                running.kill()
        await running.communicate()


async def document(running: asyncio.subprocess.Process) -> dict[str, str]:
    """The one that it writes when everything answers."""
    assert running.stdout is not None
    text = b""
    async with asyncio.timeout(_PATIENCE):
        while True:
            line = await running.stdout.readline()
            assert line, await running.stderr.read() if running.stderr else ""
            text += line
            with suppress(ValueError):
                found: dict[str, str] = json.loads(text)
                return found


async def test_everything_starts_is_found_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    # what a hub that was killed has left behind: addresses at which nobody is any more
    (home / UP_FILE).write_text("WHARFINGER_HUB_REGISTRY='127.0.0.1:1/hub'\nWHARFINGER_SMTP__PORT='1'\n")
    shell = Shell({"WHARFINGER_HOME": str(home)})
    async with up(tmp_path) as running:
        places = await document(running)
        assert {"pages", "Temporal UI", "Temporal", "mailbox", "logs"} <= set(places)
        async with httpx.AsyncClient(trust_env=False) as client:
            health = await client.get(f"{places['pages']}/api/health")
            assert health.json()["status"] == "up"
        assert (home / UP_FILE).stat().st_mode & 0o077 == 0
        findings = {one["name"]: one for one in (await shell.json("doctor"))["findings"]}
        for name in ("database", "Temporal server", "mail server", "hub's registry", "pages"):
            assert findings[name]["state"] == "ok", findings[name]
        await shell("staff", "add", "mo@hub.example", "moderator")
        assert "is in use by process" in await shell.refused("up")
        running.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(running.communicate(), 60)
    assert running.returncode == 0, err
    assert b"Stopped." in err
    assert out == b""
    assert not (home / UP_FILE).exists()
    assert sorted((home / "services").glob("*/pid")) == []
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(places["pages"])


def test_without_a_registry_program_the_hub_publishes_into_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RegistryServer, "installed", lambda: False)
    assert Harbour(settings_of(tmp_path)).registry is None
    monkeypatch.setattr(RegistryServer, "installed", lambda: True)
    assert Harbour(settings_of(tmp_path)).registry is not None
    assert Harbour(settings_of(tmp_path, hub_registry="registry.example/hub")).registry is None


def test_a_worker_beside_a_running_hub_works_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / UP_FILE).write_text("WHARFINGER_TEMPORAL__ADDRESS='127.0.0.1:7'\nWHARFINGER_SMTP__PORT='25'\n")
    seen: list[object] = []

    def main(arguments: list[str], settings: Settings) -> int:
        seen.extend([arguments, settings.temporal.address, settings.smtp.port, settings.log_format])
        return 3

    monkeypatch.setattr("worker.main", main)
    shell = Shell({"WHARFINGER_HOME": str(tmp_path), "WHARFINGER_SMTP__PORT": "26"})
    shell.run("worker", "--queues", "mail", "--json", status=3)
    assert seen == [["--queues", "mail"], "127.0.0.1:7", 26, "json"]
    assert "WHARFINGER_SMTP__PORT" in shell.run("worker", status=1, WHARFINGER_SMTP__PORT="x").stderr
