"""Giving loyalty points from a step."""

import pytest

from flowserver.domain.steps import Go
from flowserver.nodes.actions.give_points import GivePoints

from ..kit import context, decide, item, mistakes, names, person

SAMPLES = [{"programme": 3, "points": 20}, {"programme": "Club", "points": "5", "reason": "Thank you"}]


def test_it_asks_for_points_on_the_card_of_the_programme():
    ctx = context()
    one = item(person(cards={3: 10}))
    assert decide(GivePoints, {"programme": 3, "points": 20}, one, ctx) == Go()
    ((_, contact, type, subject, _, _, data, *_),) = ctx.wishes.events
    assert (contact, type, subject, data["points"]) == (1, "points_given", "3", 20)


def test_without_a_card_of_the_programme_it_goes_on():
    ctx = context()
    assert decide(GivePoints, {"programme": 3, "points": 20}, item(person(cards={4: 10})), ctx) == Go(skipped="no_card")
    assert ctx.wishes.events == []


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"programme": ["Choose the loyalty programme"], "points": ["Enter a whole number"]}),
        ({"programme": 3, "points": 0}, {"points": ["Enter a number of points above 0"]}),
        ({"programme": 3, "points": -5}, {"points": ["Enter a number of points above 0"]}),
        ({"programme": 3, "points": 5, "reason": "x" * 121}, {"reason": ["Use 120 characters at most"]}),
    ],
)
def test_bad_settings_are_refused_at_their_field(raw, wrong):
    assert mistakes(GivePoints, raw) == wrong


def test_it_says_what_it_does():
    assert GivePoints({"programme": 3, "points": 20}).summary(names) == "Give 20 points on the card of the programme 3"
