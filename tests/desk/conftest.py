"""The desk's tests share one hub on real servers."""

from tests.desk.hubs import hub, settings  # noqa: F401
from tests.parts.databases import database, database_url, postgresql, sqlite_template  # noqa: F401
from tests.parts.leaks import nothing_leaks  # noqa: F401
from tests.parts.servers import temporal  # noqa: F401
