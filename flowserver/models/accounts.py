"""The agency, its clients, the people who work there and the keys programs use."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from flask_login import UserMixin
from sqlalchemy.orm import Mapped, mapped_column

from flowserver.extensions import UtcDateTime
from flowserver.models.base import BigId, Changed, Dict, Instant, List, Row, WorkspaceRow


class Agency(Row):
    """The one agency this installation belongs to."""

    __tablename__ = "agency"

    name: Mapped[str] = mapped_column(sa.String(120))
    settings: Mapped[Dict]


class Workspace(Row):
    """One client of the agency: its people, flows and sender. The interface says "client"."""

    __tablename__ = "workspace"

    slug: Mapped[str] = mapped_column(sa.String(60), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120), unique=True)
    time_zone: Mapped[str] = mapped_column(sa.String(64), default="UTC")
    locale: Mapped[str] = mapped_column(sa.String(8), default="en")
    country: Mapped[str] = mapped_column(sa.String(2), default="")  # for national phone numbers
    sender_name: Mapped[str] = mapped_column(sa.String(120), default="")
    sender_email: Mapped[str] = mapped_column(sa.String(254), default="")
    sms_sender: Mapped[str] = mapped_column(sa.String(16), default="")
    postal_address: Mapped[str] = mapped_column(sa.String(300), default="")
    brand_color: Mapped[str] = mapped_column(sa.String(7), default="#0b6478")
    quiet_from: Mapped[str] = mapped_column(sa.String(5), default="21:00")  # SMS quiet hours, local time
    quiet_until: Mapped[str] = mapped_column(sa.String(5), default="08:00")
    cap_day: Mapped[int | None]  # marketing messages per contact and channel; None: no cap
    cap_week: Mapped[int | None]
    count_machine_opens: Mapped[bool] = mapped_column(default=False)
    notify_email: Mapped[str] = mapped_column(sa.String(254), default="")
    settings: Mapped[Dict]
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class User(UserMixin, Row):
    """A person who logs in. ``role``: admin (whole agency), staff (clients given), client (reads clients given)."""

    __tablename__ = "user"

    email: Mapped[str] = mapped_column(sa.String(254), unique=True)  # lower case
    name: Mapped[str] = mapped_column(sa.String(120), default="")
    password_hash: Mapped[str] = mapped_column(sa.String(200), default="")
    role: Mapped[str] = mapped_column(sa.String(16))
    locale: Mapped[str] = mapped_column(sa.String(8), default="en")
    theme: Mapped[str] = mapped_column(sa.String(8), default="")
    active: Mapped[bool] = mapped_column(default=True)
    session_version: Mapped[int] = mapped_column(default=1)  # raised to end all log-ins
    last_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[Changed]

    def get_id(self) -> str:
        """What the session cookie keeps: raising ``session_version`` ends every log-in."""
        return f"{self.id}:{self.session_version}"


class Access(Row):
    """A staff member's or client user's way into one workspace."""

    __tablename__ = "access"
    __table_args__ = (sa.UniqueConstraint("user_id", "workspace_id"),)

    user_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("user.id", ondelete="CASCADE"))
    workspace_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("workspace.id", ondelete="CASCADE"), index=True)


class Invitation(Row):
    """An invitation by mail, good once and for seven days."""

    __tablename__ = "invitation"

    email: Mapped[str] = mapped_column(sa.String(254))
    role: Mapped[str] = mapped_column(sa.String(16))
    workspace_ids: Mapped[List]
    invited_by: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("user.id", ondelete="SET NULL"))
    expires_at: Mapped[Instant]
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ApiKey(WorkspaceRow):
    """A bearer key for programs: shown once, kept as a SHA-256 hash, found by its prefix."""

    __tablename__ = "api_key"

    name: Mapped[str] = mapped_column(sa.String(120))
    prefix: Mapped[str] = mapped_column(sa.String(16), unique=True)
    key_hash: Mapped[str] = mapped_column(sa.String(64))
    scopes: Mapped[List]
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Connection(WorkspaceRow):
    """One way out for messages: a provider with its credentials (encrypted) and its sending rate."""

    __tablename__ = "connection"

    channel: Mapped[str] = mapped_column(sa.String(8))  # email, sms
    provider: Mapped[str] = mapped_column(sa.String(40))  # name in providers/<channel>/
    name: Mapped[str] = mapped_column(sa.String(120))
    settings: Mapped[Dict]  # fields marked secret are encrypted
    hook_token: Mapped[str] = mapped_column(sa.String(43), unique=True)
    per_minute: Mapped[int | None]  # sending rate; None: as fast as it goes
    is_default: Mapped[bool] = mapped_column(default=True)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paused_reason: Mapped[str] = mapped_column(sa.String(300), default="")
    down_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    retry_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    down_told: Mapped[bool] = mapped_column(default=False)


class Alert(WorkspaceRow):
    """Something a person must look at, shown on the agency page until it is mended or dismissed."""

    __tablename__ = "alert"
    __table_args__ = (sa.Index("ix_alert_open", "workspace_id", "kind", "subject"),)

    kind: Mapped[str] = mapped_column(sa.String(40))
    subject: Mapped[str] = mapped_column(sa.String(80), default="")  # flow:12, connection:3 …
    text: Mapped[str] = mapped_column(sa.Text)  # msgid
    params: Mapped[Dict]
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AgencyKey(Row):
    """A bearer key of the agency's own programs, which act for the client they name; kept like :class:`ApiKey`."""

    __tablename__ = "agency_key"

    name: Mapped[str] = mapped_column(sa.String(120))
    prefix: Mapped[str] = mapped_column(sa.String(16), unique=True)
    key_hash: Mapped[str] = mapped_column(sa.String(64))
    scopes: Mapped[List]
    made_by: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("user.id", ondelete="SET NULL"))
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AgencyKeyUse(WorkspaceRow):
    """What an agency key asked of a client: every write, and reads once a minute. Kept for a year."""

    __tablename__ = "agency_key_use"
    __table_args__ = (
        sa.Index("ix_agency_key_use_key", "key_id", "workspace_id", "created_at"),
        sa.Index("ix_agency_key_use_age", "created_at"),
    )

    key_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("agency_key.id", ondelete="CASCADE"))
    method: Mapped[str] = mapped_column(sa.String(8))
    path: Mapped[str] = mapped_column(sa.String(300))
