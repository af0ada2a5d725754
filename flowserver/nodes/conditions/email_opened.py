"""An earlier e-mail of this flow was opened by the contact. Asked once, at this point; opens by machines do not count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowserver.domain.steps import Context, Item
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Condition, Names, NodeForm, Problem, Ref, fix
from flowserver.text import N_, Text


class EmailOpened(Condition):
    name = "email_opened"
    title = N_("An earlier e-mail was opened")
    icon = "mail"
    needs = frozenset({"messages"})

    class Settings(base.Settings):
        of = Ref("step", required=True, error_messages={"required": N_("Choose which e-mail")})

    class Form(NodeForm):
        of = ChoiceOf(N_("Which e-mail"), source="step")

    def holds(self, item: Item, ctx: Context) -> bool:
        sent = item.messages.get(self.settings["of"])
        return sent is not None and sent.opened_at is not None

    def facts(self, item: Item) -> Mapping[str, Any]:
        sent = item.messages.get(self.settings["of"])
        return {"message": sent.state if sent else "none"}

    def question(self, names: Names) -> Text:
        return Text("Did the contact open “%(step)s”?", step=names("step", self.settings.get("of")))

    def problems(self, before: Sequence[Any]) -> list[Problem]:
        if self.settings.get("of") in {step.key for step in before if step.node.sends == "email"}:
            return []
        return [fix(N_("The e-mail it asks about does not come before this step"), "of")]
