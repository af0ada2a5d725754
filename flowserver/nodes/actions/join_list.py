"""Add the contact to a list; flows that start with this list see it."""

from __future__ import annotations

from collections.abc import Sequence

from flowserver.domain.steps import Context, Go, Item, Outcome
from flowserver.nodes import base
from flowserver.nodes.base import Action, ChoiceOf, Names, NodeForm, Ref
from flowserver.text import N_, Text


class JoinList(Action):
    name = "join_list"
    title = N_("Add to a list")
    icon = "list"
    group = "contact"
    needs = frozenset({"lists"})
    reasons = {"was_on_it": N_("Was on the list already")}

    class Settings(base.Settings):
        list = Ref("list", required=True, error_messages={"required": N_("Choose the list")})

    class Form(NodeForm):
        list = ChoiceOf(N_("List"), source="list")

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        list_id = self.settings["list"]
        return [Go(skipped=None if ctx.join_list(item, list_id) else "was_on_it") for item in batch]

    def summary(self, names: Names) -> Text:
        return Text("Add to the list “%(list)s”", list=names("list", self.settings.get("list")))
