"""E-mail and SMS campaigns: one message to everybody on a list or in a segment."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from flowserver.extensions import UtcDateTime
from flowserver.models.base import BigId, Dict, Instant, WorkspaceRow


class Campaign(WorkspaceRow):
    """One message to many. Its recipients are rows of ``message`` with its id, those who get nothing included.

    ``state``: draft → scheduled → sending → sent; scheduled and sending → cancelled; scheduled → draft. ``busy`` marks
    what the clock must look after: it is due or under way. ``held`` says in words why one under way stands still.
    """

    __tablename__ = "campaign"
    __table_args__ = (
        sa.UniqueConstraint("workspace_id", "channel", "name"),
        sa.Index("ix_campaign_busy", "send_at", postgresql_where=sa.text("busy"), sqlite_where=sa.text("busy = 1")),
    )

    channel: Mapped[str] = mapped_column(sa.String(8))  # email, sms
    name: Mapped[str] = mapped_column(sa.String(120))
    state: Mapped[str] = mapped_column(sa.String(10), default="draft")
    content: Mapped[Dict]  # as the composer stores it
    edition: Mapped[int] = mapped_column(default=1)  # raised by every change of the content
    list_id: Mapped[int | None] = mapped_column(BigId)  # the audience: one of the two
    segment_id: Mapped[int | None] = mapped_column(BigId)
    wish: Mapped[str] = mapped_column(sa.String(16), default="")  # 2026-05-04T09:00 on the clock of `zone`
    zone: Mapped[str] = mapped_column(sa.String(64), default="")
    send_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # the instant of the wish
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when the last message had left
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    busy: Mapped[bool] = mapped_column(default=False)
    held: Mapped[str] = mapped_column(sa.String(300), default="")
    planned_after: Mapped[int | None] = mapped_column(BigId)  # planning goes on after this contact; None: it is done
    connection_id: Mapped[int | None] = mapped_column(BigId)  # the way out, chosen when sending began
    user_id: Mapped[int | None] = mapped_column(BigId)
    updated_at: Mapped[Instant]
