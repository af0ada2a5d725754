"""Forms over the API."""

from __future__ import annotations

from .conftest import each
from .test_door import problem

BODY = {
    "name": "Footer",
    "list": "Newsletter",
    "title": "Coffee news",
    "fields": [{"key": "first_name", "label": "Your name", "required": True}, {"key": "phone"}],
}


def test_it_makes_changes_and_deletes_forms(api, newsletter, clock):
    made = api.post("/forms", BODY)
    assert made.status_code == 201, made.json
    path = f"/forms/{made.json['id']}"
    assert made.headers["Location"] == f"/api/v1{path}"
    public = made.json["url"]
    assert public.startswith("http://localhost/f/")
    assert made.json == {
        "id": made.json["id"],
        "name": "Footer",
        "url": public,
        "list_id": newsletter.id,
        "title": "Coffee news",
        "intro": "",
        "button": "",
        "fields": [
            {"key": "first_name", "label": "Your name", "required": True},
            {"key": "phone", "label": "", "required": False},
        ],
        "double_opt_in": True,
        "email_consent_text": "",
        "sms_consent_text": "",
        "thanks_title": "",
        "thanks_text": "",
        "thanks_url": "",
        "locale": "",
        "closed": False,
        "created_at": "2026-05-04T09:00:00Z",
        "updated_at": "2026-05-04T09:00:00Z",
    }
    assert api.client.get(public.removeprefix("http://localhost")).status_code == 200
    changed = api.patch(path, {"button": "Join", "fields": []})
    assert changed.json == {**made.json, "button": "Join", "fields": []}
    assert api.get(path).json == changed.json
    assert api.get("/forms").json == {"data": [changed.json], "next": None}
    assert api.delete(path).status_code == 204
    for answer in (api.get(path), api.patch(path, {"button": "x"}), api.delete(path)):
        problem(answer, 404, "not-found")


def test_a_list_is_named_or_numbered(api, newsletter):
    other = api.post("/lists", {"name": "Other"}).json
    made = api.post("/forms", {"name": "One", "list": newsletter.id}).json
    assert api.patch(f"/forms/{made['id']}", {"list": "other"}).json["list_id"] == other["id"]


def test_the_code_of_a_form_can_be_put_into_a_page_and_sent(api, newsletter, client):
    made = api.post("/forms", {**BODY, "locale": "it"}).json
    found = api.get(f"/forms/{made['id']}/snippet").json
    assert f'action="{made["url"]}"' in found["html"] and "<script" not in found["html"]
    assert "Your name" in found["html"] and 'name="phone"' in found["html"]
    assert f'src="{made["url"]}?embed=1"' in found["iframe"]
    path = made["url"].removeprefix("http://localhost")
    assert client.get(f"{path}?embed=1").status_code == 200
    problem(api.get("/forms/99999999/snippet"), 404, "not-found")


@each(
    ("change", "where"),
    [
        ({"name": ""}, {"name"}),
        ({"name": None}, {"name"}),
        ({"name": "x" * 121}, {"name"}),
        ({"list": None}, {"list"}),
        ({"list": 99999999}, {"list"}),
        ({"list": "Nothing"}, {"list"}),
        ({"list": "Nothing", "name": " "}, {"list", "name"}),
        ({"fields": [{"key": "colour"}]}, {"fields"}),
        ({"fields": [{"label": "x"}]}, {"fields[0].key"}),
        ({"fields": [{"key": "phone", "label": 5}]}, {"fields[0].label"}),
        ({"fields": [{"key": "phone", "required": "yes"}]}, {"fields[0].required"}),
        ({"fields": ["phone"]}, {"fields[0]"}),
        ({"fields": "phone"}, {"fields"}),
        ({"fields": [{"key": "phone"}] * 51}, {"fields"}),
        ({"double_opt_in": "no"}, {"double_opt_in"}),
        ({"double_opt_in": False}, {"email_consent_text"}),
        ({"thanks_url": "javascript:alert(1)"}, {"thanks_url"}),
        ({"locale": "xx"}, {"locale"}),
        ({"intro": "x" * 601}, {"intro"}),
        ({"title": "<script>alert(1)</script>"}, {"title"}),
        ({"public_id": "mine"}, {"public_id"}),
    ],
)
def test_bad_forms_are_refused(api, newsletter, change, where):
    assert set(problem(api.post("/forms", {**BODY, "name": "New", **change}), 422, "invalid")["errors"]) == where
    made = next(iter(api.get("/forms").json["data"]), None) or api.post("/forms", BODY).json
    assert set(problem(api.patch(f"/forms/{made['id']}", change), 422, "invalid")["errors"]) == where
    assert api.get(f"/forms/{made['id']}").json == made
