"""Who would have started while a person had paused a flow"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("flow") as table:
        table.add_column(sa.Column("missed_since", sa.DateTime(timezone=True), nullable=True))
        for name in ("missed_after", "missed_until"):
            table.add_column(sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("flow") as table:
        for name in ("missed_until", "missed_after", "missed_since"):
            table.drop_column(name)
