"""Consent, quiet hours and caps."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowserver.domain import localtime, sending
from flowserver.domain.steps import Contact

ROME = ZoneInfo("Europe/Rome")
NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)


def person(**values):
    base = {
        "email": "ada@example.org",
        "phone": "+390212345678",
        "email_consent": "given",
        "sms_consent": "given",
    }
    return Contact(id=1, workspace_id=1, **{**base, **values})


@pytest.mark.parametrize(
    ("contact", "channel", "class_", "suppressed", "reason"),
    [
        (None, "email", "service", False, "deleted"),
        (person(email=None), "email", "marketing", False, "no_email"),
        (person(phone=None), "sms", "marketing", False, "no_phone"),
        (person(), "email", "service", True, "suppressed"),
        (person(status="suppressed"), "sms", "service", False, "suppressed"),
        (person(status="bounced"), "email", "service", False, "bounced"),
        (person(status="bounced"), "sms", "marketing", False, None),
        (person(email_consent="none"), "email", "marketing", False, "no_consent"),
        (person(email_consent="withdrawn"), "email", "marketing", False, "unsubscribed"),
        (person(email_consent="withdrawn"), "email", "service", False, None),
        (person(sms_consent="none"), "sms", "marketing", False, "no_consent"),
        (person(), "email", "marketing", False, None),
    ],
)
def test_it_names_why_nothing_may_be_sent(contact, channel, class_, suppressed, reason):
    assert sending.may_send(contact, channel, class_, suppressed) == reason


@pytest.mark.parametrize(
    ("local", "until"),
    [
        ("2026-05-04T20:59:59", None),
        ("2026-05-04T21:00:00", "2026-05-05T08:00"),
        ("2026-05-05T00:00:00", "2026-05-05T08:00"),
        ("2026-05-05T07:59:59", "2026-05-05T08:00"),
        ("2026-05-05T08:00:00", None),
        ("2026-03-28T23:00:00", "2026-03-29T08:00"),  # the clocks go forward in between
        ("2026-10-24T23:00:00", "2026-10-25T08:00"),  # and back
    ],
)
def test_quiet_hours_end_at_the_local_time(local, until):
    now = datetime.fromisoformat(local).replace(tzinfo=ROME).astimezone(UTC)
    expected = datetime.fromisoformat(until).replace(tzinfo=ROME).astimezone(UTC) if until else None
    assert sending.quiet_until(now, ROME, "21:00", "08:00") == expected


def test_quiet_hours_within_one_day_or_none_at_all():
    now = datetime(2026, 5, 4, 12, 30, tzinfo=ROME).astimezone(UTC)
    assert sending.quiet_until(now, ROME, "12:00", "14:00") == datetime(2026, 5, 4, 14, 0, tzinfo=ROME).astimezone(UTC)
    assert sending.quiet_until(now, ROME, "12:00", "12:00") is None
    assert sending.quiet_until(now, ROME, "", "") is None


def test_a_skipped_time_is_the_first_that_exists_and_a_doubled_one_the_first():
    assert localtime.instant(date(2026, 3, 29), time(2, 30), ROME) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert localtime.instant(date(2026, 10, 25), time(2, 30), ROME) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    apia = ZoneInfo("Pacific/Apia")  # skipped 30 December 2011 altogether
    assert localtime.instant(date(2011, 12, 30), time(12, 0), apia) == datetime(2011, 12, 30, 10, 0, tzinfo=UTC)


@given(
    st.sampled_from(sorted(available_timezones())),
    st.datetimes(min_value=datetime(2015, 1, 1), max_value=datetime(2035, 1, 1), timezones=st.just(UTC)),
    st.times().map(lambda t: t.replace(second=0, microsecond=0, tzinfo=None)),
    st.times().map(lambda t: t.replace(second=0, microsecond=0, tzinfo=None)),
)
def test_after_the_quiet_hours_nothing_is_quiet(name, now, begins, ends):
    zone = ZoneInfo(name)
    until = sending.quiet_until(now, zone, f"{begins:%H:%M}", f"{ends:%H:%M}")
    if until is not None:
        assert now < until <= now + timedelta(days=1, hours=3)
        again = sending.quiet_until(until, zone, f"{begins:%H:%M}", f"{ends:%H:%M}")
        begin_again = localtime.instant(
            until.astimezone(zone).date(), begins, zone
        )  # the gap of a time change swallowed the break
        assert again is None or begin_again == until


def test_a_cap_moves_to_the_next_free_day_at_the_same_time():
    today = [NOW - timedelta(hours=1)]
    assert sending.free_from(NOW, ROME, today, None, None) is None
    assert sending.free_from(NOW, ROME, today, 2, None) is None
    assert sending.free_from(NOW, ROME, today, 1, None) == NOW + timedelta(days=1)


def test_a_weekly_cap_waits_until_the_oldest_is_a_week_old():
    sent = [NOW - timedelta(days=6), NOW - timedelta(days=3)]
    assert sending.free_from(NOW, ROME, sent, None, 2) == NOW + timedelta(days=1)
    assert sending.free_from(NOW, ROME, [*sent, NOW], None, 2) == NOW + timedelta(days=4)


def test_messages_already_planned_for_tomorrow_count_too():
    assert sending.free_from(NOW, ROME, [NOW, NOW + timedelta(days=1)], 1, None) == NOW + timedelta(days=2)


def test_the_day_is_the_clients_day():
    late = datetime(2026, 5, 4, 22, 30, tzinfo=UTC)  # already Tuesday in Rome
    assert sending.free_from(late, ROME, [NOW], 1, None) is None


@pytest.mark.parametrize(
    ("now", "until"),
    [
        # 29 March 2026 in Rome: 02:00 to 03:00 do not exist
        ("2026-03-28T23:30", "2026-03-29T01:00"),  # quiet from 23:00 to 02:30: the end moves to 03:00
        ("2026-03-29T00:59", "2026-03-29T01:00"),
        ("2026-03-29T01:00", None),
        # 25 October 2026: 02:00 to 03:00 come twice, the first 02:30 ends the quiet
        ("2026-10-25T00:29", "2026-10-25T00:30"),
        ("2026-10-25T00:30", None),
        ("2026-10-25T01:15", None),  # 02:15 for the second time: the quiet is over
    ],
)
def test_an_end_that_is_skipped_or_doubled(now, until):
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    expected = datetime.fromisoformat(until).replace(tzinfo=UTC) if until else None
    assert sending.quiet_until(at, ROME, "23:00", "02:30") == expected


@pytest.mark.parametrize(("quiet_from", "quiet_to"), [("", "08:00"), ("21:00", ""), ("08:00", "08:00")])
def test_half_a_wish_is_none(quiet_from, quiet_to):
    assert sending.quiet_until(NOW.replace(hour=23), ROME, quiet_from, quiet_to) is None


def test_a_cap_keeps_the_local_hour_over_a_change_of_the_clocks():
    saturday = datetime(2026, 3, 28, 9, 0, tzinfo=UTC)  # 10:00 in Rome, summer time begins that night
    assert sending.free_from(saturday, ROME, [saturday], 1, None) == datetime(2026, 3, 29, 8, 0, tzinfo=UTC)
    night = datetime(2026, 3, 28, 1, 30, tzinfo=UTC)  # 02:30, which the next day does not have
    assert sending.free_from(night, ROME, [night], 1, None) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


def test_a_cap_of_nothing_never_lets_go_within_a_year():
    assert sending.free_from(NOW, ROME, [], 0, None) == NOW + timedelta(days=365)


@given(
    st.sampled_from(
        ["Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "UTC"]
    ),
    st.lists(st.integers(-8 * 1440, 8 * 1440), max_size=20),
    st.integers(1, 3),
    st.integers(1, 7) | st.none(),
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)),
)
def test_what_a_cap_promises_is_free(name, minutes, per_day, per_week, now):
    zone, now = ZoneInfo(name), now.replace(tzinfo=UTC)
    sent = [now + timedelta(minutes=m) for m in minutes]
    free = sending.free_from(now, zone, sent, per_day, per_week)
    if free is not None:
        assert free > now
        assert sending.free_from(free, zone, sent, per_day, per_week) is None


# --- sending hours -----------------------------------------------------------------------------------------

OFFICE = sending.Hours(frozenset(range(5)), time(9), time(18))


@pytest.mark.parametrize(
    ("now", "opening"),
    [
        ("2026-05-04T09:00", None),
        ("2026-05-04T08:59", "2026-05-04T09:00"),
        ("2026-05-04T17:59", None),
        ("2026-05-04T18:00", "2026-05-05T09:00"),
        ("2026-05-08T18:00", "2026-05-11T09:00"),  # Friday evening
        ("2026-05-09T12:00", "2026-05-11T09:00"),  # Saturday
    ],
)
def test_sending_hours_open_on_their_days(now, opening):
    found = OFFICE.opening(datetime.fromisoformat(now).replace(tzinfo=ROME), ROME)
    assert found == (datetime.fromisoformat(opening).replace(tzinfo=ROME) if opening else None)


def test_a_day_may_end_at_midnight_and_summer_time_is_honoured():
    late = sending.Hours(frozenset({6}), time(20), time(0))
    sunday = datetime(2026, 3, 29, 23, 59, tzinfo=ROME)  # summer time began that night
    assert late.opening(sunday, ROME) is None
    assert late.opening(sunday + timedelta(minutes=1), ROME) == datetime(2026, 4, 5, 20, tzinfo=ROME)


def test_of_quiet_hours_and_sending_hours_the_stricter_wins():
    early = sending.Hours(frozenset(range(7)), time(6), time(7))
    now = datetime(2026, 5, 4, 5, tzinfo=ROME)
    assert sending.hold_until(now, ROME, None, early) == (datetime(2026, 5, 4, 6, tzinfo=ROME), "sending_hours")
    found = sending.hold_until(now, ROME, ("21:00", "06:30"), early)
    assert found == (datetime(2026, 5, 4, 6, 30, tzinfo=ROME), "quiet_hours")
    assert sending.hold_until(now, ROME, None, None) is None
    assert sending.hold_until(now, ROME, ("21:00", "08:00"), OFFICE)[0] == datetime(2026, 5, 4, 9, tzinfo=ROME)


def test_hours_that_never_meet_do_not_hang():
    never = sending.Hours(frozenset(range(7)), time(22), time(23))
    assert sending.hold_until(datetime(2026, 5, 4, 5, tzinfo=ROME), ROME, ("21:00", "08:00"), never) is not None
