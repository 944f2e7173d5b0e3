"""What the security team adds to the advisories: known base images, and classes of its own."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.columns import Json, Prose, Word
from models.findings import Severity
from models.tables import Serial


class BaseImageRow(SQLModel, table=True):
    """A base image of one platform. A tag that moved is another row of the same reference; none is ever deleted."""

    __tablename__ = "base_image"

    reference: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    platform: str
    #: diff_ids, the lowest first
    layers: list[str] = Field(default_factory=list, sa_type=Json)
    created: datetime | None = None
    #: digest of the stored ImageReport
    report: str = ""
    added_at: datetime
    removed_at: datetime | None = None


class SeverityOverrideRow(SQLModel, table=True):
    """The security team's class of a vulnerability. The row stays when it is taken back or another class follows."""

    __tablename__ = "severity_override"

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    #: id of the advisories, most often a CVE
    vulnerability: str = Field(index=True)
    severity: Severity = Field(sa_type=Word(Severity))
    reason: str = Field(sa_type=Prose)
    #: id of a person
    by: str
    at: datetime = Field(index=True)
    withdrawn_by: str = ""
    withdrawn_reason: str = Field(default="", sa_type=Prose)
    withdrawn_at: datetime | None = Field(default=None, index=True)
