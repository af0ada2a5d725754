"""Give points to the contact's loyalty card. They can earn rewards and start other flows; without a card nothing happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields

from flowserver.domain.steps import Context, Go, Item, Outcome
from flowserver.nodes import base
from flowserver.nodes.base import Action, ChoiceOf, Names, NodeForm, Ref, length
from flowserver.nodes.conditions.score_compares import WholeNumber
from flowserver.text import N_, Text


class GivePoints(Action):
    name = "give_points"
    title = N_("Loyalty points")
    icon = "card"
    group = "contact"
    needs = frozenset({"loyalty"})
    reasons = {"no_card": N_("There is no loyalty card of this programme that works")}

    class Settings(base.Settings):
        programme = Ref("programme", required=True, error_messages={"required": N_("Choose the loyalty programme")})
        points = WholeNumber(required=True)
        reason = fields.String(validate=length(120))

        @ma.validates("points")
        def _above_0(self, value: int, **_: Any) -> None:
            if value < 1:
                raise ma.ValidationError(N_("Enter a number of points above 0"))

    class Form(NodeForm):
        programme = ChoiceOf(N_("Loyalty programme"), source="programme")
        points = wtforms.StringField(N_("Points"))
        reason = wtforms.StringField(N_("Reason"), description=N_("Stands in the card's list of movements"))

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        return [self._give(item, ctx) for item in batch]

    def _give(self, item: Item, ctx: Context) -> Outcome:
        programme = self.settings["programme"]
        if programme not in item.contact.cards:
            return Go(skipped="no_card")
        data = {"points": self.settings["points"], "reason": self.settings.get("reason", "")}
        ctx.emit(item, "points_given", str(programme), data)
        return Go()

    def summary(self, names: Names) -> Text:
        programme = names("programme", self.settings.get("programme"))
        return Text(
            "Give %(n)s points on the card of %(programme)s", n=self.settings.get("points", "…"), programme=programme
        )
