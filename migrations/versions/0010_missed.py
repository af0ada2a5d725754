"""Who would have started while a person had paused a flow"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


COLUMNS = {
    "missed_since": sa.DateTime(timezone=True),
    "missed_after": sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
    "missed_until": sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
}


def upgrade() -> None:
    for name, type_ in COLUMNS.items():
        op.add_column("flow", sa.Column(name, type_, nullable=True))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("flow", name)
