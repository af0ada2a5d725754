"""What the API remembers of requests, so that a repetition is harmless."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from flowserver.models.base import Dict, WorkspaceRow


class Idempotency(WorkspaceRow):
    """A request that named an ``Idempotency-Key``, and its answer once there is one. Kept for 24 hours.

    ``done`` is set in the very transaction that does the work, so that after a crash it is known whether the work
    was done. ``token`` is the fence: only the process that holds it may do the work.
    """

    __tablename__ = "idempotency"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "key"), sa.Index("ix_idempotency_age", "created_at"))

    key: Mapped[str] = mapped_column(sa.String(255))
    method: Mapped[str] = mapped_column(sa.String(8))
    path: Mapped[str] = mapped_column(sa.Text)
    body_hash: Mapped[str] = mapped_column(sa.String(64))
    token: Mapped[str] = mapped_column(sa.String(32))
    done: Mapped[bool] = mapped_column(default=False)
    status: Mapped[int | None]
    headers: Mapped[Dict]
    answer: Mapped[str | None] = mapped_column(sa.Text)
