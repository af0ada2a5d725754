"""Crowds that are started together: at a moment of a flow, or because somebody said so."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from flowserver.extensions import Base, OfWorkspace, UtcDateTime
from flowserver.models.base import BigId, Dict, Instant, WorkspaceRow


class FlowStart(WorkspaceRow):
    """A group of contacts on its way into a flow, chunk by chunk; resumable after every chunk.

    ``key`` makes a repetition harmless: a moment of a flow, or one order of a person or a program, is one start.
    """

    __tablename__ = "flow_start"
    __table_args__ = (
        sa.UniqueConstraint("flow_id", "key"),
        sa.Index(
            "ix_flow_start_undone",
            "id",
            postgresql_where=sa.text("done_at IS NULL"),
            sqlite_where=sa.text("done_at IS NULL"),
        ),
    )

    flow_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("flow.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(sa.String(100))
    by: Mapped[str] = mapped_column(sa.String(8))  # time, hand, api
    rule: Mapped[Dict]  # whom it is for, as services/engine/audience.py reads it
    at: Mapped[Instant]  # the moment their start counts from
    after: Mapped[int] = mapped_column(BigId, default=0)  # the last contact that was looked at
    entered: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    user_id: Mapped[int | None] = mapped_column(BigId)


class FlowStartContact(OfWorkspace, Base):
    """Somebody who left the list of a start before their turn, until it comes. The contact may be gone since."""

    __tablename__ = "flow_start_contact"

    start_id: Mapped[int] = mapped_column(
        BigId, sa.ForeignKey("flow_start.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    contact_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    workspace_id: Mapped[int] = mapped_column(BigId)
