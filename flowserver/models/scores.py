"""Score rules: which acts of a contact bring how many points. What they brought stands in the ledger, ``score_entry``."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from flowserver.clock import now
from flowserver.models.base import Instant, WorkspaceRow


class ScoreRule(WorkspaceRow):
    """An act of a contact that brings points, or takes some away."""

    __tablename__ = "score_rule"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "title"),)

    title: Mapped[str] = mapped_column(sa.String(120))
    points: Mapped[int]
    act: Mapped[str] = mapped_column(sa.String(40))  # a key of domain/scoring.py ACTS
    subject: Mapped[str] = mapped_column(sa.String(120), default="")  # of the event: an id, a tag, words; "": any
    detail: Mapped[str] = mapped_column(
        sa.String(500), default=""
    )  # a pattern of addresses, the word of a custom event
    frequency: Mapped[str] = mapped_column(sa.String(8), default="every")  # every, daily, once
    enabled: Mapped[bool] = mapped_column(default=True)
    updated_at: Mapped[Instant] = mapped_column(default=now)
