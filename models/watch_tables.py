"""What the watch stores: what is inside everything published, what is known against it, and who has been told.

An image is a few sets of components, one for each layer that brought any: images that share layers share the sets, so
that a hundred thousand products of three hundred components each are no thirty million rows.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from models.columns import Prose, Word
from models.findings import Severity
from models.tables import Serial
from models.watching import BatchStatus, ChangeKind


class ComponentRow(SQLModel, table=True):
    """A package, or an identified binary, as advisories are looked up for it: of Debian and Alpine the source package.

    `name` and `version` are what is looked up; of a binary `ecosystem` is empty and `name` the CPE's `vendor:product`.
    """

    __tablename__ = "component"
    __table_args__ = (Index("ix_component_looked_up", "ecosystem", "name"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    #: digest of the other columns, in hex
    digest: str = Field(unique=True)
    ecosystem: str = Field(sa_type=Prose)
    name: str = Field(sa_type=Prose)
    version: str = Field(sa_type=Prose)
    cpe: str = Field(default="", sa_type=Prose)
    #: what findings name: the purl without its version
    package: str = Field(index=True, sa_type=Prose)
    #: of the package itself, where it is not that of its source
    package_version: str = Field(default="", sa_type=Prose)


class ComponentVulnerabilityRow(SQLModel, table=True):
    """What the advisories say of a component since the batch `batch`; `gone` when they say it no more."""

    __tablename__ = "component_vulnerability"

    component: int = Field(primary_key=True, foreign_key="component.id", ondelete="CASCADE", sa_type=Serial)
    vulnerability: str = Field(primary_key=True, index=True)
    severity: Severity = Field(sa_type=Word(Severity))
    fixed_version: str = Field(default="", sa_type=Prose)
    #: in CISA's catalog of known exploited vulnerabilities
    exploited: bool = False
    url: str = Field(default="", sa_type=Prose)
    gone: bool = False
    batch: str = Field(default="", index=True)


class ComponentSetRow(SQLModel, table=True):
    """The components that a layer brought, whichever images have that layer."""

    __tablename__ = "component_set"

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    digest: str = Field(unique=True)


class ComponentSetMemberRow(SQLModel, table=True):
    __tablename__ = "component_set_member"
    # the key is all there is: without row numbers SQLite keeps it once
    __table_args__ = {"sqlite_with_rowid": False}

    component: int = Field(primary_key=True, foreign_key="component.id", ondelete="CASCADE", sa_type=Serial)
    component_set: int = Field(
        primary_key=True, foreign_key="component_set.id", ondelete="CASCADE", index=True, sa_type=Serial
    )


class ShippedImageRow(SQLModel, table=True):
    """A published image of one platform, and the report by which it is watched."""

    __tablename__ = "shipped_image"

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    digest: str = Field(unique=True)
    platform: str
    report: str
    scanner_version: str = Field(index=True)
    scanned_at: datetime


class ShippedSetRow(SQLModel, table=True):
    """A set of components in an image."""

    __tablename__ = "shipped_set"

    component_set: int = Field(primary_key=True, foreign_key="component_set.id", ondelete="CASCADE", sa_type=Serial)
    image: int = Field(primary_key=True, foreign_key="shipped_image.id", ondelete="CASCADE", index=True, sa_type=Serial)
    #: the layer is one of the base image's
    inherited: bool = Field(default=False, primary_key=True)


class WatchedProductRow(SQLModel, table=True):
    """A product and the release set that is live: `watched` while its manifests are in the hub's registry."""

    __tablename__ = "watched_product"

    product: str = Field(primary_key=True, foreign_key="product.id", ondelete="CASCADE")
    publisher: str = Field(index=True)
    release: str
    watched: bool = True
    #: an image was scanned anew, or the product is back: the next batch looks at all of it
    stale: bool = Field(default=False, index=True)
    since: datetime


class WatchedImageRow(SQLModel, table=True):
    """An image of the release set that is live. `repository` is its place in the hub's registry."""

    __tablename__ = "watched_image"

    image: int = Field(primary_key=True, foreign_key="shipped_image.id", ondelete="CASCADE", sa_type=Serial)
    product: str = Field(primary_key=True, foreign_key="watched_product.product", ondelete="CASCADE", index=True)
    tier: str = Field(sa_type=Prose)
    repository: str = Field(sa_type=Prose)


class ExposureRow(SQLModel, table=True):
    """A vulnerability of a product as it stands; `closed_at` once it is mended, withdrawn or waived.

    No foreign key: its rows come from those of watched_product, which has one, and in a batch that concerns very many
    products the check of each would cost as much as its row.
    """

    __tablename__ = "exposure"

    product: str = Field(primary_key=True)
    #: key of the finding
    key: str = Field(primary_key=True, sa_type=Prose)
    vulnerability: str = Field(index=True)
    package: str = Field(sa_type=Prose)
    #: versions of the package that are affected
    versions: str = Field(default="", sa_type=Prose)
    severity: Severity = Field(sa_type=Word(Severity))
    fixed_version: str = Field(default="", sa_type=Prose)
    inherited: bool = False
    exploited: bool = False
    url: str = Field(default="", sa_type=Prose)
    #: batch that brought it
    batch: str
    since: datetime
    #: when the product was told, which is when its clock may start
    notified_at: datetime | None = None
    closed_at: datetime | None = None


class BatchRow(SQLModel, table=True):
    """An update of advisories on its way to the products. A publication is one, of one product."""

    __tablename__ = "batch"

    id: str = Field(primary_key=True)
    status: BatchStatus = Field(default=BatchStatus.MATCHING, sa_type=Word(BatchStatus), index=True)
    #: marks of the advisory store: what came after the first, up to the second
    mark_before: int = Field(default=0, sa_type=BigInteger)
    mark_after: int = Field(default=0, sa_type=BigInteger)
    #: of the policy by which it was matched: the lowest scores of the classes
    classes: str = ""
    #: names of packages that the advisories name
    names: int = 0
    products: int = 0
    changes: int = 0
    mass: bool = False
    #: none of its changes waits for a mail any more
    mailed: bool = Field(default=False, index=True)
    #: submission that was published, if that was it
    submission: str = ""
    decided_by: str = ""
    reason: str = Field(default="", sa_type=Prose)
    begun_at: datetime
    matched_at: datetime | None = None
    ended_at: datetime | None = None


class BatchChangeRow(SQLModel, table=True):
    """What a batch changes for a product: told to its process, and mailed, once. No foreign keys, as in `exposure`."""

    __tablename__ = "batch_change"
    __table_args__ = {"sqlite_with_rowid": False}

    batch: str = Field(primary_key=True)
    product: str = Field(primary_key=True)
    key: str = Field(primary_key=True, sa_type=Prose)
    kind: ChangeKind = Field(sa_type=Word(ChangeKind))
    #: what holds now, or held until now
    severity: Severity = Field(sa_type=Word(Severity))
    #: before the change; None of what is new
    was: Severity | None = Field(default=None, sa_type=Word(Severity))
    told_at: datetime | None = None
    #: told in a mail at once, or in a digest
    mailed_at: datetime | None = None
