"""Segments over the API."""

from __future__ import annotations

from .conftest import each
from .test_door import problem

RULE = {"all": [{"type": "has_tag", "tag": "vip"}, {"not": {"type": "in_list", "list": "Newsletter"}}]}


def test_it_makes_changes_counts_and_deletes_segments(api, newsletter, clock):
    made = api.post("/segments", {"name": " Vip ", "rule": RULE})
    assert made.status_code == 201
    path = f"/segments/{made.json['id']}"
    assert made.headers["Location"] == f"/api/v1{path}"
    assert made.json == {
        "id": made.json["id"],
        "name": "Vip",
        "rule": RULE,
        "created_at": "2026-05-04T09:00:00Z",
        "updated_at": "2026-05-04T09:00:00Z",
    }
    ada = api.post("/contacts", {"email": "ada@example.com", "tags": ["vip"]}).json["id"]
    api.post("/contacts", {"email": "bob@example.com", "tags": ["vip"], "lists": ["Newsletter"]})
    assert api.get(f"{path}/count").json == {"contacts": 1, "complete": True}
    assert api.get(f"{path}/contacts").json == {"data": [{"id": ada}], "next": None}
    changed = api.patch(path, {"rule": {"type": "has_tag", "tag": "VIP"}})
    assert changed.json["rule"] == {"type": "has_tag", "tag": "VIP"} and changed.json["name"] == "Vip"
    assert api.get(f"{path}/count").json["contacts"] == 2
    first = api.get(f"{path}/contacts?limit=1").json
    assert first["data"] == [{"id": ada}]
    assert len(api.get(f"{path}/contacts?cursor={first['next']}").json["data"]) == 1
    tag = api.get(path).headers["ETag"]
    assert api.patch(path, {"name": "Best"}, headers={"If-Match": tag}).status_code == 200
    problem(api.patch(path, {"name": "X"}, headers={"If-Match": tag}), 412, "precondition-failed")
    assert api.delete(path).status_code == 204
    for answer in (api.get(path), api.patch(path, {"name": "x"}), api.delete(path), api.get(f"{path}/count")):
        problem(answer, 404, "not-found")


def test_segments_are_listed_and_found_by_name(api):
    for name in ("Vip", "Others"):
        assert api.post("/segments", {"name": name, "rule": {"type": "has_email"}}).status_code == 201
    assert [row["name"] for row in api.get("/segments").json["data"]] == ["Vip", "Others"]
    assert [row["name"] for row in api.get("/segments?name=VIP").json["data"]] == ["Vip"]


@each(
    ("body", "where"),
    [
        ({}, {"name", "rule"}),
        ({"name": "", "rule": RULE}, {"name"}),
        ({"name": "x" * 121, "rule": RULE}, {"name"}),
        ({"name": "taken", "rule": RULE}, {"name"}),
        ({"name": "x", "rule": []}, {"rule"}),
        ({"name": "x", "rule": {}}, {"rule"}),
        ({"name": "x", "rule": {"type": "has_tag", "tag": 5}}, {"rule.tag"}),
        ({"name": "x", "rule": {"all": [{"type": "in_list", "list": "No"}]}}, {"rule.all[0].list"}),
        ({"name": "x", "rule": {"type": "email_opened", "of": "a"}}, {"rule.type"}),
        ({"name": "x", "rule": {"all": [{"any": [{"all": [RULE]}]}]}}, {"rule.all[0].any[0]"}),
    ],
)
def test_bad_segments_are_refused_at_their_path(api, newsletter, body, where):
    api.post("/segments", {"name": "Taken", "rule": {"type": "has_email"}})
    assert set(problem(api.post("/segments", body), 422, "invalid")["errors"]) == where


def test_a_segment_in_use_is_kept(api):
    made = api.post("/segments", {"name": "Vip", "rule": {"type": "has_email"}}).json
    branch = {"key": "b", "type": "if_else", "if": {"type": "in_segment", "segment": "vip"}}
    flow = api.post("/flows", {"name": "F", "trigger": {"type": "list_joined"}, "steps": [branch]}).json
    found = problem(api.delete(f"/segments/{made['id']}"), 409, "conflict")
    assert found["uses"] == [{"kind": "flow", "id": flow["id"], "name": "F"}]
