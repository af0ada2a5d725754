"""From a wall clock to an instant, over every zone and every change its clocks ever made."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowserver.domain import localtime

ZONES = sorted(available_timezones())
SECOND = timedelta(seconds=1)
FROM, TO = datetime(1840, 1, 1, tzinfo=UTC), datetime(2045, 1, 1, tzinfo=UTC)


@cache
def changes(name: str, step: timedelta = timedelta(days=50)) -> tuple[tuple[datetime, timedelta, timedelta], ...]:
    """``(instant, offset before, offset after)`` of the changes of a zone, exact to the second.

    Found by looking every ``step``: two changes within one that undo each other are not seen.
    """
    zone, found = ZoneInfo(name), []
    at, offset = FROM, FROM.astimezone(zone).utcoffset()
    while at < TO:
        after = at + step
        if after.astimezone(zone).utcoffset() != offset:
            low, high = at, after
            while high - low > SECOND:
                middle = low + timedelta(seconds=(high - low) // SECOND // 2)
                low, high = (middle, high) if middle.astimezone(zone).utcoffset() == offset else (low, middle)
            after = high
            found.append((after, offset, after.astimezone(zone).utcoffset()))
        at, offset = after, after.astimezone(zone).utcoffset()
    return tuple(found)


def wall(instant: datetime, offset: timedelta) -> datetime:
    return (instant + offset).replace(tzinfo=None)


def moments(low: datetime, high: datetime) -> Iterator[datetime]:
    """The first, the middle and the last second of a stretch of wall-clock time."""
    yield from (low, low + timedelta(seconds=(high - low) // SECOND // 2), high - SECOND)


def distinct() -> list[str]:
    """One name for each history: many zones are the same under several names."""
    looks = [FROM + timedelta(days=200 * n) for n in range((TO - FROM).days // 200)]
    seen: dict[object, str] = {}
    for name in ZONES:
        zone = ZoneInfo(name)
        seen.setdefault(tuple(at.astimezone(zone).utcoffset() for at in looks), name)
    return list(seen.values())


def test_every_gap_ends_at_the_change_and_every_doubled_time_is_the_first():
    gaps = doubles = odd = 0
    for name in distinct():
        zone = ZoneInfo(name)
        for at, before, after in changes(name):
            odd += bool(before % timedelta(minutes=1) or after % timedelta(minutes=1))
            if after > before:
                gaps += 1
                for wish in moments(wall(at, before), wall(at, after)):
                    assert localtime.instant(wish.date(), wish.time(), zone) == at, (name, wish)
                    assert not localtime.exists(wish.date(), wish.time(), zone)
            else:
                doubles += 1
                for wish in moments(wall(at, after), wall(at, before)):
                    assert localtime.instant(wish.date(), wish.time(), zone) == wish.replace(tzinfo=UTC) - before
                    assert localtime.exists(wish.date(), wish.time(), zone)
    assert gaps > 5000 and doubles > 5000 and odd > 200  # local mean time had seconds


@st.composite
def wishes(draw):
    """A zone and a wall-clock time, most often close to a change."""
    name = draw(st.sampled_from(ZONES))
    if draw(st.booleans()) and changes(name):
        at, before, _ = draw(st.sampled_from(changes(name)))
        near = wall(at, before) + timedelta(seconds=draw(st.integers(-100_000, 100_000)))
        return name, near.replace(microsecond=draw(st.sampled_from([0, 1, 999_999])))
    return name, draw(st.datetimes(datetime(1850, 1, 1), datetime(2200, 1, 1)))


@given(wishes())
@settings(max_examples=500, deadline=None)
def test_it_is_the_first_instant_at_which_the_clocks_show_the_wish_or_more(wish):
    name, local = wish
    zone = ZoneInfo(name)
    found = localtime.instant(local.date(), local.time(), zone)
    shown, just_before = found.astimezone(zone), (found - timedelta(microseconds=1)).astimezone(zone)
    assert just_before.replace(tzinfo=None) < local <= shown.replace(tzinfo=None)
    assert shown.fold == 0
    assert (shown.replace(tzinfo=None) == local) == localtime.exists(local.date(), local.time(), zone)
    assert found.utcoffset() == timedelta(0)


@given(wishes(), st.integers(-50, 50), st.none() | st.integers(0, 6))
@settings(max_examples=300, deadline=None)
def test_the_next_time_is_never_past_and_never_skips_a_day(wish, hours, weekday):
    name, local = wish
    zone = ZoneInfo(name)
    after = local.replace(tzinfo=UTC) + timedelta(hours=hours)
    found = localtime.next_time(after, local.time(), zone, weekday)
    assert after <= found <= after + timedelta(days=1 if weekday is None else 7) + timedelta(hours=25)
    shown = found.astimezone(zone)
    if shown.time() == local.time() and weekday is not None:
        assert shown.weekday() == weekday
    earlier = localtime.instant(found.astimezone(zone).date() - timedelta(days=1), local.time(), zone)
    assert weekday is not None or earlier < after or earlier == found


def test_a_day_that_was_left_out_altogether():
    apia = ZoneInfo("Pacific/Apia")  # 30 December 2011
    assert localtime.instant(date(2011, 12, 30), time(12, 0), apia) == datetime(2011, 12, 30, 10, 0, tzinfo=UTC)
    assert not localtime.exists(date(2011, 12, 30), time(0, 0), apia)


def test_a_gap_of_local_mean_time_ends_on_its_odd_second():
    amsterdam = ZoneInfo("Europe/Amsterdam")
    first = next(at for at, before, after in changes("Europe/Amsterdam") if after > before)
    wish = wall(first, first.astimezone(amsterdam).utcoffset()) - SECOND
    assert localtime.instant(wish.date(), wish.time(), amsterdam) == first


@pytest.mark.parametrize(
    ("raw", "hour", "minute"), [("09:00", 9, 0), ("9:05", 9, 5), ("23:59", 23, 59), ("00:00", 0, 0)]
)
def test_times_are_read(raw, hour, minute):
    assert localtime.parse_time(raw) == time(hour, minute)


@pytest.mark.parametrize(
    "raw", ["", "9", "09:0", "24:00", "12:60", "-1:00", "9:00 am", "٠٩:٠٠", "²:00", "009:00", "09:00\n"]
)
def test_what_is_no_time_is_refused(raw):
    with pytest.raises(ValueError):
        localtime.parse_time(raw)


@pytest.mark.parametrize("raw", ["1900-01-01", "2026-12-01", "2028-02-29", "2999-12-31"])
def test_dates_are_read_and_far_enough_from_the_ends_of_time(raw):
    assert localtime.parse_date(raw).isoformat() == raw
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        localtime.instant(localtime.parse_date(raw), time(23, 59), ZoneInfo(zone))


@pytest.mark.parametrize(
    "raw", ["", "2026-2-1", "2026-02-30", "1899-12-31", "3000-01-01", "20261201", "2026-W49-2", "1.12.2026"]
)
def test_what_is_no_date_is_refused(raw):
    with pytest.raises(ValueError):
        localtime.parse_date(raw)
