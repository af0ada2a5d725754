"""Score rules and the movements of a score over the API."""

from __future__ import annotations

from .conftest import each
from .test_door import problem


def test_it_makes_changes_and_deletes_rules(api, newsletter, clock):
    body = {"title": " Signed up ", "act": "list_joined", "subject": "newsletter", "points": 10, "frequency": "once"}
    made = api.post("/score-rules", body)
    assert made.status_code == 201
    path = f"/score-rules/{made.json['id']}"
    assert made.headers["Location"] == f"/api/v1{path}"
    assert made.json == {
        "id": made.json["id"],
        "title": "Signed up",
        "points": 10,
        "act": "list_joined",
        "subject": str(newsletter.id),
        "detail": "",
        "frequency": "once",
        "enabled": True,
        "created_at": "2026-05-04T09:00:00Z",
        "updated_at": "2026-05-04T09:00:00Z",
    }
    assert api.get(path).json == made.json and api.get("/score-rules").json == {"data": [made.json], "next": None}
    clock.forward(hours=1)
    changed = api.patch(path, {"points": -5, "enabled": False, "subject": None})
    assert changed.json == {
        **made.json, "points": -5, "enabled": False, "subject": None, "updated_at": "2026-05-04T10:00:00Z",
    }  # fmt: skip
    assert api.get("/score-rules?updated_since=2026-05-04T09:30:00Z").json["data"] == [changed.json]
    assert api.get("/score-rules?updated_since=2026-05-04T10:30:00Z").json["data"] == []
    tag = api.get(path).headers["ETag"]
    assert api.patch(path, {"points": 7}, headers={"If-Match": tag}).status_code == 200
    problem(api.patch(path, {"points": 8}, headers={"If-Match": tag}), 412, "precondition-failed")
    assert api.delete(path).status_code == 204
    for answer in (api.get(path), api.patch(path, {"points": 1}), api.delete(path)):
        problem(answer, 404, "not-found")


def test_points_come_from_rules_and_programs_and_are_explained(api, newsletter, clock):
    rule = api.post("/score-rules", {"title": "Signed up", "act": "list_joined", "points": 10}).json
    ada = api.post("/contacts", {"email": "ada@example.com", "lists": ["Newsletter"]}).json["id"]
    headers = {"Idempotency-Key": "k1"}
    for _ in range(2):
        answer = api.post(f"/contacts/{ada}/score", {"points": -3, "reason": "Complained"}, headers=headers)
        assert answer.status_code == 201 and answer.json == {"score": 7}
    found = api.get(f"/contacts/{ada}/score").json["data"]
    assert [(one["points"], one["reason"], one["rule"]) for one in found] == [
        (10, "Signed up", rule["id"]),
        (-3, "Complained", None),
    ]
    assert found[0]["event"] and found[1]["event"] is None
    assert api.get(f"/contacts/{ada}").json["score"] == sum(one["points"] for one in found) == 7
    first = api.get(f"/contacts/{ada}/score?limit=1").json
    assert api.get(f"/contacts/{ada}/score?cursor={first['next']}").json["data"] == found[1:]


def test_a_flow_starts_when_a_program_gives_the_points(api, clock, queue):
    step = {"key": "t", "type": "add_tag", "tag": "hot"}
    trigger = {"type": "score", "operator": "gte", "points": 100, "wait": {"minutes": 0}}
    flow = api.post("/flows", {"name": "Hot", "trigger": trigger, "steps": [step]}).json
    assert api.post(f"/flows/{flow['id']}/publish").status_code == 200
    ada = api.post("/contacts", {"email": "ada@example.com"}).json["id"]
    for points, inside in ((99, 0), (1, 1)):
        api.post(f"/contacts/{ada}/score", {"points": points})
        assert len(api.get(f"/enrollments?flow={flow['id']}").json["data"]) == inside


@each(
    ("body", "where"),
    [
        ({}, {"title", "act", "points"}),
        ({"title": "", "act": "purchase", "points": 5}, {"title"}),
        ({"title": "TAKEN", "act": "purchase", "points": 5}, {"title"}),
        ({"title": "x" * 121, "act": "purchase", "points": 5}, {"title"}),
        ({"title": "x", "act": "sleeps", "points": 5}, {"act"}),
        ({"title": "x", "act": "purchase", "points": 0}, {"points"}),
        ({"title": "x", "act": "purchase", "points": "5"}, {"points"}),
        ({"title": "x", "act": "purchase", "points": 1_000_001}, {"points"}),
        ({"title": "x", "act": "purchase", "points": 5, "frequency": "weekly"}, {"frequency"}),
        ({"title": "x", "act": "purchase", "points": 5, "subject": "y"}, {"subject"}),
        ({"title": "x", "act": "list_joined", "points": 5, "subject": "No such list"}, {"subject"}),
        ({"title": "x", "act": "list_joined", "points": 5, "subject": 9_999}, {"subject"}),
        ({"title": "x", "act": "custom_event", "points": 5}, {"detail"}),
        ({"title": "x", "act": "page_visited", "points": 5, "detail": "no address"}, {"detail"}),
    ],
)
def test_bad_rules_are_refused_at_their_path(api, newsletter, body, where):
    api.post("/score-rules", {"title": "Taken", "act": "purchase", "points": 1})
    assert set(problem(api.post("/score-rules", body), 422, "invalid")["errors"]) == where


@each("body", [{}, {"points": 0}, {"points": 1.5}, {"points": "5"}, {"points": 2_000_000}, {"points": None}])
def test_bad_points_are_refused(api, body):
    ada = api.post("/contacts", {"email": "ada@example.com"}).json["id"]
    assert list(problem(api.post(f"/contacts/{ada}/score", body), 422, "invalid")["errors"]) == ["points"]
    problem(api.post("/contacts/999999/score", {"points": 5}), 404, "not-found")
    problem(api.get("/contacts/999999/score"), 404, "not-found")
