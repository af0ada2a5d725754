"""Flows, their immutable versions, the people inside, and why every decision fell as it did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from flowserver.extensions import Base, OfWorkspace, UtcDateTime
from flowserver.models.base import BigId, Dict, Instant, Json, Pk, WorkspaceRow

_OF_VISITS = "type IN ('page_visited', 'page_stayed')"


class Flow(WorkspaceRow):
    """A flow: the draft being edited, and which version is live.

    ``state``: draft → active ⇄ paused → stopped; completed for one-shot flows. The page says "Live" for active.
    """

    __tablename__ = "flow"
    __table_args__ = (
        sa.UniqueConstraint("workspace_id", "name"),
        sa.Index(
            "ix_flow_starts",
            "starts_at",
            postgresql_where=sa.text("starts_at IS NOT NULL"),
            sqlite_where=sa.text("starts_at IS NOT NULL"),
        ),
    )

    name: Mapped[str] = mapped_column(sa.String(120))
    state: Mapped[str] = mapped_column(sa.String(10), default="draft")
    trigger_type: Mapped[str] = mapped_column(sa.String(40))
    draft: Mapped[Dict]  # a definition, spec: format 1, references as ids
    draft_number: Mapped[int] = mapped_column(default=1)  # raised by every save: guards against lost edits
    draft_changed: Mapped[bool] = mapped_column(default=True)  # differs from the live version
    version_id: Mapped[int | None] = mapped_column(BigId)  # the live version
    closed: Mapped[bool] = mapped_column(default=False)  # nobody enters, those inside finish
    broken: Mapped[str] = mapped_column(sa.String(300), default="")  # what is missing, in words
    pause_mode: Mapped[str] = mapped_column(sa.String(8), default="")  # freeze, hold, skip
    pause_reason: Mapped[str] = mapped_column(sa.String(300), default="")
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Since a person paused it: the events of whom would have started lie after one id and up to another. No last one:
    # nobody is let in; 0: they are, and the last one is looked up when nobody sees the pause any more.
    missed_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    missed_after: Mapped[int | None] = mapped_column(BigId)
    missed_until: Mapped[int | None] = mapped_column(BigId)
    activated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    existing_after: Mapped[int | None] = mapped_column(BigId)  # letting in those who already match: last contact id
    starts_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when time next starts contacts; None: never
    starts_since: Mapped[datetime | None] = mapped_column(UtcDateTime)  # moments up to here are dealt with
    owner_id: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("user.id", ondelete="SET NULL"))
    updated_at: Mapped[Instant]


class FlowVersion(WorkspaceRow):
    """What went live, word for word; never changed afterwards."""

    __tablename__ = "flow_version"
    __table_args__ = (sa.UniqueConstraint("flow_id", "number"),)

    flow_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("flow.id"))
    number: Mapped[int]
    definition: Mapped[Dict]
    published_by: Mapped[int | None] = mapped_column(BigId)
    replaced_id: Mapped[int | None] = mapped_column(BigId)  # the version that was live before; None: the first one
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # the one before is live again


class FlowMove(OfWorkspace, Base):
    """Where somebody inside stood when a version took them along: what undoing it puts back. Kept for the newest only.

    ``landed`` is the step they came to; ``None``: they left.
    """

    __tablename__ = "flow_move"

    version_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    enrollment_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    workspace_id: Mapped[int] = mapped_column(BigId)
    from_version_id: Mapped[int] = mapped_column(BigId)
    step: Mapped[str] = mapped_column(sa.String(60))
    landed: Mapped[str | None] = mapped_column(sa.String(60))
    parked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    awaits: Mapped[str | None] = mapped_column(sa.String(120))
    due_at: Mapped[Instant]
    due_kind: Mapped[str] = mapped_column(sa.String(8))


class FlowEdit(WorkspaceRow):
    """One change of a draft, with the draft before it: history and undo."""

    __tablename__ = "flow_edit"

    flow_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("flow.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(BigId)
    what: Mapped[str] = mapped_column(sa.Text)  # msgid
    params: Mapped[Dict]
    before: Mapped[Dict]
    after: Mapped[Dict]


class Enrollment(OfWorkspace, Base):
    """One contact's passage through a flow.

    Live ⇔ ``due_at`` is set; ended ⇔ ``ended_at`` and ``end_reason`` are set. The hot path writes this table
    in bulk, so it carries no foreign keys (docs/adr/0002-hot-tables.md).
    """

    __tablename__ = "enrollment"
    __table_args__ = (
        sa.CheckConstraint(
            "(due_at IS NOT NULL AND ended_at IS NULL AND end_reason IS NULL)"
            " OR (due_at IS NULL AND ended_at IS NOT NULL AND end_reason IS NOT NULL)",
            name="live_or_ended",
        ),
        sa.Index("uq_enrollment_event", "flow_id", "contact_id", "event_key", unique=True),
        sa.Index(
            "uq_enrollment_live",
            "flow_id",
            "contact_id",
            unique=True,
            postgresql_where=sa.text("due_at IS NOT NULL"),
            sqlite_where=sa.text("due_at IS NOT NULL"),
        ),
        sa.Index(
            "ix_enrollment_due",
            "due_at",
            postgresql_where=sa.text("due_at IS NOT NULL AND NOT held"),
            sqlite_where=sa.text("due_at IS NOT NULL AND held = 0"),
        ),
        sa.Index(
            "ix_enrollment_held",
            "flow_id",
            "contact_id",
            postgresql_where=sa.text("held"),
            sqlite_where=sa.text("held = 1"),
        ),
        sa.Index("ix_enrollment_contact", "contact_id"),
    )

    id: Mapped[Pk]
    workspace_id: Mapped[int] = mapped_column(BigId)
    flow_id: Mapped[int] = mapped_column(BigId)
    version_id: Mapped[int] = mapped_column(BigId)
    contact_id: Mapped[int] = mapped_column(BigId)
    event_key: Mapped[str] = mapped_column(sa.String(120))
    chain: Mapped[int] = mapped_column(sa.SmallInteger, default=0)  # how many flows led here
    data: Mapped[dict[str, Any] | None] = mapped_column(Json)  # what the event brought: form answers, amounts
    step: Mapped[str] = mapped_column(sa.String(60), default="")  # "": waiting to start
    visit: Mapped[int] = mapped_column(sa.SmallInteger, default=1)
    visits: Mapped[dict[str, Any] | None] = mapped_column(Json)  # {step: times}, only where a flow loops
    parked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # waiting at `step` since; None: arriving
    awaits: Mapped[str | None] = mapped_column(sa.String(120))  # event that ends the wait early
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_kind: Mapped[str] = mapped_column(sa.String(8), default="relative")  # or absolute: a date, not a duration
    held: Mapped[bool] = mapped_column(default=False)  # paused: the clock passes by
    triggered_at: Mapped[Instant]
    entered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    end_reason: Mapped[str | None] = mapped_column(sa.String(40))
    label: Mapped[str | None] = mapped_column(sa.String(60))
    outcome: Mapped[str | None] = mapped_column(sa.String(10))  # positive, neutral, negative


class Decision(OfWorkspace, Base):
    """One decision of the engine: who, where, when, what, why. Written in bulk, never changed."""

    __tablename__ = "decision"
    __table_args__ = (sa.Index("ix_decision_enrollment", "enrollment_id"),)

    id: Mapped[Pk]
    workspace_id: Mapped[int] = mapped_column(BigId)
    enrollment_id: Mapped[int] = mapped_column(BigId)
    step: Mapped[str] = mapped_column(sa.String(60))
    visit: Mapped[int] = mapped_column(sa.SmallInteger)
    at: Mapped[Instant]
    outcome: Mapped[str] = mapped_column(sa.String(40))  # a port (next, then, else), parked, held, left, failed
    reason: Mapped[str | None] = mapped_column(sa.String(40))
    facts: Mapped[str | None] = mapped_column(sa.Text)  # the few values that decided, as JSON text


class Event(OfWorkspace, Base):
    """A fact about a contact. ``key`` makes a repetition harmless."""

    __tablename__ = "event"
    __table_args__ = (
        sa.Index("uq_event_key", "workspace_id", "key", unique=True),
        sa.Index("ix_event_contact", "contact_id", "type"),
        sa.Index(
            "ix_event_unmatched", "id", postgresql_where=sa.text("NOT matched"), sqlite_where=sa.text("matched = 0")
        ),
        sa.Index(
            "ix_event_visits", "at", postgresql_where=sa.text(_OF_VISITS), sqlite_where=sa.text(_OF_VISITS)
        ),  # those that are deleted after a while
    )

    id: Mapped[Pk]
    workspace_id: Mapped[int] = mapped_column(BigId)
    contact_id: Mapped[int] = mapped_column(BigId)
    type: Mapped[str] = mapped_column(sa.String(60))
    subject: Mapped[str] = mapped_column(sa.String(120), default="")  # which list, tag, message …
    key: Mapped[str] = mapped_column(sa.String(120))
    at: Mapped[Instant]
    data: Mapped[dict[str, Any] | None] = mapped_column(Json)
    chain: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    origin: Mapped[int | None] = mapped_column(BigId)  # flow that caused it
    matched: Mapped[bool] = mapped_column(default=False)
