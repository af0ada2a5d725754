"""An abandoned cart: of any size or a certain one; buying or touching it again undoes a start that waits."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.cart_abandoned import CartAbandoned

from ..kit import NOW, mistakes, names

SAMPLES = [{}, {"at_least": 25}]


@pytest.mark.parametrize(("amount", "answer"), [(25, True), (24.99, False), (None, False)])
def test_it_admits_carts_that_are_large_enough(amount, answer):
    fact = Fact("cart_abandoned", NOW, "c-1", {"cart": "c-1", "amount": amount})
    assert CartAbandoned(CartAbandoned.load({"at_least": 25})).admits(fact) is answer
    assert CartAbandoned({}).admits(fact)


@pytest.mark.parametrize(
    ("type", "data", "undone"),
    [
        ("purchase", {"order": "A"}, True),
        ("purchase", {"order": "A", "cart": "c-1"}, True),
        ("purchase", {"order": "A", "cart": "c-2"}, False),
        ("cart_updated", {"cart": "c-1"}, True),
        ("cart_updated", {"cart": "c-2"}, False),
        ("cart_updated", {}, False),
    ],
)
def test_buying_or_touching_the_cart_again_undoes_the_start(type, data, undone):
    assert CartAbandoned({}).revokes(Fact(type, NOW, "", data), {"cart": "c-1"}) is undone


def test_its_defaults_leave_people_in_peace_for_a_week():
    assert (CartAbandoned.reentry, CartAbandoned.cooldown) == ("after_finish", {"days": 7})


def test_bad_answers_are_refused_at_their_field():
    assert mistakes(CartAbandoned, {"at_least": "x"}) == {"at_least": ["Enter an amount, like 50 or 49.90"]}


def test_it_says_how_the_flow_starts():
    assert CartAbandoned({}).sentence(names) == "When a contact leaves goods in the cart"
    words = "When a contact leaves goods for 25 or more in the cart"
    assert CartAbandoned({"at_least": 25}).sentence(names) == words
