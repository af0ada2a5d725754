"""When coupons, their campaigns and uses, loyalty programmes and rewards, purchases, imports and people changed"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

DATED = {
    "coupon_campaign": "created_at",
    "coupon": "COALESCE(issued_at, created_at)",
    "coupon_redemption": "COALESCE(voided_at, at)",
    "loyalty_programme": "created_at",
    "loyalty_reward": "created_at",
    "purchase": "created_at",
    "import": "COALESCE(finished_at, created_at)",
    "user": "created_at",
}


def upgrade() -> None:
    # SQLite adds a column in place only with a default; writing the table anew would lose its AUTOINCREMENT.
    default = sa.text("'1970-01-01 00:00:00+00:00'")
    for table, moment in DATED.items():
        op.add_column(
            table, sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=default)
        )
        op.execute(sa.text(f'UPDATE "{table}" SET updated_at = {moment}'))
        if op.get_bind().dialect.name == "postgresql":
            op.alter_column(table, "updated_at", server_default=None)


def downgrade() -> None:
    for table in DATED:
        op.drop_column(table, "updated_at")
