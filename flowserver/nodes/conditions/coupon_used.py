"""The contact has used a coupon of a campaign at least once, and the use was not taken back."""

from __future__ import annotations

from flowserver.domain.steps import Context, Item
from flowserver.nodes import base
from flowserver.nodes.base import ChoiceOf, Condition, Names, NodeForm, Ref
from flowserver.text import N_, Text


class CouponUsed(Condition):
    name = "coupon_used"
    title = N_("Has used a coupon")
    icon = "ticket"
    needs = frozenset({"coupons"})

    class Settings(base.Settings):
        campaign = Ref("coupon_campaign", required=True, error_messages={"required": N_("Choose the coupon campaign")})

    class Form(NodeForm):
        campaign = ChoiceOf(N_("Coupon campaign"), source="coupon_campaign")

    def holds(self, item: Item, ctx: Context) -> bool:
        return self.settings["campaign"] in item.contact.coupons

    def question(self, names: Names) -> Text:
        campaign = names("coupon_campaign", self.settings.get("campaign"))
        return Text("Has used a coupon of “%(campaign)s”?", campaign=campaign)
