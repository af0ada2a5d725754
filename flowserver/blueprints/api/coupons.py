"""Coupons: their campaigns, giving them out, and using them at tills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for

from flowserver import clock
from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Answer, Resource, unchanged
from flowserver.blueprints.api.schemas import coupons as schemas
from flowserver.domain.coupons import STATES
from flowserver.errors import Invalid
from flowserver.services.people.browse import Page
from flowserver.services.shop import coupon_campaigns, coupon_codes, coupons

resource = Resource(
    "Coupons", 75, "Codes that contacts get and use at a till. A flow can start when they do.", "coupons"
)

ONE = f"/coupon-campaigns/{ID % 'coupon_campaign_id'}"
CODE = "/coupons/<code>"
USE = f"/coupon-redemptions/{ID % 'redemption_id'}"
CAMPAIGN = {
    "id": 1,
    "name": "Spring beans",
    "value": "15 %",
    "message": "Not on gift cards",
    "codes": "generated",
    "prefix": "SPRING-",
    "length": 8,
    "starts_on": None,
    "ends_on": "2026-06-30",
    "days": 30,
    "uses": 1,
    "replaces": False,
    "low_at": 50,
    "numbers": {"free": 0, "issued": 26, "redeemed": 22, "expired": 0, "void": 0, "uses": 22, "amount": 557.08},
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:00:00Z",
}
COUPON = {
    "id": 12,
    "code": "SPRING-7KQ2XH4P",
    "state": "issued",
    "usable": True,
    "campaign_id": 1,
    "contact_id": 7,
    "issued_at": "2026-05-04T09:00:00Z",
    "valid_from": None,
    "expires_at": "2026-06-03T09:00:00Z",
    "uses": 0,
    "most_uses": 1,
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:00:00Z",
}
USED = {
    "id": 3,
    "code": "SPRING-7KQ2XH4P",
    "campaign_id": 1,
    "contact_id": 7,
    "place": "Via Po 12",
    "receipt": "R-1042",
    "amount": 24.5,
    "used_at": "2026-05-09T16:20:00Z",
    "voided_at": None,
    "updated_at": "2026-05-09T16:20:00Z",
}
BODY = {"name": "Spring beans", "value": "15 %", "message": "Not on gift cards", "prefix": "SPRING-", "days": 30}


# --- campaigns -------------------------------------------------------------------------------------------


def show(row: Any, numbers: coupon_campaigns.Numbers) -> dict[str, Any]:
    """A coupon campaign as the API shows it."""
    counted = {state: numbers.states.get(state, 0) for state in STATES}
    return {
        "id": row.id,
        **{name: getattr(row, name) for name in coupon_campaigns.FIELDS},
        "numbers": {**counted, "uses": numbers.uses, "amount": float(numbers.amount)},
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def one(campaign_id: int) -> dict[str, Any]:
    """A coupon campaign of the present client. Raises ``NotFound``."""
    row = coupon_campaigns.get(campaign_id)
    return show(row, coupon_campaigns.numbers([row.id])[row.id])


def cut(rows: list[Any], limit: int) -> Page:
    """A page of ``limit`` rows out of one more."""
    return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


@resource.reads(
    "/coupon-campaigns",
    query=paging.SyncQuery,
    shows=schemas.CouponCampaignPage,
    example={"data": [CAMPAIGN], "next": None},
)
def list_coupon_campaigns(query: Mapping[str, Any]) -> Any:
    """List the coupon campaigns."""
    found = cut(coupon_campaigns.page(query["cursor"], query["limit"], query.get("updated_since")), query["limit"])
    numbers = coupon_campaigns.numbers([row.id for row in found.rows])
    return paging.page(found, lambda row: show(row, numbers[row.id]))


@resource.writes(
    "POST",
    "/coupon-campaigns",
    takes=schemas.CouponCampaignIn,
    body_example=BODY,
    shows=schemas.CouponCampaign,
    example=CAMPAIGN,
    status=201,
    tagged=True,
)
def make_coupon_campaign(body: Mapping[str, Any]) -> Any:
    """Make a coupon campaign."""
    made = coupon_campaigns.create(body)
    where = url_for(".get_coupon_campaign", coupon_campaign_id=made.id)
    return Answer(one(made.id), 201, {"Location": where})


@resource.reads(ONE, shows=schemas.CouponCampaign, example=CAMPAIGN, tagged=True)
def get_coupon_campaign(coupon_campaign_id: int) -> Any:
    """Get a coupon campaign."""
    return one(coupon_campaign_id)


@resource.writes(
    "PATCH",
    ONE,
    takes=schemas.CouponCampaignChange,
    body_example={"value": "20 %"},
    shows=schemas.CouponCampaign,
    example=CAMPAIGN,
    tagged=True,
    if_match=True,
)
def change_coupon_campaign(coupon_campaign_id: int, body: Mapping[str, Any]) -> Any:
    """Change a coupon campaign.

    Codes that were given out keep their validity and their number of uses.
    """
    unchanged("coupon_campaign", coupon_campaign_id, lambda: one(coupon_campaign_id))
    coupon_campaigns.update(coupon_campaign_id, body)
    return one(coupon_campaign_id)


@resource.writes("DELETE", ONE, status=204, if_match=True)
def delete_coupon_campaign(coupon_campaign_id: int) -> None:
    """Delete a coupon campaign with all its codes.

    Refused with 409 while a flow needs it; `uses` says which.
    """
    unchanged("coupon_campaign", coupon_campaign_id, lambda: one(coupon_campaign_id))
    coupon_campaigns.delete(coupon_campaign_id)


@resource.writes(
    "POST",
    f"{ONE}/import",
    takes=schemas.CouponCodesIn,
    body_example={"codes": ["LUME-0001", "LUME-0002"], "handed_out": False},
    shows=schemas.ImportedCoupons,
    example={
        "added": 1,
        "refused": 1,
        "data": [{"index": 1, "code": "LUME-0002", "errors": ["There is this code already"]}],
    },
)
def import_coupons(coupon_campaign_id: int, body: Mapping[str, Any]) -> Any:
    """Import codes, up to 10,000 at once.

    Into a campaign whose `codes` are a `pool`. Each is taken or refused on its own.
    """
    coupon_campaigns.get(coupon_campaign_id)
    found = coupon_codes.import_codes(coupon_campaign_id, enumerate(body["codes"]), body["handed_out"])
    data = [{"index": line.line, "code": line.code, "errors": [line.why]} for line in found.lines]
    return {"added": found.added, "refused": found.refused, "data": data}


# --- coupons -------------------------------------------------------------------------------------------


def show_coupon(row: Any) -> dict[str, Any]:
    """A coupon as the API shows it."""
    return {
        **{name: getattr(row, name) for name in COUPON if name != "usable"},
        "usable": coupons.trouble(row, clock.now()) is None,
    }


@resource.reads(
    "/coupons", query=schemas.CouponQuery, shows=schemas.CouponPage, example={"data": [COUPON], "next": "YWZ0ZXI6MTI"}
)
def list_coupons(query: Mapping[str, Any]) -> Any:
    """List the coupons."""
    rows = coupon_codes.after(
        query["cursor"],
        query["limit"],
        campaign_id=query.get("campaign"),
        state=query.get("state", ""),
        contact_id=query.get("contact"),
        updated_since=query.get("updated_since"),
    )
    return paging.page(cut(rows, query["limit"]), show_coupon)


@resource.writes(
    "POST",
    "/coupons",
    takes=schemas.CouponIn,
    body_example={"campaign": "Spring beans", "contact": {"email": "ada@example.com"}},
    shows=schemas.Coupon,
    example=COUPON,
    status=201,
)
def issue_coupon(body: Mapping[str, Any]) -> Any:
    """Give out a coupon.

    To a contact that is there already, found by `id`, `external_id`, `email`, `phone`, in this order; without one it can
    be used by whoever has the code. Refused with 409 when the campaign is over or no code is left in its pool.
    """
    campaign = _campaign(body["campaign"])
    who = body.get("contact")
    contact = coupon_codes.whose(who) if who else None
    made = coupons.issue(campaign, contact.id if contact else None)
    return Answer(show_coupon(made), 201, {"Location": url_for(".get_coupon", code=made.code)})


def _campaign(reference: int | str) -> int:
    try:
        return coupon_campaigns.find(reference).id
    except Invalid as error:
        raise Invalid({"campaign": error.messages["_"]}) from None


@resource.writes(
    "POST",
    "/coupons/bulk",
    takes=schemas.CouponsIn,
    body_example={"campaign": "Spring beans", "contacts": [7, 8]},
    shows=schemas.GivenCoupons,
    example={"data": [{"contact_id": 7, "code": "SPRING-7KQ2XH4P"}], "without": [8], "missing": []},
)
def issue_coupons(body: Mapping[str, Any]) -> Any:
    """Give out coupons to up to 1,000 contacts.

    Ids of contacts that do not exist come back as `missing`. When the pool runs out, the last ones go `without`.
    """
    given = coupons.issue_many(_campaign(body["campaign"]), body["contacts"])
    data = [{"contact_id": row["contact_id"], "code": row["code"]} for row in given.rows]
    return {"data": data, "without": given.without, "missing": given.missing}


@resource.reads(CODE, shows=schemas.Coupon, example=COUPON, tagged=True)
def get_coupon(code: str) -> Any:
    """Get a coupon by its code, however it is capitalised."""
    return show_coupon(coupons.find(code))


@resource.writes(
    "POST",
    f"{CODE}/redeem",
    takes=schemas.CouponUseIn,
    body_example={"place": "Via Po 12", "receipt": "R-1042", "amount": 24.5},
    body_required=False,
    shows=schemas.CouponUse,
    example=USED,
    gone=True,
)
def redeem_coupon(code: str, body: Mapping[str, Any]) -> Any:
    """Use a coupon.

    Unknown: 404. Used up (`coupon-used-up`), not good yet or not given out (`coupon-not-yet-good`): 409. Expired
    (`coupon-expired`) or made void (`coupon-void`): 410. Of two tills that use the same code at the same moment one wins.
    With a `receipt` a repetition is harmless: the same receipt again is answered as the first time.
    """
    coupons.find(code)
    row = coupons.redeem(code, **{name: value for name, value in body.items() if value is not None})
    return show_use(coupon_codes.use(row.id))


@resource.writes("POST", f"{CODE}/void", shows=schemas.Coupon, example={**COUPON, "state": "void", "usable": False})
def void_coupon(code: str) -> Any:
    """Make a coupon void.

    Earlier uses stay. Refused with 409 when it is used up, expired or void already.
    """
    return show_coupon(coupons.void(code))


# --- uses ------------------------------------------------------------------------------------------------


def show_use(found: coupon_codes.Use) -> dict[str, Any]:
    """A use of a coupon as the API shows it."""
    row = found.row
    return {
        **{name: getattr(row, name) for name in ("id", "campaign_id", "contact_id", "place", "receipt", "voided_at")},
        "code": found.code,
        "amount": None if row.amount is None else float(row.amount),
        "used_at": row.at,
        "updated_at": row.updated_at,
    }


@resource.reads(
    "/coupon-redemptions",
    query=schemas.CouponUseQuery,
    shows=schemas.CouponUsePage,
    example={"data": [USED], "next": None},
)
def list_coupon_redemptions(query: Mapping[str, Any]) -> Any:
    """List the uses of coupons."""
    found = coupon_codes.uses_after(
        query["cursor"],
        query["limit"],
        campaign_id=query.get("campaign"),
        contact_id=query.get("contact"),
        updated_since=query.get("updated_since"),
    )
    rows, limit = found[: query["limit"]], query["limit"]
    following = paging.following(rows[-1].row.id if len(found) > limit else None)
    return {"data": [show_use(one) for one in rows], "next": following}


@resource.reads(USE, shows=schemas.CouponUse, example=USED, tagged=True)
def get_coupon_redemption(redemption_id: int) -> Any:
    """Get a use of a coupon."""
    return show_use(coupon_codes.use(redemption_id))


@resource.writes("POST", f"{USE}/undo", shows=schemas.CouponUse, example={**USED, "voided_at": "2026-05-09T16:25:00Z"})
def undo_coupon_redemption(redemption_id: int) -> Any:
    """Take a use of a coupon back.

    The code can be used once more, and a start of a flow that still waits because of it is undone. 409 the second time.
    """
    return show_use(coupon_codes.use(coupons.undo(redemption_id).id))
