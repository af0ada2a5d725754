"""Keys of the agency and what they did; when lists, tags, fields and forms changed"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

DATED = ("contact_list", "tag", "field", "form")


def big_id():
    """64-bit ids; SQLite counts up only plain INTEGER keys."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def json_type():
    """JSON text on SQLite, JSONB on PostgreSQL."""
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def moment(name: str, nullable: bool) -> sa.Column:
    """A column of instants."""
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "agency_key",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", json_type(), nullable=False),
        sa.Column("made_by", big_id(), nullable=True),
        moment("last_used_at", nullable=True),
        moment("revoked_at", nullable=True),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        moment("created_at", nullable=False),
        sa.ForeignKeyConstraint(["made_by"], ["user.id"], name=op.f("fk_agency_key_made_by"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agency_key")),
        sa.UniqueConstraint("prefix", name=op.f("uq_agency_key_prefix")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "agency_key_use",
        sa.Column("key_id", big_id(), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("path", sa.String(length=300), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        moment("created_at", nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["agency_key.id"], name=op.f("fk_agency_key_use_key_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_agency_key_use_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agency_key_use")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_agency_key_use_key", "agency_key_use", ["key_id", "workspace_id", "created_at"])
    op.create_index("ix_agency_key_use_age", "agency_key_use", ["created_at"])
    op.create_index("ix_agency_key_use_workspace_id", "agency_key_use", ["workspace_id"])
    # SQLite adds a column in place only with a default; writing the table anew would lose its AUTOINCREMENT.
    default = sa.text("'1970-01-01 00:00:00+00:00'")
    for table in DATED:
        op.add_column(
            table, sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=default)
        )
        op.execute(sa.text(f'UPDATE "{table}" SET updated_at = created_at'))
        if op.get_bind().dialect.name == "postgresql":
            op.alter_column(table, "updated_at", server_default=None)


def downgrade() -> None:
    for table in DATED:
        op.drop_column(table, "updated_at")
    op.drop_table("agency_key_use")
    op.drop_table("agency_key")
