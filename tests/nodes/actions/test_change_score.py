"""Points on and off."""

import pytest

from flowserver.domain.steps import Go
from flowserver.nodes.actions.change_score import ChangeScore

from ..kit import NOW, context, decide, item, mistakes, names, person

SAMPLES = [{"points": 10, "reason": "Clicked"}, {"points": -5}]


def test_points_go_into_the_ledger_and_the_total():
    ctx, one = context(), item(person(score=95))
    assert decide(ChangeScore, {"points": 10, "reason": "Clicked"}, one, ctx) == Go()
    assert one.contact.score == 105
    assert ctx.wishes.score == [(1, 1, 10, "Clicked", NOW, NOW)]
    assert ctx.wishes.events[0][6] == {"old": 95, "new": 105, "chain": [7]}


def test_a_score_may_go_below_nothing():
    one = item(person(score=3))
    decide(ChangeScore, {"points": "-5"}, one)
    assert one.contact.score == -2


def test_without_anybody_who_listens_there_is_no_event():
    ctx = context(heard=frozenset())
    decide(ChangeScore, {"points": 1}, item(), ctx)
    assert ctx.wishes.score and not ctx.wishes.events


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (None, "Enter a whole number"),
        ("", "Enter a whole number"),
        ("ten", "Enter a whole number"),
        (3.5, "Enter a whole number"),
        ("3.5", "Enter a whole number"),
        (True, "Enter a whole number"),
        ("²", "Enter a whole number"),
        (0, "Enter a number other than 0"),
        ("0", "Enter a number other than 0"),
        (1_000_001, "Use a number between -1,000,000 and 1,000,000"),
        ("-1000001", "Use a number between -1,000,000 and 1,000,000"),
        (10**30, "Use a number between -1,000,000 and 1,000,000"),
    ],
)
def test_bad_points_are_refused_not_rounded(points, words):
    assert mistakes(ChangeScore, {"points": points}) == {"points": [words]}


def test_a_long_reason_is_refused():
    assert mistakes(ChangeScore, {"points": 1, "reason": "x" * 121}) == {"reason": ["Use 120 characters at most"]}


def test_it_says_what_it_does():
    assert ChangeScore({"points": 10}).summary(names) == "Add 10 points"
    assert ChangeScore({"points": -5}).summary(names) == "Take off 5 points"
