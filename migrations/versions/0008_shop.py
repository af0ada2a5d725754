"""Purchases, carts and what other systems report"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def big_id():
    """64-bit ids; SQLite counts up only plain INTEGER keys."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def json_type():
    """JSON text on SQLite, JSONB on PostgreSQL."""
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Two tables."""
    op.create_table(
        "purchase",
        sa.Column("contact_id", big_id(), nullable=True),
        sa.Column("order_id", sa.String(length=100), nullable=False),
        sa.Column("amount", sa.Numeric(precision=15, scale=4), nullable=False),
        sa.Column("refunded", sa.Numeric(precision=15, scale=4), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("cart_id", sa.String(length=100), nullable=False),
        sa.Column("items", json_type(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_purchase_contact_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_purchase_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchase")),
        sa.UniqueConstraint("workspace_id", "order_id", name=op.f("uq_purchase_workspace_id_order_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("purchase", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_purchase_workspace_id"), ["workspace_id"], unique=False)
        batch_op.create_index("ix_purchase_contact", ["contact_id", "at"], unique=False)

    op.create_table(
        "cart",
        sa.Column("contact_id", big_id(), nullable=False),
        sa.Column("cart_id", sa.String(length=100), nullable=False),
        sa.Column("amount", sa.Numeric(precision=15, scale=4), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("items", json_type(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("abandoned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_cart_contact_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_cart_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cart")),
        sa.UniqueConstraint("workspace_id", "cart_id", name=op.f("uq_cart_workspace_id_cart_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("cart", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_cart_workspace_id"), ["workspace_id"], unique=False)
        batch_op.create_index("ix_cart_contact", ["contact_id", "state"], unique=False)
        batch_op.create_index(
            "ix_cart_idle",
            ["updated_at"],
            unique=False,
            postgresql_where=sa.text("state = 'open'"),
            sqlite_where=sa.text("state = 'open'"),
        )


def downgrade() -> None:
    """Take them away again."""
    op.drop_table("cart")
    op.drop_table("purchase")
