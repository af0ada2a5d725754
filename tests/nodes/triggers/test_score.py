"""A score that crosses a limit."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.base import check
from flowserver.nodes.triggers.score import Score

from ..kit import NOW, item, mistakes, names, person

SAMPLES = [{"operator": "gte", "points": 100}, {"operator": "lt", "points": -5}]


def trigger(operator="gte", points=100):
    return Score(Score.load({"operator": operator, "points": points}))


def fires(operator, old, new, points=100):
    return trigger(operator, points).admits(Fact("score_changed", NOW, "", {"old": old, "new": new}))


@pytest.mark.parametrize(
    ("operator", "starts", "does_not"),
    [
        ("gte", [(99, 100), (0, 250), (95, 105)], [(100, 110), (100, 99), (50, 60), (120, 100)]),
        ("gt", [(100, 101), (99, 101)], [(99, 100), (101, 102), (101, 100)]),
        ("eq", [(90, 100), (110, 100)], [(95, 105), (105, 95), (100, 101)]),
        ("lt", [(100, 99), (250, 0)], [(99, 98), (101, 100), (0, 150)]),
    ],
)
def test_a_change_is_compared_once_old_with_new(operator, starts, does_not):
    assert all(fires(operator, *change) for change in starts)
    assert not any(fires(operator, *change) for change in does_not)


def test_a_change_of_0_points_and_an_odd_event_are_nothing():
    assert not fires("eq", 100, 100) and not fires("gte", None, 100) and not fires("gte", "1", 100)
    assert not trigger().admits(Fact("score_changed", NOW))


def test_the_limit_may_be_below_0():
    assert fires("gte", -10, -5, points=-5) and fires("lt", 0, -6, points=-5)


def test_new_contacts_are_candidates_for_still_below_only():
    created = Fact("contact_created", NOW)
    assert trigger("lt").admits(created) and not trigger("gte", 0).admits(created)
    assert not trigger("lt", 0).admits(created) and not trigger("lt", -5).admits(created)


def test_still_below_is_decided_at_the_end_of_the_wait():
    assert trigger("lt").still_holds(item(person(score=99)))
    assert not trigger("lt").still_holds(item(person(score=100)))
    assert trigger("gte").still_holds(item(person(score=3)))  # it crossed; what it is later does not matter


def test_all_but_still_below_happen_at_a_moment_and_can_be_a_goal():
    assert [trigger(operator).happens() for operator in ("gte", "gt", "eq", "lt")] == [True, True, True, False]


def test_those_who_are_there_already_come_in_only_if_ticked():
    assert Score.offers_existing and not Score.include_existing and Score.reentry == "once"
    assert trigger("gt", 5).existing() == {"score": {"operator": "gt", "points": 5}}


def test_still_below_without_a_wait_deserves_a_look():
    warning = [check("Without a waiting time every new contact starts the flow at once")]
    assert trigger("lt").wait_problems({"days": 0}) == warning
    assert trigger("lt").wait_problems({"days": 30}) == [] == trigger("gte").wait_problems({"days": 0})


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({"points": 5}, {"operator": ["Choose how to compare"]}),
        ({"operator": "above", "points": 5}, {"operator": ["Choose how to compare"]}),
        ({"operator": "gte"}, {"points": ["Enter a whole number"]}),
        ({"operator": "gte", "points": "many"}, {"points": ["Enter a whole number"]}),
        ({"operator": "gte", "points": 1.5}, {"points": ["Enter a whole number"]}),
        ({"operator": "gte", "points": True}, {"points": ["Enter a whole number"]}),
        ({"operator": "gte", "points": 1_000_001}, {"points": ["Use a number between -1,000,000 and 1,000,000"]}),
        ({"operator": "lt", "points": -1_000_001}, {"points": ["Use a number between -1,000,000 and 1,000,000"]}),
    ],
)
def test_bad_answers_are_refused_at_their_field(raw, wrong):
    assert mistakes(Score, raw) == wrong


def test_the_wizard_begins_with_reaches_or_passes():
    assert Score.Form().operator.data == "gte"


def test_it_says_how_the_flow_starts():
    assert trigger("gt", 50).sentence(names) == "When the score of a contact rises above 50 points"
    assert Score({}).sentence(names) == "When the score of a contact reaches or passes … points"
