"""The migrations make exactly the tables."""

from pathlib import Path

from store.database import Database, database_url, migrate
from store.migrations.run import differences


async def test_the_migrations_make_exactly_the_tables(database: Database) -> None:
    assert await differences(database.url) == []


async def test_migrating_again_changes_nothing(database: Database) -> None:
    await migrate(database.url)
    assert await differences(database.url) == []


def test_a_path_is_a_sqlite_url(tmp_path: Path) -> None:
    assert database_url(tmp_path / "x.sqlite").get_backend_name() == "sqlite"
