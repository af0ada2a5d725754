"""Coupons over the API: campaigns, giving out, using, taking back. Bad-input cells of the coupon trigger by name."""

from __future__ import annotations

import pytest

from flowserver.services.engine import engine

from .conftest import each
from .test_door import problem

FLOW = {
    "name": "Thanks",
    "trigger": {"type": "coupon", "campaign": "Spring beans", "event": "used", "wait": {"minutes": 0}},
    "steps": [{"key": "t", "type": "add_tag", "tag": "used"}],
}


@pytest.fixture
def beans(api, clock):
    """A campaign that makes its codes."""
    return api.post("/coupon-campaigns", {"name": "Spring beans", "value": "15 %", "days": 30}).json


@pytest.fixture
def ada(api):
    """A contact."""
    return api.post("/contacts", {"email": "ada@example.com"}).json


def give(api, **more):
    return api.post("/coupons", {"campaign": "Spring beans", "contact": {"email": "ada@example.com"}, **more})


def runs(api):
    return api.get("/enrollments").json["data"]


def test_it_makes_changes_and_deletes_campaigns(api, clock):
    made = api.post("/coupon-campaigns", {"name": " Spring ", "value": "15 %", "ends_on": "2026-06-30", "uses": 2})
    assert made.status_code == 201 and made.headers["Location"].endswith(f"/coupon-campaigns/{made.json['id']}")
    path = f"/coupon-campaigns/{made.json['id']}"
    assert made.json["name"] == "Spring" and made.json["numbers"]["issued"] == 0
    changed = api.patch(path, {"value": "20 %", "ends_on": None})
    assert changed.json == {**made.json, "value": "20 %", "ends_on": None}
    assert api.get("/coupon-campaigns").json == {"data": [changed.json], "next": None}
    tag = api.get(path).headers["ETag"]
    api.post("/coupons", {"campaign": made.json["id"]})
    seen = api.get(path)
    assert seen.headers["ETag"] != tag and seen.json["numbers"]["issued"] == 1
    problem(api.patch(path, {"value": "x"}, headers={"If-Match": '"other"'}), 412, "precondition-failed")
    assert api.delete(path, headers={"If-Match": tag}).status_code == 204
    problem(api.get(path), 404, "not-found")


@each(
    ("body", "where"),
    [
        ({}, {"name", "value"}),
        ({"name": "x", "value": ""}, {"value"}),
        ({"name": "spring BEANS", "value": "x"}, {"name"}),
        ({"name": "x", "value": "x", "uses": 0}, {"uses"}),
        ({"name": "x", "value": "x", "uses": "2"}, {"uses"}),
        ({"name": "x", "value": "x", "days": 1.5}, {"days"}),
        ({"name": "x", "value": "x", "codes": "mine"}, {"codes"}),
        ({"name": "x", "value": "x", "ends_on": "soon"}, {"ends_on"}),
        ({"name": "x", "value": "x", "starts_on": "2026-06-02", "ends_on": "2026-06-01"}, {"ends_on"}),
        ({"name": "x", "value": "x", "prefix": "a/b"}, {"prefix"}),
        ({"name": "x", "value": "x", "replaces": 1}, {"replaces"}),
        ({"name": "x", "value": "x", "colour": "red"}, {"colour"}),
    ],
)
def test_bad_campaigns_are_refused(api, beans, body, where):
    assert set(problem(api.post("/coupon-campaigns", body), 422, "invalid")["errors"]) == where


def test_codes_are_imported_each_on_its_own(api, beans, clock):
    pool = api.post("/coupon-campaigns", {"name": "Pool", "value": "5 €", "codes": "pool"}).json
    path = f"/coupon-campaigns/{pool['id']}/import"
    found = api.post(path, {"codes": ["A1", "", "a1", "x" * 41]}).json
    assert (found["added"], found["refused"]) == (1, 3)
    assert [(one["index"], one["errors"]) for one in found["data"]] == [
        (1, ["The line is empty"]),
        (2, ["There is this code already"]),
        (3, ["Use at most 40 characters"]),
    ]
    assert api.post(path, {"codes": ["P1"], "handed_out": True}).json["added"] == 1
    assert [api.get(f"/coupons/{code}").json["state"] for code in ("a1", "p1")] == ["free", "issued"]
    problem(api.post(f"/coupon-campaigns/{beans['id']}/import", {"codes": ["X"]}), 409, "conflict")
    for body in ({}, {"codes": []}, {"codes": "A"}, {"codes": [1]}, {"codes": ["x"] * 10_001}):
        problem(api.post(path, body), 422, "invalid")


def test_a_coupon_is_given_to_a_contact_and_found_by_its_code(api, beans, ada):
    made = give(api)
    assert made.status_code == 201 and made.json["contact_id"] == ada["id"] and made.json["usable"]
    assert made.json["expires_at"] == "2026-06-03T09:00:00Z"
    assert api.get(f"/coupons/{made.json['code'].lower()}").json == made.json
    assert api.get(f"/coupons?contact={ada['id']}&state=issued&campaign={beans['id']}").json["data"] == [made.json]
    assert give(api, contact={"id": ada["id"]}).json["contact_id"] == ada["id"]
    assert give(api, contact=None).json["contact_id"] is None
    assert len(api.get("/coupons?limit=2").json["data"]) == 2 and api.get("/coupons?limit=2").json["next"]
    for body, where in (
        ({"campaign": "Nothing"}, "campaign"),
        ({"campaign": 99}, "campaign"),
        ({"campaign": None}, "campaign"),
        ({"contact": {"email": "nobody@example.com"}}, "contact"),
        ({"contact": {"id": 999}}, "contact"),
        ({"contact": {"email": "nonsense"}}, "contact.email"),
    ):
        assert list(problem(give(api, **body), 422, "invalid")["errors"]) == [where], body


