"""A contact uses a coupon, gets one, or lets one run out without having used it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import wtforms
from marshmallow import fields, validate

from flowserver.domain.steps import Fact
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Names, NodeForm, Ref, Trigger
from flowserver.text import N_, Text

_WORDS = {
    "used": N_("It is used"),
    "issued": N_("The contact gets it"),
    "expired": N_("It expires unused"),
}
_TYPES = {"used": "coupon_redeemed", "issued": "coupon_issued", "expired": "coupon_expired"}
_SENTENCES = {
    "used": N_("When a contact uses a coupon of %(campaign)s"),
    "issued": N_("When a contact gets a coupon of %(campaign)s"),
    "expired": N_("When a coupon of %(campaign)s expires without having been used"),
}


class Coupon(Trigger):
    """Each further use of a code with several uses is a new event. The run carries code, value and place."""

    name = "coupon"
    title = N_("Coupon")
    icon = "ticket"
    group = "shop"
    listens_to = tuple(_TYPES.values())
    revoked_by = ("coupon_voided",)
    brings: ClassVar[Mapping[str, Text]] = {
        "code": N_("Coupon code"),
        "value": N_("Worth of the coupon"),
        "place": N_("Place of use"),
        "amount": N_("Amount of the purchase"),
    }
    reentry = "after_finish"
    default_wait: ClassVar[Mapping[str, int]] = {"hours": 1}

    class Settings(base.Settings):
        campaign = Ref("coupon_campaign", required=True, error_messages={"required": N_("Choose the coupon campaign")})
        event = fields.String(
            required=True,
            validate=validate.OneOf(list(_TYPES), error=N_("Choose what happens to the coupon")),
            error_messages={"required": N_("Choose what happens to the coupon")},
        )

    class Form(NodeForm):
        campaign = ChoiceOf(N_("Coupon campaign"), source="coupon_campaign")
        event = wtforms.RadioField(N_("What happens to the coupon"), choices=_WORDS, default="used")

    def admits(self, event: Fact) -> bool:
        return event.type == _TYPES[self.settings["event"]] and event.subject == str(self.settings["campaign"])

    def revokes(self, event: Fact, data: Mapping[str, Any]) -> bool:
        """A use that is taken back undoes what that use started, a code made void what giving it out started."""
        undone = event.data or {}
        if self.settings["event"] == "used":
            return undone.get("redemption") is not None and undone["redemption"] == data.get("redemption")
        return (
            self.settings["event"] == "issued" and "redemption" not in undone and undone.get("code") == data.get("code")
        )

    def sentence(self, names: Names) -> Text:
        words = _SENTENCES.get(self.settings.get("event", "used"), _SENTENCES["used"])
        return Text(words.msgid, campaign=names("coupon_campaign", self.settings.get("campaign")))
