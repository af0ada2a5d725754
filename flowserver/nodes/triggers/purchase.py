"""A contact buys something. Your shop reports the purchase; its order, amount and goods can stand in the messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import wtforms
from marshmallow import fields

from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import Amount, Names, NodeForm, Trigger, length
from flowserver.nodes.goods import amount_of, contains
from flowserver.text import N_, Text


class Purchase(Trigger):
    """Once for each order. Giving all of it back while the contact still waits to start undoes the start."""

    name = "purchase"
    title = N_("Purchase")
    icon = "bag"
    listens_to = ("purchase",)
    revoked_by = ("refund",)
    reentry = "after_finish"
    default_wait: ClassVar[Mapping[str, int]] = {"minutes": 0}
    brings: ClassVar[Mapping[str, Text]] = {
        "order": N_("Order"),
        "amount": N_("Amount of the purchase"),
        "currency": N_("Currency"),
    }

    class Settings(base.Settings):
        at_least = Amount()
        product = fields.String(validate=length(200))
        category = fields.String(validate=length(200))

    class Form(NodeForm):
        at_least = wtforms.StringField(
            N_("Smallest amount"),
            description=N_("Leave it empty for purchases of any size."),
            render_kw={"inputmode": "decimal"},
        )
        product = wtforms.StringField(
            N_("Product"), description=N_("Its name or number, as the shop reports it. Empty means any product.")
        )
        category = wtforms.StringField(N_("Category"), description=N_("Empty means any category."))

    def admits(self, event: Fact) -> bool:
        data = event.data or {}
        wanted = self.settings.get("product", ""), self.settings.get("category", "")
        return amount_of(data) >= self.settings.get("at_least", 0) and contains(data.get("items"), *wanted)

    def revokes(self, event: Fact, data: Mapping[str, Any]) -> bool:
        return event.subject == str(data.get("order", "")) and amount_of(event.data) >= amount_of(data)

    def sentence(self, names: Names) -> Text:
        amount, category = self.settings.get("at_least"), self.settings.get("category")
        product = self.settings.get("product") or category
        if product and amount:
            return Text(
                "When a contact buys %(product)s, in an order of %(at_least)s or more", product=product, at_least=amount
            )
        if product:
            return Text("When a contact buys %(product)s", product=product)
        if amount:
            return Text("When a contact buys for %(at_least)s or more", at_least=amount)
        return Text("When a contact buys something")
