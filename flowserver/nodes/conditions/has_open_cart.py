"""Goods lie in the contact's cart, and nobody has bought them yet."""

from __future__ import annotations

from flowserver.domain.steps import Context, Item
from flowserver.nodes.base import Condition, Names
from flowserver.text import N_, Text


class HasOpenCart(Condition):
    name = "has_open_cart"
    title = N_("Has goods in the cart")
    icon = "cart"
    needs = frozenset({"carts"})

    def holds(self, item: Item, ctx: Context) -> bool:
        return item.contact.open_cart

    def question(self, names: Names) -> Text:
        return Text("Has goods in the cart?")
