"""Activities that write rows are tested on both databases."""

from tests.parts.databases import database, database_url, postgresql, sqlite_template  # noqa: F401
