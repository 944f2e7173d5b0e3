"""A PostgreSQL cluster that a test may kill: of its own, on a free port, with the settings that Debian ships."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psycopg

from cli.service import HOST, Service, ServiceFailed
from tests.parts.presence import postgresql_programs, require

_TRIES = 20


class PostgresqlService(Service):
    """Its folder has to be one that other users can enter: PostgreSQL refuses to run as root."""

    def __init__(self, folder: Path) -> None:
        super().__init__("postgresql", folder, ports=("postgresql",))
        require("postgresql")
        programs = postgresql_programs()
        assert programs is not None
        self._programs = programs

    @property
    def url(self) -> str:
        return f"postgresql://wharfinger@{HOST}:{self.ports['postgresql']}/postgres"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def prepare(self) -> None:
        if self.data.exists():
            return
        if user := _user():
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        initdb = [self._programs / "initdb", "-D", self.data, "-U", "wharfinger", "-A", "trust"]
        subprocess.run(
            [*_as_user(), *map(str, initdb), "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )

    def command(self) -> Sequence[str]:
        settings = (f"listen_addresses={HOST}", f"unix_socket_directories={self.folder}", "max_connections=60")
        # the tie to this process is lost with the change of user, so it is made anew
        command = [*_as_user("--pdeathsig", "KILL"), str(self._programs / "postgres"), f"-D{self.data}"]
        return [*command, f"-p{self.ports['postgresql']}", *(f"--{setting}" for setting in settings)]

    async def is_ready(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    async def start(self) -> None:
        """After kill -9 the former server's children hold its shared memory until they notice: then it is refused."""
        for tries_left in reversed(range(_TRIES)):
            try:
                await super().start()
                return
            except ServiceFailed as failure:
                if not tries_left or "shared memory" not in str(failure):
                    raise

    def dump(self) -> str:
        """All of the database as SQL."""
        done = subprocess.run(
            [self._programs / "pg_dump", "--inserts", self.url], capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout


def _user() -> pwd.struct_passwd | None:
    """Whom it runs as; None: as whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return pwd.getpwnam("postgres" if "postgres" in names else "nobody")


def _as_user(*more: str) -> list[str]:
    command = ["setpriv", *more]
    if user := _user():
        command += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return command if command != ["setpriv"] else []
