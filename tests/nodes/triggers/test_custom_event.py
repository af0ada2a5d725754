"""Events under a word of their own, perhaps with a certain value."""

import pytest

from flowserver.domain.steps import EVENTS, Fact
from flowserver.nodes.triggers.custom_event import CustomEvent

from ..kit import NOW, mistakes, names

SAMPLES = [{"event": "test_drive_booked"}, {"event": "order.paid", "property": "plan", "value": "pro"}]
PLAN = {"event": "upgraded", "property": "plan", "value": "Pro"}


@pytest.mark.parametrize(
    ("settings", "type", "data", "answer"),
    [
        ({"event": "upgraded"}, "upgraded", None, True),
        ({"event": "upgraded"}, "upgrade", None, False),
        (PLAN, "upgraded", {"plan": " pro "}, True),
        (PLAN, "upgraded", {"plan": "free"}, False),
        (PLAN, "upgraded", {}, False),
        (PLAN, "upgraded", None, False),
        (PLAN, "upgraded", {"plan": ["Pro"]}, False),
        ({**PLAN, "value": "12"}, "upgraded", {"plan": 12.0}, True),
        ({**PLAN, "value": "yes"}, "upgraded", {"plan": True}, True),
        ({**PLAN, "value": False}, "upgraded", {"plan": False}, True),
    ],
)
def test_it_admits_its_word_and_its_value(settings, type, data, answer):
    assert CustomEvent(CustomEvent.load(settings)).admits(Fact(type, NOW, "", data)) is answer


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({}, {"event": ["Enter the word the event is reported under"]}),
        ({"event": "Test drive"}, {"event": ["Write a word of small letters, digits, _ and ., like order_paid"]}),
        ({"event": "x" * 61}, {"event": ["Write a word of small letters, digits, _ and ., like order_paid"]}),
        ({"event": "x", "property": "plan"}, {"value": ["Enter the value to compare with"]}),
        ({"event": "x", "value": "pro"}, {"property": ["Enter which property has this value"]}),
        ({"event": "x", "property": "plan", "value": [1]}, {"value": ["Write one value, not a list or an object"]}),
    ],
)
def test_bad_answers_are_refused_at_their_field(raw, wrong):
    assert mistakes(CustomEvent, raw) == wrong


@pytest.mark.parametrize("word", sorted(EVENTS))
def test_a_word_of_ours_has_a_starting_point_of_its_own(word):
    words = "This event has a starting point of its own, or is one of ours"
    assert mistakes(CustomEvent, {"event": word}) == {"event": [words]}


def test_it_says_how_the_flow_starts():
    assert CustomEvent({"event": "upgraded"}).sentence(names) == "When upgraded is reported for a contact"
    assert CustomEvent(PLAN).sentence(names) == "When upgraded is reported for a contact with plan = Pro"
