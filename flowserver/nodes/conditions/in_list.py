"""The contact is on a list."""

from __future__ import annotations

from flowserver.domain.steps import Context, Item
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Condition, Names, NodeForm, Ref
from flowserver.text import N_, Text


class InList(Condition):
    name = "in_list"
    title = N_("Is on a list")
    icon = "list"
    needs = frozenset({"lists"})

    class Settings(base.Settings):
        list = Ref("list", required=True, error_messages={"required": N_("Choose the list")})

    class Form(NodeForm):
        list = ChoiceOf(N_("List"), source="list")

    def holds(self, item: Item, ctx: Context) -> bool:
        return self.settings["list"] in item.contact.lists

    def question(self, names: Names) -> Text:
        return Text("Is on the list “%(list)s”?", list=names("list", self.settings.get("list")))
