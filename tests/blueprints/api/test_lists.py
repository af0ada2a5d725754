"""Lists, tags and custom fields over the API."""

from __future__ import annotations

from .conftest import each
from .test_door import problem


def test_it_makes_changes_and_deletes_lists(api, clock):
    made = api.post("/lists", {"name": " Newsletter ", "description": "Monthly", "public": True})
    assert made.status_code == 201
    path = f"/lists/{made.json['id']}"
    assert made.headers["Location"] == f"/api/v1{path}"
    assert made.json == {
        "id": made.json["id"],
        "name": "Newsletter",
        "description": "Monthly",
        "public": True,
        "contacts": 0,
        "created_at": "2026-05-04T09:00:00Z",
        "updated_at": "2026-05-04T09:00:00Z",
    }
    changed = api.patch(path, {"name": "News"})
    assert changed.json == {**made.json, "name": "News"}
    assert api.get(path).json == changed.json
    assert api.patch(path, {"public": False, "description": ""}).json["name"] == "News"
    assert api.delete(path).status_code == 204
    for answer in (api.get(path), api.patch(path, {"name": "x"}), api.delete(path)):
        problem(answer, 404, "not-found")


def test_lists_are_listed_and_found_by_name(api):
    for name in ("News", "Offers"):
        api.post("/lists", {"name": name})
    api.post("/contacts", {"email": "a@example.com", "lists": ["Offers"]})
    assert [(row["name"], row["contacts"]) for row in api.get("/lists").json["data"]] == [("News", 0), ("Offers", 1)]
    assert [row["name"] for row in api.get("/lists?name=OFFERS").json["data"]] == ["Offers"]
    assert api.get("/lists?name=x").json["data"] == []


@each(
    ("body", "where"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": "<b>"}, "name"),
        ({"name": "NEWSLETTER"}, "name"),
        ({"name": "x", "description": "y" * 301}, "description"),
        ({"name": "x", "public": "yes"}, "public"),
        ({"name": "x", "public": 1}, "public"),
    ],
)
def test_bad_lists_are_refused(api, newsletter, body, where):
    assert list(problem(api.post("/lists", body), 422, "invalid")["errors"]) == [where]


def test_a_list_keeps_its_name_for_itself(api, newsletter):
    other = api.post("/lists", {"name": "Other"}).json
    assert list(problem(api.patch(f"/lists/{other['id']}", {"name": "newsletter"}), 422, "invalid")["errors"]) == [
        "name"
    ]
    assert api.patch(f"/lists/{newsletter.id}", {"name": "Newsletter"}).status_code == 200


def test_a_list_in_use_is_kept(api, newsletter):
    flow = {"name": "Welcome", "trigger": {"type": "list_joined", "list": newsletter.id}, "steps": []}
    made = api.post("/flows", flow)
    assert made.status_code == 201, made.json
    found = problem(api.delete(f"/lists/{newsletter.id}"), 409, "conflict")
    assert found["uses"] == [{"kind": "flow", "id": made.json["id"], "name": "Welcome"}]
    assert api.get(f"/lists/{newsletter.id}").status_code == 200


def test_contacts_of_a_deleted_list_stay_unless_told(api):
    for choice, left in (("", 1), ("?contacts=keep", 1), ("?contacts=delete", 0)):
        made = api.post("/lists", {"name": "Gone"}).json
        api.post("/contacts", {"email": "a@example.com", "lists": ["Gone"]})
        assert api.delete(f"/lists/{made['id']}{choice}").status_code == 204
        assert len(api.get("/contacts").json["data"]) == left
    made = api.post("/lists", {"name": "Gone"}).json
    problem(api.delete(f"/lists/{made['id']}?contacts=perhaps"), 422, "invalid")


# --- tags ------------------------------------------------------------------------------------------------


def test_it_makes_and_lists_tags(api, clock):
    made = api.post("/tags", {"name": " VIP "})
    assert made.status_code == 201
    moment = "2026-05-04T09:00:00Z"
    tag = {"id": made.json["id"], "name": "vip", "contacts": 0, "created_at": moment, "updated_at": moment}
    assert made.json == tag
    api.post("/contacts", {"email": "a@example.com", "tags": ["vip", "other"]})
    assert [(row["name"], row["contacts"]) for row in api.get("/tags").json["data"]] == [("vip", 1), ("other", 1)]


@each("name", [None, "", " ", 5, "a,b", "x" * 61, "Taken", ["x"]])
def test_bad_tags_are_refused(api, name):
    api.post("/tags", {"name": "taken"})
    assert list(problem(api.post("/tags", {"name": name}), 422, "invalid")["errors"]) == ["name"]


# --- fields ----------------------------------------------------------------------------------------------


def test_it_makes_and_lists_fields(api):
    made = api.post("/fields", {"label": "Favourite coffee", "type": "choice", "choices": ["Espresso", "Filter"]})
    assert made.status_code == 201
    assert made.json == {
        "id": made.json["id"],
        "key": "favourite_coffee",
        "label": "Favourite coffee",
        "type": "choice",
        "choices": ["Espresso", "Filter"],
        "created_at": made.json["created_at"],
        "updated_at": made.json["updated_at"],
    }
    assert api.get("/fields").json == {"data": [made.json], "next": None}


@each(
    ("body", "where"),
    [
        ({}, {"label", "type"}),
        ({"label": "", "type": "text"}, {"label"}),
        ({"label": "City", "type": "colour"}, {"type"}),
        ({"label": "City", "type": None}, {"type"}),
        ({"label": "City", "type": "choice"}, {"choices"}),
        ({"label": "City", "type": "choice", "choices": ["one"]}, {"choices"}),
        ({"label": "City", "type": "choice", "choices": ["a", "A"]}, {"choices"}),
        ({"label": "City", "type": "choice", "choices": "ab"}, {"choices"}),
        ({"label": "City", "type": "choice", "choices": [1, 2]}, {"choices[0]", "choices[1]"}),
        ({"label": "City", "type": "choice", "choices": ["x"] * 201}, {"choices"}),
        ({"label": "taken", "type": "text"}, {"label"}),
        ({"label": "x" * 61, "type": "text"}, {"label"}),
        ({"label": "City", "type": "text", "key": "mine"}, {"key"}),
    ],
)
def test_bad_fields_are_refused(api, body, where):
    api.post("/fields", {"label": "Taken", "type": "text"})
    assert set(problem(api.post("/fields", body), 422, "invalid")["errors"]) == where
