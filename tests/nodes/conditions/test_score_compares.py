"""The score compares to a number."""

import pytest

from flowserver.nodes.conditions.score_compares import ScoreCompares

from ..kit import holds, item, mistakes, names, person

SAMPLES = [{"operator": name, "points": 50} for name in ("at_least", "more", "equals", "less")] + [{"points": -3}]


@pytest.mark.parametrize(
    ("operator", "answers"),
    [
        ("at_least", (False, True, True)),
        ("more", (False, False, True)),
        ("equals", (False, True, False)),
        ("less", (True, False, False)),
    ],
)
def test_below_at_and_above(operator, answers):
    asked = [holds(ScoreCompares, {"operator": operator, "points": 50}, person(score=n)) for n in (49, 50, 51)]
    assert tuple(asked) == answers


def test_at_least_is_what_is_meant_when_nothing_is_said():
    assert holds(ScoreCompares, {"points": "50"}, person(score=50))


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({}, "points"),
        ({"points": 1.5}, "points"),
        ({"points": "many"}, "points"),
        ({"points": 1_000_001}, "points"),
        ({"points": 1, "operator": "around"}, "operator"),
    ],
)
def test_bad_settings_are_refused(raw, field):
    assert list(mistakes(ScoreCompares, raw)) == [field]


def test_it_says_what_decided():
    node = ScoreCompares({"operator": "less", "points": 50})
    assert node.facts(item(person(score=7))) == {"score": 7}
    assert node.question(names) == "Score is below 50?"
