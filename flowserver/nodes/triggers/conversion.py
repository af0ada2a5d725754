"""A contact does what a conversion rule of yours counts: it sees a page, places an order, completes a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Names, NodeForm, Ref, Trigger
from flowserver.text import N_, Text


class Conversion(Trigger):
    """Conversion: a record of the rule is written, by the site, a step or a program. Undone in time, nothing starts."""

    name = "conversion"
    title = N_("Conversion")
    icon = "target"
    group = "calendar"
    listens_to = ("converted",)
    revoked_by = ("conversion_undone",)
    reentry = "after_finish"

    class Settings(base.Settings):
        rule = Ref("conversion_rule", required=True, error_messages={"required": N_("Choose the conversion rule")})

    class Form(NodeForm):
        rule = ChoiceOf(N_("Conversion rule"), source="conversion_rule")

    def admits(self, event: Fact) -> bool:
        return event.subject == str(self.settings["rule"])

    def revokes(self, event: Fact, data: Mapping[str, Any]) -> bool:
        undone = (event.data or {}).get("conversion")
        return undone is not None and undone == data.get("conversion")

    def sentence(self, names: Names) -> Text:
        return Text("When a contact completes %(rule)s", rule=names("conversion_rule", self.settings.get("rule")))
