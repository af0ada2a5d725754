"""The contact has a loyalty card with at least so many points. Whoever has no card answers no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
import wtforms

from flowserver.domain.steps import Context, Item
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Condition, Names, NodeForm, Ref
from flowserver.nodes.conditions.score_compares import WholeNumber
from flowserver.text import N_, Text


class CardPoints(Condition):
    name = "card_points"
    title = N_("Points on the loyalty card")
    icon = "card"
    needs = frozenset({"loyalty"})

    class Settings(base.Settings):
        points = WholeNumber(required=True)
        programme = Ref("programme")

        @ma.validates("points")
        def _not_below_0(self, value: int, **_: Any) -> None:
            if value < 0:
                raise ma.ValidationError(N_("Enter 0, to ask for a card only, or a number above it"))

    class Form(NodeForm):
        points = wtforms.StringField(N_("At least so many points"), description=N_("0 asks whether there is a card."))
        programme = ChoiceOf(N_("Loyalty programme"), source="programme", none=N_("Any programme"))

    def holds(self, item: Item, ctx: Context) -> bool:
        balance = self._balance(item)
        return balance is not None and balance >= self.settings["points"]

    def _balance(self, item: Item) -> int | None:
        programme = self.settings.get("programme")
        if programme is not None:
            return item.contact.cards.get(programme)
        return max(item.contact.cards.values(), default=None)

    def facts(self, item: Item) -> Mapping[str, Any]:
        return {"points": self._balance(item)}

    def question(self, names: Names) -> Text:
        points, programme = self.settings.get("points", "…"), self.settings.get("programme")
        if programme is None:
            return Text("Has at least %(points)s points on a loyalty card?", points=points)
        words = N_("Has at least %(points)s points on the card of “%(programme)s”?")
        return Text(words.msgid, points=points, programme=names("programme", programme))
