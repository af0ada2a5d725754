"""Durations as people write them."""

from datetime import timedelta

import pytest

from flowserver.domain import duration
from flowserver.errors import Invalid


@pytest.mark.parametrize(
    ("raw", "length", "words"),
    [
        ({"minutes": 0}, timedelta(0), "0 minutes"),
        ({"minutes": 1}, timedelta(minutes=1), "1 minute"),
        ({"hours": 1}, timedelta(hours=1), "1 hour"),
        ({"days": 3}, timedelta(days=3), "3 days"),
        ({"minutes": 525_600}, timedelta(days=365), "525600 minutes"),
        ({"days": 365}, timedelta(days=365), "365 days"),
    ],
)
def test_one_unit_up_to_a_year(raw, length, words):
    assert duration.parse(raw) == length
    assert duration.words(raw) == words


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"days": -1}, "The waiting time cannot be below 0"),
        ({"days": 366}, "The waiting time can be 365 days at most"),
        ({"minutes": 525_601}, "The waiting time can be 365 days at most"),
        ({"minutes": 10**400}, "The waiting time can be 365 days at most"),
        ({"days": 1.0}, "Enter the waiting time as a whole number"),
        ({"days": float("nan")}, "Enter the waiting time as a whole number"),
        ({"days": "1"}, "Enter the waiting time as a whole number"),
        ({"days": False}, "Enter the waiting time as a whole number"),
        ({"days": [1]}, "Enter the waiting time as a whole number"),
        ({"fortnights": 1}, "Name exactly one of minutes, hours or days"),
        ({"Days": 1}, "Name exactly one of minutes, hours or days"),
        ({"days": 1, "hours": 0}, "Name exactly one of minutes, hours or days"),
        ({}, "Name exactly one of minutes, hours or days"),
        (None, "Name exactly one of minutes, hours or days"),
        ([("days", 1)], "Name exactly one of minutes, hours or days"),
        ({None: 1}, "Name exactly one of minutes, hours or days"),
    ],
)
def test_anything_else_is_named(raw, words):
    with pytest.raises(Invalid) as error:
        duration.parse(raw)
    assert error.value.messages == {"_": [words]}


def test_words_can_be_translated():
    assert (duration.words({"days": 2}).msgid, duration.words({"days": 2}).params) == ("%(n)s days", {"n": 2})
