"""Waiting a time, or until an hour, a weekday, a date of the client's zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from flowserver.domain.steps import Go, Park
from flowserver.nodes.actions.wait import Wait

from ..kit import NOW, context, decide, item, mistakes, names

SAMPLES = [
    {"for": {"days": 3}},
    {"for": {"minutes": 0}},
    {"for": {"hours": 8760}},
    {"until": {"time": "09:00"}},
    {"until": {"weekday": "friday", "time": "09:00"}},
    {"until": {"date": "2026-12-01", "time": "09:30"}},
    {"until": {"date": "2026-12-01"}},
]


def until(settings, now=NOW, zone="Europe/Rome"):
    """The instant a wait ends; ``None``: it goes on at once."""
    outcome = decide(Wait, settings, item(), context(now, ZoneInfo(zone)))
    return outcome.until if isinstance(outcome, Park) else None


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "later"),
    [
        ({"minutes": 90}, timedelta(minutes=90)),
        ({"hours": 5}, timedelta(hours=5)),
        ({"days": 365}, timedelta(days=365)),
    ],
)
def test_a_length_of_time_is_counted_from_now(length, later):
    assert decide(Wait, {"for": length}, item()) == Park(NOW + later)


def test_days_are_24_hours_whatever_the_clocks_do():
    before = utc("2026-03-28T11:00")  # noon in Rome, the night before summer time
    assert until({"for": {"days": 1}}, before) == before + timedelta(hours=24)


def test_no_time_at_all_goes_on_at_once():
    assert decide(Wait, {"for": {"days": 0}}, item()) == Go()


def test_when_it_is_over_the_contact_goes_on():
    assert list(Wait({"for": {"days": 3}}).resume([item(parked_at=NOW - timedelta(days=3))], context())) == [Go()]


@pytest.mark.parametrize(
    ("wish", "ends"),
    [
        ({"time": "12:00"}, "2026-05-04T10:00"),  # it is 11:00 in Rome
        ({"time": "11:01"}, "2026-05-04T09:01"),
        ({"time": "11:00"}, None),  # now
        ({"time": "10:59"}, "2026-05-05T08:59"),  # tomorrow
        ({"weekday": "friday", "time": "09:00"}, "2026-05-08T07:00"),
        ({"weekday": "monday", "time": "12:00"}, "2026-05-04T10:00"),  # later today
        ({"weekday": "monday", "time": "09:00"}, "2026-05-11T07:00"),  # today it is over
        ({"weekday": "sunday"}, "2026-05-09T22:00"),  # midnight, where the hour is left out
        ({"date": "2026-12-01", "time": "09:00"}, "2026-12-01T08:00"),
        ({"date": "2026-05-04", "time": "11:00"}, None),
        ({"date": "2026-05-03", "time": "23:59"}, None),  # passed: on at once
    ],
)
def test_until_means_the_clients_clock(wish, ends):
    assert until({"until": wish}) == (utc(ends) if ends else None)


def test_a_wish_is_a_date_and_not_a_length():
    assert decide(Wait, {"until": {"time": "12:00"}}, item()).absolute is True
    assert decide(Wait, {"for": {"days": 1}}, item()).absolute is False


@pytest.mark.parametrize(
    ("wish", "now", "ends"),
    [
        # 29 March 2026 in Rome: 02:00 to 03:00 do not exist
        ({"time": "02:30"}, "2026-03-28T12:00", "2026-03-29T01:00"),
        ({"date": "2026-03-29", "time": "02:00"}, "2026-03-01T00:00", "2026-03-29T01:00"),
        ({"weekday": "sunday", "time": "02:59"}, "2026-03-28T12:00", "2026-03-29T01:00"),
        ({"time": "02:30"}, "2026-03-29T01:00", "2026-03-29T01:00"),  # this very moment: on at once, see below
        ({"time": "02:30"}, "2026-03-29T01:00:01", "2026-03-30T00:30"),
        # 25 October 2026: 02:00 to 03:00 come twice, the first counts
        ({"time": "02:30"}, "2026-10-24T12:00", "2026-10-25T00:30"),
        ({"date": "2026-10-25", "time": "02:30"}, "2026-10-01T00:00", "2026-10-25T00:30"),
        ({"time": "02:30"}, "2026-10-25T00:45", "2026-10-26T01:30"),  # between the two: tomorrow's
    ],
)
def test_a_skipped_hour_moves_to_the_first_that_exists_and_a_doubled_one_is_the_first(wish, now, ends):
    found = until({"until": wish}, utc(now))
    assert found == (None if now == ends else utc(ends))


def test_a_whole_day_that_a_zone_skipped():
    ends = until({"until": {"date": "2011-12-30", "time": "12:00"}}, utc("2011-12-29T00:00"), "Pacific/Apia")
    assert ends == utc("2011-12-30T10:00")  # the first minute of the 31st


@pytest.mark.parametrize(
    ("length", "words"),
    [
        ({"days": -1}, "The waiting time cannot be below 0"),
        ({"days": 366}, "The waiting time can be 365 days at most"),
        ({"hours": 8761}, "The waiting time can be 365 days at most"),
        ({"minutes": 525_601}, "The waiting time can be 365 days at most"),
        ({"minutes": 10**40}, "The waiting time can be 365 days at most"),
        ({"days": 1.5}, "Enter the waiting time as a whole number"),
        ({"days": "3"}, "Enter the waiting time as a whole number"),
        ({"days": "three"}, "Enter the waiting time as a whole number"),
        ({"days": ""}, "Enter the waiting time as a whole number"),
        ({"days": True}, "Enter the waiting time as a whole number"),
        ({"days": None}, "Enter the waiting time as a whole number"),
        ({"weeks": 1}, "Name exactly one of minutes, hours or days"),
        ({"days": 1, "hours": 1}, "Name exactly one of minutes, hours or days"),
        ({}, "Name exactly one of minutes, hours or days"),
        (3, "Name exactly one of minutes, hours or days"),
        ("3 days", "Name exactly one of minutes, hours or days"),
        ([3], "Name exactly one of minutes, hours or days"),
    ],
)
def test_bad_lengths_are_named(length, words):
    assert mistakes(Wait, {"for": length}) == {"for": [words]}


@pytest.mark.parametrize(
    ("wish", "wrong"),
    [
        ({"time": "9"}, {"time": ["Enter a time such as 09:00"]}),
        ({"time": "24:00"}, {"time": ["Enter a time such as 09:00"]}),
        ({"time": "09:60"}, {"time": ["Enter a time such as 09:00"]}),
        ({"time": "٠٩:٠٠"}, {"time": ["Enter a time such as 09:00"]}),
        ({"date": "2026-02-30"}, {"date": ["Enter a date such as 2026-12-01"]}),
        ({"date": "1 December"}, {"date": ["Enter a date such as 2026-12-01"]}),
        ({"date": "20261201"}, {"date": ["Enter a date such as 2026-12-01"]}),
        ({"date": "0001-01-01"}, {"date": ["Enter a date such as 2026-12-01"]}),
        ({"date": "9999-12-31"}, {"date": ["Enter a date such as 2026-12-01"]}),
        ({"weekday": "someday", "time": "09:00"}, {"weekday": ["Choose a day of the week"]}),
        ({"weekday": "friday", "date": "2026-12-01"}, {"_schema": ["Name an hour, a weekday or a date"]}),
        ({}, {"_schema": ["Name an hour, a weekday or a date"]}),
        ({"moon": "full"}, {"moon": ["Unknown setting"]}),
    ],
)
def test_bad_wishes_are_named_at_their_place(wish, wrong):
    assert mistakes(Wait, {"until": wish}) == {"until": wrong}


@pytest.mark.parametrize("raw", [{}, {"for": {"days": 1}, "until": {"time": "09:00"}}])
def test_it_is_one_or_the_other(raw):
    assert mistakes(Wait, raw) == {"for": ["Say how long to wait, or until when"]}


def test_it_says_how_long():
    said = [str(Wait(Wait.load(raw)).summary(names)) for raw in SAMPLES]
    assert said == [
        "Wait 3 days",
        "Wait 0 minutes",
        "Wait 8760 hours",
        "Wait until 09:00",
        "Wait until Friday, 09:00",
        "Wait until 2026-12-01, 09:30",
        "Wait until 2026-12-01, 00:00",
    ]
