"""Credentials of private sources: at rest nobody can read them, and nothing that is written tells them."""

import asyncio
import logging
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import select

from models.errors import NotFound, ToolFailed
from models.tables import SecretRow
from store import secrets
from store.database import Database
from store.secrets import InvalidKey, Vault

NOW = datetime(2026, 3, 1, tzinfo=UTC)
USERNAME = "robot$wharf"
PASSWORD = "correct-horse-ßattery-staple"
SUBJECT = "submission/abc"


async def stored(database: Database, vault: Vault, subject: str = SUBJECT) -> str:
    async with database.transaction() as session:
        return await vault.put(session, subject, USERNAME, PASSWORD, NOW)


async def read(database: Database, vault: Vault, secret: str) -> tuple[str, str]:
    async with database.session() as session:
        return await vault.get(session, secret)


async def test_credentials_come_back_as_they_were(database: Database) -> None:
    vault = Vault([secrets.new_key()])
    secret = await stored(database, vault)
    assert secret.startswith("secret/")
    assert await read(database, vault, secret) == (USERNAME, PASSWORD)


async def test_no_file_of_the_database_holds_them_in_plain(tmp_path: Path) -> None:
    database = Database(tmp_path / "hub.sqlite")
    await database.migrate()
    secret = await stored(database, Vault.open(tmp_path / "home"))
    await database.close()
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(secret.removeprefix("secret/").encode() in content for content in files.values())
    for path, content in files.items():
        for plain in (USERNAME, PASSWORD):
            assert plain.encode() not in content, path
            assert plain.encode().hex().encode() not in content, path


async def test_no_row_holds_them_in_plain(database: Database) -> None:
    await stored(database, Vault([secrets.new_key()]))
    async with database.session() as session:
        row = (await session.exec(select(SecretRow))).one()
    assert row.subject == SUBJECT
    for plain in (USERNAME, PASSWORD):
        assert plain not in str(row.model_dump())


async def test_no_repr_log_or_error_tells_them(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    key = secrets.new_key()
    vault = Vault([key])
    with caplog.at_level(logging.DEBUG):
        secret = await stored(database, vault)
        with pytest.raises(ToolFailed) as failure:
            await read(database, Vault([secrets.new_key()]), secret)
    async with database.session() as session:
        row = await session.get_one(SecretRow, secret.removeprefix("secret/"))
    told = "\n".join(
        [repr(vault), str(vault), repr(row), repr(failure.value), repr(failure.value.__cause__), caplog.text]
    )
    for plain in (USERNAME, PASSWORD, key):
        assert plain not in told


async def test_credentials_that_are_gone_are_not_found(database: Database) -> None:
    with pytest.raises(NotFound, match="secret/gone"):
        await read(database, Vault([secrets.new_key()]), "secret/gone")


async def test_when_a_process_closes_its_credentials_go_and_only_its(database: Database) -> None:
    vault = Vault([secrets.new_key()])
    mine, other = await stored(database, vault), await stored(database, vault, "submission/other")
    async with database.transaction() as session:
        assert await vault.delete_of(session, SUBJECT) == 1
        assert await secrets.delete_of(session, SUBJECT) == 0
    with pytest.raises(NotFound):
        await read(database, vault, mine)
    assert await read(database, vault, other) == (USERNAME, PASSWORD)


async def test_an_older_key_still_reads_and_after_a_rotation_is_not_needed(database: Database) -> None:
    old, new = secrets.new_key(), secrets.new_key()
    secret = await stored(database, Vault([old]))
    both = Vault([new, old])
    assert await read(database, both, secret) == (USERNAME, PASSWORD)
    async with database.transaction() as session:
        assert await both.rotate(session) == 1
    assert await read(database, Vault([new]), secret) == (USERNAME, PASSWORD)
    with pytest.raises(ToolFailed, match=secret):
        await read(database, Vault([old]), secret)


async def test_a_rotation_that_cannot_read_everything_changes_nothing(database: Database) -> None:
    old, new, lost = secrets.new_key(), secrets.new_key(), secrets.new_key()
    readable, unreadable = await stored(database, Vault([old])), await stored(database, Vault([lost]))
    with pytest.raises(ToolFailed, match=unreadable):
        async with database.transaction() as session:
            await Vault([new, old]).rotate(session)
    assert await read(database, Vault([old]), readable) == (USERNAME, PASSWORD)


async def test_a_ciphertext_that_was_tampered_with_is_refused(database: Database) -> None:
    vault = Vault([secrets.new_key()])
    secret = await stored(database, vault)
    async with database.transaction() as session:
        row = (await session.exec(select(SecretRow))).one()
        middle = len(row.ciphertext) // 2
        row.ciphertext = (
            row.ciphertext[:middle] + ("A" if row.ciphertext[middle] != "A" else "B") + row.ciphertext[middle + 1 :]
        )
        session.add(row)
    with pytest.raises(ToolFailed):
        await read(database, vault, secret)


def test_the_key_file_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    home = tmp_path / "not" / "yet"
    first = secrets.key_file(home)
    assert stat.S_IMODE((home / secrets.KEY_FILE).stat().st_mode) == 0o600
    assert secrets.key_file(home) == first
    assert [path.name for path in home.iterdir()] == [secrets.KEY_FILE]


async def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    found = await asyncio.gather(*(asyncio.to_thread(secrets.key_file, tmp_path) for _ in range(8)))
    assert len({tuple(keys) for keys in found}) == 1


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    secrets.key_file(tmp_path)
    (tmp_path / secrets.KEY_FILE).chmod(0o644)
    with pytest.raises(InvalidKey, match="chmod 600"):
        Vault.open(tmp_path)


async def test_the_key_file_is_rotated_in_two_steps(database: Database, tmp_path: Path) -> None:
    home = tmp_path / "home"
    secret = await stored(database, Vault.open(home))
    (old,) = secrets.key_file(home)
    new, still = secrets.add_key(home)
    assert still == old
    async with database.transaction() as session:
        await Vault.open(home).rotate(session)
    assert secrets.forget_keys(home) == [new]
    assert stat.S_IMODE((home / secrets.KEY_FILE).stat().st_mode) == 0o600
    assert await read(database, Vault.open(home), secret) == (USERNAME, PASSWORD)


def test_keys_of_the_settings_come_before_the_key_file(tmp_path: Path) -> None:
    Vault.open(tmp_path, [secrets.new_key()])
    assert not (tmp_path / secrets.KEY_FILE).exists()


@pytest.mark.parametrize("key", ["", "not a key", "c2hvcnQ="])
def test_a_key_of_another_form_is_refused_without_being_told(key: str) -> None:
    with pytest.raises(InvalidKey) as refusal:
        Vault([key])
    assert not key or key not in str(refusal.value)
    with pytest.raises(InvalidKey):
        Vault([])
