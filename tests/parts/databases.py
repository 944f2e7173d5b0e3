"""Databases for tests: SQLite always, and PostgreSQL as Debian ships it, from a cluster of our own on a free port.

Tests of the store use the fixture `database` and run on both. On a machine without PostgreSQL its half is skipped; in
CI (environment variable CI) a missing PostgreSQL is a failure.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest
from sqlmodel import SQLModel

from store.database import Database, migrate
from tests.parts.presence import postgresql_programs, require

_STARTS_WITHIN = 60.0
_TEMPLATE = "wharfinger_template"
_INITDB = ("-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")


@dataclass
class PostgresqlServer:
    """A running cluster. A database that a test has left is emptied for the next one: making one takes 0.3 s."""

    port: int
    migrated: bool = False
    numbers: Iterator[int] = field(default_factory=count)
    empty: list[str] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"postgresql://wharfinger@127.0.0.1:{self.port}/{name}"

    def run(self, statement: str, name: str = "postgres") -> None:
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute(statement.encode())

    async def take(self) -> str:
        """The URL of an empty database with our schema."""
        if self.empty:
            return self.empty.pop()
        if not self.migrated:
            self.run(f"CREATE DATABASE {_TEMPLATE}")
            await migrate(self.url(_TEMPLATE))
            self.migrated = True
        name = f"test_{next(self.numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return self.url(name)

    def give_back(self, url: str) -> None:
        """A transaction that a test left open would hold the emptying up: such a database is dropped."""
        name = url.rpartition("/")[2]
        tables = SQLModel.metadata.sorted_tables
        empties = "".join(f'DELETE FROM "{table.name}";' for table in reversed(tables))  # noqa: S608 - our own names
        try:
            self.run(f"SET lock_timeout = '1s'; BEGIN; {empties} COMMIT;", name)
        except psycopg.Error:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")
        else:
            self.empty.append(url)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """One cluster for all tests of a run. It does not sync to disk, and it dies with this process."""
    require("postgresql")
    programs = postgresql_programs()
    assert programs is not None
    # a socket's path has at most 107 bytes, and the cluster's user cannot enter pytest's folders
    with tempfile.TemporaryDirectory(prefix="wharfinger-pg-", ignore_cleanup_errors=True) as place:
        cluster = Path(place) / "data"
        as_user = _as_unprivileged_user(Path(place))
        subprocess.run(
            [*as_user, programs / "initdb", "-D", cluster, "-U", "wharfinger", "-A", "trust", *_INITDB],
            check=True,
            cwd=place,
            stdout=subprocess.DEVNULL,
        )
        port = _free_port()
        settings = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=127.0.0.1"]
        settings += ["deadlock_timeout=100ms", "max_connections=60", f"unix_socket_directories={place}"]
        with (Path(place) / "log").open("wb") as log:
            server = subprocess.Popen(
                [
                    *as_user,
                    str(programs / "postgres"),
                    f"-D{cluster}",
                    f"-p{port}",
                    *(f"--{each}" for each in settings),
                ],
                cwd=place,
                stdout=log,
                stderr=log,
            )
        try:
            _wait_until_it_answers(server, port, Path(place) / "log")
            yield PostgresqlServer(port)
        finally:
            server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            try:
                server.wait(timeout=30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _as_unprivileged_user(place: Path) -> list[str]:
    """PostgreSQL refuses to run as root. Whoever runs it, it gets a signal when this process dies."""
    command = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() != 0:
        return command
    names = {user.pw_name for user in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(place, user.pw_uid, user.pw_gid)
    return [*command, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_answers(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        try:
            psycopg.connect(f"postgresql://wharfinger@127.0.0.1:{port}/postgres", connect_timeout=5).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL does not start:\n{log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
async def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, which each test copies."""
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite"
    await migrate(path)
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system)])
async def database_url(request: pytest.FixtureRequest, sqlite_template: Path, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of an empty, migrated database of this test's own."""
    if request.param == "sqlite":
        path = tmp_path / "wharfinger.sqlite"
        shutil.copy(sqlite_template, path)
        yield f"sqlite:///{path}"
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    url = await server.take()
    yield url
    server.give_back(url)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open, empty database. A second process is another `Database(database_url)`."""
    opened = Database(database_url)
    yield opened
    await opened.close()
