"""Schemas of coupon campaigns, coupons and their uses."""

from __future__ import annotations

from typing import Any

from marshmallow import fields as plain

from flowserver.blueprints.api import fields, paging
from flowserver.blueprints.api.schemas.events import WhoIn
from flowserver.domain import coupons as rules
from flowserver.text import N_

MOST_CODES = 10_000
MOST_CONTACTS = 1_000
ORIGINS = ("generated", "pool")


class Amount(fields.Words, plain.Float):
    """An amount of money, 0 or more."""

    default_error_messages: dict[str, Any] = {"invalid": N_("Write a number")}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid")
        return value  # the service says what is wrong with a number


class CouponCampaignIn(fields.Input):
    """A coupon campaign."""

    name = fields.Text(120, required=True, metadata={"description": "Unique in the client."})
    value = fields.Text(60, required=True, metadata={"description": "What a coupon is worth, as people read it."})
    message = fields.Text(600, metadata={"description": "What staff see about it at the till."})
    codes = fields.Word(
        ORIGINS, metadata={"description": "generated: we make them. pool: only those that were imported are given out."}
    )
    prefix = fields.Text(12, metadata={"description": "What generated codes begin with."})
    length = fields.Whole(
        rules.SHORTEST_CHANCE,
        rules.LONGEST_CHANCE,
        metadata={"description": "Random letters and digits after the prefix."},
    )
    starts_on = fields.Text(10, allow_none=True, metadata={"description": "First day, in the client's time zone."})
    ends_on = fields.Text(10, allow_none=True, metadata={"description": "Last day, in the client's time zone."})
    days = fields.Whole(
        1, rules.MOST_DAYS, allow_none=True, metadata={"description": "Days of 24 hours a code is good once given out."}
    )
    uses = fields.Whole(1, rules.MOST_USES, metadata={"description": "How often each code can be used."})
    replaces = fields.YesNo(metadata={"description": "A new coupon makes the contact's earlier ones of it void."})
    low_at = fields.Whole(0, 1_000_000, metadata={"description": "Tell the agency when fewer codes are left."})


class CouponCampaignChange(CouponCampaignIn):
    """What changes about a coupon campaign. Codes that were given out stay as they are."""

    name = fields.Text(120)
    value = fields.Text(60)


class CouponNumbers(fields.Shown):
    """How many codes there are, by what became of them."""

    free = plain.Integer(metadata={"description": "In the pool."})
    issued = plain.Integer(metadata={"description": "Given out and not used up."})
    redeemed = plain.Integer(metadata={"description": "Used up."})
    expired = plain.Integer()
    void = plain.Integer()
    uses = plain.Integer(metadata={"description": "Uses that were not taken back."})
    amount = plain.Float(metadata={"description": "Sum of the purchases of these uses."})


class CouponCampaign(fields.Shown):
    """A coupon campaign."""

    id = plain.Integer()
    name = plain.String()
    value = plain.String()
    message = plain.String()
    codes = plain.String(metadata={"enum": list(ORIGINS)})
    prefix = plain.String()
    length = plain.Integer()
    starts_on = plain.Date(allow_none=True)
    ends_on = plain.Date(allow_none=True)
    days = plain.Integer(allow_none=True)
    uses = plain.Integer()
    replaces = plain.Boolean()
    low_at = plain.Integer()
    numbers = plain.Nested(CouponNumbers)
    created_at = plain.DateTime()
    updated_at = plain.DateTime()


class CouponCampaignPage(fields.Shown):
    """A page of coupon campaigns."""

    data = plain.List(plain.Nested(CouponCampaign))
    next = plain.String(allow_none=True)


class CouponCodesIn(fields.Input):
    """Codes for a pool."""

    codes = fields.Some(
        fields.Text(200), MOST_CODES, required=True, metadata={"description": "Unique in the client, in any case."}
    )
    handed_out = fields.YesNo(
        load_default=False, metadata={"description": "People have them already, on paper: they can be used at once."}
    )


