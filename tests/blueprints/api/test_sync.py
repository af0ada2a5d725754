"""A copy of a client can be kept up to date: lists that take ``updated_since``, objects that carry an ETag."""

from __future__ import annotations

import pytest

from .conftest import PREFIX, document, operations
from .world import address, furnish

FIXED = {  # lists of what never changes once it is there, of other clients, or of a moment's answer
    *("/clients", "/step-types", "/events", "/contacts/{contact_id}/consents", "/contacts/{contact_id}/score"),
    *("/contacts/{contact_id}/visits", "/flows/{flow_id}/starts", "/flows/{flow_id}/versions"),
    *("/loyalty/cards/{card_number}/movements", "/loyalty/cards/{card_number}/rewards"),
    *("/segments/{segment_id}/contacts", "/campaigns/{campaign_id}/recipients"),
}
COUNTED = {"/segments/{segment_id}/count"}  # a number that moves by itself: nothing to keep
FILES = {"/imports/{import_id}/refused"}


@pytest.fixture
def lume(app, api, workspace, clock, queue, bob):
    """One object of every kind in Caffè Lume."""
    return furnish(api)


def gets(spec):
    """``(path, operation, whether it is a list)`` of all that is read."""
    for method, path, operation in operations(spec):
        if method == "GET":
            name = operation["responses"]["200"].get("content", {}).get("application/json", {}).get("schema", {})
            shown = spec["components"]["schemas"].get(name.get("$ref", "").rpartition("/")[2], {})
            listed = "data" in shown.get("properties", {}) and not path.endswith("}")
            yield path.removeprefix(PREFIX), operation, listed


def test_every_list_of_objects_that_change_takes_updated_since(api, lume):
    """A new list is either of what never changes, and named above, or can be kept up to date."""
    spec = document(api.app)
    lists = {path: operation for path, operation, listed in gets(spec) if listed}
    takes = {path for path, one in lists.items() if "updated_since" in [p.get("name") for p in one["parameters"]]}
    assert set(lists) - takes == FIXED
    for path in sorted(takes):
        where = address(PREFIX + path, lume)
        every = api.get(where).json["data"]
        assert every, path
        assert api.get(f"{where}?updated_since=2020-01-01T00:00:00Z").json["data"] == every, path
        assert api.get(f"{where}?updated_since=2099-01-01T00:00:00Z").json["data"] == [], path


def test_every_object_has_an_etag_and_is_not_sent_twice(api, lume):
    for path, operation, listed in gets(document(api.app)):
        if listed or path in COUNTED | FILES:
            continue
        assert "ETag" in operation["responses"]["200"].get("headers", {}), path
        where = address(PREFIX + path, lume)
        where += f"?message={lume.message_id}" if path.endswith("/why") else ""
        answer = api.get(where)
        assert answer.status_code == 200 and answer.headers["ETag"], (path, answer.json)
        assert "304" in operation["responses"] and "If-None-Match" in [p.get("name") for p in operation["parameters"]]
        assert api.get(where, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304, path


def test_what_is_done_to_coupons_purchases_and_rewards_moves_their_time(api, lume, clock):
    clock.now = clock.now.replace(year=2027)
    since = "?updated_since=2027-01-01T00:00:00Z"

    def changed(path):
        return len(api.get(f"{path}{since}").json["data"])

    assert [changed(one) for one in ("/coupons", "/coupon-campaigns", "/coupon-redemptions", "/purchases")] == [0] * 4
    assert [changed(one) for one in ("/loyalty/programmes", "/loyalty/rewards", "/users", "/imports")] == [0] * 4
    api.patch(f"/coupon-campaigns/{lume.coupon_campaign_id}", {"value": "5 %", "ends_on": None, "days": None})
    made = api.post("/coupons", {"campaign": lume.coupon_campaign_id, "contact": {"id": lume.contact_id}}).json
    assert changed("/coupons") == 1 and changed("/coupon-campaigns") == 1
    used = api.post(f"/coupons/{made['code']}/redeem").json
    assert changed("/coupon-redemptions") == 1
    clock.now = clock.now.replace(year=2028)
    since = "?updated_since=2028-01-01T00:00:00Z"
    assert changed("/coupon-redemptions") == 0
    api.post(f"/coupon-redemptions/{used['id']}/undo")
    assert (changed("/coupon-redemptions"), changed("/coupons")) == (1, 1)
    api.patch(f"/loyalty/rewards/{lume.reward_id}", {"points": 77})
    api.patch(f"/loyalty/programmes/{lume.programme_id}", {"welcome_points": 7})
    assert (changed("/loyalty/rewards"), changed("/loyalty/programmes")) == (1, 1)
    refund = {"type": "refund", "contact": {"id": lume.contact_id}, "properties": {"order": "A-1", "amount": 1}}
    assert api.post("/events", refund).status_code < 300
    assert changed("/purchases") == 1
