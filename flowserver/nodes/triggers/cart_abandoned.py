"""A contact left goods in the cart: for 60 minutes nobody changed it and nobody bought. Your shop reports the carts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import wtforms

from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import Amount, Names, NodeForm, Trigger
from flowserver.nodes.goods import amount_of
from flowserver.text import N_, Text


class CartAbandoned(Trigger):
    """Once for each idle time. Buying, or touching the cart again, while the contact waits to start undoes the start."""

    name = "cart_abandoned"
    title = N_("Cart abandoned")
    icon = "cart"
    listens_to = ("cart_abandoned",)
    revoked_by = ("purchase", "cart_updated")
    reentry = "after_finish"
    cooldown: ClassVar[Mapping[str, int] | None] = {"days": 7}
    default_wait: ClassVar[Mapping[str, int]] = {"minutes": 0}
    brings: ClassVar[Mapping[str, Text]] = {
        "url": N_("Address of the cart"),
        "amount": N_("Worth of the cart"),
        "currency": N_("Currency"),
    }

    class Settings(base.Settings):
        at_least = Amount()

    class Form(NodeForm):
        at_least = wtforms.StringField(
            N_("Smallest amount in the cart"),
            description=N_("Leave it empty for carts of any size."),
            render_kw={"inputmode": "decimal"},
        )

    def admits(self, event: Fact) -> bool:
        return amount_of(event.data) >= self.settings.get("at_least", 0)

    def revokes(self, event: Fact, data: Mapping[str, Any]) -> bool:
        about = (event.data or {}).get("cart", "")
        return about == data.get("cart", "") or (event.type == "purchase" and not about)

    def sentence(self, names: Names) -> Text:
        amount = self.settings.get("at_least")
        if amount:
            return Text("When a contact leaves goods for %(at_least)s or more in the cart", at_least=amount)
        return Text("When a contact leaves goods in the cart")
