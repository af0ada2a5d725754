"""The only place that asks for the time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

MOVED = timedelta(seconds=float(os.environ.get("FLOWSERVER_CLOCK_AHEAD") or 0))  # see docs/operations.md
_ahead: ContextVar[timedelta] = ContextVar("ahead", default=MOVED)


def now() -> datetime:
    """The present instant, time-zone aware, in UTC."""
    return datetime.now(UTC) + _ahead.get()


@contextmanager
def shifted(by: timedelta) -> Iterator[None]:
    """Within the block, and in this thread only, the time is ``by`` later (or earlier). Demo data and benchmarks."""
    token = _ahead.set(_ahead.get() + by)
    try:
        yield
    finally:
        _ahead.reset(token)
