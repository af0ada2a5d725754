"""The score of a contact crosses a limit, or is still below one when the waiting time is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Fact, Item
from flowserver.nodes import base
from flowserver.nodes.base import Names, NodeForm, Problem, Trigger, check
from flowserver.nodes.conditions.score_compares import WholeNumber
from flowserver.text import N_, Text

OPERATORS = {
    "gte": N_("reaches or passes"),
    "gt": N_("rises above"),
    "eq": N_("becomes exactly"),
    "lt": N_("is still below"),
}
_SENTENCES = {
    "gte": N_("When the score of a contact reaches or passes %(points)s points"),
    "gt": N_("When the score of a contact rises above %(points)s points"),
    "eq": N_("When the score of a contact becomes exactly %(points)s points"),
    "lt": N_("When the score of a contact is still below %(points)s points"),
}


class Score(Trigger):
    """One comparison for each change of the total. "Still below" is decided at the end of the wait."""

    name = "score"
    title = N_("Contact score")
    icon = "score"
    group = "contact"
    listens_to = ("score_changed", "contact_created")
    offers_existing = True

    class Settings(base.Settings):
        operator = fields.String(
            required=True,
            validate=validate.OneOf(list(OPERATORS), error=N_("Choose how to compare")),
            error_messages={"required": N_("Choose how to compare")},
        )
        points = WholeNumber(required=True)

    class Form(NodeForm):
        operator = wtforms.RadioField(N_("Start when the score"), choices=OPERATORS, default="gte")
        points = wtforms.StringField(
            N_("Points"),
            description=N_("Scores change when contacts open, click, buy or visit, as the score rules say."),
            render_kw={"inputmode": "numeric", "autocomplete": "off"},
        )

    def admits(self, event: Fact) -> bool:
        operator, limit, data = self.settings["operator"], self.settings["points"], event.data or {}
        if event.type == "contact_created":
            return operator == "lt" and limit > 0
        old, new = data.get("old"), data.get("new")
        if not isinstance(old, int) or not isinstance(new, int) or old == new:
            return False
        return {
            "gte": old < limit <= new,
            "gt": old <= limit < new,
            "eq": new == limit,
            "lt": new < limit <= old,
        }[operator]

    def happens(self) -> bool:
        return bool(self.settings["operator"] != "lt")

    def still_holds(self, item: Item) -> bool:
        return self.settings["operator"] != "lt" or item.contact.score < self.settings["points"]

    def existing(self) -> Mapping[str, Any]:
        return {"score": dict(self.settings)}

    def wait_problems(self, wait: Mapping[str, int]) -> list[Problem]:
        if self.settings["operator"] == "lt" and not any(wait.values()):
            return [check(N_("Without a waiting time every new contact starts the flow at once"), "wait")]
        return []

    def sentence(self, names: Names) -> Text:
        sentence = _SENTENCES.get(self.settings.get("operator") or "gte", _SENTENCES["gte"])
        return Text(sentence.msgid, points=self.settings.get("points", "…"))
