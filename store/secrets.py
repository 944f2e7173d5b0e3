"""Credentials of private sources: encrypted at rest, named `secret/<id>` everywhere else, deleted after use.

No value ever stands in a message, a log, an error or a repr: only the id does.
"""

import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import bindparam, delete
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.addresses import new_id
from models.errors import NotFound, Permanent, ToolFailed
from models.tables import SecretRow
from store.database import table_of

#: name of the key file in the home folder
KEY_FILE = "secret.key"
_PREFIX = "secret/"

_SECRET = table_of(SecretRow)
_DELETE = delete(_SECRET).where(_SECRET.c.subject == bindparam("of"))


class InvalidKey(Permanent):
    """A key that is not 32 bytes in URL-safe base 64, or a key file that others may read."""


class Vault:
    """Encrypts with the newest key, decrypts with any: `keys` are newest first, in the form of `new_key`."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise InvalidKey("A vault needs a key: set WHARFINGER_SECRET_KEYS, or let `wharfinger up` make a key file.")
        try:
            self._fernet = MultiFernet([Fernet(key.strip()) for key in keys])
        except ValueError:  # its message says nothing of the key, but its cause might
            raise InvalidKey("A secret key is not 32 bytes in URL-safe base 64. Make one with `new_key`.") from None

    @classmethod
    def open(cls, home: Path, keys: Sequence[str] = ()) -> "Vault":
        """With the keys of the settings; without any, with those of the key file, which is made if there is none."""
        return cls(keys or key_file(home))

    def __repr__(self) -> str:
        return "Vault()"

    async def put(self, session: AsyncSession, subject: str, username: str, password: str, at: datetime) -> str:
        """Store credentials for the process at the address `subject`; returns `secret/<id>`."""
        row = SecretRow(
            id=new_id(),
            subject=subject,
            ciphertext=self._fernet.encrypt(json.dumps([username, password]).encode()).decode(),
            created_at=at,
        )
        session.add(row)
        await session.flush()
        return _PREFIX + row.id

    async def get(self, session: AsyncSession, id: str) -> tuple[str, str]:  # noqa: A002 - the field's word
        """User name and password. Errors: NotFound; ToolFailed when none of the keys fits."""
        row = await session.get(SecretRow, id.removeprefix(_PREFIX))
        if row is None:
            raise NotFound(f"There are no stored credentials {id}.")
        try:
            username, password = json.loads(self._fernet.decrypt(row.ciphertext.encode()))
        except InvalidToken:
            raise ToolFailed(
                f"The credentials {id} cannot be read with the keys at hand: give the older key as well."
            ) from None
        return username, password

    async def delete_of(self, session: AsyncSession, subject: str) -> int:
        return await delete_of(session, subject)

    async def rotate(self, session: AsyncSession) -> int:
        """Encrypt everything anew with the newest key; returns how many. Older keys may go after that.

        Errors: ToolFailed when one of the stored secrets fits none of the keys; nothing is changed then.
        """
        rows = (await session.exec(select(SecretRow))).all()
        fresh: list[str] = []
        for row in rows:
            try:
                fresh.append(self._fernet.rotate(row.ciphertext.encode()).decode())
            except InvalidToken:
                raise ToolFailed(
                    f"The credentials {_PREFIX}{row.id} fit none of the keys: nothing is changed."
                ) from None
        for row, ciphertext in zip(rows, fresh, strict=True):
            row.ciphertext = ciphertext
            session.add(row)
        await session.flush()
        return len(rows)


async def delete_of(session: AsyncSession, subject: str) -> int:
    """Delete the credentials of a process that has closed; returns how many there were."""
    result = await session.exec(_DELETE, params={"of": subject})
    return int(result.rowcount)


def new_key() -> str:
    """A fresh random key."""
    return Fernet.generate_key().decode()


def key_file(home: Path) -> list[str]:
    """The keys of the key file, newest first; made with mode 0600 when there is none. Errors: InvalidKey."""
    path = home / KEY_FILE
    home.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _write_once(path, new_key() + "\n")
    if path.stat().st_mode & 0o077:
        raise InvalidKey(f"Others may read {path}: say `chmod 600 {path}`, and rotate the key.")
    return [line for line in path.read_text().split() if line]


def add_key(home: Path) -> list[str]:
    """Put a fresh key before the others: the first half of a rotation. `forget_keys` is the last."""
    return _replace(home, [new_key(), *key_file(home)])


def forget_keys(home: Path) -> list[str]:
    """Keep only the newest key. Say it after Vault.rotate has been committed, and never before."""
    return _replace(home, key_file(home)[:1])


def _replace(home: Path, keys: list[str]) -> list[str]:
    fresh = home / f"{KEY_FILE}.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    _write(fresh, "\n".join(keys) + "\n")
    fresh.replace(home / KEY_FILE)
    return keys


def _write_once(path: Path, text: str) -> None:
    """Two processes that start together agree on one key: the first link wins, and its content is whole."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{new_id()}")
    _write(fresh, text)
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
