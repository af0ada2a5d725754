"""The contact has agreed to marketing by e-mail, SMS, push messages or ads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wtforms
from marshmallow import fields, validate

from flowserver.domain.consent import CHANNELS, column
from flowserver.domain.steps import Context, Item
from flowserver.nodes import base
from flowserver.nodes.base import Condition, Names, NodeForm
from flowserver.text import N_, Text

_QUESTIONS = {
    "email": N_("Has agreed to marketing by e-mail?"),
    "sms": N_("Has agreed to marketing by SMS?"),
    "web_push": N_("Has agreed to marketing by web push?"),
    "mobile_push": N_("Has agreed to marketing by mobile push?"),
    "ads": N_("Has agreed to being shown ads?"),
}


class HasConsent(Condition):
    name = "has_consent"
    title = N_("Has agreed to marketing")
    icon = "shield"

    class Settings(base.Settings):
        channel = fields.String(
            required=True,
            validate=validate.OneOf(list(CHANNELS), error=N_("Choose the channel")),
            error_messages={"required": N_("Choose the channel")},
        )

    class Form(NodeForm):
        channel = wtforms.RadioField(N_("By"), choices=CHANNELS, default="email")

    def holds(self, item: Item, ctx: Context) -> bool:
        return getattr(item.contact, column(self.settings["channel"])) == "given"

    def facts(self, item: Item) -> Mapping[str, Any]:
        return {"consent": getattr(item.contact, column(self.settings["channel"]))}

    def question(self, names: Names) -> Text:
        return Text(_QUESTIONS.get(self.settings.get("channel") or "", _QUESTIONS["email"]).msgid)
