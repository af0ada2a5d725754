"""Send one SMS to every contact that comes here. Without a number or consent a contact just goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import marshmallow as ma
import wtforms
from marshmallow import fields, validate

from flowserver.domain import sms
from flowserver.domain.steps import Context, Item, Outcome
from flowserver.nodes import base
from flowserver.nodes.actions.send_email import outcome
from flowserver.nodes.base import Action, Names, NodeForm, Problem, fix, length
from flowserver.text import N_, Text

CLASSES = [
    ("marketing", N_("Marketing: needs consent, and STOP as an answer ends it")),
    ("service", N_("Service: order, account, appointment")),
]


class SendSms(Action):
    name = "send_sms"
    title = N_("SMS")
    icon = "sms"
    group = "messages"
    sends = "sms"
    needs = frozenset({"suppression", "caps"})

    class Settings(base.Settings):
        title = fields.String(validate=length(120))
        text = fields.String(load_default="", validate=length(1530))
        sender = fields.String()
        class_ = fields.String(
            data_key="class",
            attribute="class",
            validate=validate.OneOf(["marketing", "service"], error=N_("Choose marketing or service")),
        )
        on_failure = fields.String(validate=validate.OneOf(["go_on", "end"], error=N_("Choose go_on or end")))

        @ma.validates("sender")
        def _sender(self, value: str, **_: Any) -> None:
            if not sms.is_sender(value):
                raise ma.ValidationError(
                    N_("Use up to 11 letters and digits for the sender, or a number such as +393331234567")
                )

    class Form(NodeForm):
        title = wtforms.StringField(N_("Name of this step"), description=N_("Shown to you only. Empty: the text"))
        text = wtforms.TextAreaField(N_("Text"))
        sender = wtforms.StringField(
            N_("Sender"), description=N_("Up to 11 letters and digits. Empty: the client's sender")
        )
        class_ = wtforms.RadioField(N_("Kind of SMS"), name="class", choices=dict(CLASSES), default="marketing")
        on_failure = wtforms.SelectField(
            N_("If it cannot be sent for good"),
            choices={"go_on": N_("Go on with the next step"), "end": N_("Leave the flow")},
        )

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        return [outcome(plan) for plan in ctx.send(batch, "sms", self.settings)]

    def summary(self, names: Names) -> str:
        text = str(self.settings.get("title") or self.settings.get("text") or "")
        if not text:
            return Text("SMS without a text")
        return text if len(text) <= 60 else text[:59] + "…"

    def problems(self, before: Sequence[Any]) -> list[Problem]:
        return [] if str(self.settings.get("text", "")).strip() else [fix(N_("The SMS has no text"), "text")]
