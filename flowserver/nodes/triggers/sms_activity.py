"""An SMS campaign is sent to a contact, delivered, or not delivered: refused, reported as failed, or silent for 72 hours."""

from __future__ import annotations

from collections.abc import Mapping

import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Fact, Item
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Names, NodeForm, Ref, Trigger
from flowserver.text import N_, Text

EVENTS = {
    "sent": frozenset({"sms_sent"}),
    "delivered": frozenset({"sms_delivered"}),
    "not_delivered": frozenset({"sms_failed", "sms_silent"}),
}
_SENTENCES = {
    "sent": N_("When the SMS %(campaign)s is sent to a contact"),
    "delivered": N_("When the SMS %(campaign)s is delivered"),
    "not_delivered": N_("When the SMS %(campaign)s is not delivered"),
}


class SmsActivity(Trigger):
    """SMS activity: recipients of one campaign. A late "delivered" undoes a start that still waits."""

    name = "sms_activity"
    title = N_("SMS activity")
    icon = "sms"
    group = "messages"
    listens_to = ("sms_sent", "sms_delivered", "sms_failed", "sms_silent")
    revoked_by = ("sms_delivered",)
    needs = frozenset({"cause"})
    offers_existing = True
    include_existing = True
    told_later = True

    class Settings(base.Settings):
        campaign = Ref("sms_campaign", required=True, error_messages={"required": N_("Choose an SMS campaign")})
        event = fields.String(
            required=True,
            validate=validate.OneOf(list(EVENTS), error=N_("Choose what happens to the SMS")),
            error_messages={"required": N_("Choose what happens to the SMS")},
        )

    class Form(NodeForm):
        campaign = ChoiceOf(N_("SMS campaign"), source="sms_campaign")
        event = wtforms.RadioField(
            N_("What happens"),
            choices={
                "sent": N_("It is sent"),
                "delivered": N_("It is delivered"),
                "not_delivered": N_("It is not delivered"),
            },
            default="delivered",
        )

    def hears(self) -> frozenset[str]:
        event = self.settings["event"]
        return EVENTS[event] | (set(self.revoked_by) if event == "not_delivered" else set())

    def admits(self, event: Fact) -> bool:
        mine = event.subject == f"campaign:{self.settings['campaign']}" and not (event.data or {}).get("cancelled")
        return mine and event.type in EVENTS[self.settings["event"]]

    def revokes(self, event: Fact, data: Mapping[str, object]) -> bool:
        late = self.settings["event"] == "not_delivered"
        return late and (event.data or {}).get("message") == data.get("message")

    def still_holds(self, item: Item) -> bool:
        """Not delivered still: a report may have come while the contact waited."""
        if self.settings["event"] != "not_delivered":
            return True
        if item.cause is None:
            return False
        came, over = item.cause.delivered_at, item.due_at
        return item.cause.state != "delivered" or (came is not None and over is not None and came > over)

    def existing(self) -> Mapping[str, object]:
        return {"campaign": {"id": self.settings["campaign"], "event": self.settings["event"]}}

    def happens(self) -> bool:
        return self.settings["event"] != "not_delivered"

    def sentence(self, names: Names) -> Text:
        words = _SENTENCES.get(self.settings.get("event", ""), _SENTENCES["delivered"])
        return Text(words.msgid, campaign=names("sms_campaign", self.settings.get("campaign")))