def test_many_coupons_are_given_in_one_request(api, beans, ada):
    eve = api.post("/contacts", {"email": "eve@example.com"}).json
    found = api.post("/coupons/bulk", {"campaign": beans["id"], "contacts": [ada["id"], eve["id"], 9999]}).json
    assert [one["contact_id"] for one in found["data"]] == [ada["id"], eve["id"]] and found["without"] == []
    assert found["missing"] == [9999]
    pool = api.post("/coupon-campaigns", {"name": "Pool", "value": "5 €", "codes": "pool"}).json
    api.post(f"/coupon-campaigns/{pool['id']}/import", {"codes": ["A1"]})
    found = api.post("/coupons/bulk", {"campaign": "pool", "contacts": [ada["id"], eve["id"]]}).json
    assert found == {"data": [{"contact_id": ada["id"], "code": "A1"}], "without": [eve["id"]], "missing": []}
    problem(give(api, campaign="Pool"), 409, "no-coupon-left")


def test_a_use_starts_the_flow_and_is_taken_back_once(api, beans, ada):
    flow = api.post("/flows", FLOW).json
    assert api.post(f"/flows/{flow['id']}/publish").status_code == 200
    code = give(api).json["code"]
    used = api.post(f"/coupons/{code}/redeem", {"place": "Via Po", "receipt": "R-1", "amount": 24.5})
    assert used.status_code == 200 and (used.json["amount"], used.json["place"]) == (24.5, "Via Po")
    assert api.get(f"/coupons/{code}").json["state"] == "redeemed"
    assert api.post(f"/coupons/{code}/redeem", {"receipt": "R-1"}).json == used.json  # the same till, once more
    assert len(runs(api)) == 1
    path = f"/coupon-redemptions/{used.json['id']}"
    assert api.get(path).json == used.json
    assert api.get(f"/coupon-redemptions?contact={ada['id']}&campaign={beans['id']}").json["data"] == [used.json]
    assert api.post(f"{path}/undo").json["voided_at"] == "2026-05-04T09:00:00Z"
    problem(api.post(f"{path}/undo"), 409, "conflict")
    assert runs(api)[0]["end_reason"] == "start_undone"
    assert api.get(f"/coupons/{code}").json["usable"]


# --- the column "Bad input and corner cases" ---------------------------------------------------------------


def test_campaign_without_coupon(api, clock):
    api.post("/coupon-campaigns", {"name": "Spring beans", "value": "15 %", "codes": "pool"})
    flow = api.post("/flows", FLOW).json
    answer = api.post(f"/flows/{flow['id']}/publish")
    assert answer.status_code == 422 and list(answer.json["errors"]) == ["trigger.campaign"]


def test_code_unknown_404_no_event(api, beans):
    problem(api.post("/coupons/NOBODY/redeem", {}), 404, "not-found")
    problem(api.get("/coupons/NOBODY"), 404, "not-found")
    problem(api.post("/coupons/NOBODY/void"), 404, "not-found")
    assert api.get("/events?type=coupon_redeemed").json["data"] == []


def test_used_up_409_no_event(api, beans, ada):
    code = give(api).json["code"]
    api.post(f"/coupons/{code}/redeem")
    problem(api.post(f"/coupons/{code}/redeem", {"place": "elsewhere"}), 409, "coupon-used-up")
    assert len(api.get("/events?type=coupon_redeemed").json["data"]) == 1


def test_expired_410_no_event(api, beans, ada, clock):
    code = give(api).json["code"]
    clock.forward(days=30)
    problem(api.post(f"/coupons/{code}/redeem"), 410, "coupon-expired")
    assert api.get("/events?type=coupon_redeemed").json["data"] == []


def test_void_410_and_not_yet_409(api, beans, ada):
    code = give(api).json["code"]
    assert api.post(f"/coupons/{code}/void").json["state"] == "void"
    problem(api.post(f"/coupons/{code}/redeem"), 410, "coupon-void")
    problem(api.post(f"/coupons/{code}/void"), 409, "conflict")
    api.post("/coupon-campaigns", {"name": "Later", "value": "1", "starts_on": "2026-07-01"})
    later = give(api, campaign="later").json
    assert not later["usable"]
    problem(api.post(f"/coupons/{later['code']}/redeem"), 409, "coupon-not-yet-good")


def test_code_with_no_contact_no_run(api, beans):
    flow = api.post("/flows", FLOW).json
    assert api.post(f"/flows/{flow['id']}/publish").status_code == 200
    code = give(api, contact=None).json["code"]
    assert api.post(f"/coupons/{code}/redeem").status_code == 200
    engine.advance()
    assert runs(api) == []


@each("amount", [-1, "12", True, 1.005, 1e30, [1]])
def test_bad_amounts_are_refused(api, beans, ada, amount):
    code = give(api).json["code"]
    assert list(problem(api.post(f"/coupons/{code}/redeem", {"amount": amount}), 422, "invalid")["errors"]) == [
        "amount"
    ]
    assert api.get(f"/coupons/{code}").json["uses"] == 0


def test_a_campaign_in_use_is_kept(api, beans):
    flow = api.post("/flows", FLOW).json
    found = problem(api.delete(f"/coupon-campaigns/{beans['id']}"), 409, "conflict")
    assert found["uses"] == [{"kind": "flow", "id": flow["id"], "name": "Thanks"}]
