"""Enrollments, messages and the workspace over the API, with the engine at work behind them."""

from __future__ import annotations

import pytest

from flowserver.models import Engagement, Message
from flowserver.services.engine import engine

from .conftest import each
from .test_door import problem

FLOW = {
    "name": "Welcome",
    "trigger": {"type": "list_joined", "list": "Newsletter", "wait": {"minutes": 10}},
    "steps": [
        {"key": "phone", "type": "if_else", "if": {"type": "has_phone"}, "then": [{"key": "t", "type": "add_tag", "tag": "sms"}]},
        {"key": "hello", "type": "send_email", "subject": "Hello", "body": [{"type": "text", "text": "Hi {{ unsubscribe_url }}"}], "class": "service"},
        {"key": "pause", "type": "wait", "for": {"days": 3}},
        {"key": "done", "type": "end", "label": "welcomed", "outcome": "positive"},
    ],
}  # fmt: skip


@pytest.fixture
def walk(api, newsletter, clock, queue):
    """A flow with two people inside who have got their mail planned; ``walk.flow``, ``walk.ada``, ``walk.bob``."""
    from types import SimpleNamespace

    flow = api.post("/flows", FLOW).json
    answer = api.post(f"/flows/{flow['id']}/publish")
    assert answer.status_code == 200, answer.json
    people = [
        api.post(
            "/contacts", {"email": f"{name}@example.com", "lists": ["Newsletter"], "consent": {"email": "given"}}
        ).json
        for name in ("ada", "bob")
    ]
    clock.forward(minutes=10)
    engine.advance()
    return SimpleNamespace(flow=flow, ada=people[0], bob=people[1])


def test_an_enrollment_explains_itself(api, walk):
    page = api.get(f"/enrollments?flow={walk.flow['id']}&contact={walk.ada['id']}").json
    (row,) = page["data"]
    assert (row["flow_id"], row["contact_id"], row["version"]) == (walk.flow["id"], walk.ada["id"], 1)
    assert (row["state"], row["step"], row["held"], row["waits_for"]) == ("live", "pause", False, None)
    assert row["triggered_at"] == "2026-05-04T09:00:00Z" and row["due_at"] == "2026-05-07T09:10:00Z"
    found = api.get(f"/enrollments/{row['id']}").json
    assert {key: found[key] for key in row} == row
    decided = [(one["step"], one["type"], one["outcome"]) for one in found["decisions"]]
    assert ("phone", "if_else", "else") in decided and ("hello", "send_email", "next") in decided
    assert all(one["at"] == "2026-05-04T09:10:00Z" for one in found["decisions"])
    assert {one["what"] for one in found["decisions"] if one["step"] == "hello"} == {"Hello"}


def test_why_somebody_got_nothing_is_answered_in_words(api, walk, newsletter, clock, queue):
    flow = {
        "name": "News",
        "trigger": {"type": "list_joined", "list": "Newsletter", "wait": {"minutes": 0}},
        "steps": [{"key": "news", "type": "send_email", "subject": "News", "body": "<p>Hello</p>"}],
    }
    made = api.post("/flows", flow).json
    assert api.post(f"/flows/{made['id']}/publish").status_code == 200
    eve = api.post("/contacts", {"email": "eve@example.com", "lists": ["Newsletter"]}).json
    engine.advance()
    (message,) = api.get(f"/messages?contact={eve['id']}&flow={made['id']}").json["data"]
    assert (message["state"], message["reason"]) == ("skipped", "no_consent")
    enrollment = api.get(f"/enrollments/{message['enrollment_id']}").json
    (skipped,) = [one for one in enrollment["decisions"] if one["outcome"] == "skipped"]
    assert (skipped["reason"], skipped["why"]) == ("no_consent", "There is no consent for this channel")
    for question in (f"message={message['id']}", f"flow={made['id']}&step=news"):
        answer = api.get(f"/contacts/{eve['id']}/why?{question}").json
        assert answer["kind"] == "warn" and answer["title"]
        bad = [check["title"] for check in answer["checks"] if check["state"] == "bad"]
        assert bad == ["Has consent for e-mails"]
    never = api.get(f"/contacts/{walk.ada['id']}/why?flow={made['id']}&step=news").json
    assert never["kind"] != "ok" and never["checks"]


