"""A date and time of a zone: what is refused, when it is, whom it is for."""

from datetime import UTC, datetime, timedelta

import pytest

from flowserver.nodes.triggers.fixed_date import FixedDate

from ..kit import NOW, ROME, mistakes, names

SAMPLES = [
    {"date": "2026-12-01", "time": "09:00", "list": 12},
    {"date": "2026-12-01", "time": "09:00", "zone": "America/New_York", "list": 12},
    {"date": "2026-12-01", "time": "09:00", "segment": 5},
]


def made(**given):
    return FixedDate(FixedDate.load({**SAMPLES[0], **given}))


def test_it_comes_once_when_the_clocks_of_its_zone_show_it():
    assert made().next_time(NOW, ROME) == datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
    assert made(zone="America/New_York").next_time(NOW, ROME) == datetime(2026, 12, 1, 14, 0, tzinfo=UTC)
    assert made().next_time(datetime(2026, 12, 1, 8, 0, tzinfo=UTC), ROME) is None


def test_a_time_that_is_there_twice_means_the_first():
    assert made(date="2026-10-25", time="02:30").next_time(NOW, ROME) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_it_is_for_those_on_the_list_at_that_moment():
    moment = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
    assert made().audience(moment, NOW, ROME) == {"members": {"list": 12, "until": "2026-12-01T08:00:00+00:00"}}


def test_what_has_passed_is_said_in_words():
    assert made().passed(NOW, ROME) is None
    assert made(date="2026-05-03").passed(NOW, ROME) == (
        "date",
        "The date must be in the future. 3 May 2026 has passed",
    )
    assert made(date="2026-05-04", time="11:00").passed(NOW, ROME) == (
        "time",
        "The time must be in the future. 11:00 has passed",
    )
    assert made(date="2026-05-04", time="11:01").passed(NOW, ROME) is None
    assert made(date="2026-05-04", time="11:00", zone="America/New_York").passed(NOW + timedelta(hours=5), ROME) is None


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"date": 20261201}, {"date": ["Enter a date such as 2026-12-01"]}),
        ({"date": "1 December"}, {"date": ["Enter a date such as 2026-12-01"]}),
        ({"date": "2026-02-30"}, {"date": ["2026-02-30 is not in the calendar. Choose another date"]}),
        ({"time": "9 o'clock"}, {"time": ["Enter a time such as 09:00"]}),
        ({"time": "25:00"}, {"time": ["Enter a time such as 09:00"]}),
        ({"zone": "Mars/Crater"}, {"zone": ["Name a time zone such as Europe/Rome"]}),
        ({"list": None}, {"list": ["Fill this in, or leave it out"]}),
        ({"segment": 5}, {"segment": ["Name a list or a segment, not both"]}),
        ({"wait": {"days": 1}}, {"wait": ["Unknown setting"]}),
        (
            {"date": "2026-03-29", "time": "02:30", "zone": "Europe/Rome"},
            {"time": ["On 29 March 2026 the clocks in Europe/Rome skip 02:30. Choose another time"]},
        ),
    ],
)
def test_bad_answers_are_refused_at_their_field(change, wrong):
    assert mistakes(FixedDate, {**SAMPLES[0], **change}) == wrong


def test_nothing_filled_in_is_said_for_each():
    assert mistakes(FixedDate, {}) == {
        "date": ["Enter the date"],
        "time": ["Enter the time"],
        "list": ["Choose who should get the messages"],
    }


def test_the_wizards_defaults():
    assert (FixedDate.reentry, FixedDate.asks_wait, FixedDate.one_shot) == ("once", False, True)


def test_it_says_how_the_flow_starts():
    said = FixedDate(SAMPLES[0]).sentence(names)
    assert said == "On 1 December 2026 at 09:00, send everyone on the list 12"
    assert FixedDate(SAMPLES[2]).sentence(names).endswith("send everyone in the segment 5")
    assert FixedDate({}).sentence(names) == "On … at …, send everyone on …"
