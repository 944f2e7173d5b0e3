"""A PostgreSQL cluster of a benchmark's own: as Debian ships it, with its own settings, in a temporary folder."""

import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

_STARTS_WITHIN = 60.0
_INITDB = ("-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions", "-U", "wharfinger", "-A", "trust")


def programs() -> Path | None:
    """The folder of initdb and postgres; None on a machine without PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parents[1].name))
    return found[-1].parent if found else None


@contextmanager
def cluster() -> Iterator[str]:
    """The URL of an empty database. Errors: SystemExit without PostgreSQL, or when it does not start."""
    folder = programs()
    if folder is None:
        raise SystemExit("PostgreSQL is not here: apt install postgresql (scripts/apt.sh).")
    # PostgreSQL's user cannot enter everybody's folders
    with TemporaryDirectory(prefix="wharfinger-pg-", ignore_cleanup_errors=True) as place:
        as_user = _as_somebody_else(Path(place))
        data, port = Path(place) / "data", _free_port()
        subprocess.run([*as_user, folder / "initdb", "-D", data, *_INITDB], check=True, stdout=subprocess.DEVNULL)
        settings = ["listen_addresses=127.0.0.1", f"unix_socket_directories={place}", "max_wal_size=4GB"]
        with (Path(place) / "log").open("wb") as log:
            command = [str(folder / "postgres"), f"-D{data}", f"-p{port}", *(f"--{each}" for each in settings)]
            server = subprocess.Popen([*as_user, *command], cwd=place, stdout=log, stderr=log)
        try:
            url = f"postgresql://wharfinger@127.0.0.1:{port}/postgres"
            _wait_until_it_answers(server, url)
            yield url
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=60)


def _as_somebody_else(place: Path) -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    names = {user.pw_name for user in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(place, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_answers(server: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("PostgreSQL does not start.") from None
            time.sleep(0.05)
        else:
            return