@each("query", ["", "flow=1", "step=x", "message=x", "message=0", "flow=1&step=" + "x" * 61, "who=1"])
def test_bad_questions_are_named(api, walk, query):
    problem(api.get(f"/contacts/{walk.ada['id']}/why?{query}"), 422, "invalid")


def test_what_cannot_be_asked_is_not_found(api, walk):
    theirs = api.get(f"/messages?contact={walk.bob['id']}").json["data"][0]["id"]
    for query in (
        f"message={theirs}",
        "message=99999999",
        f"message={2**63 - 1}",
        "flow=99999999&step=hello",
        f"flow={walk.flow['id']}&step=nothing",
    ):
        problem(api.get(f"/contacts/{walk.ada['id']}/why?{query}"), 404, "not-found")
    problem(api.get("/contacts/99999999/why?message=1"), 404, "not-found")


def test_enrollments_are_found_by_flow_contact_and_state(api, walk, clock):
    def count(query):
        return len(api.get(f"/enrollments?{query}").json["data"])

    flow, ada = walk.flow["id"], walk.ada["id"]
    assert count("") == count(f"flow={flow}") == count(f"flow={flow}&state=live") == 2
    assert (
        count(f"contact={ada}") == 1
        and count("contact=99999999") == count("flow=99999999") == count("state=ended") == 0
    )
    clock.forward(days=3)
    engine.advance()
    (ended,) = api.get(f"/enrollments?contact={ada}&state=ended").json["data"]
    assert (ended["label"], ended["outcome"], ended["due_at"], ended["state"]) == (
        "welcomed",
        "positive",
        None,
        "ended",
    )
    assert ended["end_reason"] and ended["ended_at"] == "2026-05-07T09:10:00Z"


@each("query", ["flow=x", "flow=0", "contact=-1", "state=happy", "flow=1.5", f"flow={2**63}", "who=1"])
def test_bad_filters_are_named(api, workspace, query):
    for path in ("/enrollments", "/messages"):
        assert list(problem(api.get(f"{path}?{query}"), 422, "invalid")["errors"]) == [query.partition("=")[0]]


def test_messages_are_found_and_shown(api, walk, db):
    page = api.get(f"/messages?contact={walk.ada['id']}").json
    (row,) = page["data"]
    enrollment = api.get(f"/enrollments?contact={walk.ada['id']}").json["data"][0]
    assert {
        key: row[key] for key in ("channel", "kind", "class", "state", "step", "address", "flow_id", "enrollment_id")
    } == {
        "channel": "email",
        "kind": "flow",
        "class": "service",
        "state": "planned",
        "step": "hello",
        "address": "ada@example.com",
        "flow_id": walk.flow["id"],
        "enrollment_id": enrollment["id"],
    }
    assert api.get(f"/messages/{row['id']}").json == {**row, "events": []}

    def count(query):
        return len(api.get(f"/messages?{query}").json["data"])

    assert count(f"flow={walk.flow['id']}") == count("state=planned") == count("channel=email") == 2
    assert count("state=delivered") == count("channel=sms") == count("flow=99999999") == 0
    assert count(f"enrollment={enrollment['id']}&state=planned&channel=email") == 1
    problem(api.get("/messages?channel=fax"), 422, "invalid")


def test_a_message_shows_what_was_noticed(api, walk, db, workspace, clock):
    message = db.session.query(Message).first()
    db.session.add(
        Engagement(
            workspace_id=workspace.id,
            message_id=message.id,
            kind="click",
            at=clock.now,
            url="https://a.example",
            machine=True,
        )
    )
    db.session.commit()
    events = api.get(f"/messages/{message.id}").json["events"]
    assert events == [{"kind": "click", "at": "2026-05-04T09:10:00Z", "url": "https://a.example", "machine": True}]


@each("path", ["/enrollments/99999999", "/messages/99999999"])
def test_what_does_not_exist_is_not_found(api, path):
    problem(api.get(path), 404, "not-found")


