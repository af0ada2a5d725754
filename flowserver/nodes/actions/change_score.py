"""Add points to the contact's score, or take some off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields

from flowserver.domain.steps import Context, Go, Item, Outcome
from flowserver.nodes import base
from flowserver.nodes.base import Action, Names, NodeForm, length
from flowserver.nodes.conditions.score_compares import WholeNumber
from flowserver.text import N_, Text


class ChangeScore(Action):
    name = "change_score"
    title = N_("Score")
    icon = "score"
    group = "contact"

    class Settings(base.Settings):
        points = WholeNumber(required=True)
        reason = fields.String(validate=length(120))

        @ma.validates("points")
        def _not_zero(self, value: int, **_: Any) -> None:
            if value == 0:
                raise ma.ValidationError(N_("Enter a number other than 0"))

    class Form(NodeForm):
        points = wtforms.StringField(N_("Points"), description=N_("A number below 0 takes points off"))
        reason = wtforms.StringField(N_("Reason"), description=N_("Shown in the contact's history"))

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        points, reason = self.settings["points"], self.settings.get("reason", "")
        for item in batch:
            ctx.change_score(item, points, reason)
        return [Go()] * len(batch)

    def summary(self, names: Names) -> Text:
        points = self.settings.get("points", 0)
        if points < 0:
            return Text("Take off %(n)s points", n=-points)
        return Text("Add %(n)s points", n=points)
