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


# --- single tags and fields, and what changed ------------------------------------------------------------


def test_tags_are_renamed_and_deleted(api):
    api.post("/contacts", {"email": "ada@example.com", "tags": ["vip"]})
    tag = api.get("/tags?name=VIP").json["data"][0]
    path = f"/tags/{tag['id']}"
    seen = api.get(path)
    assert seen.json["contacts"] == 1
    assert api.patch(path, {"name": "Regular"}, headers={"If-Match": seen.headers["ETag"]}).json["name"] == "regular"
    problem(api.patch(path, {"name": "x"}, headers={"If-Match": seen.headers["ETag"]}), 412, "precondition-failed")
    assert api.get("/contacts").json["data"][0]["tags"] == ["regular"]
    api.post("/tags", {"name": "taken"})
    assert list(problem(api.patch(path, {"name": "TAKEN"}), 422, "invalid")["errors"]) == ["name"]
    assert api.delete(path).status_code == 204
    problem(api.get(path), 404, "not-found")
    assert api.get("/contacts").json["data"][0]["tags"] == []


def test_fields_are_changed_and_deleted_with_their_values(api):
    made = api.post("/fields", {"label": "Coffee", "type": "choice", "choices": ["Espresso", "Filter"]})
    path = f"/fields/{made.json['id']}"
    assert made.headers["Location"] == f"/api/v1{path}"
    api.post("/contacts", {"email": "ada@example.com", "fields": {"coffee": "Filter"}})
    changed = api.patch(path, {"label": "Favourite"}, headers={"If-Match": made.headers["ETag"]})
    assert (changed.json["key"], changed.json["label"], changed.json["choices"]) == (
        "coffee",
        "Favourite",
        ["Espresso", "Filter"],
    )
    assert list(problem(api.patch(path, {"choices": ["One"]}), 422, "invalid")["errors"]) == ["choices"]
    problem(api.delete(path, headers={"If-Match": made.headers["ETag"]}), 412, "precondition-failed")
    assert api.delete(path).status_code == 204
    problem(api.get(path), 404, "not-found")
    assert api.get("/contacts").json["data"][0]["fields"] == {}


def test_a_tag_or_field_in_use_is_kept_and_its_users_are_named(api, newsletter):
    field = api.post("/fields", {"label": "City", "type": "text"}).json
    steps = [
        {"key": "a", "type": "add_tag", "tag": "vip"},
        {"key": "b", "type": "set_field", "field": "city", "value": "Roma"},
    ]
    api.post("/tags", {"name": "vip"})
    flow = api.post("/flows", {"name": "F", "trigger": {"type": "list_joined", "list": "Newsletter"}, "steps": steps})
    tag = api.get("/tags?name=vip").json["data"][0]
    for path in (f"/tags/{tag['id']}", f"/fields/{field['id']}"):
        found = problem(api.delete(path), 409, "conflict")
        assert found["uses"] == [{"kind": "flow", "id": flow.json["id"], "name": "F"}]


def test_a_copy_is_kept_up_to_date_with_updated_since(api, clock, newsletter):
    """What changed since the last round began is told, and nothing else."""
    flow = {
        "name": "F",
        "trigger": {"type": "list_joined", "list": "Newsletter"},
        "steps": [{"key": "e", "type": "end"}],
    }
    paths = {
        "/lists": api.post("/lists", {"name": "News"}).json["id"],
        "/tags": api.post("/tags", {"name": "vip"}).json["id"],
        "/fields": api.post("/fields", {"label": "City", "type": "text"}).json["id"],
        "/forms": api.post("/forms", {"name": "Footer", "list": "News"}).json["id"],
        "/segments": api.post("/segments", {"name": "S", "rule": {"type": "has_phone"}}).json["id"],
        "/flows": api.post("/flows", flow).json["id"],
        "/contacts": api.post("/contacts", {"email": "ada@example.com", "tags": ["vip"], "lists": ["News"]}).json["id"],
    }
    changes = {path: {"label": "Town"} if path == "/fields" else {"name": "other"} for path in paths}
    clock.forward(minutes=5)

    def changed(path):
        return [
            row["id"]
            for row in api.get(f"{path}?updated_since={clock.now.isoformat()}".replace("+", "%2B")).json["data"]
        ]

    assert all(changed(path) == [] for path in paths)
    clock.forward(minutes=5)
    for path in ("/lists", "/tags", "/fields", "/forms", "/segments"):
        body = changes[path]
        assert api.patch(f"{path}/{paths[path]}", body).status_code == 200
        assert changed(path) == [paths[path]], path
    for number, change in enumerate(
        (
            lambda one: api.post(f"{one}/tags", {"tags": ["new"]}),
            lambda one: api.delete(f"{one}/tags/new"),
            lambda one: api.post(f"{one}/lists", {"list": "Newsletter"}),
            lambda one: api.delete(f"{one}/lists/{newsletter.id}"),
            lambda one: api.post(
                f"{one}/consents", {"channel": "email", "state": "given", "at": "2020-01-01T00:00:00Z"}
            ),
        )
    ):
        clock.forward(minutes=5)
        assert changed("/contacts") == []
        assert change(f"/contacts/{paths['/contacts']}").status_code in (200, 204), number
        assert changed("/contacts") == [paths["/contacts"]], number
