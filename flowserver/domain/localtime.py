"""From a wall clock to an instant. A time that a daylight-saving change skips moves to the first that exists;
a doubled one means the first (spec: store the zone and the wish, compute the instant late)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The UTC instant at which the clocks of ``zone`` show ``day``, ``at``."""
    local = datetime.combine(day, at, tzinfo=zone)  # fold=0: the first of two
    utc = local.astimezone(UTC)
    if utc.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return utc
    return _end_of_gap(local, zone)


def exists(day: date, at: time, zone: ZoneInfo) -> bool:
    """Whether the clocks of ``zone`` ever show this time."""
    local = datetime.combine(day, at, tzinfo=zone)
    return local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None)


def _end_of_gap(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant the clocks jump: inside a gap, reading the wall time with either offset straddles it."""
    low = local.replace(fold=1).astimezone(UTC)
    high = local.replace(fold=0).astimezone(UTC)
    low, high = min(low, high), max(low, high)
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def parse_time(raw: str) -> time:
    """``"09:00"`` → time. Raises ``ValueError``."""
    found = re.fullmatch("([0-9]{1,2}):([0-9]{2})", raw)
    if not found:
        raise ValueError(raw)
    return time(int(found[1]), int(found[2]))


def parse_date(raw: str) -> date:
    """``"2026-12-01"`` → date, of the years 1900 to 2999. Raises ``ValueError``."""
    if not looks_like_a_date(raw):
        raise ValueError(raw)
    return date.fromisoformat(raw)


def looks_like_a_date(raw: str) -> bool:
    """Whether a text has the form of a date, of the years 1900 to 2999; 30 February has it, too."""
    return re.fullmatch("(19|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}", raw) is not None


def is_zone(name: str) -> bool:
    """Whether ``name`` is a time zone of the IANA database."""
    return name in _zones()


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def next_time(after: datetime, at: time, zone: ZoneInfo, weekday: int | None = None) -> datetime:
    """The first instant at or after ``after`` at which the clocks of ``zone`` show ``at`` (on ``weekday``, 0 = Monday)."""
    day = after.astimezone(zone).date()
    for ahead in range(9):
        candidate = day + timedelta(days=ahead)
        if weekday is None or candidate.weekday() == weekday:
            moment = instant(candidate, at, zone)
            if moment >= after:
                return moment
    raise AssertionError("a week has seven days")
