"""The contact has met a conversion rule at least once, and the conversion was not undone."""

from __future__ import annotations

from flowserver.domain.steps import Context, Item
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Condition, Names, NodeForm, Ref
from flowserver.text import N_, Text


class ConversionDone(Condition):
    name = "conversion_done"
    title = N_("Has converted")
    icon = "target"
    needs = frozenset({"conversions"})

    class Settings(base.Settings):
        rule = Ref("conversion_rule", required=True, error_messages={"required": N_("Choose the conversion rule")})

    class Form(NodeForm):
        rule = ChoiceOf(N_("Conversion rule"), source="conversion_rule")

    def holds(self, item: Item, ctx: Context) -> bool:
        return self.settings["rule"] in item.contact.converted

    def question(self, names: Names) -> Text:
        return Text("Has completed “%(rule)s”?", rule=names("conversion_rule", self.settings.get("rule")))
