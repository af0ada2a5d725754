"""Flows over the API: from a definition to people inside, and back."""

from __future__ import annotations

import copy
import re

import pytest

from flowserver import extensions as ext
from flowserver.blueprints.api.flows import DEFINITION
from flowserver.services.engine import engine, missed
from flowserver.services.flows import flows

from .conftest import each
from .test_door import problem


@pytest.fixture
def flow(api, newsletter):
    """A flow made from the documentation's example."""
    return api.post("/flows", DEFINITION).json


def changed(**changes):
    return {**copy.deepcopy(DEFINITION), **changes}


# --- making ----------------------------------------------------------------------------------------------


def test_it_makes_a_flow_from_a_definition(api, newsletter, clock):
    answer = api.post("/flows", DEFINITION)
    assert answer.status_code == 201, answer.json
    assert answer.headers["Location"] == f"/api/v1/flows/{answer.json['id']}"
    assert answer.json == {
        "id": answer.json["id"],
        "name": "Welcome series",
        "state": "draft",
        "trigger": "list_joined",
        "live_version": None,
        "draft_number": 1,
        "draft_changed": True,
        "closed": False,
        "archived": False,
        "pause_mode": None,
        "pause_reason": None,
        "broken": None,
        "inside": 0,
        "created_at": answer.json["created_at"],
        "updated_at": "2026-05-04T09:00:00Z",
        "activated_at": None,
        "paused_at": None,
        "starts_at": None,
        "definition": DEFINITION,
    }
    assert api.get(f"/flows/{answer.json['id']}").json == answer.json


def test_the_definition_comes_back_in_one_order(api, newsletter):
    """Whatever order the keys came in, byte for byte the same."""

    def shuffled(value):
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in sorted(value, reverse=True)}
        return [shuffled(one) for one in value] if isinstance(value, list) else value

    import json

    one = api.post("/flows", DEFINITION).json
    other = api.post("/flows", shuffled(changed(name="Welcome backwards"))).json
    texts = [json.dumps({**flow["definition"], "name": ""}) for flow in (one, other)]
    assert texts[0] == texts[1] == json.dumps({**DEFINITION, "name": ""})


def test_objects_are_named_or_numbered(api, newsletter):
    by_id = changed(name="By id")
    by_id["trigger"]["list"] = newsletter.id
    for definition in (DEFINITION, by_id):
        made = api.post("/flows", definition).json
        assert made["definition"]["trigger"]["list"] == "Newsletter"
        numbered = api.get(f"/flows/{made['id']}?references=ids").json
        assert numbered["definition"]["trigger"]["list"] == newsletter.id
    api.patch(f"/lists/{newsletter.id}", {"name": "News"})
    assert api.get(f"/flows/{made['id']}").json["definition"]["trigger"]["list"] == "News"


def test_what_comes_back_can_be_sent_again(api, flow):
    again = api.put(f"/flows/{flow['id']}/draft", flow["definition"])
    assert again.status_code == 200 and again.json["definition"] == flow["definition"]
    copied = api.post("/flows", {**flow["definition"], "name": "Copy"})
    assert copied.json["definition"] == {**flow["definition"], "name": "Copy"}


def test_a_flow_of_the_api_can_be_edited_in_the_console(api, flow, workspace, login, alice):
    page = login(alice).get(f"/c/{workspace.slug}/flows/{flow['id']}/steps")
    assert page.status_code == 200 and "Welcome series" in page.get_data(as_text=True)


def test_a_flow_of_the_console_can_be_read_here(api, newsletter, workspace, bob):
    with ext.workspace(workspace.id):
        made = flows.create(
            {"name": "Console", "trigger": {"type": "list_joined", "list": newsletter.id}, "steps": []}, bob.id
        )
    assert api.get(f"/flows/{made.id}").json["definition"] == {
        "format": 1,
        "name": "Console",
        "trigger": {"type": "list_joined", "list": "Newsletter"},
        "steps": [],
    }


def step(**changes):
    return changed(steps=[{"key": "one", "type": "end", **changes}])


