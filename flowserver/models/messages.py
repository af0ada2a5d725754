"""Intended sends, the leases workers hold on them, and what people did with them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from flowserver.extensions import Base, OfWorkspace, UtcDateTime
from flowserver.models.base import BigId, Instant, Json, Pk, Row

TO_CONTACTS = ("flow", "campaign")  # kinds that are counted, tracked and checked once more before they go out
_OPEN = "state = 'planned'"
_CLAIMED = "lease_id IS NOT NULL"
_REFERRED = "provider_ref IS NOT NULL"
_OF_CAMPAIGN = "campaign_id IS NOT NULL"


class Message(OfWorkspace, Base):
    """One intended send to one person.

    ``state``: planned → claimed → handed → accepted → delivered | bounced | failed; beside them skipped (with
    ``reason``) and unknown (handed over, answer never heard: not sent again by itself). ``key`` is unique:
    ``<enrollment>:<step>:<visit>`` in a flow, ``campaign:<id>:<contact>``, ``signup:<id>`` for a confirmation, ``team:…``, ``test:…``.
    """

    __tablename__ = "message"
    __table_args__ = (
        sa.Index("uq_message_key", "key", unique=True),
        sa.Index("ix_message_contact", "contact_id", "planned_at"),
        sa.Index("ix_message_enrollment", "enrollment_id"),
        sa.Index(
            "ix_message_planned",
            "connection_id",
            "priority",
            "due_at",
            postgresql_where=sa.text(_OPEN),
            sqlite_where=sa.text(_OPEN),
        ),
        sa.Index("ix_message_lease", "lease_id", postgresql_where=sa.text(_CLAIMED), sqlite_where=sa.text(_CLAIMED)),
        sa.Index(
            "ix_message_ref",
            "connection_id",
            "provider_ref",
            postgresql_where=sa.text(_REFERRED),
            sqlite_where=sa.text(_REFERRED),
        ),
        sa.Index("ix_message_recent", "workspace_id", "planned_at"),
        sa.Index(
            "ix_message_campaign",
            "campaign_id",
            "contact_id",
            postgresql_where=sa.text(_OF_CAMPAIGN),
            sqlite_where=sa.text(_OF_CAMPAIGN),
        ),
    )

    id: Mapped[Pk]
    workspace_id: Mapped[int] = mapped_column(BigId)
    key: Mapped[str] = mapped_column(sa.String(120))
    kind: Mapped[str] = mapped_column(sa.String(14), default="flow")  # flow, campaign, confirmation, team, test
    channel: Mapped[str] = mapped_column(sa.String(8))
    class_: Mapped[str] = mapped_column("class", sa.String(10), default="marketing")  # or service
    connection_id: Mapped[int] = mapped_column(BigId)
    priority: Mapped[int] = mapped_column(sa.SmallInteger, default=5)  # 1 first
    contact_id: Mapped[int | None] = mapped_column(BigId)
    address: Mapped[str] = mapped_column(sa.String(254))
    flow_id: Mapped[int | None] = mapped_column(BigId)
    version_id: Mapped[int | None] = mapped_column(BigId)
    enrollment_id: Mapped[int | None] = mapped_column(BigId)
    campaign_id: Mapped[int | None] = mapped_column(BigId)
    step: Mapped[str] = mapped_column(sa.String(60), default="")
    visit: Mapped[int] = mapped_column(sa.SmallInteger, default=1)
    content: Mapped[dict[str, Any] | None] = mapped_column(Json)  # where it is not a step of a version
    state: Mapped[str] = mapped_column(sa.String(10), default="planned")
    reason: Mapped[str | None] = mapped_column(sa.String(300))  # why skipped, bounced, failed
    attempts: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    lease_id: Mapped[int | None] = mapped_column(BigId)  # fencing token while claimed
    provider_ref: Mapped[str | None] = mapped_column(sa.String(120))
    segments: Mapped[int | None] = mapped_column(sa.SmallInteger)
    planned_at: Mapped[Instant]
    due_at: Mapped[Instant]
    handed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # bounced or failed
    opened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # first open by a person
    clicked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # first click by a person


class Lease(Row):
    """A worker's hold on some messages of one connection. Its id is the fencing token they carry."""

    __tablename__ = "lease"

    connection_id: Mapped[int] = mapped_column(BigId)
    worker: Mapped[str] = mapped_column(sa.String(80), index=True)
    until: Mapped[Instant]


class Engagement(OfWorkspace, Base):
    """Evidence of what happened to a message: an open, a click, a report, with how we judged it."""

    __tablename__ = "engagement"
    __table_args__ = (sa.Index("ix_engagement_recent", "workspace_id", "at"),)

    id: Mapped[Pk]
    workspace_id: Mapped[int] = mapped_column(BigId)
    message_id: Mapped[int] = mapped_column(BigId, index=True)
    contact_id: Mapped[int | None] = mapped_column(BigId, index=True)
    kind: Mapped[str] = mapped_column(
        sa.String(14)
    )  # open, click, delivered, bounced, failed, complained, unsubscribed; part (of a long SMS)
    at: Mapped[Instant]
    link: Mapped[int | None] = mapped_column(
        sa.SmallInteger
    )  # number of the link in the mail, from 0; of the part, from 1
    url: Mapped[str | None] = mapped_column(sa.Text)
    machine: Mapped[bool] = mapped_column(default=False)  # a program opened it, not a person
    evidence: Mapped[dict[str, Any] | None] = mapped_column(Json)  # user agent, timing, raw report


class RateWindow(Base):
    """How many messages left through a connection (and to a domain) in one minute: rates survive restarts."""

    __tablename__ = "rate_window"

    connection_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    domain: Mapped[str] = mapped_column(sa.String(120), primary_key=True)  # "": all
    minute: Mapped[int] = mapped_column(sa.Integer, primary_key=True)  # minutes since 1970
    sent: Mapped[int] = mapped_column(default=0)


class Worker(Base):
    """A worker that is, or was, at work; the clock takes back the leases of those that fell silent."""

    __tablename__ = "worker"

    name: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(10))  # worker, clock, web
    started_at: Mapped[Instant]
    seen_at: Mapped[Instant]
