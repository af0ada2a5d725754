"""Dates of the contact: on the day, before, after, each year or once."""

from datetime import UTC, datetime, timedelta

import pytest

from flowserver.nodes.triggers.date_field import DateField

from ..kit import NOW, ROME, mistakes, names

SAMPLES = [
    {"field": "birthday", "when": "on", "time": "09:00", "every": "year"},
    {"field": "birthday", "when": "before", "days": 3, "time": "08:30", "every": "year"},
    {"field": "contract_end", "when": "after", "days": 365, "time": "09:00", "every": "once"},
]


def made(**given):
    return DateField(DateField.load({"field": "birthday", **given}))


def asked(moment, **given):
    return made(**given).audience(moment, moment - timedelta(days=1), ROME)["date"]


def test_it_comes_every_day_at_its_time_through_summer_and_winter():
    trigger = made(time="09:00")
    assert trigger.next_time(NOW, ROME) == datetime(2026, 5, 5, 7, 0, tzinfo=UTC)
    assert trigger.next_time(datetime(2026, 5, 5, 7, 0, tzinfo=UTC), ROME) == datetime(2026, 5, 6, 7, 0, tzinfo=UTC)
    assert trigger.next_time(datetime(2026, 10, 24, 12, 0, tzinfo=UTC), ROME) == datetime(
        2026, 10, 25, 8, 0, tzinfo=UTC
    )


def test_it_asks_for_the_day_that_is_that_far_away():
    moment = datetime(2026, 5, 5, 7, 0, tzinfo=UTC)
    assert asked(moment) == {"field": "birthday", "day": "2026-05-05", "yearly": True}
    assert asked(moment, when="before", days=3)["day"] == "2026-05-08"
    assert asked(moment, when="after", days=30, every="once") == {
        "field": "birthday",
        "day": "2026-04-05",
        "yearly": False,
    }


def test_the_day_is_that_of_the_clients_zone():
    assert asked(datetime(2026, 5, 4, 22, 30, tzinfo=UTC), time="00:30")["day"] == "2026-05-05"


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({"field": None}, {"field": ["Fill this in, or leave it out"]}),
        ({"when": "soon"}, {"when": ["Choose on the day, before it or after it"]}),
        ({"when": "before"}, {"days": ["Enter the days as a whole number"]}),
        ({"when": "before", "days": "x"}, {"days": ["Enter the days as a whole number"]}),
        ({"when": "before", "days": -1}, {"days": ["Enter the days as a whole number"]}),
        ({"when": "before", "days": 1.5}, {"days": ["Enter the days as a whole number"]}),
        ({"when": "before", "days": 0}, {"days": ["Enter 1 to 365 days"]}),
        ({"when": "after", "days": "366"}, {"days": ["Enter 1 to 365 days"]}),
        ({"when": "on", "days": 3}, {"days": ["Choose before or after to name days"]}),
        ({"time": "noon"}, {"time": ["Enter a time such as 09:00"]}),
        ({"every": "month"}, {"every": ["Choose every year or once"]}),
    ],
)
def test_bad_answers_are_refused_at_their_field(raw, wrong):
    assert mistakes(DateField, {"field": "birthday", **raw}) == wrong


def test_the_form_sends_days_only_where_they_count():
    form = DateField.Form(data={"field": "birthday", "when": "on", "days": "3", "time": "09:00", "every": "year"})
    assert "days" not in form.to_settings()


def test_it_says_how_the_flow_starts():
    assert DateField(SAMPLES[0]).sentence(names) == "Each year on the date birthday, at 09:00"
    assert DateField(SAMPLES[2]).sentence(names) == "365 days after the date contract_end, at 09:00"
