"""The only place that asks for the time."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The present instant, time-zone aware, in UTC."""
    return datetime.now(UTC)
