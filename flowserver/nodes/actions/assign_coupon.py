"""Give the contact a coupon of a campaign. Messages after this step show its code as {{ event.coupon }}."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from flowserver.domain.steps import Context, Go, Item, Outcome
from flowserver.nodes import base
from flowserver.nodes.base import Action, ChoiceOf, Names, NodeForm, Ref
from flowserver.text import N_, Text


class AssignCoupon(Action):
    name = "assign_coupon"
    title = N_("Give a coupon")
    icon = "ticket"
    group = "contact"
    brings: ClassVar[Mapping[str, Text]] = {
        "coupon": N_("Code of the coupon given"),
        "coupon_value": N_("Worth of the coupon given"),
        "coupon_until": N_("Last day of the coupon given"),
    }
    reasons = {"no_coupon": N_("There was no coupon to give: no code is left, or the campaign is over")}

    class Settings(base.Settings):
        campaign = Ref("coupon_campaign", required=True, error_messages={"required": N_("Choose the coupon campaign")})

    class Form(NodeForm):
        campaign = ChoiceOf(
            N_("Coupon campaign"),
            source="coupon_campaign",
            description=N_("Messages after this step show the code as {{ event.coupon }}."),
        )

    def execute(self, batch: Sequence[Item], ctx: Context) -> Sequence[Outcome]:
        given = ctx.give_coupons(batch, self.settings["campaign"])
        return [Go(facts={"code": code}) if code else Go(skipped="no_coupon") for code in given]

    def causes(self) -> tuple[tuple[str, str], ...]:
        return (("coupon_issued", str(self.settings.get("campaign"))),)

    def summary(self, names: Names) -> Text:
        return Text("Give a coupon of %(campaign)s", campaign=names("coupon_campaign", self.settings.get("campaign")))
