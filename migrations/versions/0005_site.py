"""Tracked sites, their visitors, conversions"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from flowserver.extensions import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
OF_VISITS = "type IN ('page_visited', 'page_stayed')"


def upgrade() -> None:
    op.create_table(
        "page_view",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("workspace_id", BIG, nullable=False),
        sa.Column("monitor_id", BIG, nullable=False),
        sa.Column("visitor_id", BIG, nullable=False),
        sa.Column("visit_id", BIG, nullable=False),
        sa.Column("contact_id", BIG, nullable=True),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("url", sa.String(length=1000), nullable=False),
        sa.Column("first", sa.Boolean(), nullable=False),
        sa.Column("stay", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_page_view")),
        sa.UniqueConstraint("visitor_id", "uid", name=op.f("uq_page_view_visitor_id_uid")),
    )
    with op.batch_alter_table("page_view", schema=None) as batch_op:
        batch_op.create_index(
            "ix_page_view_contact",
            ["contact_id", "at"],
            unique=False,
            postgresql_where=sa.text("contact_id IS NOT NULL"),
            sqlite_where=sa.text("contact_id IS NOT NULL"),
        )
        batch_op.create_index("ix_page_view_visit", ["visit_id"], unique=False)

    op.create_table(
        "visit",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("workspace_id", BIG, nullable=False),
        sa.Column("monitor_id", BIG, nullable=False),
        sa.Column("visitor_id", BIG, nullable=False),
        sa.Column("contact_id", BIG, nullable=True),
        sa.Column("started_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("views", sa.Integer(), nullable=False),
        sa.Column("referrer", sa.String(length=300), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visit")),
    )
    with op.batch_alter_table("visit", schema=None) as batch_op:
        batch_op.create_index("ix_visit_monitor", ["monitor_id", "last_at"], unique=False)
        batch_op.create_index(
            "ix_visit_contact",
            ["contact_id"],
            unique=False,
            postgresql_where=sa.text("contact_id IS NOT NULL"),
            sqlite_where=sa.text("contact_id IS NOT NULL"),
        )
        batch_op.create_index("ix_visit_visitor", ["visitor_id", "last_at"], unique=False)

    op.create_table(
        "visitor",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("workspace_id", BIG, nullable=False),
        sa.Column("monitor_id", BIG, nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("contact_id", BIG, nullable=True),
        sa.Column("proof", sa.String(length=32), nullable=True),
        sa.Column("identified_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("seen_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visitor")),
        sa.UniqueConstraint("monitor_id", "uid", name=op.f("uq_visitor_monitor_id_uid")),
    )
    with op.batch_alter_table("visitor", schema=None) as batch_op:
        batch_op.create_index(
            "ix_visitor_contact",
            ["contact_id"],
            unique=False,
            postgresql_where=sa.text("contact_id IS NOT NULL"),
            sqlite_where=sa.text("contact_id IS NOT NULL"),
        )
        batch_op.create_index("ix_visitor_proof", ["proof"], unique=False)
        batch_op.create_index("ix_visitor_seen", ["seen_at"], unique=False)

    op.create_table(
        "monitor",
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("domains", JSON, nullable=False),
        sa.Column("ask_consent", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("verified_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("workspace_id", BIG, nullable=False),
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_monitor_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitor")),
        sa.UniqueConstraint("public_id", name=op.f("uq_monitor_public_id")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_monitor_workspace_id_name")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("monitor", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_monitor_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "conversion_rule",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("monitor_id", BIG, nullable=True),
        sa.Column("patterns", JSON, nullable=False),
        sa.Column("event", sa.String(length=60), nullable=False),
        sa.Column("each_time", sa.Boolean(), nullable=False),
        sa.Column("amount_cents", BIG, nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("workspace_id", BIG, nullable=False),
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["monitor_id"], ["monitor.id"], name=op.f("fk_conversion_rule_monitor_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_conversion_rule_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversion_rule")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_conversion_rule_workspace_id_name")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("conversion_rule", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_conversion_rule_monitor_id"), ["monitor_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_conversion_rule_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "conversion",
        sa.Column("rule_id", BIG, nullable=False),
        sa.Column("contact_id", BIG, nullable=True),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("dedupe_key", sa.String(length=120), nullable=False),
        sa.Column("at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("amount_cents", BIG, nullable=True),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("url", sa.String(length=1000), nullable=False),
        sa.Column("undone_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("workspace_id", BIG, nullable=False),
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_conversion_contact_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["rule_id"], ["conversion_rule.id"], name=op.f("fk_conversion_rule_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_conversion_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversion")),
        sa.UniqueConstraint("rule_id", "key", name=op.f("uq_conversion_rule_id_key")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("conversion", schema=None) as batch_op:
        batch_op.create_index("ix_conversion_contact", ["contact_id", "at"], unique=False)
        batch_op.create_index("ix_conversion_recent", ["rule_id", "at"], unique=False)
        batch_op.create_index(batch_op.f("ix_conversion_workspace_id"), ["workspace_id"], unique=False)

    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_event_visits",
            ["at"],
            unique=False,
            postgresql_where=sa.text(OF_VISITS),
            sqlite_where=sa.text(OF_VISITS),
        )

    op.add_column("signup", sa.Column("visitor", sa.String(length=60), server_default="", nullable=False))


def downgrade() -> None:

    op.drop_column("signup", "visitor")

    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("ix_event_visits", postgresql_where=sa.text(OF_VISITS), sqlite_where=sa.text(OF_VISITS))

    with op.batch_alter_table("conversion", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_conversion_workspace_id"))
        batch_op.drop_index("ix_conversion_recent")
        batch_op.drop_index("ix_conversion_contact")

    op.drop_table("conversion")
    with op.batch_alter_table("conversion_rule", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_conversion_rule_workspace_id"))
        batch_op.drop_index(batch_op.f("ix_conversion_rule_monitor_id"))

    op.drop_table("conversion_rule")
    with op.batch_alter_table("monitor", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_monitor_workspace_id"))

    op.drop_table("monitor")
    with op.batch_alter_table("visitor", schema=None) as batch_op:
        batch_op.drop_index("ix_visitor_seen")
        batch_op.drop_index("ix_visitor_proof")
        batch_op.drop_index(
            "ix_visitor_contact",
            postgresql_where=sa.text("contact_id IS NOT NULL"),
            sqlite_where=sa.text("contact_id IS NOT NULL"),
        )

    op.drop_table("visitor")
    with op.batch_alter_table("visit", schema=None) as batch_op:
        batch_op.drop_index("ix_visit_visitor")
        batch_op.drop_index("ix_visit_monitor")
        batch_op.drop_index(
            "ix_visit_contact",
            postgresql_where=sa.text("contact_id IS NOT NULL"),
            sqlite_where=sa.text("contact_id IS NOT NULL"),
        )

    op.drop_table("visit")
    with op.batch_alter_table("page_view", schema=None) as batch_op:
        batch_op.drop_index("ix_page_view_visit")
        batch_op.drop_index(
            "ix_page_view_contact",
            postgresql_where=sa.text("contact_id IS NOT NULL"),
            sqlite_where=sa.text("contact_id IS NOT NULL"),
        )

    op.drop_table("page_view")
