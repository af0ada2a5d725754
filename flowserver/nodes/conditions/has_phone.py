"""The contact has a mobile number."""

from __future__ import annotations

from flowserver.domain.steps import Context, Item
from flowserver.nodes.base import Condition, Names
from flowserver.text import N_, Text


class HasPhone(Condition):
    name = "has_phone"
    title = N_("Has a mobile number")
    icon = "sms"

    def holds(self, item: Item, ctx: Context) -> bool:
        return bool(item.contact.phone)

    def question(self, names: Names) -> Text:
        return Text("Has a mobile number?")
