"""The store's tests run on both databases."""

from tests.parts.databases import database, database_url, postgresql, sqlite_template  # noqa: F401
