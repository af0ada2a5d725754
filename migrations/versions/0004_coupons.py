"""Coupon campaigns and their codes"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def big_id():
    """64-bit ids; SQLite counts up only plain INTEGER keys."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def of_workspace(table):
    """The columns every row of a client has."""
    return (
        sa.Column(
            "workspace_id", big_id(), sa.ForeignKey("workspace.id", name=f"fk_{table}_workspace_id"), nullable=False
        ),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )


def upgrade() -> None:
    op.create_table(
        "coupon_campaign",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("value", sa.String(length=60), nullable=False),
        sa.Column("message", sa.String(length=600), nullable=False),
        sa.Column("codes", sa.String(length=10), nullable=False),
        sa.Column("prefix", sa.String(length=12), nullable=False),
        sa.Column("length", sa.SmallInteger(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("days", sa.Integer(), nullable=True),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("replaces", sa.Boolean(), nullable=False),
        sa.Column("low_at", sa.Integer(), nullable=False),
        sa.Column("giving_list", big_id(), nullable=True),
        sa.Column("giving_after", big_id(), nullable=False),
        *of_workspace("coupon_campaign"),
        sa.UniqueConstraint("workspace_id", "name", name="uq_coupon_campaign_workspace_id_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_coupon_campaign_workspace_id", "coupon_campaign", ["workspace_id"])
    op.create_table(
        "coupon",
        sa.Column("campaign_id", big_id(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("folded", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("contact_id", big_id(), nullable=True),
        sa.Column("enrollment_id", big_id(), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("most_uses", sa.Integer(), nullable=False),
        sa.Column("void_reason", sa.String(length=40), nullable=False),
        *of_workspace("coupon"),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["coupon_campaign.id"], name="fk_coupon_campaign_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_coupon_contact_id", ondelete="SET NULL"),
        sa.UniqueConstraint("workspace_id", "folded", name="uq_coupon_workspace_id_folded"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_coupon_workspace_id", "coupon", ["workspace_id"])
    op.create_index("ix_coupon_campaign", "coupon", ["campaign_id", "state", "id"])
    op.create_index(
        "ix_coupon_expiry",
        "coupon",
        ["expires_at"],
        postgresql_where=sa.text("state = 'issued'"),
        sqlite_where=sa.text("state = 'issued'"),
    )
    op.create_index("ix_coupon_contact", "coupon", ["contact_id"])
    op.create_table(
        "coupon_redemption",
        sa.Column("coupon_id", big_id(), nullable=False),
        sa.Column("campaign_id", big_id(), nullable=False),
        sa.Column("contact_id", big_id(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("place", sa.String(length=120), nullable=False),
        sa.Column("receipt", sa.String(length=80), nullable=False),
        sa.Column("amount", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("user_id", big_id(), nullable=True),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        *of_workspace("coupon_redemption"),
        sa.ForeignKeyConstraint(
            ["coupon_id"], ["coupon.id"], name="fk_coupon_redemption_coupon_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["coupon_campaign.id"], name="fk_coupon_redemption_campaign_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name="fk_coupon_redemption_contact_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_coupon_redemption_user_id", ondelete="SET NULL"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_coupon_redemption_workspace_id", "coupon_redemption", ["workspace_id"])
    op.create_index("ix_coupon_redemption_coupon", "coupon_redemption", ["coupon_id"])
    op.create_index("ix_coupon_redemption_campaign", "coupon_redemption", ["campaign_id", "at"])
    op.create_index("ix_coupon_redemption_contact", "coupon_redemption", ["contact_id"])
    op.create_index(
        "uq_coupon_redemption_receipt",
        "coupon_redemption",
        ["coupon_id", "receipt"],
        unique=True,
        postgresql_where=sa.text("receipt <> '' AND voided_at IS NULL"),
        sqlite_where=sa.text("receipt <> '' AND voided_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("coupon_redemption")
    op.drop_table("coupon")
    op.drop_table("coupon_campaign")
