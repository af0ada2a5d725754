"""The contact, known at that time, looked at a tracked site within some days: at any page, or at one you name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields

from flowserver.domain import urls
from flowserver.domain.steps import Context, Item
from flowserver.errors import Invalid, flat
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Condition, Names, NodeForm, Ref
from flowserver.nodes.conditions.score_compares import WholeNumber
from flowserver.text import N_, Text

MOST_DAYS = 180  # as long as pages are kept


class VisitedPage(Condition):
    name = "visited_page"
    title = N_("Visited the website")
    icon = "globe"
    needs = frozenset({"visits"})

    class Settings(base.Settings):
        monitor = Ref("monitor", required=True, error_messages={"required": N_("Choose the site")})
        url = fields.String()
        days = WholeNumber(load_default=30)

        @ma.pre_load
        def _any_page(self, data: Mapping[str, Any], **_: Any) -> dict[str, Any]:
            """A star alone, or nothing, means any page."""
            plain = isinstance(data.get("url"), str) and data["url"].strip() in ("", *urls.ANY)
            return {name: value for name, value in data.items() if name != "url" or not plain}

        @ma.validates("url")
        def _whole_address(self, value: str, **_: Any) -> None:
            try:
                urls.parse(value)
            except Invalid as error:
                raise ma.ValidationError(flat(error.messages)) from None

        @ma.validates("days")
        def _while_kept(self, value: int, **_: Any) -> None:
            if not 1 <= value <= MOST_DAYS:
                raise ma.ValidationError(Text("Enter 1 to %(most)s days", most=MOST_DAYS))

    class Form(NodeForm):
        monitor = ChoiceOf(N_("Site"), source="monitor")
        url = wtforms.StringField(
            N_("Address of the page"),
            description=N_(
                "From https:// on, * for anything up to the next slash, ** for anything at all. Leave it empty for any page."
            ),
        )
        days = wtforms.StringField(N_("Within the last days"), default="30")

    def holds(self, item: Item, ctx: Context) -> bool:
        since = ctx.now - timedelta(days=self.settings["days"])
        pattern = urls.parse(self.settings.get("url") or "*")
        return any(
            monitor == self.settings["monitor"] and at >= since and urls.matches(pattern, url)
            for (monitor, url), at in (item.contact.pages or {}).items()
        )

    def question(self, names: Names) -> Text:
        given = {"days": self.settings.get("days", 30)}
        if self.settings.get("url"):
            return Text("Visited %(url)s within %(days)s days?", url=self.settings["url"], **given)
        monitor = names("monitor", self.settings.get("monitor"))
        return Text("Visited %(monitor)s within %(days)s days?", monitor=monitor, **given)
