"""`wharfinger doctor` says what is missing and how to get it, from anywhere, and changes nothing."""

import asyncio
import contextlib
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scanning.advisories import AdvisoryStore
from scanning.demo import DEMO_ADVISORIES
from tests.cli.conftest import Shell
from tests.parts.databases import PostgresqlServer, postgresql  # noqa: F401
from tests.parts.listening import Listening
from tests.parts.presence import needs

SERVERS = {
    "WHARFINGER_SMTP__PORT": "1",
    "WHARFINGER_BASE_URL": "http://127.0.0.1:1",
    "WHARFINGER_HUB_REGISTRY": "127.0.0.1:1/hub",
}


async def look(shell: Shell, *, status: int = 0, **environment: str) -> dict[str, Any]:
    """The findings by name."""
    told = Shell({**shell.environment, **SERVERS, **environment})
    document = await told.json("doctor", status=status)
    assert document["fit"] == (status == 0)
    return {finding["name"]: finding for finding in document["findings"]}


async def test_where_nothing_runs_the_servers_are_warnings_with_a_way_to_start_them(
    shell: Shell, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    findings = await look(shell, WHARFINGER_HOME=str(empty / "home"))
    for name in ("database", "Temporal server", "mail server", "hub's registry", "pages"):
        assert findings[name]["state"] == "warning", name
        assert "wharfinger up" in findings[name]["remedy"], name
    assert "advisories import" in findings["advisories"]["remedy"]
    for name in ("Python", "settings", "policy", "home", "temporal", "trivy", "blobs"):
        assert findings[name]["state"] == "ok", name
    assert list(empty.iterdir()) == []


async def test_it_runs_without_a_checkout_and_without_anything_on_the_path(tmp_path: Path) -> None:
    program = "import sys; sys.argv = ['wharfinger', 'doctor']; from starter import main; main()"
    environment = {"PATH": "/nowhere", "HOME": str(tmp_path)}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0, done.stdout
    assert "Fit to start" in done.stdout
    assert "apt-get install" in done.stdout
    assert list(tmp_path.iterdir()) == []


async def test_a_program_that_all_needs_is_missing(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    bare = Shell({"WHARFINGER_HOME": str(tmp_path / "home")})
    findings = await look(bare, status=1)
    assert {name for name, finding in findings.items() if finding["state"] == "missing"} == {"temporal", "trivy"}
    assert "make setup" in findings["trivy"]["remedy"]
    shown = (await bare("doctor", status=1)).stdout
    assert "missing: temporal, trivy" in shown
    # a server somewhere else needs no program here
    elsewhere = await look(bare, status=1, WHARFINGER_TEMPORAL__ADDRESS="127.0.0.1:1")
    assert elsewhere["temporal"]["state"] == "optional"


async def test_settings_and_policy_that_are_wrong_are_missing(shell: Shell, tmp_path: Path) -> None:
    findings = await look(shell, status=1, WHARFINGER_LOG_LEVEL="loud")
    assert "WHARFINGER_LOG_LEVEL" in findings["settings"]["says"]
    assert set(findings) == {"Python", "settings"}
    (tmp_path / "policy.toml").write_text("[deadlines]\nfirst_reveiw_days = 3\n")
    findings = await look(shell, status=1, WHARFINGER_POLICY=str(tmp_path / "policy.toml"))
    assert "Did you mean first_review_days?" in findings["policy"]["says"]
    findings = await look(shell, status=1, WHARFINGER_POLICY=str(tmp_path / "nowhere.toml"))
    assert "nowhere.toml" in findings["policy"]["says"]
    findings = await look(shell, status=1, WHARFINGER_DATABASE="mysql://x")
    assert "not supported" in findings["database"]["says"]


async def test_places_that_cannot_be_written_are_missing(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    findings = await look(
        shell, status=1, WHARFINGER_HOME=str(tmp_path / "file" / "home"), WHARFINGER_BLOBS=str(tmp_path / "file")
    )
    for name in ("home", "blobs"):
        assert findings[name]["state"] == "missing"
        assert "cannot be written" in findings[name]["says"]


async def test_databases_of_another_version_and_those_that_are_away(
    shell: Shell,
    home: Path,
    postgresql: PostgresqlServer,  # noqa: F811
) -> None:
    assert (await look(shell))["database"]["state"] == "ok"
    with contextlib.closing(sqlite3.connect(home / "wharfinger.sqlite")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0000'")
    old = (await look(shell))["database"]
    assert (old["state"], "has version 0000" in old["says"]) == ("warning", True)
    away = (await look(shell, WHARFINGER_DATABASE="postgresql://ada:open-sesame@127.0.0.1:1/hub"))["database"]
    assert away["state"] == "warning"
    assert "open-sesame" not in str(away)
    there = await look(shell, WHARFINGER_DATABASE=await postgresql.take())
    assert there["database"]["state"] == "ok"
    assert there["PostgreSQL"]["state"] == "ok"


async def test_an_object_store_that_does_not_answer_is_a_warning(shell: Shell) -> None:
    findings = await look(
        shell,
        WHARFINGER_BLOBS="s3://bucket/prefix",
        WHARFINGER_OBJECT_STORE__ENDPOINT="http://127.0.0.1:1",
        WHARFINGER_OBJECT_STORE__ALLOW_HTTP="true",
        WHARFINGER_OBJECT_STORE__ACCESS_KEY="a",
        WHARFINGER_OBJECT_STORE__SECRET_KEY="b",
    )
    assert findings["blobs"]["state"] == "warning"
    assert "WHARFINGER_OBJECT_STORE__" in findings["blobs"]["remedy"]


async def test_advisories_are_counted(shell: Shell, home: Path) -> None:
    AdvisoryStore(home / "advisories.sqlite").import_from(DEMO_ADVISORIES)
    assert (await look(shell))["advisories"]["state"] == "ok"
    (home / "advisories.sqlite").write_bytes(b"no database" * 1000)
    assert (await look(shell))["advisories"]["state"] == "warning"


@contextlib.asynccontextmanager
async def greeting(words: bytes) -> AsyncIterator[int]:
    """A server that says the same to everybody; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        await writer.drain()
        await reader.read(1024)

    async with Listening(answer) as server:
        yield server.port


async def test_a_server_of_another_kind_is_not_taken_for_ours(shell: Shell) -> None:
    async with greeting(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as port:
        findings = await look(
            shell,
            WHARFINGER_SMTP__PORT=str(port),
            WHARFINGER_BASE_URL=f"http://127.0.0.1:{port}",
            WHARFINGER_HUB_REGISTRY=f"127.0.0.1:{port}/hub",
            WHARFINGER_PLAIN_HTTP_HOSTS=f'["127.0.0.1:{port}"]',
            WHARFINGER_TEMPORAL__ADDRESS=f"127.0.0.1:{port}",
        )
    for name in ("mail server", "pages", "hub's registry", "Temporal server"):
        assert findings[name]["state"] == "warning", name


async def test_a_server_that_never_answers_does_not_hold_it_up(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.doctor._PATIENCE", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        findings = await look(shell, WHARFINGER_SMTP__PORT=str(port), WHARFINGER_TEMPORAL__ADDRESS=f"127.0.0.1:{port}")
    assert findings["mail server"]["state"] == "warning"
    assert findings["Temporal server"]["state"] == "warning"


@pytest.mark.system
@needs("temporal")
async def test_a_hub_that_runs_is_seen_with_its_worker(hub_shell: Shell) -> None:
    findings = await look(hub_shell)
    assert findings["Temporal server"]["state"] == "ok"
    assert "with a worker" in findings["Temporal server"]["says"]
    nowhere = await look(hub_shell, WHARFINGER_TEMPORAL__NAMESPACE="nowhere")
    assert nowhere["Temporal server"]["state"] == "warning"
