"""Loyalty programmes, cards, points and rewards"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def big_id():
    """64-bit ids; SQLite counts up only plain INTEGER keys."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "loyalty_programme",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("cents_per_point", sa.Integer(), nullable=False),
        sa.Column("welcome_points", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=8), nullable=False),
        sa.Column("color", sa.String(length=7), nullable=False),
        sa.Column("logo_url", sa.String(length=500), nullable=False),
        sa.Column("welcome_text", sa.String(length=600), nullable=False),
        sa.Column("form_id", big_id(), nullable=True),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["form_id"], ["form.id"], name=op.f("fk_loyalty_programme_form_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_loyalty_programme_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loyalty_programme")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_loyalty_programme_workspace_id_name")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("loyalty_programme", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_loyalty_programme_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "loyalty_card",
        sa.Column("programme_id", big_id(), nullable=False),
        sa.Column("number", sa.String(length=16), nullable=False),
        sa.Column("public_id", sa.String(length=22), nullable=False),
        sa.Column("contact_id", big_id(), nullable=True),
        sa.Column("balance", sa.Integer(), nullable=False),
        sa.Column("blocked", sa.Boolean(), nullable=False),
        sa.Column("replaced_number", sa.String(length=16), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_loyalty_card_contact_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["programme_id"], ["loyalty_programme.id"], name=op.f("fk_loyalty_card_programme_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_loyalty_card_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loyalty_card")),
        sa.UniqueConstraint("programme_id", "contact_id", name=op.f("uq_loyalty_card_programme_id_contact_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_loyalty_card_public_id")),
        sa.UniqueConstraint("workspace_id", "number", name=op.f("uq_loyalty_card_workspace_id_number")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("loyalty_card", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_loyalty_card_contact_id"), ["contact_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_loyalty_card_programme_id"), ["programme_id"], unique=False)
        batch_op.create_index("ix_loyalty_card_replaced", ["workspace_id", "replaced_number"], unique=False)
        batch_op.create_index(batch_op.f("ix_loyalty_card_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "loyalty_reward",
        sa.Column("programme_id", big_id(), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("uses_points", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["programme_id"], ["loyalty_programme.id"], name=op.f("fk_loyalty_reward_programme_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_loyalty_reward_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loyalty_reward")),
        sa.UniqueConstraint("workspace_id", "title", name=op.f("uq_loyalty_reward_workspace_id_title")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("loyalty_reward", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_loyalty_reward_programme_id"), ["programme_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_loyalty_reward_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "loyalty_card_reward",
        sa.Column("card_id", big_id(), nullable=False),
        sa.Column("reward_id", big_id(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("granted_by", big_id(), nullable=True),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("collected_by", big_id(), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["card_id"], ["loyalty_card.id"], name=op.f("fk_loyalty_card_reward_card_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["collected_by"], ["user.id"], name=op.f("fk_loyalty_card_reward_collected_by"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["granted_by"], ["user.id"], name=op.f("fk_loyalty_card_reward_granted_by"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["reward_id"], ["loyalty_reward.id"], name=op.f("fk_loyalty_card_reward_reward_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_loyalty_card_reward_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loyalty_card_reward")),
        sa.UniqueConstraint(
            "card_id", "reward_id", "round", name=op.f("uq_loyalty_card_reward_card_id_reward_id_round")
        ),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("loyalty_card_reward", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_loyalty_card_reward_reward_id"), ["reward_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_loyalty_card_reward_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "loyalty_movement",
        sa.Column("programme_id", big_id(), nullable=False),
        sa.Column("card_id", big_id(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("delta", sa.Integer(), nullable=False),
        sa.Column("balance", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=True),
        sa.Column("receipt", sa.String(length=130), nullable=True),
        sa.Column("reason", sa.String(length=120), nullable=False),
        sa.Column("reverses_id", big_id(), nullable=True),
        sa.Column("card_reward_id", big_id(), nullable=True),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("user_id", big_id(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["card_id"], ["loyalty_card.id"], name=op.f("fk_loyalty_movement_card_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["card_reward_id"],
            ["loyalty_card_reward.id"],
            name=op.f("fk_loyalty_movement_card_reward_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["programme_id"], ["loyalty_programme.id"], name=op.f("fk_loyalty_movement_programme_id")
        ),
        sa.ForeignKeyConstraint(
            ["reverses_id"], ["loyalty_movement.id"], name=op.f("fk_loyalty_movement_reverses_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_loyalty_movement_user_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_loyalty_movement_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loyalty_movement")),
        sa.UniqueConstraint("programme_id", "receipt", name=op.f("uq_loyalty_movement_programme_id_receipt")),
        sa.UniqueConstraint("reverses_id", name=op.f("uq_loyalty_movement_reverses_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("loyalty_movement", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_loyalty_movement_card_id"), ["card_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_loyalty_movement_workspace_id"), ["workspace_id"], unique=False)


def downgrade() -> None:
    for table in ("loyalty_movement", "loyalty_card_reward", "loyalty_reward", "loyalty_card", "loyalty_programme"):
        op.drop_table(table)
