"""The contact's score compares to a number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Context, Item
from flowserver.nodes import base
from flowserver.nodes.base import Condition, Names, NodeForm
from flowserver.text import N_, Text

_SENTENCES = {
    "at_least": N_("Score is at least %(points)s?"),
    "more": N_("Score is above %(points)s?"),
    "equals": N_("Score is %(points)s?"),
    "less": N_("Score is below %(points)s?"),
}


class WholeNumber(fields.Field[int]):
    """A whole number from -1,000,000 to 1,000,000, typed as a number or as digits. Fractions are refused, not cut off."""

    default_error_messages = dict.fromkeys(("invalid", "required", "null"), N_("Enter a whole number"))

    def __init__(self, **kwargs: Any):
        limits = validate.Range(-1_000_000, 1_000_000, error=N_("Use a number between -1,000,000 and 1,000,000"))
        super().__init__(validate=limits, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,40}", value.strip()):
            return int(value)
        raise self.make_error("invalid")


class ScoreCompares(Condition):
    name = "score_compares"
    title = N_("Score")
    icon = "score"

    class Settings(base.Settings):
        operator = fields.String(
            load_default="at_least",
            validate=validate.OneOf(list(_SENTENCES), error=N_("Choose how to compare")),
        )
        points = WholeNumber(required=True)

    class Form(NodeForm):
        operator = wtforms.SelectField(
            N_("Score"),
            choices={
                "at_least": N_("is at least"),
                "more": N_("is above"),
                "equals": N_("is"),
                "less": N_("is below"),
            },
        )
        points = wtforms.StringField(N_("Points"))

    def holds(self, item: Item, ctx: Context) -> bool:
        score, points = item.contact.score, self.settings["points"]
        return {
            "at_least": score >= points,
            "more": score > points,
            "equals": score == points,
            "less": score < points,
        }[self.settings["operator"]]

    def facts(self, item: Item) -> Mapping[str, Any]:
        return {"score": item.contact.score}

    def question(self, names: Names) -> Text:
        sentence = _SENTENCES[self.settings.get("operator") or "at_least"]
        return Text(sentence.msgid, points=self.settings.get("points", ""))
