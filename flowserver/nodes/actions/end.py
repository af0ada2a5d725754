"""Leave the flow here, with a label for the report and whether that is good or bad."""

from __future__ import annotations

from collections.abc import Sequence

import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Context, Item, Leave, Outcome
from flowserver.nodes import base
from flowserver.nodes.base import Action, Names, NodeForm, length
from flowserver.text import N_, Text

OUTCOMES = [("positive", N_("Positive")), ("neutral", N_("Neutral")), ("negative", N_("Negative"))]


class End(Action):
    name = "end"
    title = N_("Leave the flow")
    icon = "end"
    group = "decisions"
    ports = ()

    class Settings(base.Settings):
        label = fields.String(validate=length(60))
        outcome = fields.String(
            validate=validate.OneOf([name for name, _ in OUTCOMES], error=N_("Choose positive, neutral or negative"))
        )

    class Form(NodeForm):
        label = wtforms.StringField(N_("Label for the report"), description=N_("For example “welcomed”"))
        outcome = wtforms.RadioField(N_("How it ended"), choices=dict(OUTCOMES), default="neutral")

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        leave = Leave("end_step", self.settings.get("label"), self.settings.get("outcome"))
        return [leave] * len(batch)

    def summary(self, names: Names) -> str:
        label = self.settings.get("label")
        return Text("Leave the flow: %(label)s", label=label) if label else self.title