@each(
    ("definition", "paths"),
    [
        ({}, {"name", "trigger.type"}),
        (changed(name=None), {"name"}),
        (changed(name=""), {"name"}),
        (changed(name=5), {"name"}),
        (changed(name="x" * 121), {"name"}),
        (changed(name=["x"]), {"name"}),
        (changed(format=2), {"format"}),
        (changed(format="1"), {"format"}),
        (changed(surprise=1), {"surprise"}),
        (changed(trigger=None), {"trigger"}),
        (changed(trigger="list_joined"), {"trigger.type"}),
        (changed(trigger=[]), {"trigger.type"}),
        (changed(trigger={"type": "nothing"}), {"trigger.type"}),
        (changed(trigger={"type": {"a": 1}}), {"trigger.type"}),
        (changed(trigger={"type": "list_joined", "list": "Nothing"}), {"trigger.list"}),
        (changed(trigger={"type": "list_joined", "list": 10**17}), {"trigger.list"}),
        (changed(trigger={"type": "list_joined", "list": [1]}), {"trigger.list"}),
        (changed(trigger={"type": "list_joined", "list": "Newsletter", "wait": {"days": 366}}), {"trigger.wait"}),
        (changed(trigger={"type": "list_joined", "list": "Newsletter", "wait": {"days": -1}}), {"trigger.wait"}),
        (changed(trigger={"type": "list_joined", "list": "Newsletter", "wait": "10 minutes"}), {"trigger.wait"}),
        (
            changed(trigger={"type": "list_joined", "list": "Newsletter", "wait": {"days": 1, "hours": 1}}),
            {"trigger.wait"},
        ),
        (changed(trigger={"type": "list_joined", "list": "Newsletter", "reentry": "often"}), {"trigger.reentry"}),
        (
            changed(trigger={"type": "list_joined", "list": "Newsletter", "include_existing": "yes"}),
            {"trigger.include_existing"},
        ),
        (changed(steps="none"), {"steps"}),
        (changed(steps={"a": 1}), {"steps"}),
        (changed(steps=None), {"steps"}),
        (changed(steps=["end"]), {"steps[0]"}),
        (changed(steps=[None]), {"steps[0]"}),
        (step(key=""), {"steps[0].key"}),
        (step(key="Has Spaces"), {"steps[0].key"}),
        (step(key=7.5), {"steps[0].key"}),
        (step(key={}), {"steps[0].key"}),
        (step(key="x" * 61), {"steps[0].key"}),
        (step(type="teleport"), {"steps[0].type"}),
        (step(type=None), {"steps[0].type"}),
        (step(then=[]), {"steps[0].then"}),
        (step(then="x"), {"steps[0].then"}),
        (
            changed(steps=[{"key": "a", "type": "end"}, {"key": "a", "type": "end"}]),
            {"steps[1].key"},
        ),
        (changed(steps=[{"key": "t", "type": "join_list", "list": "Nothing"}]), {"steps[0].list"}),
        (changed(steps=[{"key": "w", "type": "wait", "for": {"days": 366}}]), {"steps[0].for"}),
        (changed(steps=[{"key": "w", "type": "wait", "for": {"days": -1}}]), {"steps[0].for"}),
        (changed(steps=[{"key": "m", "type": "send_email", "body": True}]), {"steps[0].body"}),
        (changed(steps=[{"key": "p", "type": "change_score", "points": "five"}]), {"steps[0].points"}),
        (changed(steps=[{"key": "p", "type": "add_tag", "tag": "x", "colour": "red"}]), {"steps[0].colour"}),
        (
            changed(
                steps=[
                    {
                        "key": "q",
                        "type": "if_else",
                        "if": {"all": [{"type": "has_phone"}, {"type": "in_list", "list": 99999999}]},
                        "then": [{"key": "j", "type": "join_list", "list": 98999999}],
                    }
                ]
            ),
            {"steps[0].if.all[1].list", "steps[0].then[0].list"},
        ),
    ],
)
def test_what_no_draft_may_hold_is_named_by_path(api, newsletter, definition, paths):
    found = problem(api.post("/flows", definition), 422, "invalid")
    assert set(found["errors"]) == paths
    made = api.get("/flows").json["data"]
    made = api.get(f"/flows/{made[0]['id']}").json if made else api.post("/flows", changed(name="Good")).json
    problem(api.put(f"/flows/{made['id']}/draft", definition), 422, "invalid")
    assert api.get(f"/flows/{made['id']}").json == made


def test_names_are_unique(api, flow):
    assert set(problem(api.post("/flows", changed(name="WELCOME series")), 422, "invalid")["errors"]) == {"name"}


