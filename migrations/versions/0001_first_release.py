"""The first release's tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def big_id():
    """64-bit ids; SQLite counts up only plain INTEGER keys."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def json_type():
    """JSON text on SQLite, JSONB on PostgreSQL."""
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "agency",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("settings", json_type(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agency")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "decision",
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("enrollment_id", big_id(), nullable=False),
        sa.Column("step", sa.String(length=60), nullable=False),
        sa.Column("visit", sa.SmallInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("facts", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
    )
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.create_index("ix_decision_enrollment", ["enrollment_id"], unique=False)

    op.create_table(
        "engagement",
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("message_id", big_id(), nullable=False),
        sa.Column("contact_id", big_id(), nullable=True),
        sa.Column("kind", sa.String(length=14), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("link", sa.SmallInteger(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("machine", sa.Boolean(), nullable=False),
        sa.Column("evidence", json_type(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_engagement")),
    )
    with op.batch_alter_table("engagement", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_engagement_contact_id"), ["contact_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_engagement_message_id"), ["message_id"], unique=False)
        batch_op.create_index("ix_engagement_recent", ["workspace_id", "at"], unique=False)

    op.create_table(
        "enrollment",
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("flow_id", big_id(), nullable=False),
        sa.Column("version_id", big_id(), nullable=False),
        sa.Column("contact_id", big_id(), nullable=False),
        sa.Column("event_key", sa.String(length=120), nullable=False),
        sa.Column("chain", sa.SmallInteger(), nullable=False),
        sa.Column("data", json_type(), nullable=True),
        sa.Column("step", sa.String(length=60), nullable=False),
        sa.Column("visit", sa.SmallInteger(), nullable=False),
        sa.Column("visits", json_type(), nullable=True),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("awaits", sa.String(length=120), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_kind", sa.String(length=8), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("triggered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.String(length=40), nullable=True),
        sa.Column("label", sa.String(length=60), nullable=True),
        sa.Column("outcome", sa.String(length=10), nullable=True),
        sa.CheckConstraint(
            "(due_at IS NOT NULL AND ended_at IS NULL AND end_reason IS NULL) OR (due_at IS NULL AND ended_at IS NOT NULL AND end_reason IS NOT NULL)",
            name=op.f("ck_enrollment_live_or_ended"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrollment")),
    )
    with op.batch_alter_table("enrollment", schema=None) as batch_op:
        batch_op.create_index("ix_enrollment_contact", ["contact_id"], unique=False)
        batch_op.create_index(
            "ix_enrollment_due",
            ["due_at"],
            unique=False,
            postgresql_where=sa.text("due_at IS NOT NULL AND NOT held"),
            sqlite_where=sa.text("due_at IS NOT NULL AND held = 0"),
        )
        batch_op.create_index(
            "ix_enrollment_held",
            ["flow_id", "contact_id"],
            unique=False,
            postgresql_where=sa.text("held"),
            sqlite_where=sa.text("held = 1"),
        )
        batch_op.create_index("uq_enrollment_event", ["flow_id", "contact_id", "event_key"], unique=True)
        batch_op.create_index(
            "uq_enrollment_live",
            ["flow_id", "contact_id"],
            unique=True,
            postgresql_where=sa.text("due_at IS NOT NULL"),
            sqlite_where=sa.text("due_at IS NOT NULL"),
        )

    op.create_table(
        "event",
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("contact_id", big_id(), nullable=False),
        sa.Column("type", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", json_type(), nullable=True),
        sa.Column("chain", sa.SmallInteger(), nullable=False),
        sa.Column("origin", big_id(), nullable=True),
        sa.Column("matched", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_contact", ["contact_id", "type"], unique=False)
        batch_op.create_index(
            "ix_event_unmatched",
            ["id"],
            unique=False,
            postgresql_where=sa.text("NOT matched"),
            sqlite_where=sa.text("matched = 0"),
        )
        batch_op.create_index("uq_event_key", ["workspace_id", "key"], unique=True)

    op.create_table(
        "lease",
        sa.Column("connection_id", big_id(), nullable=False),
        sa.Column("worker", sa.String(length=80), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lease")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("lease", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_lease_worker"), ["worker"], unique=False)

    op.create_table(
        "message",
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=14), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("class", sa.String(length=10), nullable=False),
        sa.Column("connection_id", big_id(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("contact_id", big_id(), nullable=True),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("flow_id", big_id(), nullable=True),
        sa.Column("version_id", big_id(), nullable=True),
        sa.Column("enrollment_id", big_id(), nullable=True),
        sa.Column("step", sa.String(length=60), nullable=False),
        sa.Column("visit", sa.SmallInteger(), nullable=False),
        sa.Column("content", json_type(), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("lease_id", big_id(), nullable=True),
        sa.Column("provider_ref", sa.String(length=120), nullable=True),
        sa.Column("segments", sa.SmallInteger(), nullable=True),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("clicked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
    )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index("ix_message_contact", ["contact_id", "planned_at"], unique=False)
        batch_op.create_index("ix_message_enrollment", ["enrollment_id"], unique=False)
        batch_op.create_index(
            "ix_message_lease",
            ["lease_id"],
            unique=False,
            postgresql_where=sa.text("lease_id IS NOT NULL"),
            sqlite_where=sa.text("lease_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_message_planned",
            ["connection_id", "priority", "due_at"],
            unique=False,
            postgresql_where=sa.text("state = 'planned'"),
            sqlite_where=sa.text("state = 'planned'"),
        )
        batch_op.create_index("ix_message_recent", ["workspace_id", "planned_at"], unique=False)
        batch_op.create_index(
            "ix_message_ref",
            ["connection_id", "provider_ref"],
            unique=False,
            postgresql_where=sa.text("provider_ref IS NOT NULL"),
            sqlite_where=sa.text("provider_ref IS NOT NULL"),
        )
        batch_op.create_index("uq_message_key", ["key"], unique=True)

    op.create_table(
        "rate_window",
        sa.Column("connection_id", big_id(), nullable=False),
        sa.Column("domain", sa.String(length=120), nullable=False),
        sa.Column("minute", sa.Integer(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("connection_id", "domain", "minute", name=op.f("pk_rate_window")),
    )
    op.create_table(
        "user",
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("locale", sa.String(length=8), nullable=False),
        sa.Column("theme", sa.String(length=8), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("session_version", sa.Integer(), nullable=False),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("email", name=op.f("uq_user_email")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "worker",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_worker")),
    )
    op.create_table(
        "workspace",
        sa.Column("slug", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("locale", sa.String(length=8), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("sender_name", sa.String(length=120), nullable=False),
        sa.Column("sender_email", sa.String(length=254), nullable=False),
        sa.Column("sms_sender", sa.String(length=16), nullable=False),
        sa.Column("postal_address", sa.String(length=300), nullable=False),
        sa.Column("brand_color", sa.String(length=7), nullable=False),
        sa.Column("quiet_from", sa.String(length=5), nullable=False),
        sa.Column("quiet_until", sa.String(length=5), nullable=False),
        sa.Column("cap_day", sa.Integer(), nullable=True),
        sa.Column("cap_week", sa.Integer(), nullable=True),
        sa.Column("count_machine_opens", sa.Boolean(), nullable=False),
        sa.Column("notify_email", sa.String(length=254), nullable=False),
        sa.Column("settings", json_type(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspace")),
        sa.UniqueConstraint("name", name=op.f("uq_workspace_name")),
        sa.UniqueConstraint("slug", name=op.f("uq_workspace_slug")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "access",
        sa.Column("user_id", big_id(), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_access_user_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_access_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access")),
        sa.UniqueConstraint("user_id", "workspace_id", name=op.f("uq_access_user_id_workspace_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("access", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "alert",
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("params", json_type(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_alert_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("alert", schema=None) as batch_op:
        batch_op.create_index("ix_alert_open", ["workspace_id", "kind", "subject"], unique=False)
        batch_op.create_index(batch_op.f("ix_alert_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "api_key",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", json_type(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_api_key_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_key_prefix")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_key_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "connection",
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("settings", json_type(), nullable=False),
        sa.Column("hook_token", sa.String(length=43), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_reason", sa.String(length=300), nullable=False),
        sa.Column("down_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("down_told", sa.Boolean(), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_connection_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connection")),
        sa.UniqueConstraint("hook_token", name=op.f("uq_connection_hook_token")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("connection", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_connection_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "contact",
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("phone", sa.String(length=16), nullable=True),
        sa.Column("external_id", sa.String(length=120), nullable=True),
        sa.Column("first_name", sa.String(length=120), nullable=False),
        sa.Column("last_name", sa.String(length=120), nullable=False),
        sa.Column("fields", json_type(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("email_consent", sa.String(length=10), nullable=False),
        sa.Column("sms_consent", sa.String(length=10), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("owner_id", big_id(), nullable=True),
        sa.Column("locale", sa.String(length=8), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_activity_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["user.id"], name=op.f("fk_contact_owner_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_contact_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
        sa.UniqueConstraint("workspace_id", "email", name=op.f("uq_contact_workspace_id_email")),
        sa.UniqueConstraint("workspace_id", "external_id", name=op.f("uq_contact_workspace_id_external_id")),
        sa.UniqueConstraint("workspace_id", "phone", name=op.f("uq_contact_workspace_id_phone")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("contact", schema=None) as batch_op:
        batch_op.create_index("ix_contact_recent", ["workspace_id", "created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_contact_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "contact_list",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("description", sa.String(length=300), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("leaving", sa.String(length=8), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_contact_list_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_list")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_contact_list_workspace_id_name")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("contact_list", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_contact_list_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "field",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("label", sa.String(length=80), nullable=False),
        sa.Column("type", sa.String(length=10), nullable=False),
        sa.Column("choices", json_type(), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_field_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_field")),
        sa.UniqueConstraint("workspace_id", "key", name=op.f("uq_field_workspace_id_key")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("field", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_field_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "flow",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("trigger_type", sa.String(length=40), nullable=False),
        sa.Column("draft", json_type(), nullable=False),
        sa.Column("draft_number", sa.Integer(), nullable=False),
        sa.Column("draft_changed", sa.Boolean(), nullable=False),
        sa.Column("version_id", big_id(), nullable=True),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("broken", sa.String(length=300), nullable=False),
        sa.Column("pause_mode", sa.String(length=8), nullable=False),
        sa.Column("pause_reason", sa.String(length=300), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("existing_after", big_id(), nullable=True),
        sa.Column("owner_id", big_id(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["user.id"], name=op.f("fk_flow_owner_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_flow_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_flow_workspace_id_name")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("flow", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_flow_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "idempotency",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", json_type(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_idempotency_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency")),
        sa.UniqueConstraint("workspace_id", "key", name=op.f("uq_idempotency_workspace_id_key")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.create_index("ix_idempotency_age", ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_idempotency_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "import",
        sa.Column("user_id", big_id(), nullable=True),
        sa.Column("filename", sa.String(length=200), nullable=False),
        sa.Column("path", sa.String(length=500), nullable=False),
        sa.Column("encoding", sa.String(length=40), nullable=False),
        sa.Column("separator", sa.String(length=4), nullable=False),
        sa.Column("columns", json_type(), nullable=False),
        sa.Column("mapping", json_type(), nullable=False),
        sa.Column("options", json_type(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_import_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("import", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_import_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "invitation",
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("workspace_ids", json_type(), nullable=False),
        sa.Column("invited_by", big_id(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["invited_by"], ["user.id"], name=op.f("fk_invitation_invited_by"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "suppression",
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("source", sa.String(length=300), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_suppression_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression")),
        sa.UniqueConstraint(
            "workspace_id", "channel", "address", name=op.f("uq_suppression_workspace_id_channel_address")
        ),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("suppression", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_suppression_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "suppression_change",
        sa.Column("user_id", big_id(), nullable=True),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("what", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_suppression_change_user_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_suppression_change_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression_change")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("suppression_change", schema=None) as batch_op:
        batch_op.create_index("ix_suppression_change_recent", ["workspace_id", "created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_suppression_change_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "tag",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_tag_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_tag_workspace_id_name")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("tag", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tag_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "consent",
        sa.Column("contact_id", big_id(), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_consent_contact_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_consent_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("consent", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_consent_contact_id"), ["contact_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_consent_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "contact_tag",
        sa.Column("tag_id", big_id(), nullable=False),
        sa.Column("contact_id", big_id(), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_contact_tag_contact_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tag_id"], ["tag.id"], name=op.f("fk_contact_tag_tag_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tag_id", "contact_id", name=op.f("pk_contact_tag")),
    )
    with op.batch_alter_table("contact_tag", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_contact_tag_contact_id"), ["contact_id"], unique=False)

    op.create_table(
        "flow_edit",
        sa.Column("flow_id", big_id(), nullable=False),
        sa.Column("user_id", big_id(), nullable=True),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("params", json_type(), nullable=False),
        sa.Column("before", json_type(), nullable=False),
        sa.Column("after", json_type(), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["flow_id"], ["flow.id"], name=op.f("fk_flow_edit_flow_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_flow_edit_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow_edit")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("flow_edit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_flow_edit_flow_id"), ["flow_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_flow_edit_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "flow_version",
        sa.Column("flow_id", big_id(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("definition", json_type(), nullable=False),
        sa.Column("published_by", big_id(), nullable=True),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["flow_id"], ["flow.id"], name=op.f("fk_flow_version_flow_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_flow_version_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow_version")),
        sa.UniqueConstraint("flow_id", "number", name=op.f("uq_flow_version_flow_id_number")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("flow_version", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_flow_version_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "form",
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("intro", sa.String(length=600), nullable=False),
        sa.Column("button", sa.String(length=60), nullable=False),
        sa.Column("list_id", big_id(), nullable=False),
        sa.Column("fields", json_type(), nullable=False),
        sa.Column("double_opt_in", sa.Boolean(), nullable=False),
        sa.Column("email_consent_text", sa.Text(), nullable=False),
        sa.Column("sms_consent_text", sa.Text(), nullable=False),
        sa.Column("thanks_title", sa.String(length=200), nullable=False),
        sa.Column("thanks_text", sa.String(length=600), nullable=False),
        sa.Column("thanks_url", sa.String(length=500), nullable=False),
        sa.Column("locale", sa.String(length=8), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["contact_list.id"], name=op.f("fk_form_list_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_form_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_form")),
        sa.UniqueConstraint("public_id", name=op.f("uq_form_public_id")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_form_workspace_id_name")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("form", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_form_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "membership",
        sa.Column("list_id", big_id(), nullable=False),
        sa.Column("contact_id", big_id(), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_membership_contact_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["list_id"], ["contact_list.id"], name=op.f("fk_membership_list_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("list_id", "contact_id", name=op.f("pk_membership")),
    )
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_membership_contact_id"), ["contact_id"], unique=False)

    op.create_table(
        "score_entry",
        sa.Column("contact_id", big_id(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_score_entry_contact_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_score_entry_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score_entry")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("score_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_score_entry_contact_id"), ["contact_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_score_entry_workspace_id"), ["workspace_id"], unique=False)

    op.create_table(
        "signup",
        sa.Column("form_id", big_id(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("phone", sa.String(length=16), nullable=True),
        sa.Column("answers", json_type(), nullable=False),
        sa.Column("consents", json_type(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("contact_id", big_id(), nullable=True),
        sa.Column("page", sa.String(length=500), nullable=False),
        sa.Column("workspace_id", big_id(), nullable=False),
        sa.Column("id", big_id(), autoincrement=True, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["form_id"], ["form.id"], name=op.f("fk_signup_form_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_signup_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signup")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("signup", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_signup_email"), ["email"], unique=False)
        batch_op.create_index(batch_op.f("ix_signup_form_id"), ["form_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_signup_workspace_id"), ["workspace_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("signup", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_signup_workspace_id"))
        batch_op.drop_index(batch_op.f("ix_signup_form_id"))
        batch_op.drop_index(batch_op.f("ix_signup_email"))

    op.drop_table("signup")
    with op.batch_alter_table("score_entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_score_entry_workspace_id"))
        batch_op.drop_index(batch_op.f("ix_score_entry_contact_id"))

    op.drop_table("score_entry")
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_membership_contact_id"))

    op.drop_table("membership")
    with op.batch_alter_table("form", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_form_workspace_id"))

    op.drop_table("form")
    with op.batch_alter_table("flow_version", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_flow_version_workspace_id"))

    op.drop_table("flow_version")
    with op.batch_alter_table("flow_edit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_flow_edit_workspace_id"))
        batch_op.drop_index(batch_op.f("ix_flow_edit_flow_id"))

    op.drop_table("flow_edit")
    with op.batch_alter_table("contact_tag", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contact_tag_contact_id"))

    op.drop_table("contact_tag")
    with op.batch_alter_table("consent", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_consent_workspace_id"))
        batch_op.drop_index(batch_op.f("ix_consent_contact_id"))

    op.drop_table("consent")
    with op.batch_alter_table("tag", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tag_workspace_id"))

    op.drop_table("tag")
    with op.batch_alter_table("suppression_change", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_suppression_change_workspace_id"))
        batch_op.drop_index("ix_suppression_change_recent")

    op.drop_table("suppression_change")
    with op.batch_alter_table("suppression", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_suppression_workspace_id"))

    op.drop_table("suppression")
    op.drop_table("invitation")
    with op.batch_alter_table("import", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_import_workspace_id"))

    op.drop_table("import")
    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotency_workspace_id"))
        batch_op.drop_index("ix_idempotency_age")

    op.drop_table("idempotency")
    with op.batch_alter_table("flow", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_flow_workspace_id"))

    op.drop_table("flow")
    with op.batch_alter_table("field", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_field_workspace_id"))

    op.drop_table("field")
    with op.batch_alter_table("contact_list", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contact_list_workspace_id"))

    op.drop_table("contact_list")
    with op.batch_alter_table("contact", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contact_workspace_id"))
        batch_op.drop_index("ix_contact_recent")

    op.drop_table("contact")
    with op.batch_alter_table("connection", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_connection_workspace_id"))

    op.drop_table("connection")
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_key_workspace_id"))

    op.drop_table("api_key")
    with op.batch_alter_table("alert", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_alert_workspace_id"))
        batch_op.drop_index("ix_alert_open")

    op.drop_table("alert")
    with op.batch_alter_table("access", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_workspace_id"))

    op.drop_table("access")
    op.drop_table("workspace")
    op.drop_table("worker")
    op.drop_table("user")
    op.drop_table("rate_window")
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index("uq_message_key")
        batch_op.drop_index(
            "ix_message_ref",
            postgresql_where=sa.text("provider_ref IS NOT NULL"),
            sqlite_where=sa.text("provider_ref IS NOT NULL"),
        )
        batch_op.drop_index("ix_message_recent")
        batch_op.drop_index(
            "ix_message_planned",
            postgresql_where=sa.text("state = 'planned'"),
            sqlite_where=sa.text("state = 'planned'"),
        )
        batch_op.drop_index(
            "ix_message_lease",
            postgresql_where=sa.text("lease_id IS NOT NULL"),
            sqlite_where=sa.text("lease_id IS NOT NULL"),
        )
        batch_op.drop_index("ix_message_enrollment")
        batch_op.drop_index("ix_message_contact")

    op.drop_table("message")
    with op.batch_alter_table("lease", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_lease_worker"))

    op.drop_table("lease")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("uq_event_key")
        batch_op.drop_index(
            "ix_event_unmatched", postgresql_where=sa.text("NOT matched"), sqlite_where=sa.text("matched = 0")
        )
        batch_op.drop_index("ix_event_contact")

    op.drop_table("event")
    with op.batch_alter_table("enrollment", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_enrollment_live",
            postgresql_where=sa.text("due_at IS NOT NULL"),
            sqlite_where=sa.text("due_at IS NOT NULL"),
        )
        batch_op.drop_index("uq_enrollment_event")
        batch_op.drop_index("ix_enrollment_held", postgresql_where=sa.text("held"), sqlite_where=sa.text("held = 1"))
        batch_op.drop_index(
            "ix_enrollment_due",
            postgresql_where=sa.text("due_at IS NOT NULL AND NOT held"),
            sqlite_where=sa.text("due_at IS NOT NULL AND held = 0"),
        )
        batch_op.drop_index("ix_enrollment_contact")

    op.drop_table("enrollment")
    with op.batch_alter_table("engagement", schema=None) as batch_op:
        batch_op.drop_index("ix_engagement_recent")
        batch_op.drop_index(batch_op.f("ix_engagement_message_id"))
        batch_op.drop_index(batch_op.f("ix_engagement_contact_id"))

    op.drop_table("engagement")
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.drop_index("ix_decision_enrollment")

    op.drop_table("decision")
    op.drop_table("agency")
