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

from store.database import Database, migrate

_STARTS_WITHIN = 60.0
_TEMPLATE = "wharfinger_template"
_INITDB = ("-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")


@dataclass
class PostgresqlServer:
    """A running cluster. `migrated` is whether its template has our schema."""

    port: int
    migrated: bool = False
    numbers: Iterator[int] = field(default_factory=count)

    def url(self, name: str) -> str:
        return f"postgresql://wharfinger@127.0.0.1:{self.port}/{name}"

    def run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    async def new_database(self) -> str:
        """The URL of a fresh database with our schema."""
        if not self.migrated:
            self.run(f"CREATE DATABASE {_TEMPLATE}")
            await migrate(self.url(_TEMPLATE))
            self.migrated = True
        name = f"test_{next(self.numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return self.url(name)

    def drop(self, url: str) -> None:
        self.run(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")


def binaries() -> Path | None:
    """Folder of the newest PostgreSQL's programs; Debian keeps them out of PATH."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path).resolve().parent)
    return max(found, key=lambda path: (path.parent.name.zfill(3), path), default=None)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """One cluster for all tests of a run. It does not sync to disk, and it dies with this process."""
    programs = binaries()
    if programs is None:
        missing = "PostgreSQL is not installed (apt-get install --no-install-recommends postgresql)."
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
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
    url = await server.new_database()
    yield url
    server.drop(url)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open, empty database. A second process is another `Database(database_url)`."""
    opened = Database(database_url)
    yield opened
    await opened.close()
