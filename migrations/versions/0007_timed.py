"""Starting points that a date or silence brings about"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def big_id():
    """64-bit ids; SQLite counts up only plain INTEGER keys."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def json_type():
    """JSON text on SQLite, JSONB on PostgreSQL."""
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("flow", sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("flow", sa.Column("starts_since", sa.DateTime(timezone=True), nullable=True))
    set_ = sa.text("starts_at IS NOT NULL")
    op.create_index("ix_flow_starts", "flow", ["starts_at"], postgresql_where=set_, sqlite_where=set_)
    op.create_table(
        "flow_start",
        sa.Column("flow_id", big_id(), nullable=False),
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("by", sa.String(length=8), nullable=False),
        sa.Column("rule", json_type(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("after", big_id(), nullable=False),
        sa.Column("entered", sa.Integer(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("user_id", big_id(), nullable=True),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["flow_id"], ["flow.id"], name=op.f("fk_flow_start_flow_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_flow_start_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow_start")),
        sa.UniqueConstraint("flow_id", "key", name=op.f("uq_flow_start_flow_id_key")),
        sqlite_autoincrement=True,
    )
    undone = sa.text("done_at IS NULL")
    op.create_index("ix_flow_start_undone", "flow_start", ["id"], postgresql_where=undone, sqlite_where=undone)
    op.create_index(op.f("ix_flow_start_workspace_id"), "flow_start", ["workspace_id"])


def downgrade() -> None:
    op.drop_table("flow_start")
    op.drop_index("ix_flow_starts", "flow")
    with op.batch_alter_table("flow") as batch_op:
        batch_op.drop_column("starts_since")
        batch_op.drop_column("starts_at")
