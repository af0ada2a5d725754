"""Buying: any order, one of a certain size, or one with certain goods in it."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.purchase import Purchase

from ..kit import NOW, mistakes, names

SAMPLES = [{}, {"at_least": 50}, {"at_least": 49.9, "product": "Mug", "category": "Kitchen"}]
ORDER = {
    "order": "A-1",
    "amount": 50,
    "items": [
        {"sku": "mug-1", "name": "Mug", "category": "Kitchen"},
        {"name": "Tea", "category": "Drinks"},
        "odd",
        None,
    ],
}


def admits(settings, data):
    return Purchase(Purchase.load(settings)).admits(Fact("purchase", NOW, "A-1", data))


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({}, True),
        ({"at_least": 50}, True),
        ({"at_least": "50,01"}, False),
        ({"product": " mug "}, True),
        ({"product": "MUG-1"}, True),
        ({"product": "Mu"}, False),
        ({"category": "drinks"}, True),
        ({"product": "Tea", "category": "Kitchen"}, False),
        ({"product": "Tea", "category": "Drinks", "at_least": 60}, False),
    ],
)
def test_it_admits_orders_that_are_large_enough_and_contain_the_goods(settings, answer):
    assert admits(settings, ORDER) is answer


def test_an_order_without_goods_or_amount_contains_nothing_and_costs_nothing():
    for data in (None, {}, {"amount": "50", "items": {"name": "Mug"}}, {"amount": True}):
        assert admits({}, data)
        assert not admits({"product": "Mug"}, data)
        assert not admits({"at_least": 1}, data)


@pytest.mark.parametrize(
    ("order", "amount", "undone"), [("A-1", 50, True), ("A-1", 49.99, False), ("A-2", 50, False), ("A-1", None, False)]
)
def test_giving_all_of_it_back_undoes_the_start(order, amount, undone):
    refund = Fact("refund", NOW, order, {"order": order, "amount": amount})
    assert Purchase({}).revokes(refund, ORDER) is undone


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ({"at_least": 0}, {"at_least": ["Enter an amount above 0 and up to 1,000,000,000"]}),
        ({"at_least": "-5"}, {"at_least": ["Enter an amount, like 50 or 49.90"]}),
        ({"at_least": "a lot"}, {"at_least": ["Enter an amount, like 50 or 49.90"]}),
        ({"at_least": 10**10}, {"at_least": ["Enter an amount, like 50 or 49.90"]}),
        ({"product": "x" * 201}, {"product": ["Use 200 characters at most"]}),
        ({"colour": "red"}, {"colour": ["Unknown setting"]}),
    ],
)
def test_bad_answers_are_refused_at_their_field(raw, wrong):
    assert mistakes(Purchase, raw) == wrong


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "When a contact buys something"),
        ({"at_least": 50}, "When a contact buys for 50 or more"),
        ({"category": "Tea"}, "When a contact buys Tea"),
        ({"product": "Mug", "at_least": 20}, "When a contact buys Mug, in an order of 20 or more"),
    ],
)
def test_it_says_how_the_flow_starts(settings, words):
    assert Purchase(settings).sentence(names) == words
