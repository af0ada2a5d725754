"""Go to another flow: it starts for the contact by its own rules of who may enter. Then this flow ends or goes on."""

from __future__ import annotations

from collections.abc import Sequence

import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Context, Go, Item, Leave, Outcome
from flowserver.nodes import base
from flowserver.nodes.base import Action, ChoiceOf, Names, NodeForm, Ref
from flowserver.text import N_, Text

LONGEST_CHAIN = 10  # flows that start each other (services/engine/enrollment.py)


class StartFlow(Action):
    name = "start_flow"
    title = N_("Go to another flow")
    icon = "merge"
    group = "contact"
    reasons = {
        "handed_on": N_("Went on to another flow"),
        "came_from_there": N_("The contact came from that flow, and a flow does not start itself"),
        "chain_too_long": N_("Too many flows had started each other"),
    }

    class Settings(base.Settings):
        flow = Ref("flow", required=True, error_messages={"required": N_("Choose the flow")})
        after = fields.String(
            load_default="end",
            validate=validate.OneOf(["end", "go_on"], error=N_("Choose whether this flow ends or goes on")),
        )

    class Form(NodeForm):
        flow = ChoiceOf(N_("Flow"), source="flow")
        after = wtforms.RadioField(
            N_("And this flow"),
            choices={"end": N_("Ends for the contact"), "go_on": N_("Goes on with the next step")},
            default="end",
        )

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        return [self._start(item, ctx) for item in batch]

    def _start(self, item: Item, ctx: Context) -> Outcome:
        chain = [*item.data.get("chain", ()), item.flow_id]
        if self.settings["flow"] in chain:
            return Go(skipped="came_from_there")
        if len(chain) > LONGEST_CHAIN:
            return Go(skipped="chain_too_long")
        ctx.emit(item, "handed_over", str(self.settings["flow"]), {"start": "flow"})
        return Leave("handed_on") if self.settings["after"] == "end" else Go()

    def summary(self, names: Names) -> Text:
        return Text("Go to the flow %(flow)s", flow=names("flow", self.settings.get("flow")))
