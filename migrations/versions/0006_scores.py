"""Segments, score rules"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def big_id():
    """64-bit ids; SQLite counts up only plain INTEGER keys."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def json_type():
    """JSON text on SQLite, JSONB on PostgreSQL."""
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "segment",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("rule", json_type(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_segment_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_segment_workspace_id_name")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("segment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_segment_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "score_rule",
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("act", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("detail", sa.String(length=500), nullable=False),
        sa.Column("frequency", sa.String(length=8), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_score_rule_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score_rule")),
        sa.UniqueConstraint("workspace_id", "title", name=op.f("uq_score_rule_workspace_id_title")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("score_rule", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_score_rule_workspace_id"), ["workspace_id"], unique=False)

    with op.batch_alter_table("score_entry", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rule_id", big_id(), nullable=True))
        batch_op.add_column(sa.Column("event_key", sa.String(length=120), nullable=True))
        batch_op.add_column(sa.Column("slot", sa.String(length=120), nullable=True))
    by_rule = sa.text("rule_id IS NOT NULL")
    op.create_index(
        "ix_score_entry_slot",
        "score_entry",
        ["rule_id", "contact_id", "slot"],
        unique=True,
        sqlite_where=by_rule,
        postgresql_where=by_rule,
    )


def downgrade() -> None:
    op.drop_index("ix_score_entry_slot", "score_entry")
    with op.batch_alter_table("score_entry", schema=None) as batch_op:
        batch_op.drop_column("slot")
        batch_op.drop_column("event_key")
        batch_op.drop_column("rule_id")
    with op.batch_alter_table("score_rule", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_score_rule_workspace_id"))
    op.drop_table("score_rule")
    with op.batch_alter_table("segment", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_segment_workspace_id"))
    op.drop_table("segment")
