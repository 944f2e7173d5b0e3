"""What is watched after publication.

Revision: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "batch",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("mark_before", sa.BigInteger(), nullable=False),
        sa.Column("mark_after", sa.BigInteger(), nullable=False),
        sa.Column("classes", sa.String(), nullable=False),
        sa.Column("names", sa.Integer(), nullable=False),
        sa.Column("products", sa.Integer(), nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("mass", sa.Boolean(), nullable=False),
        sa.Column("mailed", sa.Boolean(), nullable=False),
        sa.Column("submission", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("matched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
    )
    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_batch_mailed"), ["mailed"], unique=False)
        batch_op.create_index(batch_op.f("ix_batch_status"), ["status"], unique=False)

    op.create_table(
        "component",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("ecosystem", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("cpe", sa.Text(), nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("package_version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_component")),
        sa.UniqueConstraint("digest", name=op.f("uq_component_digest")),
    )
    with op.batch_alter_table("component", schema=None) as batch_op:
        batch_op.create_index("ix_component_looked_up", ["ecosystem", "name"], unique=False)
        batch_op.create_index(batch_op.f("ix_component_package"), ["package"], unique=False)

    op.create_table(
        "component_set",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_component_set")),
        sa.UniqueConstraint("digest", name=op.f("uq_component_set_digest")),
    )
    op.create_table(
        "shipped_image",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("report", sa.String(), nullable=False),
        sa.Column("scanner_version", sa.String(), nullable=False),
        sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shipped_image")),
        sa.UniqueConstraint("digest", name=op.f("uq_shipped_image_digest")),
    )
    with op.batch_alter_table("shipped_image", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_shipped_image_scanner_version"), ["scanner_version"], unique=False)

    op.create_table(
        "component_set_member",
        sa.Column("component", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("component_set", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["component"],
            ["component.id"],
            name=op.f("fk_component_set_member_component_component"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["component_set"],
            ["component_set.id"],
            name=op.f("fk_component_set_member_component_set_component_set"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("component", "component_set", name=op.f("pk_component_set_member")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("component_set_member", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_component_set_member_component_set"), ["component_set"], unique=False)

    op.create_table(
        "component_vulnerability",
        sa.Column("component", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("vulnerability", sa.String(), nullable=False),
        sa.Column("severity", sa.String(40), nullable=False),
        sa.Column("fixed_version", sa.Text(), nullable=False),
        sa.Column("exploited", sa.Boolean(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.Column("batch", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["component"],
            ["component.id"],
            name=op.f("fk_component_vulnerability_component_component"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("component", "vulnerability", name=op.f("pk_component_vulnerability")),
    )
    with op.batch_alter_table("component_vulnerability", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_component_vulnerability_batch"), ["batch"], unique=False)
        batch_op.create_index(batch_op.f("ix_component_vulnerability_vulnerability"), ["vulnerability"], unique=False)

    op.create_table(
        "shipped_set",
        sa.Column("component_set", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("image", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("inherited", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["component_set"],
            ["component_set.id"],
            name=op.f("fk_shipped_set_component_set_component_set"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["image"], ["shipped_image.id"], name=op.f("fk_shipped_set_image_shipped_image"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("component_set", "image", "inherited", name=op.f("pk_shipped_set")),
    )
    with op.batch_alter_table("shipped_set", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_shipped_set_image"), ["image"], unique=False)

    op.create_table(
        "batch_change",
        sa.Column("batch", sa.String(), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("severity", sa.String(40), nullable=False),
        sa.Column("was", sa.String(40), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mailed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("batch", "product", "key", name=op.f("pk_batch_change")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "exposure",
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("vulnerability", sa.String(), nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("versions", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(40), nullable=False),
        sa.Column("fixed_version", sa.Text(), nullable=False),
        sa.Column("inherited", sa.Boolean(), nullable=False),
        sa.Column("exploited", sa.Boolean(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("batch", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("notified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("product", "key", name=op.f("pk_exposure")),
    )
    with op.batch_alter_table("exposure", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_exposure_vulnerability"), ["vulnerability"], unique=False)

    op.create_table(
        "watched_product",
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("publisher", sa.String(), nullable=False),
        sa.Column("release", sa.String(), nullable=False),
        sa.Column("watched", sa.Boolean(), nullable=False),
        sa.Column("stale", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["product"], ["product.id"], name=op.f("fk_watched_product_product_product"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("product", name=op.f("pk_watched_product")),
    )
    with op.batch_alter_table("watched_product", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_watched_product_publisher"), ["publisher"], unique=False)
        batch_op.create_index(batch_op.f("ix_watched_product_stale"), ["stale"], unique=False)

    op.create_table(
        "watched_image",
        sa.Column("image", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("repository", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image"], ["shipped_image.id"], name=op.f("fk_watched_image_image_shipped_image"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["product"],
            ["watched_product.product"],
            name=op.f("fk_watched_image_product_watched_product"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("image", "product", name=op.f("pk_watched_image")),
    )
    with op.batch_alter_table("watched_image", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_watched_image_product"), ["product"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("watched_image", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_watched_image_product"))

    op.drop_table("watched_image")
    with op.batch_alter_table("watched_product", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_watched_product_stale"))
        batch_op.drop_index(batch_op.f("ix_watched_product_publisher"))

    op.drop_table("watched_product")
    with op.batch_alter_table("exposure", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_exposure_vulnerability"))

    op.drop_table("exposure")
    op.drop_table("batch_change")
    with op.batch_alter_table("shipped_set", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_shipped_set_image"))

    op.drop_table("shipped_set")
    with op.batch_alter_table("component_vulnerability", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_component_vulnerability_vulnerability"))
        batch_op.drop_index(batch_op.f("ix_component_vulnerability_batch"))

    op.drop_table("component_vulnerability")
    with op.batch_alter_table("component_set_member", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_component_set_member_component_set"))

    op.drop_table("component_set_member")
    with op.batch_alter_table("shipped_image", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_shipped_image_scanner_version"))

    op.drop_table("shipped_image")
    op.drop_table("component_set")
    with op.batch_alter_table("component", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_component_package"))
        batch_op.drop_index("ix_component_looked_up")

    op.drop_table("component")
    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_batch_status"))
        batch_op.drop_index(batch_op.f("ix_batch_mailed"))

    op.drop_table("batch")