def test_500_steps_are_enough(api, newsletter):
    steps = [{"key": f"s{number}", "type": "add_tag", "tag": "x"} for number in range(501)]
    assert set(problem(api.post("/flows", changed(steps=steps)), 422, "invalid")["errors"]) == {"steps"}
    assert api.post("/flows", changed(steps=steps[:500])).status_code == 201


def test_lanes_may_be_deep_but_not_endless(api, newsletter):
    def nested(depth):
        inner = [{"key": f"e{depth}", "type": "end"}]
        for number in range(depth):
            inner = [{"key": f"q{number}", "type": "if_else", "if": {"type": "has_phone"}, "then": inner}]
        return changed(steps=inner)

    assert api.post("/flows", nested(25)).status_code == 201
    problem(api.post("/flows", nested(40)), 422, "invalid")


# --- drafts ----------------------------------------------------------------------------------------------


def test_a_draft_is_replaced(api, flow):
    answer = api.put(f"/flows/{flow['id']}/draft", changed(name="Renamed", steps=DEFINITION["steps"][-1:]))
    assert answer.status_code == 200
    assert (answer.json["name"], answer.json["draft_number"]) == ("Renamed", 2)
    assert [one["key"] for one in answer.json["definition"]["steps"]] == ["done"]


def test_nobody_saves_over_anothers_change(api, flow):
    path = f"/flows/{flow['id']}/draft"
    assert api.put(f"{path}?draft_number=1", changed(name="First")).status_code == 200
    problem(api.put(f"{path}?draft_number=1", changed(name="Second")), 409, "conflict")
    tag = api.get(f"/flows/{flow['id']}").headers["ETag"]
    assert api.put(path, changed(name="Third"), headers={"If-Match": tag}).status_code == 200
    problem(api.put(path, changed(name="Fourth"), headers={"If-Match": tag}), 412, "precondition-failed")
    numbered = api.get(f"/flows/{flow['id']}?references=ids").headers["ETag"]
    assert api.put(path, changed(name="Third"), headers={"If-Match": numbered}).status_code == 200
    assert api.get(f"/flows/{flow['id']}").json["name"] == "Third"


def test_a_draft_can_be_deleted_a_live_flow_cannot(api, flow):
    other = api.post("/flows", changed(name="Other")).json
    assert api.delete(f"/flows/{other['id']}").status_code == 204
    problem(api.get(f"/flows/{other['id']}"), 404, "not-found")
    api.post(f"/flows/{flow['id']}/publish")
    problem(api.delete(f"/flows/{flow['id']}"), 409, "conflict")


# --- going live ------------------------------------------------------------------------------------------


def test_it_says_what_keeps_a_draft_from_going_live(api, newsletter, db, workspace):
    definition = changed()
    del definition["steps"][1]["else"][0]["text"]
    made = api.post("/flows", definition)
    assert made.status_code == 201
    check = api.get(f"/flows/{made.json['id']}/check").json
    assert check["ready"] is False
    assert {"steps[1].else[0].text"} == {one["path"] for one in check["findings"] if one["kind"] == "fix"}
    found = problem(api.post(f"/flows/{made.json['id']}/publish"), 422, "invalid")
    assert set(found["errors"]) == {"steps[1].else[0].text"}
    assert api.get(f"/flows/{made.json['id']}").json["state"] == "draft"


def test_a_client_without_a_sender_is_named(api, flow, db, workspace):
    workspace.sender_email = ""
    db.session.commit()
    found = problem(api.post(f"/flows/{flow['id']}/publish"), 422, "invalid")
    assert set(found["errors"]) == {"client.sender_email"}


def test_a_flow_goes_live_and_takes_people_in(api, flow, clock, queue):
    check = api.get(f"/flows/{flow['id']}/check").json
    assert check["ready"] is True and check["would_start"] == 0
    live = api.post(f"/flows/{flow['id']}/publish").json
    assert (live["state"], live["live_version"], live["draft_changed"]) == ("active", 1, False)
    assert live["activated_at"] == "2026-05-04T09:00:00Z"
    api.post("/contacts", {"email": "ada@example.com", "lists": ["Newsletter"]})
    assert api.get(f"/flows/{flow['id']}").json["inside"] == 1
    problem(api.post(f"/flows/{flow['id']}/publish"), 409, "conflict")


