"""The contact bought something since it entered the flow, or within some days: any order, or a certain number or amount."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Bought as Order
from flowserver.domain.steps import Context, Item
from flowserver.nodes import base
from flowserver.nodes.base import Amount, Condition, Names, NodeForm, length
from flowserver.nodes.goods import contains
from flowserver.text import N_, Text

_DAYS = N_("Enter 1 to 365 days")
_ORDERS = N_("Enter 1 to 1,000 orders")


class Bought(Condition):
    """What was given back does not count. Orders of different currencies are counted, their amounts are not added up."""

    name = "bought"
    title = N_("Has bought")
    icon = "bag"
    needs = frozenset({"purchases"})

    class Settings(base.Settings):
        since = fields.String(
            load_default="entry", validate=validate.OneOf(["entry", "days"], error=N_("Choose since when"))
        )
        days = fields.Integer(
            validate=validate.Range(1, 365, error=_DAYS), error_messages={"invalid": _DAYS, "too_large": _DAYS}
        )
        orders = fields.Integer(
            validate=validate.Range(1, 1000, error=_ORDERS), error_messages={"invalid": _ORDERS, "too_large": _ORDERS}
        )
        amount = Amount()
        category = fields.String(validate=length(200))

        @ma.validates_schema
        def _days_where_needed(self, data: Mapping[str, Any], **_: Any) -> None:
            if data.get("since") == "days" and data.get("days") is None:
                raise ma.ValidationError(_DAYS, "days")
            if data.get("since") == "entry" and data.get("days") is not None:
                raise ma.ValidationError(N_("Choose “within the last days” to name days"), "days")

    class Form(NodeForm):
        shows = {"days": "since=days"}
        since = wtforms.RadioField(
            N_("Since when"),
            choices={"entry": N_("Since entering the flow"), "days": N_("Within the last days")},
            default="entry",
        )
        days = wtforms.StringField(N_("How many days"), render_kw={"inputmode": "numeric"})
        orders = wtforms.StringField(
            N_("At least so many orders"),
            description=N_("Empty means one."),
            render_kw={"inputmode": "numeric"},
        )
        amount = wtforms.StringField(
            N_("For at least so much altogether"),
            description=N_("Empty means any amount."),
            render_kw={"inputmode": "decimal"},
        )
        category = wtforms.StringField(N_("With goods of the category"), description=N_("Empty means any."))

        def to_settings(self) -> dict[str, Any]:
            settings = super().to_settings()
            if settings.get("since") == "entry":
                settings.pop("days", None)
            return settings

    def holds(self, item: Item, ctx: Context) -> bool:
        found = self._orders(item, ctx)
        totals: dict[str, float] = {}
        for order in found:
            totals[order.currency] = totals.get(order.currency, 0) + order.amount
        enough = round(max(totals.values(), default=0), 4) >= self.settings.get("amount", 0)
        return enough and len(found) >= self.settings.get("orders", 1)

    def _orders(self, item: Item, ctx: Context) -> list[Order]:
        if self.settings["since"] == "days":
            since = ctx.now - timedelta(days=self.settings["days"])
        elif item.triggered_at is None:
            return []
        else:
            since = item.triggered_at
        category = self.settings.get("category", "")
        return [
            order
            for order in item.contact.purchases
            if order.at > since and order.amount >= 0 and contains(order.items, "", category)
        ]

    def question(self, names: Names) -> Text:
        words = {
            (False, False): N_("Has bought since entering the flow?"),
            (False, True): N_("Has bought %(category)s since entering the flow?"),
            (True, False): N_("Has bought within %(days)s days?"),
            (True, True): N_("Has bought %(category)s within %(days)s days?"),
        }
        category, days = self.settings.get("category", ""), self.settings.get("days", "…")
        said = words[self.settings.get("since") == "days", bool(category)]
        given = {name: value for name, value in (("category", category), ("days", days)) if f"%({name})s" in said.msgid}
        return Text(said.msgid, **given)
