"""Segments: saved rules over contacts, computed when they are used. Nobody joins one."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from flowserver.clock import now
from flowserver.models.base import Dict, Instant, WorkspaceRow


class Segment(WorkspaceRow):
    """Contacts described by a rule, such as "has the tag vip and agreed to e-mail"."""

    __tablename__ = "segment"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "name"),)

    name: Mapped[str] = mapped_column(sa.String(120))
    rule: Mapped[Dict]  # as in domain/rules.py, with ids of lists and keys of fields
    updated_at: Mapped[Instant] = mapped_column(default=now)
