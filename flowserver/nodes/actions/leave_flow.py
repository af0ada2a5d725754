"""Take the contact out of another flow, wherever it stands there. What that flow had planned is not sent."""

from __future__ import annotations

from collections.abc import Sequence

from flowserver.domain.steps import Context, Go, Item, Outcome
from flowserver.nodes import base
from flowserver.nodes.base import Action, ChoiceOf, Names, NodeForm, Ref
from flowserver.text import N_, Text


class LeaveFlow(Action):
    name = "leave_flow"
    title = N_("Leave another flow")
    icon = "logout"
    group = "contact"
    reasons = {"left_by_flow": N_("Another flow took the contact out")}

    class Settings(base.Settings):
        flow = Ref("flow", required=True, error_messages={"required": N_("Choose the flow")})

    class Form(NodeForm):
        flow = ChoiceOf(N_("Flow"), source="flow")

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        for item in batch:
            ctx.leave_flow(item, self.settings["flow"])
        return [Go()] * len(batch)

    def summary(self, names: Names) -> Text:
        return Text("Leave the flow %(flow)s", flow=names("flow", self.settings.get("flow")))
