"""`wharfinger secrets rotate`: a new key, the same credentials, and no moment at which they are lost."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.errors import ToolFailed
from store.secrets import KEY_FILE, Vault, new_key
from tests.cli.conftest import Shell
from tests.parts.rows import Harbour

NOW = datetime.now(UTC)


async def kept(vault: Vault, crane: Harbour) -> str:
    async with crane.database.transaction() as session:
        return await vault.put(session, "submission/x", "ada", "open-sesame", NOW)


async def read(vault: Vault, crane: Harbour, secret: str) -> tuple[str, str]:
    async with crane.database.session() as session:
        return await vault.get(session, secret)


async def test_a_key_file_gets_a_fresh_key_and_forgets_the_old_one(shell: Shell, home: Path, crane: Harbour) -> None:
    old = Vault.open(home)
    secret = await kept(old, crane)
    before = (home / KEY_FILE).read_text()
    document = await shell.json("secrets", "rotate")
    assert document == {"encrypted": 1, "keys": "file"}
    after = (home / KEY_FILE).read_text()
    assert len(after.split()) == 1
    assert after != before
    assert (home / KEY_FILE).stat().st_mode & 0o077 == 0
    assert await read(Vault.open(home), crane, secret) == ("ada", "open-sesame")
    with pytest.raises(ToolFailed):
        await read(old, crane, secret)
    shown = (await shell("secrets", "rotate")).stdout
    assert "1 credentials are encrypted with the new key." in shown
    assert "Restart workers and pages" in shown
    assert "open-sesame" not in shown


async def test_keys_of_the_environment_are_used_newest_first(shell: Shell, home: Path, crane: Harbour) -> None:
    fresh, old = new_key(), new_key()
    secret = await kept(Vault([old]), crane)
    line = await shell.refused("secrets", "rotate", WHARFINGER_SECRET_KEYS=f'["{old}"]')
    assert "put a new one before it" in line
    shown = (await shell("secrets", "rotate", WHARFINGER_SECRET_KEYS=f'["{fresh}", "{old}"]')).stdout
    assert "drop the older keys from WHARFINGER_SECRET_KEYS" in shown
    assert fresh not in shown
    assert await read(Vault([fresh]), crane, secret) == ("ada", "open-sesame")
    assert not (home / KEY_FILE).exists()


async def test_credentials_that_fit_no_key_stop_it_and_nothing_is_forgotten(
    shell: Shell, home: Path, crane: Harbour
) -> None:
    mine = await kept(Vault.open(home), crane)
    await kept(Vault([new_key()]), crane)
    keys = (home / KEY_FILE).read_text().split()
    assert "fit none of the keys: nothing is changed" in await shell.refused("secrets", "rotate")
    assert set(keys) <= set((home / KEY_FILE).read_text().split())
    assert await read(Vault.open(home), crane, mine) == ("ada", "open-sesame")
