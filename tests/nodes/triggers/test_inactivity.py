"""No activity for some days: when it looks, whom it asks for."""

from datetime import UTC, datetime, timedelta

import pytest

from flowserver.nodes.triggers.inactivity import Inactivity

from ..kit import NOW, ROME, mistakes, names

SAMPLES = [{"days": 90, "time": "09:00"}, {"days": 1, "time": "23:59"}]


def test_it_looks_once_a_day():
    trigger = Inactivity(SAMPLES[0])
    assert trigger.next_time(NOW, ROME) == datetime(2026, 5, 5, 7, 0, tzinfo=UTC)


def test_it_asks_for_those_who_crossed_the_line_since_the_last_look():
    moment = datetime(2026, 5, 5, 7, 0, tzinfo=UTC)
    assert Inactivity(SAMPLES[0]).audience(moment, moment - timedelta(days=2), ROME) == {
        "idle": {"days": 90, "since": "2026-05-03T07:00:00+00:00", "until": "2026-05-05T07:00:00+00:00"}
    }
    assert Inactivity(SAMPLES[0]).existing() == {"idle": {"days": 90}}


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"days": ["Enter the days as a whole number"]}),
        ({"days": "many"}, {"days": ["Enter the days as a whole number"]}),
        ({"days": True}, {"days": ["Enter the days as a whole number"]}),
        ({"days": 0}, {"days": ["Enter 1 to 3650 days"]}),
        ({"days": 4000}, {"days": ["Enter 1 to 3650 days"]}),
        ({"days": 9, "time": ""}, {"time": ["Enter a time such as 09:00"]}),
    ],
)
def test_bad_answers_are_refused_at_their_field(raw, wrong):
    assert mistakes(Inactivity, raw) == wrong


def test_it_says_how_the_flow_starts():
    assert Inactivity(SAMPLES[0]).sentence(names) == "When a contact has shown no activity for 90 days"