@pytest.mark.parametrize(("include", "inside"), [(True, 1), (False, 0), (None, 0)])
def test_those_who_match_already_come_in_when_asked(api, flow, queue, include, inside):
    api.post("/contacts", {"email": "ada@example.com", "lists": ["Newsletter"]})
    assert api.get(f"/flows/{flow['id']}/check").json["would_start"] == 1
    assert api.post(f"/flows/{flow['id']}/publish", {"include_existing": include}).status_code == 200
    queue.drain()
    assert api.get(f"/flows/{flow['id']}").json["inside"] == inside


def test_each_version_stays_as_it_went_live(api, flow, clock):
    path = f"/flows/{flow['id']}"
    api.post(f"{path}/publish")
    api.post("/contacts", {"email": "ada@example.com", "lists": ["Newsletter"]})
    clock.forward(hours=1)
    api.put(f"{path}/draft", changed(steps=DEFINITION["steps"][-1:]))
    assert api.get(path).json["draft_changed"] is True
    assert api.post(f"{path}/publish").json["live_version"] == 2
    assert api.get(f"{path}/versions").json == {
        "data": [
            {"number": 1, "live": False, "inside": 1, "undone_at": None, "created_at": "2026-05-04T09:00:00Z"},
            {"number": 2, "live": True, "inside": 0, "undone_at": None, "created_at": "2026-05-04T10:00:00Z"},
        ],
        "next": None,
    }
    assert api.get(f"{path}/versions/1").json["definition"] == DEFINITION
    assert len(api.get(f"{path}/versions/2").json["definition"]["steps"]) == 1
    problem(api.get(f"{path}/versions/3"), 404, "not-found")
    problem(api.put(f"{path}/draft", changed(trigger={"type": "nothing"})), 422, "invalid")


@pytest.mark.parametrize("mode", ["freeze", "hold", "skip"])
def test_it_pauses_and_resumes(api, flow, mode):
    path = f"/flows/{flow['id']}"
    for word in ("pause", "resume", "stop"):
        problem(api.post(f"{path}/{word}"), 409, "conflict")
    api.post(f"{path}/publish")
    api.post("/contacts", {"email": "ada@example.com", "lists": ["Newsletter"]})
    paused = api.post(f"{path}/pause", {"mode": mode}).json
    assert (paused["state"], paused["pause_mode"], paused["inside"]) == ("paused", mode, 1)
    problem(api.post(f"{path}/pause"), 409, "conflict")
    resumed = api.post(f"{path}/resume").json
    assert (resumed["state"], resumed["pause_mode"], resumed["inside"]) == ("active", None, 1)
    problem(api.post(f"{path}/resume"), 409, "conflict")


def test_resuming_lets_in_who_would_have_started(api, flow, clock):
    path = f"/flows/{flow['id']}"
    api.post(f"{path}/publish")
    api.post(f"{path}/pause")
    clock.forward(minutes=1)
    api.post("/contacts", {"email": "ada@example.com", "lists": ["Newsletter"]})
    problem(api.post(f"{path}/resume", {"let_in": "perhaps"}), 422, "invalid")
    assert api.post(f"{path}/resume", {"let_in": True}).json["inside"] == 0
    clock.forward(seconds=10)
    assert [missed.let_in(one) for one in missed.pending()] == [1]
    assert api.get(path).json["inside"] == 1


def test_it_stops_for_good(api, flow, queue):
    path = f"/flows/{flow['id']}"
    api.post(f"{path}/publish")
    api.post("/contacts", {"email": "ada@example.com", "lists": ["Newsletter"]})
    stopped = api.post(f"{path}/stop").json
    queue.drain()
    assert stopped["state"] == "stopped" and api.get(path).json["inside"] == 0
    assert api.get(f"/enrollments?flow={flow['id']}").json["data"][0]["end_reason"] == "flow_stopped"
    for word in ("publish", "pause", "resume", "stop"):
        problem(api.post(f"{path}/{word}"), 409, "conflict")


@each("body", [{"mode": "forever"}, {"mode": None}, {"mode": 1}, {"how": "freeze"}])
def test_bad_pauses_are_refused(api, flow, body):
    api.post(f"/flows/{flow['id']}/publish")
    problem(api.post(f"/flows/{flow['id']}/pause", body), 422, "invalid")
    assert api.get(f"/flows/{flow['id']}").json["state"] == "active"