class RefusedCouponCode(fields.Shown):
    """A code that was left out."""

    index = plain.Integer(metadata={"description": "Its place in the request, from 0."})
    code = plain.String()
    errors = plain.List(plain.String())


class ImportedCoupons(fields.Shown):
    """What became of the codes."""

    added = plain.Integer()
    refused = plain.Integer()
    data = plain.List(plain.Nested(RefusedCouponCode), metadata={"description": "The refused ones, the first hundred."})


class CouponQuery(paging.SyncQuery):
    """Which coupons."""

    campaign = fields.Count(metadata={"description": "Id of a coupon campaign."})
    contact = fields.Count(metadata={"description": "Id of a contact."})
    state = fields.Word(rules.STATES)


class CouponIn(fields.Input):
    """A coupon to be given out."""

    campaign = fields.Reference(required=True, metadata={"description": "Id or name of a coupon campaign."})
    contact = fields.Part(WhoIn, allow_none=True, metadata={"description": "Who gets it; null: nobody in particular."})


class CouponsIn(fields.Input):
    """Coupons to be given out."""

    campaign = fields.Reference(required=True, metadata={"description": "Id or name of a coupon campaign."})
    contacts = fields.Some(fields.Id(), MOST_CONTACTS, required=True, metadata={"description": "Ids of contacts."})


class Coupon(fields.Shown):
    """A coupon."""

    id = plain.Integer()
    code = plain.String()
    state = plain.String(metadata={"enum": list(rules.STATES), "description": "redeemed: all its uses are used."})
    usable = plain.Boolean(metadata={"description": "Whether it can be used now."})
    campaign_id = plain.Integer()
    contact_id = plain.Integer(allow_none=True)
    issued_at = plain.DateTime(allow_none=True)
    valid_from = plain.DateTime(allow_none=True)
    expires_at = plain.DateTime(allow_none=True, metadata={"description": "Good before this moment."})
    uses = plain.Integer(metadata={"description": "How often it was used."})
    most_uses = plain.Integer(metadata={"description": "How often it can be used."})
    created_at = plain.DateTime()
    updated_at = plain.DateTime()


class CouponPage(fields.Shown):
    """A page of coupons."""

    data = plain.List(plain.Nested(Coupon))
    next = plain.String(allow_none=True)


class GivenCoupon(fields.Shown):
    """Who got which code."""

    contact_id = plain.Integer()
    code = plain.String()


class GivenCoupons(fields.Shown):
    """Who got coupons, and who went without."""

    data = plain.List(plain.Nested(GivenCoupon))
    without = plain.List(plain.Integer(), metadata={"description": "Contacts for whom no code was left."})
    missing = plain.List(plain.Integer(), metadata={"description": "Ids that are no contact here."})


class CouponUseIn(fields.Input):
    """A use at a till."""

    place = fields.Text(120, metadata={"description": "Where it is used."})
    receipt = fields.Text(80, metadata={"description": "The same receipt again is the same use."})
    amount = Amount(allow_none=True, metadata={"description": "What was paid."})


class CouponUseQuery(paging.SyncQuery):
    """Which uses."""

    campaign = fields.Count(metadata={"description": "Id of a coupon campaign."})
    contact = fields.Count(metadata={"description": "Id of a contact."})


class CouponUse(fields.Shown):
    """A coupon was used once."""

    id = plain.Integer()
    code = plain.String()
    campaign_id = plain.Integer()
    contact_id = plain.Integer(allow_none=True)
    place = plain.String()
    receipt = plain.String()
    amount = plain.Float(allow_none=True)
    used_at = plain.DateTime()
    voided_at = plain.DateTime(allow_none=True, metadata={"description": "When it was taken back."})
    updated_at = plain.DateTime()


class CouponUsePage(fields.Shown):
    """A page of uses."""

    data = plain.List(plain.Nested(CouponUse))
    next = plain.String(allow_none=True)
