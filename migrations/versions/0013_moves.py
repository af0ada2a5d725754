"""Who was taken along to a new version of a flow, so that it can be undone"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def big_id():
    """64-bit ids; SQLite counts up only plain INTEGER keys."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("flow_version", sa.Column("replaced_id", big_id(), nullable=True))
    op.add_column("flow_version", sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "flow_move",
        sa.Column("version_id", big_id(), nullable=False),
        sa.Column("enrollment_id", big_id(), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("from_version_id", big_id(), nullable=False),
        sa.Column("step", sa.String(60), nullable=False),
        sa.Column("landed", sa.String(60)),
        sa.Column("parked_at", sa.DateTime(timezone=True)),
        sa.Column("awaits", sa.String(120)),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_kind", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("version_id", "enrollment_id", name=op.f("pk_flow_move")),
    )


def downgrade() -> None:
    op.drop_table("flow_move")
    op.drop_column("flow_version", "undone_at")
    op.drop_column("flow_version", "replaced_id")
