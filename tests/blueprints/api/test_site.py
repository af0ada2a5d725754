"""Tracked sites, identity tokens, conversion rules and conversions over the API."""

from __future__ import annotations

import json

import pytest

from .conftest import each
from .test_door import problem

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def shop(api, clock):
    return api.post("/monitors", {"name": "Shop", "domains": ["https://www.Shop.example"]}).json


@pytest.fixture
def ada(api):
    return api.post("/contacts", {"email": "ada@example.com"}).json


def beacon(client, shop, **message):
    body = json.dumps({"v": "a" * 32, **message})
    head = {"Origin": "https://shop.example", "User-Agent": BROWSER}
    assert client.post(f"/t/{shop['key']}", data=body, headers=head).status_code == 204


def test_it_makes_changes_and_deletes_sites(api, shop, clock):
    path = f"/monitors/{shop['id']}"
    assert shop["domains"] == ["shop.example"] and shop["script"].endswith(f"/t/{shop['key']}.js")
    assert (shop["ask_consent"], shop["enabled"], shop["verified_at"]) == (False, True, None)
    clock.forward(minutes=1)
    changed = {**shop, "ask_consent": True, "updated_at": "2026-05-04T09:01:00Z"}
    assert api.patch(path, {"ask_consent": True}).json == changed
    assert api.get("/monitors?updated_since=2026-05-04T09:01:00Z").json["data"] == [changed]
    assert api.get("/monitors?updated_since=2026-05-04T09:02:00Z").json["data"] == []
    assert api.delete(path).status_code == 204
    problem(api.get(path), 404, "not-found")


@each(
    ("body", "where"),
    [
        ({}, {"name", "domains"}),
        ({"name": "x", "domains": []}, {"domains"}),
        ({"name": "x", "domains": "shop.example"}, {"domains"}),
        ({"name": "x", "domains": ["*.shop.example"]}, {"domains"}),
        ({"name": "x", "domains": [5]}, {"domains[0]"}),
        ({"name": "SHOP", "domains": ["a.example"]}, {"name"}),
        ({"name": "x", "domains": ["a.example"], "enabled": "yes"}, {"enabled"}),
    ],
)
def test_bad_sites_are_refused(api, shop, body, where):
    assert set(problem(api.post("/monitors", body), 422, "invalid")["errors"]) == where


def test_a_token_names_a_visitor_whose_pages_can_be_read(api, client, shop, ada, clock):
    token = api.post("/identity-tokens", {"contact": {"id": ada["id"]}, "valid_for": 60}).json
    assert (token["contact_id"], token["expires_at"]) == (ada["id"], "2026-05-04T09:01:00Z")
    beacon(client, shop, t="view", p="b" * 32, u="https://shop.example/espresso", i=token["token"])
    (seen,) = api.get(f"/contacts/{ada['id']}/visits").json["data"]
    assert (seen["url"], seen["first"], seen["monitor_id"]) == ("https://shop.example/espresso", True, shop["id"])
    assert api.get(f"/monitors/{shop['id']}").json["verified_at"] == "2026-05-04T09:00:00Z"
    problem(api.get("/contacts/999999/visits"), 404, "not-found")
    for body, where in (
        ({"contact": {"email": "nobody@example.com"}}, "contact"),
        ({"contact": {"id": ada["id"]}, "valid_for": 59}, "valid_for"),
        ({"contact": {"id": ada["id"]}, "valid_for": 86_401}, "valid_for"),
    ):
        assert list(problem(api.post("/identity-tokens", body), 422, "invalid")["errors"]) == [where]


def test_it_makes_changes_and_deletes_conversion_rules(api, shop):
    body = {"name": "Thanks", "source": "pages", "monitor": "shop", "patterns": ["https://shop.example/thanks"]}
    made = api.post("/conversion-rules", {**body, "amount": 9.9}).json
    path = f"/conversion-rules/{made['id']}"
    assert (made["monitor_id"], made["amount"], made["each_time"]) == (shop["id"], 9.9, False)
    assert api.patch(path, {"each_time": True}).json == {**made, "each_time": True}
    assert list(problem(api.patch(path, {"monitor": "Nope"}), 422, "invalid")["errors"]) == ["monitor"]
    uses = problem(api.delete(f"/monitors/{shop['id']}"), 409, "conflict")["uses"]
    assert uses == [{"kind": "conversion_rule", "id": made["id"], "name": "Thanks"}]
    assert api.delete(path).status_code == 204
    assert api.get("/conversion-rules").json["data"] == []


