"""The only place that asks for the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

_ahead: ContextVar[timedelta] = ContextVar("ahead", default=timedelta(0))
_moved = timedelta(0)


def now() -> datetime:
    """The present instant, time-zone aware, in UTC."""
    return datetime.now(UTC) + _moved + _ahead.get()


def move(seconds: int) -> None:
    """Let the whole process believe it is later by so much: the setting FLOWSERVER_CLOCK_AHEAD."""
    global _moved
    _moved = timedelta(seconds=seconds)


@contextmanager
def shifted(by: timedelta) -> Iterator[None]:
    """Within the block, and in this thread only, the time is ``by`` later (or earlier). Demo data and benchmarks."""
    token = _ahead.set(_ahead.get() + by)
    try:
        yield
    finally:
        _ahead.reset(token)
