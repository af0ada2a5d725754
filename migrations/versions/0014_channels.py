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
    with op.batch_alter_table("consent", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.alter_column("channel", existing_type=sa.String(8), type_=sa.String(12), existing_nullable=False)


def downgrade() -> None:
    for name in NEW:
        op.drop_column("contact", name)
