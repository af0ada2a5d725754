"""What a contact bought within some days reaches an amount. What was given back does not count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import Amount, Names, NodeForm, Trigger
from flowserver.text import N_, Text

_DAYS = N_("Enter 1 to 365 days")


class SpendThreshold(Trigger):
    """Crossing, in a rolling window: below the amount before a purchase, at or above it afterwards.

    The event brings ``spent``, the totals before and after the purchase for the number of days that flows ask about:
    ``{"90": {"before": 250, "after": 320}}``. Amounts of different currencies are never added up.
    """

    name = "spend_threshold"
    title = N_("Amount spent")
    icon = "chart"
    listens_to = ("spend_changed",)
    brings: ClassVar[Mapping[str, Text]] = {"order": N_("Order"), "amount": N_("Amount of the purchase")}

    class Settings(base.Settings):
        amount = Amount(required=True, error_messages={"required": N_("Enter the amount to be reached")})
        days = fields.Integer(
            required=True,
            validate=validate.Range(1, 365, error=_DAYS),
            error_messages={"required": _DAYS, "invalid": _DAYS, "too_large": _DAYS},
        )

    class Form(NodeForm):
        amount = wtforms.StringField(N_("Amount"), render_kw={"inputmode": "decimal"})
        days = wtforms.StringField(N_("Within how many days"), default="90", render_kw={"inputmode": "numeric"})

    def admits(self, event: Fact) -> bool:
        spent = ((event.data or {}).get("spent") or {}).get(str(self.settings["days"]))
        return spent is not None and spent["before"] < self.settings["amount"] <= spent["after"]

    def sentence(self, names: Names) -> Text:
        return Text(
            "When a contact has bought for %(amount)s within %(days)s days",
            amount=self.settings.get("amount", "…"),
            days=self.settings.get("days", "…"),
        )