def test_the_workspace_says_who_i_am(api, workspace):
    answer = api.get("/workspace").json
    assert answer == {
        "id": workspace.id,
        "name": "Caffè Lume",
        "slug": "caffe-lume",
        "time_zone": "Europe/Rome",
        "locale": "en",
        "country": "IT",
        "sender": {"name": "Caffè Lume", "email": "ciao@caffelume.example", "sms": "CaffeLume"},
        "channels": ["email", "sms"],
        "key": {"id": answer["key"]["id"], "name": "tests", "scopes": ["read", "write"]},
    }


# --- by hand ---------------------------------------------------------------------------------------------

STEPS = [
    {"key": "wait", "type": "wait", "for": {"days": 3}},
    {"key": "tag", "type": "add_tag", "tag": "walked"},
    {"key": "hear", "type": "wait_for_event", "event": "purchase", "at_most": {"days": 9}, "then": [], "else": [{"key": "no", "type": "add_tag", "tag": "nothing"}]},
]  # fmt: skip


@pytest.fixture
def inside(api, newsletter, clock, queue):
    """The address of Ada's passage through a flow with a start wait, a wait and a wait for an event."""
    trigger = {"type": "list_joined", "list": "Newsletter", "wait": {"hours": 1}}
    flow = api.post("/flows", {"name": "By hand", "trigger": trigger, "steps": STEPS}).json
    assert api.post(f"/flows/{flow['id']}/publish").status_code == 200
    api.post("/contacts", {"email": "ada@example.com", "lists": ["Newsletter"]})
    queue.drain()
    return f"/enrollments/{api.get('/enrollments').json['data'][0]['id']}"


def test_a_wait_is_ended_by_hand_step_by_step(api, inside, queue):
    """A start wait, a wait and a wait for an event, each ended now: it goes on as if the time were up."""
    where = []
    for _ in range(3):
        moved = api.post(f"{inside}/move-on")
        assert moved.status_code == 200, moved.json
        queue.drain()
        where.append(api.get(inside).json["step"])
    assert where[:2] == ["wait", "hear"]
    ended = api.get(inside).json
    assert (ended["state"], ended["end_reason"]) == ("ended", "finished")
    assert api.get("/contacts").json["data"][0]["tags"] == ["nothing", "walked"]
    told = [(one["step"], one["outcome"], one["why"]) for one in ended["decisions"] if one["reason"] == "moved_on"]
    assert told == [("wait", "next", "Moved on by hand"), ("hear", "else", "Moved on by hand")]
    problem(api.post(f"{inside}/move-on"), 409, "conflict")


def test_a_contact_is_taken_out_by_hand(api, inside, queue):
    seen = api.get(inside)
    assert seen.headers["ETag"]
    gone = api.post(f"{inside}/end", headers={"If-Match": seen.headers["ETag"]})
    assert (gone.json["state"], gone.json["end_reason"]) == ("ended", "taken_out")
    assert gone.json["decisions"][-1]["why"] == "Taken out by hand"
    problem(api.post(f"{inside}/end", headers={"If-Match": seen.headers["ETag"]}), 412, "precondition-failed")
    problem(api.post(f"{inside}/end"), 409, "conflict")
    problem(api.post("/enrollments/99999999/end"), 404, "not-found")
    queue.drain()


def test_nobody_is_moved_on_while_the_flow_is_paused(api, inside, queue):
    flow = api.get(inside).json["flow_id"]
    api.post(f"/flows/{flow}/pause", {"mode": "freeze"})
    problem(api.post(f"{inside}/move-on"), 409, "conflict")
    api.post(f"/flows/{flow}/resume")
    queue.drain()
    assert api.post(f"{inside}/move-on").status_code == 200


def test_what_moved_since_is_told(api, inside, clock, queue):
    def changed(path):
        return len(api.get(f"{path}?updated_since={clock.now.isoformat()}".replace("+", "%2B")).json["data"])

    assert changed("/enrollments") == 1
    clock.forward(minutes=5)
    assert changed("/enrollments") == changed("/messages") == 0
    api.post(f"{inside}/move-on")
    queue.drain()
    assert changed("/enrollments") == 1
