"""Buying since entering the flow, or within some days: orders, amounts, goods."""

from datetime import timedelta

import pytest

from flowserver.domain.steps import Bought as Order
from flowserver.nodes.conditions.bought import Bought

from ..kit import NOW, holds, mistakes, names, person

SAMPLES = [{}, {"since": "days", "days": 90, "orders": 2, "amount": 300, "category": "Kitchen"}]
BUYER = person(
    purchases=[
        Order(NOW - timedelta(days=100), 500, "EUR", [{"category": "Kitchen"}]),
        Order(NOW - timedelta(days=10), 40, "EUR", [{"category": "Kitchen"}]),
        Order(NOW - timedelta(days=2), 20, "EUR", [{"category": "Garden"}]),
        Order(NOW - timedelta(days=1), 30, "PLN", []),
    ]
)


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"since": "days", "days": 1}, False),
        ({"since": "days", "days": 2}, True),
        ({"since": "days", "days": 30, "orders": 3}, True),
        ({"since": "days", "days": 30, "orders": 4}, False),
        ({"since": "days", "days": 30, "amount": 60}, True),
        ({"since": "days", "days": 30, "amount": 60.01}, False),
        ({"since": "days", "days": 101, "amount": 560}, True),
        ({"since": "days", "days": 5, "category": "garden"}, True),
        ({"since": "days", "days": 5, "category": "Kitchen"}, False),
    ],
)
def test_it_counts_what_was_bought_within_the_days(settings, answer):
    assert holds(Bought, settings, BUYER) is answer


@pytest.mark.parametrize(("began", "answer"), [(3, True), (1.5, True), (1, False), (0, False), (None, False)])
def test_since_entering_means_after_what_started_the_run(began, answer):
    at = None if began is None else NOW - timedelta(days=began)
    assert holds(Bought, {}, BUYER, triggered_at=at) is answer


def test_who_bought_nothing_did_not_buy():
    assert not holds(Bought, {"since": "days", "days": 365}, person())


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({"since": "ever"}, {"since": ["Choose since when"]}),
        ({"since": "days"}, {"days": ["Enter 1 to 365 days"]}),
        ({"since": "days", "days": 0}, {"days": ["Enter 1 to 365 days"]}),
        ({"since": "days", "days": "x"}, {"days": ["Enter 1 to 365 days"]}),
        ({"days": 5}, {"days": ["Choose “within the last days” to name days"]}),
        ({"orders": 0}, {"orders": ["Enter 1 to 1,000 orders"]}),
        ({"amount": "-1"}, {"amount": ["Enter an amount, like 50 or 49.90"]}),
    ],
)
def test_bad_answers_are_refused_at_their_field(raw, wrong):
    assert mistakes(Bought, raw) == wrong


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "Has bought since entering the flow?"),
        ({"since": "days", "days": 90}, "Has bought within 90 days?"),
        ({"since": "entry", "category": "Tea"}, "Has bought Tea since entering the flow?"),
        ({"since": "days", "days": 90, "category": "Tea"}, "Has bought Tea within 90 days?"),
    ],
)
def test_the_question(settings, words):
    assert Bought(settings).question(names) == words