def test_a_conversion_is_recorded_once_and_undone(api, ada, clock):
    rule = api.post("/conversion-rules", {"name": "Order", "source": "manual", "each_time": True, "amount": 5}).json
    body = {"rule": "order", "contact": {"email": "ada@example.com"}, "key": "A-1", "amount": 24.5}
    first = api.post("/conversions", body)
    assert first.status_code == 201 and first.json["amount"] == 24.5 and first.json["rule_id"] == rule["id"]
    again = api.post("/conversions", {**body, "amount": 99})
    assert again.status_code == 200 and again.json == first.json
    other = api.post("/contacts", {"email": "luca@example.com"}).json
    problem(api.post("/conversions", {**body, "contact": {"id": other["id"]}}), 409, "conflict")
    assert api.post("/conversions", {"rule": rule["id"], "contact": {"id": ada["id"]}}).json["amount"] == 5
    path = f"/conversions/{first.json['id']}"
    undone = api.post(f"{path}/undo").json
    assert undone["undone_at"] == "2026-05-04T09:00:00Z" and api.get(path).json == undone
    assert api.get("/conversions?updated_since=2026-05-04T09:00:01Z").json["data"] == []
    assert len(api.get(f"/conversions?rule={rule['id']}&contact={ada['id']}").json["data"]) == 2
    assert api.get("/conversions?contact=999").json["data"] == []
    problem(api.delete(f"/conversion-rules/{rule['id']}"), 409, "conflict")


@each(
    ("body", "where"),
    [
        ({}, {"rule", "contact"}),
        ({"rule": "Nope", "contact": {"id": 1}}, {"rule"}),
        ({"rule": 999, "contact": {"id": 1}}, {"rule"}),
        ({"rule": "Order", "contact": {"id": 999}}, {"contact"}),
        ({"rule": "Order", "contact": {}}, {"contact"}),
        ({"rule": "Order", "contact": {"email": "ada@example.com"}, "amount": -1}, {"amount"}),
        ({"rule": "Order", "contact": {"email": "ada@example.com"}, "amount": "1"}, {"amount"}),
        ({"rule": "Order", "contact": {"email": "ada@example.com"}, "at": "2027-01-01T00:00:00Z"}, {"at"}),
    ],
)
def test_bad_conversions_are_refused(api, ada, clock, body, where):
    api.post("/conversion-rules", {"name": "Order", "source": "manual"})
    assert set(problem(api.post("/conversions", body), 422, "invalid")["errors"]) == where


def test_a_rule_that_is_off_records_nothing(api, ada):
    rule = api.post("/conversion-rules", {"name": "Order", "source": "manual", "enabled": False}).json
    problem(api.post("/conversions", {"rule": rule["id"], "contact": {"id": ada["id"]}}), 409, "conflict")


def test_a_loop_is_refused_over_the_api_too(api):
    rule = api.post("/conversion-rules", {"name": "Order", "source": "manual"}).json
    flow = {
        "name": "Round",
        "trigger": {"type": "conversion", "rule": "Order"},
        "steps": [{"key": "again", "type": "record_conversion", "rule": rule["id"]}],
    }
    made = api.post("/flows", flow).json
    assert "steps[0]" in problem(api.post(f"/flows/{made['id']}/publish"), 422, "invalid")["errors"]


def test_a_host_outside_the_site_is_refused_at_its_path(api, shop):
    trigger = {"type": "site_visit", "monitor": "Shop", "url": "https://other.example/a"}
    answer = api.post("/flows", {"name": "Visit", "trigger": trigger, "steps": []})
    assert list(problem(answer, 422, "invalid")["errors"]) == ["trigger.url"]
