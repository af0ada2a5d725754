"""The contact has an e-mail address that has not bounced."""

from __future__ import annotations

from flowserver.domain.steps import Context, Item
from flowserver.nodes.base import Condition, Names
from flowserver.text import N_, Text


class HasEmail(Condition):
    name = "has_email"
    title = N_("Has an e-mail address")
    icon = "mail"

    def holds(self, item: Item, ctx: Context) -> bool:
        return bool(item.contact.email) and item.contact.status != "bounced"

    def question(self, names: Names) -> Text:
        return Text("Has an e-mail address?")
