"""All tables: importing this fills the metadata, which migrations and the garbage collector read."""

from sqlmodel import SQLModel

import models.security_tables
import models.tables
import models.watch_tables  # noqa: F401

METADATA = SQLModel.metadata