@each("body", [{"include_existing": "yes"}, {"include_existing": 1}, {"all": True}])
def test_bad_publishing_is_refused(api, flow, body):
    problem(api.post(f"/flows/{flow['id']}/publish", body), 422, "invalid")
    assert api.get(f"/flows/{flow['id']}").json["state"] == "draft"


# --- finding ---------------------------------------------------------------------------------------------


def test_flows_are_listed_without_definitions(api, clock, flow):
    clock.forward(hours=1)
    other = api.post("/flows", changed(name="Other")).json
    api.post(f"/flows/{other['id']}/publish")

    def names(query=""):
        return [row["name"] for row in api.get(f"/flows{query}").json["data"]]

    assert names() == ["Welcome series", "Other"]
    assert "definition" not in api.get("/flows").json["data"][0]
    assert names("?state=active") == names("?updated_since=2026-05-04T10:00:00Z") == ["Other"]
    assert names("?archived=true") == [] and len(names("?archived=false")) == 2
    for query in ("?state=happy", "?archived=1", "?updated_since=now"):
        problem(api.get(f"/flows{query}"), 422, "invalid")


@each(
    ("method", "path"),
    [
        ("get", ""),
        ("delete", ""),
        ("put", "/draft"),
        ("get", "/check"),
        ("post", "/publish"),
        ("post", "/pause"),
        ("post", "/resume"),
        ("post", "/stop"),
        ("get", "/versions"),
        ("get", "/versions/1"),
    ],
)
def test_a_flow_that_does_not_exist_is_not_found(api, newsletter, method, path):
    kwargs = {"json": DEFINITION} if method == "put" else {}
    problem(getattr(api, method)(f"/flows/99999999{path}", **kwargs), 404, "not-found")


def test_a_deleted_list_is_named_where_it_stood(api, flow, db, newsletter):
    db.session.delete(db.session.merge(newsletter))
    db.session.commit()
    seen = api.get(f"/flows/{flow['id']}").json["definition"]["trigger"]["list"]
    assert isinstance(seen, int)
    assert set(problem(api.post(f"/flows/{flow['id']}/publish"), 409, "conflict")["errors"]) == {"trigger.list"}
    assert api.get(f"/flows/{flow['id']}").json["broken"] == "The list was deleted. Choose another one"
    api.put(f"/flows/{flow['id']}/draft", changed(trigger={"type": "list_joined"}))
    assert api.get(f"/flows/{flow['id']}").json["broken"] is None
    assert api.post(f"/flows/{flow['id']}/publish").status_code == 200


# --- as text ---------------------------------------------------------------------------------------------

YAML = {"Accept": "application/yaml"}


def test_a_definition_goes_out_and_in_as_text(api, flow):
    path = f"/flows/{flow['id']}"
    text = api.get(path, headers=YAML)
    assert text.mimetype == "application/yaml" and text.get_data(as_text=True).startswith("format: 1\nname: Welcome")
    assert api.get(path, headers={**YAML, "If-None-Match": text.headers["ETag"]}).status_code == 304
    sent = {"data": text.data, "content_type": "application/yaml"}
    again = api.put(f"{path}/draft", headers={"If-Match": text.headers["ETag"]}, **sent)
    assert again.status_code == 200 and again.json["definition"] == flow["definition"]
    assert api.get(path, headers=YAML).data == text.data
    copied = api.post(
        "/flows", data=text.data.replace(b"name: Welcome series", b"name: Copy"), content_type="application/yaml"
    )
    assert copied.status_code == 201
    assert api.get(f"/flows/{copied.json['id']}", headers=YAML).data == text.data.replace(b"Welcome series", b"Copy")


def test_a_version_is_shown_as_text(api, flow):
    api.post(f"/flows/{flow['id']}/publish")
    version = api.get(f"/flows/{flow['id']}/versions/1", headers=YAML)
    assert version.data == api.get(f"/flows/{flow['id']}", headers=YAML).data


