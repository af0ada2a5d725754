"""Who leaves a list while a flow is starting everybody on it"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def big_id():
    """64-bit ids; SQLite counts up only plain INTEGER keys."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "flow_start_contact",
        sa.Column("start_id", big_id(), nullable=False),
        sa.Column("contact_id", big_id(), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["start_id"], ["flow_start.id"], name=op.f("fk_flow_start_contact_start_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("start_id", "contact_id", name=op.f("pk_flow_start_contact")),
    )


def downgrade() -> None:
    op.drop_table("flow_start_contact")
