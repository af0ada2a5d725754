"""Goods in the cart."""

from flowserver.nodes.conditions.has_open_cart import HasOpenCart

from ..kit import holds, names, person

SAMPLES = [{}]


def test_yes_while_a_cart_is_open_or_abandoned():
    assert holds(HasOpenCart, {}, person(open_cart=True))
    assert not holds(HasOpenCart, {}, person())


def test_the_question():
    assert HasOpenCart({}).question(names) == "Has goods in the cart?"
