"""Count a conversion of the contact, by a rule that is recorded by steps. It can start other flows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields

from flowserver.domain import coupons
from flowserver.domain.steps import Context, Go, Item, Outcome
from flowserver.errors import Invalid, flat
from flowserver.nodes import base
from flowserver.nodes.base import Action, ChoiceOf, Names, NodeForm, Ref
from flowserver.text import N_, Text


class Amount(fields.Field[Any]):
    """An amount of money, 0 or more: kept as it is written, ``"12.50"``."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        try:
            if not isinstance(value, str | int | float) or isinstance(value, bool):
                raise Invalid(N_("Write an amount like 12.50"))
            amount = coupons.amount(value)
        except Invalid as error:
            raise ma.ValidationError(flat(error.messages)) from None
        if amount is None:
            raise ma.ValidationError(N_("Write an amount like 12.50"))
        return f"{amount:.2f}"


class RecordConversion(Action):
    name = "record_conversion"
    title = N_("Record a conversion")
    icon = "target"
    group = "contact"

    class Settings(base.Settings):
        rule = Ref("manual_rule", required=True, error_messages={"required": N_("Choose the conversion rule")})
        amount = Amount()

    class Form(NodeForm):
        rule = ChoiceOf(N_("Conversion rule"), source="manual_rule")
        amount = wtforms.StringField(
            N_("Amount"),
            description=N_("Leave it empty to use the amount of the rule."),
            render_kw={"inputmode": "decimal", "class": "w-num", "autocomplete": "off"},
        )

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        rule, amount = str(self.settings["rule"]), coupons.amount(self.settings.get("amount"))
        data = None if amount is None else {"cents": int(amount * 100)}
        for item in batch:
            ctx.emit(item, "conversion_recorded", rule, data)
        return [Go()] * len(batch)

    def causes(self) -> tuple[tuple[str, str], ...]:
        return (("converted", str(self.settings.get("rule"))),)

    def summary(self, names: Names) -> Text:
        return Text("Record the conversion %(rule)s", rule=names("manual_rule", self.settings.get("rule")))
