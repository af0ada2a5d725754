"""Campaigns, and their messages"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
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
        "campaign",
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("content", json_type(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("list_id", big_id(), nullable=True),
        sa.Column("segment_id", big_id(), nullable=True),
        sa.Column("wish", sa.String(length=16), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("send_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("busy", sa.Boolean(), nullable=False),
        sa.Column("held", sa.String(length=300), nullable=False),
        sa.Column("planned_after", big_id(), nullable=True),
        sa.Column("connection_id", big_id(), nullable=True),
        sa.Column("user_id", big_id(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_campaign_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign")),
        sa.UniqueConstraint("workspace_id", "channel", "name", name=op.f("uq_campaign_workspace_id_channel_name")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("campaign", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_campaign_workspace_id"), ["workspace_id"], unique=False)
        batch_op.create_index(
            "ix_campaign_busy",
            ["send_at"],
            unique=False,
            postgresql_where=sa.text("busy"),
            sqlite_where=sa.text("busy = 1"),
        )
    # Plainly added, without rewriting the table: it may hold millions of messages.
    op.add_column("message", sa.Column("campaign_id", big_id(), nullable=True))
    op.create_index(
        "ix_message_campaign",
        "message",
        ["campaign_id", "contact_id"],
        unique=False,
        postgresql_where=sa.text("campaign_id IS NOT NULL"),
        sqlite_where=sa.text("campaign_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_message_campaign", table_name="message")
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_column("campaign_id")
    op.drop_table("campaign")
