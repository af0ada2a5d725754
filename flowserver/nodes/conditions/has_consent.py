"""The contact has agreed to marketing by e-mail or by SMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Context, Item
from flowserver.nodes import base
from flowserver.nodes.base import Condition, Names, NodeForm
from flowserver.text import N_, Text


class HasConsent(Condition):
    name = "has_consent"
    title = N_("Has agreed to marketing")
    icon = "shield"

    class Settings(base.Settings):
        channel = fields.String(
            required=True,
            validate=validate.OneOf(["email", "sms"], error=N_("Choose e-mail or SMS")),
            error_messages={"required": N_("Choose e-mail or SMS")},
        )

    class Form(NodeForm):
        channel = wtforms.RadioField(N_("By"), choices={"email": N_("E-mail"), "sms": N_("SMS")}, default="email")

    def holds(self, item: Item, ctx: Context) -> bool:
        return getattr(item.contact, f"{self.settings['channel']}_consent") == "given"

    def facts(self, item: Item) -> Mapping[str, Any]:
        return {"consent": getattr(item.contact, f"{self.settings['channel']}_consent")}

    def question(self, names: Names) -> Text:
        if self.settings.get("channel") == "sms":
            return Text("Has agreed to marketing by SMS?")
        return Text("Has agreed to marketing by e-mail?")
