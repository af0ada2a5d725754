"""Consent for web push, mobile push and ads, beside e-mail and SMS"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

NEW = ("web_push_consent", "mobile_push_consent", "ads_consent")


def upgrade() -> None:
    for name in NEW:
        op.add_column("contact", sa.Column(name, sa.String(10), nullable=False, server_default="none"))
    if op.get_bind().dialect.name == "postgresql":  # SQLite does not look at lengths
        op.alter_column("consent", "channel", type_=sa.String(12))


def downgrade() -> None:
    for name in NEW:
        op.drop_column("contact", name)