def test_bad_text_is_refused_in_words(api, newsletter):
    for raw in (b"a: [", b"a: &x 1\nb: *x", b"- 1", b"\xff\xfe\x00", b"name: x", b"name: caff\xe8", b'name: "\\ud800"'):
        found = problem(api.post("/flows", data=raw, content_type="application/yaml"), 422, "invalid")
        assert found["errors"]
    problem(api.post("/lists", data=b"name: x", content_type="application/yaml"), 415, "unsupported-media-type")


# --- the console and the API edit the same flows ---------------------------------------------------------


def test_a_flow_goes_from_the_api_to_the_console_and_back(api, flow, newsletter, workspace, login, bob):
    """Made here, a step added and another changed on the pages, read and changed here, shown there."""
    browser, home = login(bob), f"/c/{workspace.slug}/flows/{flow['id']}"
    added = browser.post(f"{home}/steps", data={"kind": "wait", "after": "welcome"})
    assert added.status_code == 303, added.text[:500]
    changed = api.get(f"/flows/{flow['id']}").json
    keys = [step["key"] for step in changed["definition"]["steps"]]
    fresh = next(key for key in keys if key not in [step["key"] for step in flow["definition"]["steps"]])
    saved = browser.post(f"{home}/steps/{fresh}", data={"kind": "for", "for-amount": "5", "for-unit": "hours"})
    assert saved.status_code == 303, saved.text[:500]
    read = api.get(f"/flows/{flow['id']}")
    definition = read.json["definition"]
    step = next(one for one in definition["steps"] if one["key"] == fresh)
    assert step == {"key": fresh, "type": "wait", "for": {"hours": 5}}
    step["for"] = {"hours": 7}
    back = api.put(f"/flows/{flow['id']}/draft", definition, headers={"If-Match": read.headers["ETag"]})
    assert back.status_code == 200
    shown = re.sub(r"<[^>]+>|\s+", " ", browser.get(f"{home}/steps").text)
    assert "Wait 7 hours" in re.sub(r" +", " ", shown)
    stale = api.put(f"/flows/{flow['id']}/draft", flow["definition"], headers={"If-Match": read.headers["ETag"]})
    problem(stale, 412, "precondition-failed")


def test_a_new_version_says_what_it_means_for_those_inside_and_can_be_undone(api, flow):
    path = f"/flows/{flow['id']}"
    api.post(f"{path}/publish")
    api.post("/contacts", {"email": "ada@example.com", "lists": ["Newsletter"]})
    engine.advance()
    (stands,) = api.get(f"{path}/check").json["inside"]
    definition = api.get(path).json["definition"]
    step = stands["step"]
    assert (stands["version"], stands["contacts"], stands["to"], stands["again"]) == (1, 1, step, 0)
    changed = {**definition, "steps": [*definition["steps"], {"key": "more", "type": "add_tag", "tag": "more"}]}
    api.put(f"{path}/draft", changed)
    assert api.get(f"{path}/check").json["people"] == "finish"
    assert api.post(f"{path}/publish", {"people": "jump"}).json["errors"].keys() == {"people"}
    assert api.post(f"{path}/publish", {"people_at": {step: "jump"}}).json["errors"].keys() == {f"people_at.{step}"}
    assert "people_at.never" in api.post(f"{path}/publish", {"people_at": {"never": "move"}}).json["errors"]
    assert api.post(f"{path}/publish", {"people": "move"}).status_code == 200
    assert [row["inside"] for row in api.get(f"{path}/versions").json["data"]] == [0, 1]
    assert api.post(f"{path}/undo-publish").json["live_version"] == 1
    first, second = api.get(f"{path}/versions").json["data"]
    assert (first["inside"], first["live"], second["inside"]) == (1, True, 0) and second["undone_at"]
    assert api.post(f"{path}/undo-publish").status_code == 409


def test_a_flow_is_put_away_and_taken_out_again(api, flow):
    assert api.post(f"/flows/{flow['id']}/publish").status_code == 200
    problem(api.post(f"/flows/{flow['id']}/archive"), 409, "conflict")
    api.post(f"/flows/{flow['id']}/stop")
    assert api.post(f"/flows/{flow['id']}/archive").status_code == 200
    assert api.get("/flows?archived=false").json["data"] == []
    assert [one["id"] for one in api.get("/flows?archived=true").json["data"]] == [flow["id"]]
    assert api.post(f"/flows/{flow['id']}/unarchive").json["state"] == "stopped"
    assert len(api.get("/flows?archived=false").json["data"]) == 1
