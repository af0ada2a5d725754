"""Take the contact off a list."""

from __future__ import annotations

from collections.abc import Sequence

from flowserver.domain.steps import Context, Go, Item, Outcome
from flowserver.nodes import base
from flowserver.nodes.base import Action, ChoiceOf, Names, NodeForm, Ref
from flowserver.text import N_, Text


class LeaveList(Action):
    name = "leave_list"
    title = N_("Remove from a list")
    icon = "list"
    group = "contact"
    needs = frozenset({"lists"})
    reasons = {"was_not_on_it": N_("Was not on the list")}

    class Settings(base.Settings):
        list = Ref("list", required=True, error_messages={"required": N_("Choose the list")})

    class Form(NodeForm):
        list = ChoiceOf(N_("List"), source="list")

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        list_id = self.settings["list"]
        return [Go(skipped=None if ctx.leave_list(item, list_id) else "was_not_on_it") for item in batch]

    def summary(self, names: Names) -> Text:
        return Text("Remove from the list “%(list)s”", list=names("list", self.settings.get("list")))
