"""A contact agrees to messages on a channel, or withdraws: on a form, on the preference page, over the API, or told to you."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wtforms
from marshmallow import fields, validate

from flowserver.domain.consent import CHANNELS
from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import Names, NodeForm, Trigger
from flowserver.text import N_, Text

_SENTENCES = {
    ("email", "given"): N_("When a contact agrees to e-mail"),
    ("email", "withdrawn"): N_("When a contact withdraws from e-mail"),
    ("sms", "given"): N_("When a contact agrees to SMS"),
    ("sms", "withdrawn"): N_("When a contact withdraws from SMS"),
    ("web_push", "given"): N_("When a contact agrees to web push"),
    ("web_push", "withdrawn"): N_("When a contact withdraws from web push"),
    ("mobile_push", "given"): N_("When a contact agrees to mobile push"),
    ("mobile_push", "withdrawn"): N_("When a contact withdraws from mobile push"),
    ("ads", "given"): N_("When a contact agrees to ads"),
    ("ads", "withdrawn"): N_("When a contact withdraws from ads"),
}


class ConsentChanged(Trigger):
    """Only a change counts. One that is taken back during the waiting time undoes the start."""

    name = "consent_changed"
    title = N_("Consent changed")
    icon = "shield"
    listens_to = ("consent_changed",)
    revoked_by = ("consent_changed",)
    offers_existing = True

    class Settings(base.Settings):
        channel = fields.String(
            required=True,
            validate=validate.OneOf(list(CHANNELS), error=N_("Choose the channel")),
            error_messages={"required": N_("Choose the channel")},
        )
        state = fields.String(
            required=True,
            validate=validate.OneOf(["given", "withdrawn"], error=N_("Choose whether the contact agreed or withdrew")),
            error_messages={"required": N_("Choose whether the contact agreed or withdrew")},
        )

    class Form(NodeForm):
        state = wtforms.RadioField(
            N_("What happens"),
            choices={"given": N_("The contact agrees"), "withdrawn": N_("The contact withdraws")},
            default="given",
        )
        channel = wtforms.SelectField(N_("To messages by"), choices=CHANNELS)

    def admits(self, event: Fact) -> bool:
        return self._is_mine(event) and (event.data or {}).get("new") == self.settings["state"]

    def revokes(self, event: Fact, data: Mapping[str, Any]) -> bool:
        return self._is_mine(event) and (event.data or {}).get("new") != self.settings["state"]

    def _is_mine(self, event: Fact) -> bool:
        return event.subject == self.settings["channel"]

    def existing(self) -> Mapping[str, Any]:
        return {"consent": dict(self.settings)}

    def sentence(self, names: Names) -> Text:
        chosen = (self.settings.get("channel") or "email", self.settings.get("state") or "given")
        return Text(_SENTENCES.get(chosen, _SENTENCES["email", "given"]).msgid)
